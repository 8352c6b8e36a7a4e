// Sends a packet that is too big for the way to its backend in fragments.
//
//   split_outer   outer IP │ [UDP, GUE, GRE] inner …      →  outer IP │ [fragment header] │ a piece   for each piece
//   split_inner   inner IP │ …                            →  outer IP │ … │ inner IP │ a piece        for each piece
//
// RFC 791, section 3.2; RFC 8200, section 4.5; RFC 2003, section 3.1 (why the inner one may be cut first).
// Thread-safety: one worker.
#pragma once

#include <bit>
#include <utility>
#include <vector>

#include "dataplane/port.h"

namespace guideway {

// Fragments of one packet, in buffers of `port`.
struct Fragments {
  std::vector<Packet> packets;
  Counter problem = kNothing;  // else there are none
};

// What tells the datagrams apart whose fragments a worker sends. Workers share their outer sources, so no two of them
// may use the same number (RFC 6864, section 4.1): of four workers the second one's are 2, 6, 10 …, also once 16 bits
// have wrapped around, because the step is a power of two.
class Identifications {
 public:
  Identifications() = default;
  Identifications(std::uint32_t worker, std::uint32_t worker_count)
      : next_(1 + worker), step_(std::bit_ceil(worker_count)) {}

  std::uint32_t take() { return std::exchange(next_, next_ + step_); }

 private:
  std::uint32_t next_ = 1;
  std::uint32_t step_ = 1;
};

class Splitter {
 public:
  explicit Splitter(const Identifications& identifications);

  // REQUIRES: verdict split_outer or split_inner. The packet itself stays as it is, the caller's. The fragments are
  // valid until the next call, and to be sent by `port` or released to it.
  Fragments& split(const Packet& packet, const TablesView& view, Port& port);

 private:
  void split_outer(const Packet& packet, const OuterTemplate& outer, Port& port);
  void split_inner(const Packet& packet, const OuterTemplate& outer, Port& port);
  // nullptr: there is no buffer; then nothing is left of the fragments so far.
  Packet* add(Port& port, std::uint32_t frame_bytes);
  void fail(Port& port, Counter problem);

  Identifications identifications_;  // of outer packets
  Fragments fragments_;
};

}  // namespace guideway
