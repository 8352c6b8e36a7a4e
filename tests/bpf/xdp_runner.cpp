#include "tests/bpf/xdp_runner.h"

#include <bpf/bpf.h>
#include <sched.h>

#include <cerrno>
#include <stdexcept>
#include <system_error>
#include <utility>

namespace guideway::bpf {

void enter_own_network_namespace() {
  thread_local bool is_there = false;
  if (is_there) return;
  if (unshare(CLONE_NEWNET) != 0)
    throw std::runtime_error("cannot make a network namespace: " + std::generic_category().message(errno) +
                             "; run it as root");
  is_there = true;
}

XdpRunner::XdpRunner(AttachedProgram program, std::uint32_t counters)
    : program_(std::move(program)), counters_(program_.map("counters")), counted_(counters) {
  counted_ = read();
}

XdpRunner::Outcome XdpRunner::run(std::span<const std::uint8_t> frame) {
  Outcome outcome;
  outcome.frame.resize(frame.size());
  bpf_test_run_opts options{};
  options.sz = sizeof options;
  options.data_in = frame.data();
  options.data_size_in = static_cast<std::uint32_t>(frame.size());
  options.data_out = outcome.frame.data();
  options.data_size_out = static_cast<std::uint32_t>(outcome.frame.size());
  if (bpf_prog_test_run_opts(program_.fd(), &options) != 0)
    throw std::runtime_error("the kernel does not run " + program_.name() + " over a frame of " +
                             std::to_string(frame.size()) + " bytes: " + std::generic_category().message(errno));
  outcome.verdict = options.retval;
  outcome.frame.resize(options.data_size_out);

  const std::vector<std::uint64_t> before = std::exchange(counted_, read());
  std::uint64_t moved = 0;
  for (std::uint32_t i = 0; i < counted_.size(); i++) {
    moved += counted_[i] - before[i];
    if (counted_[i] != before[i]) outcome.counter = i;
  }
  if (moved != 1) outcome.counter.reset();
  return outcome;
}

std::vector<std::uint64_t> XdpRunner::read() const {
  return read_counters(counters_.get(), static_cast<std::uint32_t>(counted_.size()));
}

}  // namespace guideway::bpf
