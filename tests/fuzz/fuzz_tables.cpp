#include "tests/fuzz/fuzz_tables.h"

#include <algorithm>
#include <stdexcept>

#include "common/net/address_text.h"
#include "guideway/tables_view_open.h"

namespace guideway::fuzz {
namespace {

constexpr std::array kEncaps{Encap::ipip, Encap::gue0, Encap::gue1, Encap::gre, Encap::l2dsr};
constexpr std::uint32_t kSlots = 251;
constexpr std::uint32_t kWeb = 0, kDead = 1, kOther = 2;  // pools

IpAddress ip(const char* text) {
  return parse_ip(text).value();
}
IpPrefix prefix(const char* text, std::uint8_t bits) {
  return {ip(text), bits};
}

// The n-th of a set.
DesiredBackend backend(std::uint8_t n, const char* address, std::uint8_t port, std::uint16_t mtu,
                       std::vector<std::uint16_t> vlans = {}) {
  Egress egress;
  egress.port = port;
  egress.source_mac = port_mac(port);
  egress.next_hop_mac = {{2, 0, 0, 0, 2, n}};
  egress.source = ip(ip(address).is_v4() ? "192.0.2.1" : "2001:db8:ff::1");
  egress.path_mtu_bytes = mtu;
  egress.vlans = std::move(vlans);
  DesiredBackend backend;
  backend.address = ip(address);
  backend.weight = 1;
  backend.egress = egress;
  return backend;
}

// Those of the golden cases, and one whose IDs are encrypted.
QuicLayouts quic_layouts() {
  QuicLayouts layouts = kKatranLayouts;
  layouts[0].shape = {QuicLayoutKind::plain, 3, 4};
  layouts[1].shape = {QuicLayoutKind::four_pass, 3, 4};
  return layouts;
}

void add_server_ids(DesiredPool& pool) {
  pool.quic = quic_layouts();
  pool.backends[2].server_ids = {{{0xc4, 0x60, 0x5e}, 3}, katran_server_id(0x1234)};
  pool.backends[4].server_ids = {katran_server_id(0x123456)};
  pool.backends[5].server_ids = {katran_server_id(0x12345678)};
}

DesiredPool web(Encap encap, Oversize oversize) {
  DesiredPool pool;
  pool.encap = encap;
  pool.oversize = oversize;
  pool.slot_count = kSlots;
  pool.backends = {backend(1, "10.0.0.1", 0, 1500),           backend(2, "2001:db8:2::1", 1, 1500, {10}),
                   backend(3, "10.0.0.2", 2, 576, {10, 20}),  backend(4, "2001:db8:2::2", 0, 1290),
                   backend(5, "10.0.0.3", kPorts, 1500),      backend(6, "10.0.0.4", 0, 9000),
                   backend(7, "2001:db8:2::3", 1, 1280, {10})};
  add_server_ids(pool);
  pool.backends[2].egress->source_prefix = prefix("198.18.0.0", 16);
  pool.backends[3].egress->source_prefix = prefix("2001:db8:ee::", 64);
  return pool;
}

DesiredPool dead(Encap encap) {
  DesiredPool pool;
  pool.encap = encap;
  pool.slot_count = kSlots;
  pool.backends = {backend(8, "10.0.0.8", 0, 1500)};
  pool.backends[0].weight = 0;
  pool.backends[0].egress.reset();
  return pool;
}

DesiredPool other() {
  DesiredPool pool;
  pool.slot_count = kSlots;
  pool.dscp = 10;
  pool.backends = {backend(9, "10.0.0.9", 1, 1400)};
  return pool;
}

struct Manner {
  bool echo;
  Unserved unserved;
  NoBackend no_backend;
};

void add_vip(DesiredTables& tables, const IpPrefix& prefix, IpProto protocol, std::uint16_t port, std::uint32_t pool,
             const Manner& manner) {
  DesiredVip vip;
  vip.prefix = prefix;
  vip.protocol = protocol;
  vip.quic = protocol == IpProto::udp && port == 443;
  vip.port = port;
  vip.pool = pool;
  vip.echo = manner.echo;
  vip.unserved = manner.unserved;
  vip.no_backend = manner.no_backend;
  tables.vips.push_back(vip);
}

void add_vips(DesiredTables& tables) {
  constexpr Manner kRejects{true, Unserved::reject, NoBackend::reject};
  constexpr Manner kToKernel{false, Unserved::kernel, NoBackend::drop};
  constexpr Manner kDrops{true, Unserved::drop, NoBackend::drop};
  for (const IpPrefix& vip : {prefix("203.0.113.10", 32), prefix("2001:db8:1::10", 128)}) {
    add_vip(tables, vip, IpProto::tcp, 80, kWeb, kRejects);
    add_vip(tables, vip, IpProto::udp, 53, kWeb, kRejects);
    add_vip(tables, vip, IpProto::udp, 443, kWeb, kRejects);
    add_vip(tables, vip, IpProto::tcp, 81, kDead, kRejects);
    add_vip(tables, vip, IpProto::udp, 81, kDead, kRejects);
    add_vip(tables, vip, IpProto::tcp, 82, kOther, kRejects);
  }
  for (const IpPrefix& vip : {prefix("203.0.113.12", 32), prefix("2001:db8:1::12", 128)}) {
    add_vip(tables, vip, IpProto::tcp, 80, kWeb, kToKernel);
    add_vip(tables, vip, IpProto::udp, 0, kWeb, kToKernel);
  }
  for (const IpPrefix& vip : {prefix("203.0.113.13", 32), prefix("2001:db8:1::13", 128)}) {
    add_vip(tables, vip, IpProto::tcp, 0, kOther, kDrops);
    add_vip(tables, vip, IpProto::udp, kGuePort, kWeb, kDrops);
  }
  for (const IpPrefix& vip : {prefix("203.0.113.64", 28), prefix("2001:db8:7::", 64)}) {
    add_vip(tables, vip, IpProto::udp, 0, kWeb, kRejects);
    add_vip(tables, vip, IpProto::tcp, 80, kDead, kDrops);
  }
}

}  // namespace

MacAddress port_mac(std::uint32_t port) {
  return {{2, 0, 0, 0, static_cast<std::uint8_t>(port), 1}};
}

bool covers(const IpPrefix& prefix, const IpAddress& address) {
  if (prefix.address.is_v4() != address.is_v4()) return false;
  const std::uint32_t first = prefix.address.is_v4() ? 96 : 0;
  for (std::uint32_t bit = first; bit < first + prefix.bits; bit++) {
    const std::uint32_t mask = 0x80U >> bit % 8;
    if (((prefix.address.bytes[bit / 8] ^ address.bytes[bit / 8]) & mask) != 0) return false;
  }
  return true;
}

std::uint32_t table_set(Encap encap, Oversize oversize) {
  const auto at = static_cast<std::uint32_t>(std::ranges::find(kEncaps, encap) - kEncaps.begin());
  return at * 3 + static_cast<std::uint32_t>(oversize);
}

FuzzTables::FuzzTables(std::uint32_t set) : region_(shm::TablesWriter::create(1 << 20)) {
  const Encap encap = kEncaps.at(set / 3);
  desired_.pools = {web(encap, static_cast<Oversize>(set % 3)), dead(encap), other()};
  add_vips(desired_);
  desired_.own = {prefix("192.0.2.1", 32), prefix("2001:db8:ff::1", 128), prefix("198.18.0.0", 16),
                  prefix("2001:db8:ee::", 64)};
  if (region_->publish(ImageBuilder{}.build(desired_)) != shm::PublishResult::published)
    throw std::runtime_error("the tables do not fit");
  pools_.resize(pool_count(region_->memory(), region_->root()));
  if (const auto error = open_generation(region_->memory(), region_->root(), pools_, nullptr, view_);
      error != TablesError::none)
    throw std::runtime_error(to_text(error));
  for (const DesiredPool& pool : desired_.pools)
    for (const DesiredBackend& backend : pool.backends)
      if (backend.egress) ways_.push_back({&pool, &backend});
}

bool FuzzTables::is_vip(const IpAddress& address) const {
  return std::ranges::any_of(desired_.vips, [&](const DesiredVip& vip) { return covers(vip.prefix, address); });
}

const FuzzTables::Way* FuzzTables::way_by(const MacAddress& next_hop) const {
  const auto way =
      std::ranges::find_if(ways_, [&](const Way& one) { return one.backend->egress->next_hop_mac == next_hop; });
  return way != ways_.end() ? &*way : nullptr;
}

}  // namespace guideway::fuzz
