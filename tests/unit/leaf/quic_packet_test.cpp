// Which QUIC packets begin a flow, and which carry a server's connection ID.
#include "guideway/quic_packet.h"

#include <gtest/gtest.h>

#include "tests/unit/leaf/hex.h"

namespace guideway {
namespace {

struct Case {
  const char* name;
  const char* payload;
  QuicPacketKind kind;
  const char* connection_id;
};

constexpr Case kCases[] = {
    // RFC 9000, section 17.2: types 0 to 3.
    {"v1_initial", "c000000001080102030405060708", QuicPacketKind::new_flow, ""},
    {"v1_0rtt", "d000000001080102030405060708", QuicPacketKind::new_flow, ""},
    {"v1_handshake", "e000000001080102030405060708ff", QuicPacketKind::long_header, "0102030405060708"},
    {"v1_retry", "f000000001080102030405060708ff", QuicPacketKind::long_header, "0102030405060708"},
    // RFC 9369, section 3.2: types 1 and 2, 3 and 0.
    {"v2_initial", "d06b3343cf080102030405060708", QuicPacketKind::new_flow, ""},
    {"v2_0rtt", "e06b3343cf080102030405060708", QuicPacketKind::new_flow, ""},
    {"v2_handshake", "f06b3343cf080102030405060708", QuicPacketKind::long_header, "0102030405060708"},
    {"v2_retry", "c06b3343cf080102030405060708", QuicPacketKind::long_header, "0102030405060708"},
    // RFC 8999: what we do not know may be new.
    {"version_negotiation", "c000000000080102030405060708", QuicPacketKind::new_flow, ""},
    {"reserved_version", "e00a0a0a0a080102030405060708", QuicPacketKind::new_flow, ""},
    {"unknown_version_cut_behind_it", "e0ffffffff", QuicPacketKind::new_flow, ""},
    // RFC 9287: the fixed bit may be 0; bits 0 to 3 are protected or reserved.
    {"fixed_bit_0", "af000000010401020304", QuicPacketKind::long_header, "01020304"},
    {"short_header_fixed_bit_0", "00010203", QuicPacketKind::short_header, "010203"},
    {"short_header", "7f010203", QuicPacketKind::short_header, "010203"},
    {"short_header_alone", "40", QuicPacketKind::short_header, ""},
    // Lengths.
    {"empty", "", QuicPacketKind::malformed, ""},
    {"one_byte_of_a_long_header", "c0", QuicPacketKind::malformed, ""},
    {"version_cut", "c0000000", QuicPacketKind::malformed, ""},
    {"length_cut", "e000000001", QuicPacketKind::malformed, ""},
    {"connection_id_cut", "e0000000010801020304050607", QuicPacketKind::malformed, ""},
    {"no_connection_id", "e00000000100", QuicPacketKind::long_header, ""},
    {"20_bytes", "e00000000114000102030405060708090a0b0c0d0e0f10111213", QuicPacketKind::long_header,
     "000102030405060708090a0b0c0d0e0f10111213"},
    {"21_bytes", "e00000000115000102030405060708090a0b0c0d0e0f1011121314", QuicPacketKind::malformed, ""},
    {"255_bytes", "e000000001ff0102", QuicPacketKind::malformed, ""},
};

class QuicPacketCase : public testing::TestWithParam<Case> {};

TEST_P(QuicPacketCase, IsReadAsItSays) {
  const std::vector<std::uint8_t> payload = bytes_of(GetParam().payload);
  const QuicPacket packet = read_quic_packet(payload);
  EXPECT_EQ(packet.kind, GetParam().kind);
  EXPECT_EQ(hex_of(packet.connection_id.data(), packet.connection_id.size()), GetParam().connection_id);
}

INSTANTIATE_TEST_SUITE_P(, QuicPacketCase, testing::ValuesIn(kCases), [](const auto& each) { return each.param.name; });

}  // namespace
}  // namespace guideway
