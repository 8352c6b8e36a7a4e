#include "tests/packet/packet_tables.h"

#include <algorithm>
#include <map>
#include <sstream>

#include "common/net/address_text.h"

namespace guideway::packet_text {
namespace {

constexpr std::uint32_t kSlots = 251;

template <typename Value>
Value one_of(const std::map<std::string, Value>& words, const std::string& word, const Fields& fields) {
  const auto found = words.find(word);
  if (found != words.end()) return found->second;
  std::string known;
  for (const auto& [name, value] : words) known += (known.empty() ? "" : ", ") + name;
  fields.fail("\"" + word + "\" is none of " + known);
}

IpPrefix parse_prefix(const std::string& text, const Fields& fields) {
  std::string why;
  const auto prefix = guideway::parse_prefix(text, why);
  if (!prefix) fields.fail("\"" + text + "\" " + why);
  return *prefix;
}

std::vector<std::uint16_t> parse_vlans(const std::string& text, const Fields& fields) {
  std::vector<std::uint16_t> vlans;
  std::istringstream stream(text);
  for (std::string id; std::getline(stream, id, ',');)
    vlans.push_back(static_cast<std::uint16_t>(parse_number(id, fields.line())));
  return vlans;
}

Block16 parse_secret(const std::string& hex, const Fields& fields) {
  const auto bytes = parse_hex(hex, fields.line());
  Block16 secret{};
  if (bytes.size() != secret.size()) fields.fail("a secret is 32 hex digits");
  std::copy(bytes.begin(), bytes.end(), secret.begin());
  return secret;
}

QuicServerId parse_server_id(const std::string& hex, const Fields& fields) {
  const auto bytes = parse_hex(hex, fields.line());
  QuicServerId id;
  if (bytes.size() > id.bytes.size()) fields.fail("a server ID is at most 15 bytes");
  std::copy(bytes.begin(), bytes.end(), id.bytes.begin());
  id.size_bytes = static_cast<std::uint8_t>(bytes.size());
  return id;
}

}  // namespace

MacAddress port_mac(std::uint32_t port) {
  return *parse_mac(port == 0 ? "02:00:00:00:00:01" : "02:00:00:00:01:01");
}
MacAddress next_hop_mac(std::uint32_t port) {
  return *parse_mac(port == 0 ? "02:00:00:00:00:02" : "02:00:00:00:01:02");
}

void TablesText::add(const Line& line) {
  static const std::map<std::string, void (TablesText::*)(Fields&)> kLines{
      {"key", &TablesText::key},         {"pool", &TablesText::pool}, {"layout", &TablesText::layout},
      {"backend", &TablesText::backend}, {"era", &TablesText::era},   {"kept_era", &TablesText::kept_era},
      {"vip", &TablesText::vip},         {"own", &TablesText::own}};
  Fields fields(line);
  (this->*one_of(kLines, line.name, fields))(fields);
  fields.finish();
}

DesiredTables TablesText::take() {
  pools_.clear();
  return std::exchange(tables_, {});
}

void TablesText::key(Fields& fields) {
  tables_.hash_secret = parse_secret(fields.word(), fields);
}

void TablesText::pool(Fields& fields) {
  pools_.push_back(fields.word());
  DesiredPool pool;
  pool.encap = one_of<Encap>({{"ipip", Encap::ipip},
                              {"gue", Encap::gue0},
                              {"gue1", Encap::gue1},
                              {"gre", Encap::gre},
                              {"l2dsr", Encap::l2dsr}},
                             fields.word(), fields);
  pool.slot_count = fields.number("slots", kSlots);
  if (fields.has("dscp")) pool.dscp = static_cast<std::uint8_t>(fields.number("dscp", 0));
  pool.oversize = one_of<Oversize>(
      {{"fragment", Oversize::fragment_outer}, {"fragment-inner", Oversize::fragment_inner}, {"drop", Oversize::drop}},
      fields.text("oversize", "fragment"), fields);
  pool.scheduler = one_of<Scheduler>({{"maglev", Scheduler::maglev},
                                      {"source-hash", Scheduler::source_hash},
                                      {"round-robin", Scheduler::round_robin},
                                      {"least-connections", Scheduler::least_connections}},
                                     fields.text("scheduler", "maglev"), fields);
  pool.source_bits4 = static_cast<std::uint8_t>(fields.number("source_bits", 32));
  pool.second_chance = fields.flag("second_chance");
  if (fields.flag("katran")) pool.quic = kKatranLayouts;
  tables_.pools.push_back(pool);
}

// QUIC-LB connection IDs whose first three bits are `number`.
void TablesText::layout(Fields& fields) {
  if (pools_.empty()) fields.fail("a layout follows its pool");
  const std::uint32_t number = parse_number(fields.word(), fields.line());
  QuicLayout layout;
  layout.shape.server_id_bytes = static_cast<std::uint8_t>(fields.number("server_id", 1));
  layout.shape.nonce_bytes = static_cast<std::uint8_t>(fields.number("nonce", kQuicNonceBytesMin));
  layout.shape.kind = QuicLayoutKind::plain;
  if (fields.has("secret")) {
    layout.secret = parse_secret(fields.text("secret", ""), fields);
    layout.shape.kind =
        layout.shape.body_bytes() == sizeof(Block16) ? QuicLayoutKind::single_pass : QuicLayoutKind::four_pass;
  }
  auto& layouts = tables_.pools.back().quic;
  if (!layouts) layouts.emplace();
  layouts->at(number) = layout;
}

void TablesText::backend(Fields& fields) {
  if (pools_.empty()) fields.fail("a backend follows its pool");
  DesiredBackend backend;
  const auto address = parse_ip(fields.word());
  if (!address) fields.fail("no address");
  backend.address = *address;
  backend.stats_index =
      stats_indices_.emplace(std::pair(pools_.back(), *address), static_cast<std::uint32_t>(stats_indices_.size()))
          .first->second;
  backend.weight = fields.number("weight", 1);
  backend.alive = !fields.flag("dead");
  if (!backend.alive) backend.weight = 0;
  while (fields.has_more("id")) backend.server_ids.push_back(parse_server_id(fields.text("id", ""), fields));
  Egress egress;
  egress.port = static_cast<std::uint8_t>(fields.number("port", 0));
  egress.source_mac = port_mac(egress.port);
  egress.next_hop_mac = next_hop_mac(egress.port);
  egress.source = *parse_ip(address->is_v4() ? "192.0.2.1" : "2001:db8:ff::1");
  egress.path_mtu_bytes = static_cast<std::uint16_t>(fields.number("mtu", 1500));
  egress.vlans = parse_vlans(fields.text("vlan", ""), fields);
  if (fields.has("source_prefix")) egress.source_prefix = parse_prefix(fields.text("source_prefix", ""), fields);
  if (!fields.flag("unreachable")) backend.egress = egress;
  tables_.pools.back().backends.push_back(backend);
}

void TablesText::era(Fields& fields) {
  if (pools_.empty()) fields.fail("an era follows its pool");
  tables_.pools.back().past.recent.push_back(weights(fields));
}

void TablesText::kept_era(Fields& fields) {
  if (pools_.empty()) fields.fail("a kept era follows its pool");
  tables_.pools.back().past.kept.push_back(weights(fields));
}

// "era 10.0.0.1 10.0.0.2=3": who had which weight, 1 if nothing is said; the oldest era first.
Weights TablesText::weights(Fields& fields) {
  Weights weights;
  while (fields.has_word()) {
    const std::string word = fields.word();
    const std::size_t equals = word.find('=');
    const auto address = parse_ip(word.substr(0, equals));
    if (!address) fields.fail("an era names addresses");
    weights.push_back(
        {*address, equals == std::string::npos ? 1 : parse_number(word.substr(equals + 1), fields.line())});
  }
  return weights;
}

void TablesText::vip(Fields& fields) {
  DesiredVip vip;
  vip.prefix = parse_prefix(fields.word(), fields);
  const std::string protocol = fields.word();
  vip.protocol =
      one_of<IpProto>({{"tcp", IpProto::tcp}, {"udp", IpProto::udp}, {"quic", IpProto::udp}}, protocol, fields);
  vip.quic = protocol == "quic";
  const std::string port = fields.text("port", "80");
  vip.port = port == "any" ? std::uint16_t{0} : static_cast<std::uint16_t>(parse_number(port, fields.line()));
  vip.pool = pool_named(fields.text("pool", ""), fields);
  vip.echo = one_of<bool>({{"yes", true}, {"no", false}}, fields.text("echo", "yes"), fields);
  vip.unserved =
      one_of<Unserved>({{"drop", Unserved::drop}, {"kernel", Unserved::kernel}, {"reject", Unserved::reject}},
                       fields.text("unserved", "drop"), fields);
  vip.no_backend = one_of<NoBackend>({{"drop", NoBackend::drop}, {"reject", NoBackend::reject}},
                                     fields.text("no_backend", "drop"), fields);
  vip.tracking = one_of<Tracking>({{"moved", Tracking::moved}, {"all", Tracking::all}, {"none", Tracking::none}},
                                  fields.text("tracking", "moved"), fields);
  tables_.vips.push_back(vip);
}

void TablesText::own(Fields& fields) {
  tables_.own.push_back(parse_prefix(fields.word(), fields));
}

std::uint32_t TablesText::pool_named(const std::string& name, const Fields& fields) const {
  const auto pool = std::find(pools_.begin(), pools_.end(), name);
  if (pool == pools_.end()) fields.fail("say pool=NAME of a pool above");
  return static_cast<std::uint32_t>(pool - pools_.begin());
}

}  // namespace guideway::packet_text
