#include "bpf/decap_program.h"

#include <backend_decap.skel.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <ifaddrs.h>
#include <linux/if_link.h>
#include <netinet/in.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <system_error>

#include "bpf/map_key.h"

namespace guideway::bpf {
namespace {

using Skeleton = std::unique_ptr<backend_decap_bpf, decltype(&backend_decap_bpf::destroy)>;

// The kernel answers EEXIST and EBUSY when the program in place is not the one that we saw before.
const char* remedy_of(int error) {
  if (error == EPERM) return "; run it as root, or with CAP_BPF, CAP_NET_ADMIN and CAP_SYS_ADMIN";
  return error == EEXIST || error == EBUSY ? "; if another command was at it at the same time, run this one again" : "";
}

[[noreturn]] void fail(const std::string& what, int error) {
  throw std::runtime_error(what + ": " + std::generic_category().message(error) + remedy_of(error));
}

template <typename Key>
std::vector<Key> keys_in(int map) {
  std::vector<Key> keys;
  Key key{};
  for (const Key* previous = nullptr; bpf_map_get_next_key(map, previous, &key) == 0; previous = &key)
    keys.push_back(key);
  return keys;
}

template <typename Key>
void put_all(const bpf_map* map, const std::vector<Key>& keys) {
  for (const Key& key : keys)
    if (bpf_map_update_elem(bpf_map__fd(map), &key, &kPresent, BPF_ANY) != 0)
      fail(std::string("cannot put ") + std::to_string(keys.size()) + " entries into the map `" + bpf_map__name(map) +
               "`, which holds " + std::to_string(bpf_map__max_entries(map)),
           errno);
}

guideway_decap_config config_of(const DecapSettings& settings) {
  guideway_decap_config config{.gue_port = settings.gue_port,
                               .ipip = settings.ipip,
                               .gre = settings.gre,
                               .hop_rate = settings.hop_rate,
                               .second_chance = settings.second_chance,
                               .netns_count = static_cast<std::uint8_t>(settings.netns.size()),
                               .spare = 0,
                               .netns = {}};
  if (settings.netns.size() > std::size(config.netns))
    throw std::runtime_error("--netns names " + std::to_string(settings.netns.size()) +
                             " network namespaces, at most " + std::to_string(std::size(config.netns)) +
                             " can be searched for connections");
  std::ranges::copy(settings.netns, config.netns);
  return config;
}

void fill(const backend_decap_bpf& skeleton, const DecapSettings& settings) {
  std::vector<guideway_prefix> sources;
  for (const IpPrefix& source : settings.sources) sources.push_back(key_of(source));
  put_all(skeleton.maps.sources, sources);
  std::vector<guideway_address> locals;
  for (const IpAddress& local : settings.locals) locals.push_back(key_of(local));
  put_all(skeleton.maps.locals, locals);

  const guideway_decap_config config = config_of(settings);
  const std::uint32_t zero = 0;
  if (bpf_map_update_elem(bpf_map__fd(skeleton.maps.config), &zero, &config, BPF_ANY) != 0)
    fail("cannot write the configuration of the decapsulation program", errno);
}

bool counts_as_we_do(int counters) {
  bpf_map_info info{};
  std::uint32_t size = sizeof info;
  return bpf_obj_get_info_by_fd(counters, &info, &size) == 0 && info.max_entries == GUIDEWAY_DECAP_COUNTERS;
}

// A loaded program with its settings, not attached yet. Its counters are those of `predecessor`, unless that is of a
// release that counts other things.
Skeleton load_program(const DecapSettings& settings, const std::optional<AttachedProgram>& predecessor) {
  Skeleton skeleton(backend_decap_bpf::open(), &backend_decap_bpf::destroy);
  if (!skeleton) fail("cannot read the decapsulation program", errno);
  if (predecessor) {
    const Descriptor counters = predecessor->map("counters");  // the library duplicates the descriptor
    if (counts_as_we_do(counters.get()) && bpf_map__reuse_fd(skeleton->maps.counters, counters.get()) != 0)
      fail("cannot carry on with the counters of the program in place", errno);
  }
  if (const int error = backend_decap_bpf::load(skeleton.get()); error != 0)
    fail("the kernel does not take the decapsulation program (Linux 5.15 or later is needed)", -error);
  fill(*skeleton, settings);
  return skeleton;
}

int attach_in(XdpMode mode, int index, int program, const AttachedProgram* predecessor) {
  bpf_xdp_attach_opts expected{};
  expected.sz = sizeof expected;
  if (predecessor != nullptr) expected.old_prog_fd = predecessor->fd();
  const unsigned flags = (mode == XdpMode::native ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE) |
                         (predecessor == nullptr ? XDP_FLAGS_UPDATE_IF_NOEXIST : 0U);
  return -bpf_xdp_attach(index, program, flags, &expected);
}

}  // namespace

const std::array<DecapCounter, GUIDEWAY_DECAP_COUNTERS> kDecapCounters{{
    {"ipip", "decapsulated from IPIP"},
    {"gue", "decapsulated from GUE without a hop list"},
    {"gre", "decapsulated from GRE"},
    {"accepted_syn", "with a hop list: opens a connection, decapsulated"},
    {"accepted_socket", "with a hop list: of a connection of ours, decapsulated"},
    {"accepted_cookie", "with a hop list: SYN cookie of ours, decapsulated"},
    {"accepted_last", "with a hop list: nobody on it has the connection, decapsulated (the kernel resets it)"},
    {"accepted_other", "with a hop list: not TCP, a fragment, or second chance is off; decapsulated"},
    {"passed", "not encapsulated, or not for us: to the stack untouched"},
    {"hop_routed", "of no connection of ours: to the next hop by the kernel's routes"},
    {"hop_reflected", "of no connection of ours: to the next hop by the router that it came from"},
    {"stranger", "encapsulated, but from no --source: dropped"},
    {"malformed", "encapsulated, but cut short or contradictory: dropped"},
    {"bad_checksum", "outer IPv4 header checksum or outer UDP checksum wrong: dropped"},
    {"unsupported", "GUE or GRE with a version, flags, hops or protocol that we do not know: dropped"},
    {"fragment",
     "fragment of an encapsulated packet: dropped (wanted: a larger MTU, or oversize = \"fragment-inner\")"},
    {"congestion", "congestion marked outside, not expressible inside (RFC 6040): dropped"},
    {"hop_expired", "for the next hop, but the outer TTL is at its end: dropped (a loop?)"},
    {"hop_limited", "for the next hop, but beyond --hop-rate: dropped"},
    {"hop_stale", "nobody on the list has the connection, and the load balancer has newer tables by now: dropped"},
}};

std::vector<IpAddress> addresses_of(const std::string& interface) {
  interface_index(interface);
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) fail("cannot list the addresses of " + interface, errno);
  std::vector<IpAddress> addresses;
  for (const ifaddrs* entry = list; entry != nullptr; entry = entry->ifa_next) {
    if (entry->ifa_addr == nullptr || interface != entry->ifa_name) continue;
    if (entry->ifa_addr->sa_family == AF_INET) {
      const auto v4 = load<sockaddr_in>(reinterpret_cast<const std::uint8_t*>(entry->ifa_addr));
      addresses.push_back(IpAddress::from_v4(Be32::from_raw(v4.sin_addr.s_addr)));
    } else if (entry->ifa_addr->sa_family == AF_INET6) {
      const auto v6 = load<sockaddr_in6>(reinterpret_cast<const std::uint8_t*>(entry->ifa_addr));
      addresses.push_back(std::bit_cast<IpAddress>(v6.sin6_addr));
    }
  }
  freeifaddrs(list);
  return addresses;
}

Attach attach_decap(const std::string& interface, const DecapSettings& settings, std::optional<XdpMode> mode) {
  const int index = static_cast<int>(interface_index(interface));
  const auto predecessor = find_decap(interface);
  if (predecessor && mode && *mode != predecessor->mode())
    throw std::runtime_error(interface + " decapsulates in " + to_text(predecessor->mode()) +
                             " mode, which cannot be changed while it runs; run `guideway-backend detach " + interface +
                             "` first");
  const Skeleton skeleton = load_program(settings, predecessor);
  const int program = bpf_program__fd(skeleton->progs.backend_decap);

  if (predecessor) {
    if (const int error = attach_in(predecessor->mode(), index, program, &*predecessor); error != 0)
      fail("cannot replace the decapsulation program on " + interface, error);
    return Attach::replaced;
  }
  int error = attach_in(mode.value_or(XdpMode::native), index, program, nullptr);
  if (error != 0 && !mode) error = attach_in(XdpMode::generic, index, program, nullptr);
  if (error != 0)
    fail("cannot attach the decapsulation program to " + interface +
             (mode == XdpMode::native ? " in native mode (the driver may not know XDP, or its MTU be too large for it;"
                                        " --mode generic always works)"
                                      : ""),
         error);
  return Attach::fresh;
}

std::optional<AttachedProgram> find_decap(const std::string& interface) {
  auto program = AttachedProgram::find(interface);
  if (program && program->name() != kDecapProgramName)
    throw std::runtime_error(
        interface + " has the XDP program \"" + program->name() +
        "\", and an interface takes only one; if nobody needs it, remove it with `ip link set dev " + interface +
        " xdp off`");
  return program;
}

DecapStatus status_of(const AttachedProgram& program) {
  const Descriptor counters = program.map("counters");
  if (!counts_as_we_do(counters.get()))
    throw std::runtime_error(
        "the decapsulation program in place is of another release and counts other things; run `guideway-backend "
        "attach` "
        "again to replace it, without a gap");
  DecapStatus status;
  status.program_id = program.id();
  status.mode = program.mode();
  for (const auto& key : keys_in<guideway_prefix>(program.map("sources").get()))
    status.settings.sources.push_back(prefix_of(key));
  for (const auto& key : keys_in<guideway_address>(program.map("locals").get()))
    status.settings.locals.push_back(address_of(key));
  std::ranges::sort(status.settings.sources);
  std::ranges::sort(status.settings.locals);

  guideway_decap_config config{};
  const std::uint32_t zero = 0;
  if (bpf_map_lookup_elem(program.map("config").get(), &zero, &config) != 0)
    fail("cannot read the configuration of the decapsulation program", errno);
  status.settings.gue_port = config.gue_port;
  status.settings.ipip = config.ipip != 0;
  status.settings.gre = config.gre != 0;
  status.settings.second_chance = config.second_chance != 0;
  status.settings.hop_rate = config.hop_rate;
  status.settings.netns.assign(config.netns,
                               config.netns + std::min<std::size_t>(config.netns_count, std::size(config.netns)));
  status.counters = read_counters(counters.get(), GUIDEWAY_DECAP_COUNTERS);
  return status;
}

}  // namespace guideway::bpf
