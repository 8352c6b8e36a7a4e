// Other network namespaces as the decapsulation program names them: by the id that a namespace has in the one of the
// interface, which is the caller's (`ip netns list-id`). The kernel gives one when it is asked to, and takes it back
// with the namespace.
//
// Thread-safety: none. Functions throw std::runtime_error: one sentence that says what is wrong, where, and what to do.
#pragma once

#include <cstdint>
#include <string>

namespace guideway::bpf {

// `name` is one of `ip netns`, or a path like /proc/PID/ns/net. The namespace is given an id if it has none.
std::uint32_t network_namespace_id(const std::string& name);

// As `ip netns` calls it; "id 3" if it does not.
std::string network_namespace_name(std::uint32_t id);

}  // namespace guideway::bpf
