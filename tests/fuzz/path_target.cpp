// Packets of any kind, several at once and over time, through a worker. packet_machine.h says what is looked at.
#include "tests/fuzz/packet_machine.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace guideway::fuzz;
  static PacketMachine machine({.echo_per_second = 3, .errors_per_second = 3});
  machine.run(read_arrivals({data, size}, Repair::if_asked));
  return 0;
}
