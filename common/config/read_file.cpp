#include "common/config/read_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace guideway::config {
namespace {

std::string error_text() {
  return std::generic_category().message(errno);
}

// At most one byte more than asked for, which tells a larger file.
std::string read_all(int fd, std::string& text, std::size_t bytes_max) {
  text.resize(bytes_max + 1);
  std::size_t used = 0;
  while (used < text.size()) {
    const ssize_t got = ::read(fd, text.data() + used, text.size() - used);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return error_text();
    if (got == 0) break;
    used += static_cast<std::size_t>(got);
  }
  text.resize(used);
  return used > bytes_max ? "it is larger than " + std::to_string(bytes_max) + " bytes" : "";
}

}  // namespace

FileText read_file(const std::string& path, std::size_t bytes_max) {
  FileText file;
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);  // a FIFO must not block us
  struct stat status {};
  if (fd < 0 || ::fstat(fd, &status) != 0)
    file.error = error_text();
  else if (!S_ISREG(status.st_mode))
    file.error = S_ISDIR(status.st_mode) ? "it is a directory" : "it is not a regular file";
  else
    file.error = read_all(fd, file.text, bytes_max);
  file.mode = status.st_mode;
  if (fd >= 0) ::close(fd);
  return file;
}

}  // namespace guideway::config
