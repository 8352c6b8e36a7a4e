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
#include <chrono>
#include <cstring>
#include <system_error>
#include <vector>

#include "common/path_lock.h"

namespace guideway::shm {
namespace {

enum class MessageType : std::uint32_t { greeting = 1, offer = 2, answer = 3 };

// The one form that all three messages have.
struct Message {
  MessageType type;
  std::uint32_t version;
  AttachError result;  // of an answer; else none
  std::uint32_t reserved;
};
static_assert(sizeof(Message) == 16);

constexpr std::size_t kDescriptorsMax = 2;
constexpr std::chrono::milliseconds kGreetingWait{250};
constexpr std::chrono::milliseconds kAnswerWait{1000};  // large tables are validated before the answer

std::string errno_text() {
  return std::system_category().message(errno);
}

template <typename Call>
auto restarted(Call call) {
  for (;;) {
    const auto result = call();
    if (result >= 0 || errno != EINTR) return result;
  }
}

bool send_message(const Descriptor& socket, const Message& message, std::initializer_list<int> descriptors) {
  Message copy = message;
  iovec part{&copy, sizeof copy};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(kDescriptorsMax * sizeof(int))> control{};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  if (descriptors.size() > 0) {
    const std::size_t payload_bytes = descriptors.size() * sizeof(int);
    header.msg_control = control.data();
    header.msg_controllen = CMSG_SPACE(payload_bytes);
    cmsghdr* rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(payload_bytes);
    std::memcpy(CMSG_DATA(rights), descriptors.begin(), payload_bytes);
  }
  const auto sent = restarted([&] { return sendmsg(socket.get(), &header, MSG_NOSIGNAL | MSG_DONTWAIT); });
  return sent == static_cast<ssize_t>(sizeof copy);
}

struct Received {
  Message message{};
  std::vector<Descriptor> descriptors;
};

enum class Reception { message, nothing_yet, closed, garbage };

Reception receive_message(const Descriptor& socket, Received& received) {
  std::array<char, sizeof(Message) + 1> bytes{};  // one more, so that a longer message shows
  iovec part{bytes.data(), bytes.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(kDescriptorsMax * sizeof(int))> control{};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control.data();
  header.msg_controllen = control.size();
  const auto size = restarted([&] { return recvmsg(socket.get(), &header, MSG_CMSG_CLOEXEC | MSG_DONTWAIT); });
  if (size < 0) return errno == EAGAIN ? Reception::nothing_yet : Reception::closed;
  for (cmsghdr* part_of = CMSG_FIRSTHDR(&header); part_of != nullptr; part_of = CMSG_NXTHDR(&header, part_of)) {
    if (part_of->cmsg_level != SOL_SOCKET || part_of->cmsg_type != SCM_RIGHTS) continue;
    std::vector<int> fds((part_of->cmsg_len - CMSG_LEN(0)) / sizeof(int));
    std::memcpy(fds.data(), CMSG_DATA(part_of), fds.size() * sizeof(int));
    for (const int fd : fds) received.descriptors.emplace_back(fd);
  }
  if (size == 0) return Reception::closed;
  if (size != static_cast<ssize_t>(sizeof(Message)) || (header.msg_flags & (MSG_CTRUNC | MSG_TRUNC)) != 0)
    return Reception::garbage;
  std::memcpy(&received.message, bytes.data(), sizeof received.message);
  return Reception::message;
}

bool is_of(const Message& message, MessageType type) {
  return message.type == type && message.version == kHandoverVersion;
}

bool wait_readable(const Descriptor& socket, std::chrono::milliseconds wait) {
  const auto deadline = std::chrono::steady_clock::now() + wait;
  for (;;) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now()).count();
    pollfd entry{socket.get(), POLLIN, 0};
    const int ready = poll(&entry, 1, left > 0 ? static_cast<int>(left) : 0);
    if (ready > 0) return true;
    if (ready == 0 || errno != EINTR) return false;
  }
}

bool make_address(const std::string& path, sockaddr_un& address) {
  address = {};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) return false;
  std::memcpy(address.sun_path, path.data(), path.size());
  return true;
}

[[noreturn]] void throw_errno(const std::string& sentence) {
  throw std::system_error(errno, std::generic_category(), sentence);
}

Descriptor bind_at(const std::string& path) {
  sockaddr_un address;
  if (!make_address(path, address)) {
    errno = ENAMETOOLONG;
    throw_errno("cannot serve at " + path + ": the path of a socket has 1 to 107 characters");
  }
  Descriptor socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket.valid()) throw_errno("cannot create a socket for " + path);
  fchmod(socket.get(), S_IRUSR | S_IWUSR);  // the file gets this mode from its first moment
  unlink(path.c_str());
  if (bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    throw_errno("cannot serve at " + path);
  return socket;
}

}  // namespace

// ---- The data plane's end ------------------------------------------------------------------------------------------

struct HandoverServer::Impl {
  std::string path;
  Descriptor stats;
  Descriptor lock;
  Descriptor listener;
  Descriptor epoll;
  Descriptor connection;

  void watch(const Descriptor& fd) const {
    epoll_event event{};
    event.events = EPOLLIN;
    if (epoll_ctl(epoll.get(), EPOLL_CTL_ADD, fd.get(), &event) != 0) throw_errno("cannot watch " + path);
  }

  // The newest one stays: whoever came before is a control plane that was replaced.
  void accept_newest(const Descriptor& custody) {
    for (;;) {
      Descriptor next(
          restarted([&] { return accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK); }));
      if (!next.valid()) return;
      connection = std::move(next);
      watch(connection);
      const Message greeting{MessageType::greeting, kHandoverVersion, AttachError::none, 0};
      const bool sent = custody.valid() ? send_message(connection, greeting, {stats.get(), custody.get()})
                                        : send_message(connection, greeting, {stats.get()});
      if (!sent) connection = {};
    }
  }

  void answer_offers(const std::function<AttachError(Descriptor)>& offered) {
    while (connection.valid()) {
      Received received;
      const Reception reception = receive_message(connection, received);
      if (reception == Reception::nothing_yet) return;
      if (reception != Reception::message || !is_of(received.message, MessageType::offer) ||
          received.descriptors.size() != 1) {
        connection = {};
        return;
      }
      const AttachError result = offered(std::move(received.descriptors.front()));
      if (!send_message(connection, {MessageType::answer, kHandoverVersion, result, 0}, {})) connection = {};
    }
  }
};

HandoverServer::HandoverServer(const std::string& path, Descriptor stats) : impl_(std::make_unique<Impl>()) {
  impl_->path = path;
  impl_->stats = std::move(stats);
  impl_->lock = lock_path(path);
  if (!impl_->lock.valid())
    throw_errno(errno == EADDRINUSE ? "another data plane serves at " + path + "; stop it first"
                                    : "cannot lock " + path + ".lock");
  impl_->listener = bind_at(path);
  impl_->epoll = Descriptor(epoll_create1(EPOLL_CLOEXEC));
  if (!impl_->epoll.valid()) throw_errno("cannot create an epoll descriptor");
}

void HandoverServer::open() {
  if (listen(impl_->listener.get(), 8) != 0) throw_errno("cannot serve at " + impl_->path);
  impl_->watch(impl_->listener);
}

HandoverServer::~HandoverServer() {
  unlink(impl_->path.c_str());
}

int HandoverServer::fd() const {
  return impl_->epoll.get();
}

void HandoverServer::serve(const Descriptor& custody, const std::function<AttachError(Descriptor)>& offered) {
  impl_->answer_offers(offered);
  impl_->accept_newest(custody);
  impl_->answer_offers(offered);
}

bool HandoverServer::connected() const {
  return impl_->connection.valid();
}

// ---- The control plane's end ---------------------------------------------------------------------------------------

namespace {

Descriptor connect_to(const std::string& path, std::string& why) {
  sockaddr_un address;
  Descriptor socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!make_address(path, address)) {
    why = "cannot reach the data plane at " + path + ": the path of a socket has 1 to 107 characters";
    return {};
  }
  if (!socket.valid() || restarted([&] {
                           return connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
                         }) != 0) {
    why = "cannot reach the data plane at " + path + ": " + errno_text();
    return {};
  }
  return socket;
}

// A handle of the process behind the socket. The pid is of the process that began to listen; it cannot have been
// reused if the connection is still open after the handle was taken.
Descriptor open_peer(const Descriptor& socket, std::uint32_t& pid) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return {};
  Descriptor process(static_cast<int>(syscall(SYS_pidfd_open, peer.pid, 0)));
  pollfd entry{socket.get(), 0, 0};
  if (process.valid() && restarted([&] { return poll(&entry, 1, 0); }) > 0 && (entry.revents & POLLHUP) != 0) return {};
  if (process.valid()) fcntl(process.get(), F_SETFD, FD_CLOEXEC);
  pid = static_cast<std::uint32_t>(peer.pid);
  return process;
}

}  // namespace

std::optional<Greeting> greet(const std::string& path, std::string& why) {
  Greeting greeting;
  greeting.connection = connect_to(path, why);
  if (!greeting.connection.valid()) return std::nullopt;
  greeting.process = open_peer(greeting.connection, greeting.pid);
  if (!greeting.process.valid()) {
    why = "the data plane at " + path + " went away while it was being greeted";
    return std::nullopt;
  }
  Received received;
  if (!wait_readable(greeting.connection, kGreetingWait) ||
      receive_message(greeting.connection, received) != Reception::message) {
    why = "the data plane at " + path + " does not answer; is it stuck or stopped?";
    return std::nullopt;
  }
  if (!is_of(received.message, MessageType::greeting) || received.descriptors.empty()) {
    why = "the data plane at " + path + " speaks another version of the hand-over; run both programs of one release";
    return std::nullopt;
  }
  greeting.stats = std::move(received.descriptors[0]);
  if (received.descriptors.size() > 1) greeting.tables = std::move(received.descriptors[1]);
  return greeting;
}

AttachError offer(const Greeting& dataplane, const Descriptor& tables_read_only, std::string& why) {
  Received received;
  if (!send_message(dataplane.connection, {MessageType::offer, kHandoverVersion, AttachError::none, 0},
                    {tables_read_only.get()}) ||
      !wait_readable(dataplane.connection, kAnswerWait) ||
      receive_message(dataplane.connection, received) != Reception::message ||
      !is_of(received.message, MessageType::answer)) {
    why = std::string("the data plane did not take the tables: ") + to_text(AttachError::no_answer);
    return AttachError::no_answer;
  }
  if (received.message.result != AttachError::none)
    why = std::string("the data plane refused the tables: ") + to_text(received.message.result);
  return received.message.result;
}

}  // namespace guideway::shm
