#include "bpf/network_namespace.h"

#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/net_namespace.h>
#include <linux/rtnetlink.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <memory>
#include <optional>
#include <stdexcept>
#include <system_error>

#include "common/descriptor.h"

namespace guideway::bpf {
namespace {

constexpr const char* kNamedNamespaces = "/run/netns";  // of `ip netns`

[[noreturn]] void fail(const std::string& what, int error) {
  throw std::runtime_error(what + ": " + std::generic_category().message(error));
}

Descriptor open_namespace(const std::string& path) {
  return Descriptor(open(path.c_str(), O_RDONLY | O_CLOEXEC));
}

int note_id(const nlattr* attribute, void* id) {
  if (mnl_attr_get_type(attribute) == NETNSA_NSID)
    *static_cast<std::int32_t*>(id) = static_cast<std::int32_t>(mnl_attr_get_u32(attribute));
  return MNL_CB_OK;
}

int read_answer(const nlmsghdr* message, void* id) {
  return mnl_attr_parse(message, sizeof(rtgenmsg), note_id, id);
}

// One question about a namespace, and its answer: the id where there is one.
std::int32_t ask(std::uint16_t type, std::uint16_t flags, const Descriptor& space) {
  const std::unique_ptr<mnl_socket, decltype(&mnl_socket_close)> socket(mnl_socket_open(NETLINK_ROUTE),
                                                                        &mnl_socket_close);
  if (!socket || mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) < 0)
    fail("cannot talk to the kernel about network namespaces", errno);
  alignas(nlmsghdr) std::array<char, 8192> buffer{};
  nlmsghdr* message = mnl_nlmsg_put_header(buffer.data());
  message->nlmsg_type = type;
  message->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
  mnl_nlmsg_put_extra_header(message, sizeof(rtgenmsg));
  mnl_attr_put_u32(message, NETNSA_FD, static_cast<std::uint32_t>(space.get()));
  if (type == RTM_NEWNSID) mnl_attr_put_u32(message, NETNSA_NSID, static_cast<std::uint32_t>(NETNSA_NSID_NOT_ASSIGNED));
  if (mnl_socket_sendto(socket.get(), message, message->nlmsg_len) < 0)
    fail("cannot ask the kernel for the id of a network namespace", errno);
  const auto bytes = mnl_socket_recvfrom(socket.get(), buffer.data(), buffer.size());
  std::int32_t id = NETNSA_NSID_NOT_ASSIGNED;
  if (bytes < 0 || mnl_cb_run(buffer.data(), static_cast<std::size_t>(bytes), 0, mnl_socket_get_portid(socket.get()),
                              read_answer, &id) < 0)
    fail("the kernel gives no id for a network namespace", errno);
  return id;
}

std::optional<std::uint32_t> id_of(const Descriptor& space) {
  const std::int32_t id = ask(RTM_GETNSID, 0, space);
  return id >= 0 ? std::optional(static_cast<std::uint32_t>(id)) : std::nullopt;
}

}  // namespace

std::uint32_t network_namespace_id(const std::string& name) {
  const std::string path = name.find('/') == std::string::npos ? std::string(kNamedNamespaces) + "/" + name : name;
  const Descriptor space = open_namespace(path);
  if (!space.valid())
    fail("--netns \"" + name + "\" is no network namespace, `ip netns` lists those with names; cannot open " + path,
         errno);
  if (const auto id = id_of(space)) return *id;
  ask(RTM_NEWNSID, NLM_F_ACK, space);
  if (const auto id = id_of(space)) return *id;
  throw std::runtime_error("the kernel gives the network namespace \"" + name + "\" no id; run the command as root");
}

std::string network_namespace_name(std::uint32_t id) {
  std::error_code there_are_none;
  for (const auto& entry : std::filesystem::directory_iterator(kNamedNamespaces, there_are_none)) {
    const Descriptor space = open_namespace(entry.path());
    if (space.valid() && id_of(space) == id) return entry.path().filename();
  }
  return "id " + std::to_string(id);
}

}  // namespace guideway::bpf
