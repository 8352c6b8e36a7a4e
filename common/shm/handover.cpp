#include "common/shm/handover.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <span>
#include <system_error>
#include <vector>

namespace guideway::shm {
namespace {

constexpr std::uint64_t kMessageMagic = 0x7265'766f'6477'67;  // "gwdover"
constexpr int kPatienceMs = 1000;

enum class MessageKind : std::uint32_t { greeting = 1, offer = 2, answer = 3 };

struct Message {
  std::uint64_t magic = kMessageMagic;
  std::uint32_t version = kHandoverVersion;
  MessageKind kind{};
  std::uint32_t pid = 0;
  AttachError error{};  // answer
};
static_assert(sizeof(Message) == 24);

struct Received {
  Message message;
  std::vector<Descriptor> descriptors;
};

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path)
    throw std::system_error(ENAMETOOLONG, std::generic_category(), "socket path " + path);
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

bool send_message(int fd, MessageKind kind, std::span<const int> descriptors, AttachError error = AttachError::none) {
  Message message;
  message.kind = kind;
  message.pid = static_cast<std::uint32_t>(getpid());
  message.error = error;
  iovec part{&message, sizeof message};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(2 * sizeof(int))> control{};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  if (!descriptors.empty()) {
    header.msg_control = control.data();
    header.msg_controllen = CMSG_SPACE(descriptors.size_bytes());
    cmsghdr* rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(descriptors.size_bytes());
    std::memcpy(CMSG_DATA(rights), descriptors.data(), descriptors.size_bytes());
  }
  ssize_t sent = 0;
  do sent = sendmsg(fd, &header, MSG_NOSIGNAL);
  while (sent < 0 && errno == EINTR);
  return sent == sizeof message;
}

enum class ReceiveResult { message, nothing_yet, closed };

// Anything but a whole message of ours counts as closed.
ReceiveResult receive_message(int fd, Received& received) {
  iovec part{&received.message, sizeof received.message};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(4 * sizeof(int))> control{};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control.data();
  header.msg_controllen = control.size();
  ssize_t got = 0;
  do got = recvmsg(fd, &header, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  while (got < 0 && errno == EINTR);
  if (got < 0) return errno == EAGAIN ? ReceiveResult::nothing_yet : ReceiveResult::closed;
  for (cmsghdr* c = CMSG_FIRSTHDR(&header); c != nullptr; c = CMSG_NXTHDR(&header, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    for (std::size_t at = 0; CMSG_LEN(at + sizeof(int)) <= c->cmsg_len; at += sizeof(int)) {
      int descriptor = -1;
      std::memcpy(&descriptor, CMSG_DATA(c) + at, sizeof descriptor);
      received.descriptors.emplace_back(descriptor);
    }
  }
  const bool whole = got == sizeof received.message && (header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0;
  if (!whole || received.message.magic != kMessageMagic || received.message.version != kHandoverVersion)
    return ReceiveResult::closed;
  return ReceiveResult::message;
}

bool wait_readable(int fd) {
  pollfd waiting{fd, POLLIN, 0};
  int ready = 0;
  do ready = ::poll(&waiting, 1, kPatienceMs);
  while (ready < 0 && errno == EINTR);
  return ready > 0;
}

Descriptor connect_to(const std::string& path) {
  const sockaddr_un address = address_of(path);
  Descriptor fd(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  if (!fd.valid() || connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return {};
  return fd;
}

}  // namespace

struct HandoverServer::Impl {
  std::string path;
  Descriptor stats, listener, epoll, connection;

  void watch(int fd) const {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = fd;
    if (epoll_ctl(epoll.get(), EPOLL_CTL_ADD, fd, &event) != 0)
      throw std::system_error(errno, std::generic_category(), "cannot watch " + path);
  }
  void accept_newest(const Descriptor& custody);
  void answer(const std::function<AttachError(Descriptor)>& offered);
};

HandoverServer::HandoverServer(const std::string& path, Descriptor stats) : impl_(std::make_unique<Impl>()) {
  impl_->path = path;
  impl_->stats = std::move(stats);
  if (connect_to(path).valid())
    throw std::system_error(
        EADDRINUSE, std::generic_category(),
        "another data plane serves " + path + "; stop it, or give this one its own control.run_dir");
  unlink(path.c_str());
  const sockaddr_un address = address_of(path);
  impl_->listener = Descriptor(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const mode_t before = umask(0177);
  const bool bound = bind(impl_->listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  const int bind_error = errno;
  umask(before);
  if (!bound) throw std::system_error(bind_error, std::generic_category(), "cannot serve at " + path);
  if (listen(impl_->listener.get(), 8) != 0)
    throw std::system_error(errno, std::generic_category(), "cannot listen at " + path);
  impl_->epoll = Descriptor(epoll_create1(EPOLL_CLOEXEC));
  impl_->watch(impl_->listener.get());
}

HandoverServer::~HandoverServer() {
  unlink(impl_->path.c_str());
}

int HandoverServer::fd() const {
  return impl_->epoll.get();
}

bool HandoverServer::connected() const {
  return impl_->connection.valid();
}

void HandoverServer::serve(const Descriptor& custody, const std::function<AttachError(Descriptor)>& offered) {
  impl_->accept_newest(custody);
  if (impl_->connection.valid()) impl_->answer(offered);
}

void HandoverServer::Impl::accept_newest(const Descriptor& custody) {
  for (;;) {
    Descriptor fresh(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fresh.valid()) return;
    std::vector<int> descriptors{stats.get()};
    if (custody.valid()) descriptors.push_back(custody.get());
    if (!send_message(fresh.get(), MessageKind::greeting, descriptors)) continue;
    watch(fresh.get());
    connection = std::move(fresh);
  }
}

void HandoverServer::Impl::answer(const std::function<AttachError(Descriptor)>& offered) {
  for (;;) {
    Received received;
    const ReceiveResult result = receive_message(connection.get(), received);
    if (result == ReceiveResult::nothing_yet) return;
    if (result == ReceiveResult::closed || received.message.kind != MessageKind::offer ||
        received.descriptors.size() != 1 ||
        !send_message(connection.get(), MessageKind::answer, {}, offered(std::move(received.descriptors.front())))) {
      connection = {};
      return;
    }
  }
}

std::optional<Greeting> greet(const std::string& path, std::string& why) {
  Greeting greeting;
  greeting.connection = connect_to(path);
  if (!greeting.connection.valid()) {
    why = "no data plane serves " + path + " (" + std::strerror(errno) + ")";  // NOLINT(concurrency-mt-unsafe)
    return std::nullopt;
  }
  ucred peer{};
  socklen_t size = sizeof peer;
  if (getsockopt(greeting.connection.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0) {
    greeting.pid = static_cast<std::uint32_t>(peer.pid);
    greeting.process = Descriptor(static_cast<int>(syscall(SYS_pidfd_open, peer.pid, 0)));
  }
  Received received;
  if (!wait_readable(greeting.connection.get()) ||
      receive_message(greeting.connection.get(), received) != ReceiveResult::message ||
      received.message.kind != MessageKind::greeting || received.descriptors.empty()) {
    why = "the data plane at " + path + " does not greet; is it another version, or hung?";
    return std::nullopt;
  }
  greeting.stats = std::move(received.descriptors[0]);
  if (received.descriptors.size() > 1) greeting.tables = std::move(received.descriptors[1]);
  return greeting;
}

AttachError offer(const Greeting& dataplane, const Descriptor& tables_read_only, std::string& why) {
  const std::array descriptors{tables_read_only.get()};
  Received received;
  if (!send_message(dataplane.connection.get(), MessageKind::offer, descriptors) ||
      !wait_readable(dataplane.connection.get()) ||
      receive_message(dataplane.connection.get(), received) != ReceiveResult::message ||
      received.message.kind != MessageKind::answer) {
    why = "the data plane did not answer the offer of tables";
    return AttachError::not_ready;
  }
  if (received.message.error != AttachError::none)
    why = std::string("the data plane refused the tables: ") + to_text(received.message.error);
  return received.message.error;
}

}  // namespace guideway::shm
