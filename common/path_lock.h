// One process at a time for a path, such as that of a socket: whoever has the lock on PATH.lock. The kernel lets go of
// it when the process dies. Thread-safety: pure functions over the file system.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <string>

#include "common/descriptor.h"

namespace guideway {

// Held for as long as the descriptor lives. Invalid, and errno says why, if there is none: EADDRINUSE if somebody has
// it.
inline Descriptor lock_path(const std::string& path) {
  Descriptor file(open((path + ".lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, S_IRUSR | S_IWUSR));
  if (!file.valid()) return {};
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  if (fcntl(file.get(), F_OFD_SETLK, &lock) == 0) return file;
  const int error = errno == EAGAIN || errno == EACCES ? EADDRINUSE : errno;
  file = {};
  errno = error;
  return {};
}

}  // namespace guideway
