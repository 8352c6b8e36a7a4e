#include "controlplane/durable_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

namespace guideway::controlplane {
namespace {

[[noreturn]] void fail(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

void write_all(int fd, std::string_view text, const std::string& path) {
  while (!text.empty()) {
    const ssize_t n = write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail("cannot write " + path);
    text.remove_prefix(static_cast<std::size_t>(n));
  }
}

}  // namespace

void make_state_directory(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error)
    throw std::system_error(error, "cannot make the directory " + path +
                                       "; remove what is in its way, or name another one as [control] state_dir");
}

std::optional<std::string> read_whole(const std::string& path) {
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) {
    if (errno == ENOENT) return std::nullopt;
    fail("cannot open " + path);
  }
  std::string text;
  char part[65536];
  for (;;) {
    const ssize_t n = read(file.get(), part, sizeof part);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail("cannot read " + path + (errno == EISDIR ? "; move the directory of this name away" : ""));
    if (n == 0) return text;
    text.append(part, static_cast<std::size_t>(n));
  }
}

void replace_durably(const std::string& path, std::string_view text) {
  const std::string aside = path + ".new";
  make_state_directory(std::filesystem::path(path).parent_path());
  {
    const Descriptor file(open(aside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (!file.valid()) fail("cannot create " + aside);
    write_all(file.get(), text, aside);
    if (fsync(file.get()) != 0) fail("cannot sync " + aside);
  }
  rename_durably(aside, path);
}

void rename_durably(const std::string& from, const std::string& to) {
  if (rename(from.c_str(), to.c_str()) != 0) fail("cannot rename " + from + " to " + to);
  const std::string directory = std::filesystem::path(to).parent_path();
  const Descriptor parent(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!parent.valid() || fsync(parent.get()) != 0) fail("cannot sync " + directory);
}

AppendedFile::AppendedFile(const std::string& path)
    : path_(path), file_(open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)) {
  if (!file_.valid()) fail("cannot open " + path_);
}

void AppendedFile::append(std::string_view text) {
  write_all(file_.get(), text, path_);
  if (fdatasync(file_.get()) != 0) fail("cannot sync " + path_);
}

bool AppendedFile::is_in_place() const {
  struct stat ours {};
  struct stat named {};
  return fstat(file_.get(), &ours) == 0 && stat(path_.c_str(), &named) == 0 && ours.st_dev == named.st_dev &&
         ours.st_ino == named.st_ino;
}

}  // namespace guideway::controlplane
