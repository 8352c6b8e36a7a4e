#include "tests/bpf/decap_runner.h"

namespace guideway::bpf {

XdpRunner decap_runner(const DecapSettings& settings) {
  enter_own_network_namespace();
  attach_decap("lo", settings, XdpMode::generic);
  return {find_decap("lo").value(), GUIDEWAY_DECAP_COUNTERS};
}

}  // namespace guideway::bpf
