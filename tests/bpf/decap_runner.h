// The decapsulation program, run over one frame at a time:
//
//   XdpRunner runner = decap_runner({.sources = {prefix("10.2.0.0/24")}, .locals = {ip("10.3.0.3")}});
//   const XdpRunner::Outcome outcome = runner.run(frame);  // its counter is one of guideway_decap_counter
#pragma once

#include "bpf/decap_program.h"
#include "tests/bpf/xdp_runner.h"

namespace guideway::bpf {

// Loaded and configured by the loader's own code, in a network namespace of the calling thread's own. A second one
// replaces the first, as `guideway-backend attach` again would, and counters carry on. Throws std::runtime_error.
XdpRunner decap_runner(const DecapSettings& settings);

}  // namespace guideway::bpf
