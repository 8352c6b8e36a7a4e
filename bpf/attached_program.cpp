#include "bpf/attached_program.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>
#include <net/if.h>

#include <cerrno>
#include <numeric>
#include <stdexcept>
#include <system_error>

namespace guideway::bpf {
namespace {

std::string because(int error) {
  return ": " + std::generic_category().message(error) +
         (error == EPERM ? "; run it as root, or with CAP_BPF, CAP_NET_ADMIN and CAP_SYS_ADMIN" : "");
}

// The kernel fills in what the caller has room for, so the ids of the maps take a second call.
bpf_prog_info program_info(int program, std::vector<std::uint32_t>& map_ids) {
  bpf_prog_info info{};
  std::uint32_t size = sizeof info;
  if (bpf_obj_get_info_by_fd(program, &info, &size) != 0)
    throw std::runtime_error("cannot read about the XDP program" + because(errno));
  map_ids.resize(info.nr_map_ids);
  info = {};
  info.nr_map_ids = static_cast<std::uint32_t>(map_ids.size());
  info.map_ids = reinterpret_cast<std::uintptr_t>(map_ids.data());
  size = sizeof info;
  if (bpf_obj_get_info_by_fd(program, &info, &size) != 0)
    throw std::runtime_error("cannot read the maps of the XDP program" + because(errno));
  return info;
}

// The id of the program on the interface, 0 if there is none, and how it is attached.
struct Attachment {
  std::uint32_t id;
  XdpMode mode;
};
Attachment attachment_of(int index, const std::string& interface) {
  bpf_xdp_query_opts query{};
  query.sz = sizeof query;
  if (const int error = bpf_xdp_query(index, 0, &query); error != 0)
    throw std::runtime_error("cannot ask for the XDP program of " + interface + because(-error));
  if (query.drv_prog_id != 0) return {query.drv_prog_id, XdpMode::native};
  return {query.skb_prog_id, XdpMode::generic};
}

unsigned flags_of(XdpMode mode) {
  return mode == XdpMode::native ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE;
}

}  // namespace

const char* to_text(XdpMode mode) {
  return mode == XdpMode::native ? "native" : "generic";
}

unsigned interface_index(const std::string& interface) {
  const unsigned index = if_nametoindex(interface.c_str());
  if (index == 0)
    throw std::runtime_error("there is no network interface \"" + interface +
                             "\" in this network namespace; `ip link` lists what there is");
  return index;
}

std::optional<AttachedProgram> AttachedProgram::find(const std::string& interface) {
  AttachedProgram found;
  found.interface_ = interface;
  found.index_ = static_cast<int>(interface_index(interface));
  const Attachment attachment = attachment_of(found.index_, interface);
  if (attachment.id == 0) return std::nullopt;
  found.id_ = attachment.id;
  found.mode_ = attachment.mode;
  found.program_ = Descriptor(bpf_prog_get_fd_by_id(found.id_));
  if (!found.program_.valid()) throw std::runtime_error("cannot open the XDP program of " + interface + because(errno));
  found.name_ = program_info(found.program_.get(), found.map_ids_).name;
  return found;
}

Descriptor AttachedProgram::map(const std::string& map_name) const {
  for (const std::uint32_t id : map_ids_) {
    Descriptor map(bpf_map_get_fd_by_id(id));
    if (!map.valid()) continue;
    bpf_map_info info{};
    std::uint32_t size = sizeof info;
    if (bpf_obj_get_info_by_fd(map.get(), &info, &size) == 0 && map_name == info.name) return map;
  }
  throw std::runtime_error("the XDP program \"" + name_ + "\" on " + interface_ + " has no map \"" + map_name +
                           "\" that we may open; it is another program, or another release of ours");
}

bool AttachedProgram::restore() const {
  const std::uint32_t id = attachment_of(index_, interface_).id;
  if (id == id_) return false;
  if (id != 0)
    throw std::runtime_error("interface " + interface_ + " has another XDP program (id " + std::to_string(id) +
                             ") in the place of \"" + name_ + "\"; remove it with `ip link set dev " + interface_ +
                             " xdp off`, and ours comes back");
  if (const int error = bpf_xdp_attach(index_, program_.get(), flags_of(mode_) | XDP_FLAGS_UPDATE_IF_NOEXIST, nullptr);
      error != 0)
    throw std::runtime_error("the XDP program \"" + name_ + "\" was taken off interface " + interface_ +
                             " and cannot be attached again" + because(-error));
  return true;
}

void AttachedProgram::detach() const {
  bpf_xdp_attach_opts expected{};
  expected.sz = sizeof expected;
  expected.old_prog_fd = program_.get();
  if (const int error = bpf_xdp_detach(index_, flags_of(mode_), &expected); error != 0)
    throw std::runtime_error("cannot take the XDP program off " + interface_ + because(-error));
}

std::vector<std::uint64_t> read_counters(int map, std::uint32_t count) {
  const int cpus = libbpf_num_possible_cpus();
  if (cpus < 0) throw std::runtime_error("cannot count the CPUs" + because(-cpus));
  std::vector<std::uint64_t> per_cpu(static_cast<std::size_t>(cpus));
  std::vector<std::uint64_t> sums(count);
  for (std::uint32_t key = 0; key < count; key++) {
    if (bpf_map_lookup_elem(map, &key, per_cpu.data()) != 0)
      throw std::runtime_error("cannot read counter " + std::to_string(key) + because(errno));
    sums[key] = std::accumulate(per_cpu.begin(), per_cpu.end(), std::uint64_t{0});
  }
  return sums;
}

}  // namespace guideway::bpf
