// An XDP program in the kernel, run over one frame at a time (BPF_PROG_TEST_RUN), without any network.
// Thread-safety: one thread. Needs root.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "bpf/attached_program.h"

namespace guideway::bpf {

// Gives the calling thread a network namespace of its own, once: there the program can be attached to `lo`, which is
// how the loaders' own code finds it. Throws std::runtime_error.
void enter_own_network_namespace();

class XdpRunner {
 public:
  // What the kernel takes: an Ethernet header at least; one page less headroom and what it keeps at its end at most.
  static constexpr std::size_t kFrameBytesMin = 14;
  static constexpr std::size_t kFrameBytesMax = 3500;

  struct Outcome {
    std::uint32_t verdict = 0;             // XDP_…
    std::optional<std::uint32_t> counter;  // position in the map `counters`; empty: not exactly one moved by one
    std::vector<std::uint8_t> frame;       // as the program left it
  };

  // The program has `counters` counters in its map of that name. Throws std::runtime_error.
  XdpRunner(AttachedProgram program, std::uint32_t counters);

  // REQUIRES: kFrameBytesMin to kFrameBytesMax bytes; the program makes no frame longer. Throws std::runtime_error.
  Outcome run(std::span<const std::uint8_t> frame);

  const AttachedProgram& program() const { return program_; }

 private:
  std::vector<std::uint64_t> read() const;

  AttachedProgram program_;
  Descriptor counters_;
  std::vector<std::uint64_t> counted_;
};

}  // namespace guideway::bpf
