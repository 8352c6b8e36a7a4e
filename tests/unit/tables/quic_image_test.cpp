// Quic objects of images: shared when unchanged, and found again through shared memory.
#include "common/tables/quic_image.h"

#include <gtest/gtest.h>

#include "common/net/address_text.h"
#include "common/shm/tables_writer.h"
#include "guideway/quic_route.h"

namespace guideway {
namespace {

QuicServerId id_of(std::initializer_list<std::uint8_t> bytes) {
  QuicServerId id;
  std::copy(bytes.begin(), bytes.end(), id.bytes.begin());
  id.size_bytes = static_cast<std::uint8_t>(bytes.size());
  return id;
}

DesiredBackend backend_at(const char* address, std::vector<QuicServerId> ids) {
  DesiredBackend backend;
  backend.address = *parse_ip(address);
  backend.weight = 1;
  backend.egress.emplace().source = *parse_ip("192.0.2.1");
  backend.server_ids = std::move(ids);
  return backend;
}

// The keys of the draft's test vectors, appendix B: codepoint 0 in clear, 1 with four passes, 2 with one.
DesiredTables quic_tables() {
  constexpr Block16 kKey{0x8f, 0x95, 0xf0, 0x92, 0x45, 0x76, 0x5f, 0x80,
                         0x25, 0x69, 0x34, 0xe5, 0x0c, 0x66, 0x20, 0x7f};
  DesiredTables desired;
  DesiredPool& pool = desired.pools.emplace_back();
  pool.slot_count = 251;
  pool.quic.emplace();
  (*pool.quic)[0] = {{QuicLayoutKind::plain, 3, 4}, {}};
  (*pool.quic)[1] = {{QuicLayoutKind::four_pass, 10, 5}, kKey};
  (*pool.quic)[2] = {{QuicLayoutKind::single_pass, 8, 8}, kKey};
  pool.backends = {backend_at("10.0.0.1", {id_of({0xc4, 0x60, 0x5e})}),
                   backend_at("10.0.0.2", {id_of({0xed, 0x79, 0x3a, 0x51, 0xd4, 0x9b, 0x8f, 0x5f, 0xab, 0x65}),
                                           id_of({0xed, 0x79, 0x3a, 0x51, 0xd4, 0x9b, 0x8f, 0x5f})}),
                   backend_at("10.0.0.3", {})};
  desired.pools.emplace_back().slot_count = 251;
  DesiredVip& vip = desired.vips.emplace_back();
  vip.prefix = IpPrefix::of(*parse_ip("203.0.113.10"));
  vip.port = 443;
  vip.protocol = IpProto::udp;
  vip.quic = true;
  return desired;
}

constexpr std::array<std::uint8_t, 9> kPlain{0x40, 0x07, 0xc4, 0x60, 0x5e, 0x45, 0x04, 0xcc, 0x4f};
constexpr std::array<std::uint8_t, 17> kFourPass{0x40, 0x2f, 0xcc, 0x38, 0x1b, 0xc7, 0x4c, 0xb4, 0xfb,
                                                 0xad, 0x28, 0x23, 0xa3, 0xd1, 0xf8, 0xfe, 0xd2};
constexpr std::array<std::uint8_t, 18> kSinglePass{0x40, 0x50, 0x4d, 0xd2, 0xd0, 0x5a, 0x7b, 0x0d, 0xe9,
                                                   0xb2, 0xb9, 0x90, 0x7a, 0xfb, 0x5e, 0xcf, 0x8c, 0xc3};

// Tables in shared memory, and a view of them that follows.
class QuicTables {
 public:
  void publish(const DesiredTables& desired) {
    EXPECT_EQ(writer_->publish(builder_.build(desired)), shm::PublishResult::published);
    open(*writer_);
  }
  void open(const shm::TablesWriter& writer) {
    const TablesView before = view_;
    const std::vector<PoolView> pools_before = std::exchange(pools_, {});
    pools_.resize(pool_count(writer.memory(), writer.root()));
    const bool first = before.generation == Generation::none;
    EXPECT_EQ(open_generation(writer.memory(), writer.root(), pools_, first ? nullptr : &before, view_),
              TablesError::none);
  }
  // The address of the backend that is named; "": none.
  std::string named_by(std::span<const std::uint8_t> payload) const {
    const QuicRoute route = route_quic(view_.pools[0], payload);
    return route.backend == nullptr ? "" : to_text(route.backend->address);
  }
  const shm::TablesWriter& writer() const { return *writer_; }
  void take_over() {
    const Descriptor memory = shm::reopen(writer_->descriptor(), shm::Access::read_write);
    writer_.reset();
    std::string why;
    writer_ = shm::TablesWriter::attach(memory, why);
    ASSERT_NE(writer_, nullptr) << why;
    writer_->set_reader_pins([] { return kPinNone; });
    view_ = {};
  }

 private:
  std::unique_ptr<shm::TablesWriter> writer_ = shm::TablesWriter::create(1 << 20);
  ImageBuilder builder_;
  std::vector<PoolView> pools_;
  TablesView view_;
};

TEST(QuicImage, ReadersFindTheBackendsThatConnectionIdsName) {
  QuicTables tables;
  tables.publish(quic_tables());
  EXPECT_EQ(tables.named_by(kPlain), "10.0.0.1");
  EXPECT_EQ(tables.named_by(kFourPass), "10.0.0.2");
  EXPECT_EQ(tables.named_by(kSinglePass), "10.0.0.2");
}

// Weight 0 takes no new flows, and that is all it does.
TEST(QuicImage, DrainedBackendsKeepTheirConnections) {
  QuicTables tables;
  DesiredTables desired = quic_tables();
  tables.publish(desired);
  desired.pools[0].backends[0].weight = 0;
  tables.publish(desired);
  EXPECT_EQ(tables.named_by(kPlain), "10.0.0.1");
  desired.pools[0].backends[0].alive = false;
  tables.publish(desired);
  EXPECT_EQ(tables.named_by(kPlain), "");
  desired.pools[0].backends[0].alive = true;
  desired.pools[0].backends[0].egress.reset();
  tables.publish(desired);
  EXPECT_EQ(tables.named_by(kPlain), "");
}

TEST(QuicImage, ViewsFollowBackendsThatMoveInTheList) {
  QuicTables tables;
  DesiredTables desired = quic_tables();
  tables.publish(desired);
  desired.pools[0].backends.erase(desired.pools[0].backends.begin());
  tables.publish(desired);
  EXPECT_EQ(tables.named_by(kPlain), "");
  EXPECT_EQ(tables.named_by(kFourPass), "10.0.0.2");
  desired.pools[0].quic.reset();
  tables.publish(desired);
  EXPECT_EQ(tables.named_by(kFourPass), "");
}

// A control plane that takes over keeps the objects and carries on with them.
TEST(QuicImage, SurvivesATakeOver) {
  QuicTables tables;
  DesiredTables desired = quic_tables();
  tables.publish(desired);
  const std::uint64_t free_bytes = tables.writer().usage().free_bytes;
  tables.take_over();
  EXPECT_LE(tables.writer().usage().free_bytes, free_bytes);
  desired.pools[0].backends[2].server_ids = {id_of({1, 2, 3})};
  tables.publish(desired);
  EXPECT_EQ(tables.named_by(kPlain), "10.0.0.1");
  EXPECT_EQ(tables.named_by(std::array<std::uint8_t, 9>{0x40, 0x07, 1, 2, 3, 0, 0, 0, 0}), "10.0.0.3");
}

TEST(QuicImage, IsSharedUntilItsInputChanges) {
  ImageBuilder builder;
  DesiredTables desired = quic_tables();
  const TableImage first = builder.build(desired);
  ASSERT_NE(first.pools[0].quic, nullptr);
  EXPECT_EQ(first.pools[1].quic, nullptr);
  desired.pools[0].backends[0].weight = 3;
  EXPECT_EQ(builder.build(desired).pools[0].quic, first.pools[0].quic) << "a new slot table";
  desired.pools[0].backends[0].alive = false;
  EXPECT_EQ(builder.build(desired).pools[0].quic, first.pools[0].quic) << "new backends";
  desired.pools[0].backends[2].server_ids = {id_of({9, 9, 9})};
  const TableImage other = builder.build(desired);
  EXPECT_NE(other.pools[0].quic, first.pools[0].quic);
  EXPECT_EQ(other.pools[0].quic->bytes, ImageBuilder{}.build(desired).pools[0].quic->bytes) << "history matters";
  (*desired.pools[0].quic)[0].shape.nonce_bytes = 5;
  EXPECT_NE(builder.build(desired).pools[0].quic, other.pools[0].quic);
  desired.pools[0].quic.reset();
  EXPECT_EQ(builder.build(desired).pools[0].quic, nullptr);
}

TEST(QuicImage, HeaderAndIndexAreAsTheReaderWantsThem) {
  const TableImage image = ImageBuilder{}.build(quic_tables());
  const ImageObjectPtr& object = image.pools[0].quic;
  ObjectHeader header{};
  std::memcpy(&header, object->bytes.data(), sizeof header);
  EXPECT_EQ(header.kind, ObjectKind::quic);
  EXPECT_EQ(header.count, 8U);  // three IDs, at most half full
  EXPECT_EQ(header.size_bytes, 1536 + 8 * 32U);
  EXPECT_EQ(object->bytes.size(), header.size_bytes);
  EXPECT_EQ(header.checksum, object_checksum(object->bytes));
}

}  // namespace
}  // namespace guideway
