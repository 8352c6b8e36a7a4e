// Sends a packet that is too big for the way to its backend in fragments.
//
//   split_outer   outer IP │ [UDP, GUE, GRE] inner …      →  outer IP │ [fragment header] │ a piece   for each piece
//   split_inner   inner IP │ …                            →  outer IP │ … │ inner IP │ a piece        for each piece
//
// RFC 791, section 3.2; RFC 8200, section 4.5; RFC 2003, section 3.1 (why the inner one may be cut first).
// Thread-safety: one worker.
#pragma once

#include <vector>

#include "dataplane/port.h"

namespace guideway {

// Fragments of one packet, in buffers of `port`.
struct Fragments {
  std::vector<Packet> packets;
  Counter problem = kNothing;  // else there are none
};

class Splitter {
 public:
  Splitter();

  // REQUIRES: verdict split_outer or split_inner. The packet itself stays as it is, the caller's. The fragments are
  // valid until the next call, and to be sent by `port` or released to it.
  Fragments& split(const Packet& packet, Port& port);

 private:
  void split_outer(const Packet& packet, Port& port);
  void split_inner(const Packet& packet, Port& port);
  // nullptr: there is no buffer; then nothing is left of the fragments so far.
  Packet* add(Port& port, std::uint32_t frame_bytes);
  void fail(Port& port, Counter problem);

  std::uint32_t next_id_ = 1;  // of outer packets
  Fragments fragments_;
};

}  // namespace guideway
