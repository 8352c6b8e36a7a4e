// What the data plane encapsulates, the backends' program gives back byte for byte: the packets that the golden cases
// forward, through bpf/backend_decap by BPF_PROG_TEST_RUN.
#include <backend_decap.skel.h>
#include <bpf/bpf.h>
#include <gtest/gtest.h>

#include <array>
#include <memory>

#include "common/net/address_text.h"
#include "guideway/abi/backend_decap.h"
#include "tests/packet/packet_fields.h"
#include "tests/packet/packet_path.h"

namespace guideway::packet_text {

void PrintTo(const PacketCase& packet_case, std::ostream* out) {
  *out << packet_case.name;
}

namespace {

constexpr std::uint32_t kXdpPass = 2;

const std::vector<PacketCase>& forwarding_cases() {
  static const std::vector<PacketCase> kCases = [] {
    std::vector<PacketCase> cases = load_cases(GUIDEWAY_SOURCE_ROOT "/tests/packet/cases");
    std::erase_if(cases, [](const PacketCase& packet_case) {
      return std::none_of(packet_case.steps.begin(), packet_case.steps.end(), [](const Step& step) {
        return step.from == From::network && step.verdict == Verdict::forward;
      });
    });
    return cases;
  }();
  return kCases;
}

// The program as a backend has it: our sources are its friends, the addresses of all cases' backends its own.
class Backend {
 public:
  explicit Backend(const std::vector<PacketCase>& cases)
      : program_(backend_decap_bpf::open_and_load(), &backend_decap_bpf::destroy) {
    if (!program_) throw std::runtime_error("the kernel does not take bpf/backend_decap");
    for (const char* source : {"192.0.2.1", "2001:db8:ff::1"}) {
      const guideway_decap_address address = key_of(*parse_ip(source));
      put(program_->maps.sources, guideway_decap_source{32 + 128, address}, guideway_decap_present{1});
    }
    for (const PacketCase& packet_case : cases)
      for (const DesiredPool& pool : packet_case.tables.pools)
        for (const DesiredBackend& backend : pool.backends)
          put(program_->maps.locals, key_of(backend.address), guideway_decap_present{1});
    put(program_->maps.config, std::uint32_t{0}, guideway_decap_config{kGuePort, 1, 0});
  }

  // The frame that the backend's stack gets; empty if it gets none.
  Bytes receive(Bytes frame) const {
    Bytes out(frame.size());
    LIBBPF_OPTS(bpf_test_run_opts, options);
    options.data_in = frame.data();
    options.data_size_in = static_cast<std::uint32_t>(frame.size());
    options.data_out = out.data();
    options.data_size_out = static_cast<std::uint32_t>(out.size());
    options.repeat = 1;
    if (bpf_prog_test_run_opts(bpf_program__fd(program_->progs.backend_decap), &options) != 0 ||
        options.retval != kXdpPass)
      return {};
    out.resize(options.data_size_out);
    return out;
  }

 private:
  static guideway_decap_address key_of(const IpAddress& ip) {
    guideway_decap_address key{ip.is_v4() ? 4U : 6U, {}};
    std::copy(ip.bytes.begin(), ip.bytes.end(), key.address);
    return key;
  }
  template <typename Key, typename Value>
  static void put(const bpf_map* map, const Key& key, const Value& value) {
    if (bpf_map_update_elem(bpf_map__fd(map), &key, &value, BPF_ANY) != 0)
      throw std::runtime_error("cannot fill a map of bpf/backend_decap");
  }

  std::unique_ptr<backend_decap_bpf, void (*)(backend_decap_bpf*)> program_;
};

// As the client sent it, but with the addresses of the last hop, and without Ethernet's padding.
Bytes as_received(const Step& step, const Bytes& encapsulated) {
  const Bytes inner = inner_packet(step.frame);
  Bytes frame(encapsulated.begin(), encapsulated.begin() + 2 * sizeof(MacAddress));
  frame.insert(frame.end(), step.frame.begin() + 2 * sizeof(MacAddress), step.frame.begin() + sizeof(EthernetHeader));
  frame.insert(frame.end(), inner.begin(), inner.end());
  return frame;
}

class Decapsulation : public testing::TestWithParam<PacketCase> {};

TEST_P(Decapsulation, GivesBackWhatTheClientSent) {
  PacketPath path(GetParam());
  static const Backend kBackend(forwarding_cases());  // the kernel takes half a second to verify it
  for (const Step& step : GetParam().steps) {
    const Outcome outcome = path.run(step);
    if (step.from != From::network || outcome.verdict != Verdict::forward) continue;
    SCOPED_TRACE("the packet of line " + std::to_string(step.line));
    const Bytes expected = as_received(step, outcome.frame);
    const Bytes received = kBackend.receive(outcome.frame);
    EXPECT_TRUE(received == expected) << diff(expected, received);
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, Decapsulation, testing::ValuesIn(forwarding_cases()),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace guideway::packet_text
