// The quic object as numbers, see layout_test.cpp.
#include <gtest/gtest.h>

#include "guideway/tables.h"

namespace guideway {
namespace {

TEST(QuicLayout, IsPinned) {
  EXPECT_EQ(sizeof(aes::RoundKeys), 176U);
  EXPECT_EQ(sizeof(QuicShape), 4U);
  EXPECT_EQ(offsetof(QuicShape, server_id_bytes), 1U);
  EXPECT_EQ(offsetof(QuicShape, nonce_bytes), 2U);
  EXPECT_EQ(sizeof(QuicDecoders), 1472U);
  EXPECT_EQ(offsetof(QuicDecoders, keys), 64U);
  EXPECT_EQ(sizeof(QuicServerId), 16U);
  EXPECT_EQ(offsetof(QuicServerId, size_bytes), 15U);
  EXPECT_EQ(sizeof(QuicServerEntry), 32U);
  EXPECT_EQ(offsetof(QuicServerEntry, backend), 16U);
  EXPECT_EQ(elements_offset_bytes(ObjectKind::quic), 1536U);
  EXPECT_EQ(static_cast<int>(QuicLayoutKind::katran_32), 6);
}

}  // namespace
}  // namespace guideway
