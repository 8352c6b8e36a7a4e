#include "dataplane/interface_lock.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <system_error>

#include "dataplane/start_error.h"

namespace guideway {

InterfaceLock::InterfaceLock(unsigned interface_index, const std::string& name, const std::string& where)
    : index_(interface_index), name_(name), socket_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string text = fmt::format("guideway/interface/{}", interface_index);
  std::memcpy(address.sun_path + 1, text.data(), text.size());  // the zero before it makes it abstract
  const auto size_bytes = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + text.size());
  if (bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), size_bytes) == 0) return;
  if (errno != EADDRINUSE)
    throw StartError("{}: cannot lock interface {}: {}", where, name, std::generic_category().message(errno));
  throw StartError(
      "{}: interface {} is held by another running data plane, or by another port of this one, and it takes only one; "
      "stop that one (`ss -xap` shows who has @{}), or give this port another interface",
      where, name, text);
}

}  // namespace guideway
