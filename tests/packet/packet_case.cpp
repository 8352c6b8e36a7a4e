#include "tests/packet/packet_case.h"

#include <algorithm>
#include <fstream>
#include <sstream>

#include "common/net/address_text.h"

namespace guideway::packet_text {
namespace {

constexpr std::uint32_t kSlots = 251;

std::vector<Line> split_lines(std::string_view text) {
  std::vector<Line> lines;
  std::istringstream stream{std::string(text)};
  int number = 0;
  for (std::string row; std::getline(stream, row);) {
    number++;
    std::istringstream words(row.substr(0, row.find('#')));
    Line line;
    line.number = number;
    if (!(words >> line.name)) continue;
    for (std::string word; words >> word;) {
      const std::size_t equals = word.find('=');
      line.fields.emplace_back(word.substr(0, equals), equals == std::string::npos ? "" : word.substr(equals + 1));
    }
    lines.push_back(line);
  }
  return lines;
}

class CaseParser {
 public:
  explicit CaseParser(std::vector<Line> lines) : lines_(std::move(lines)) {}

  PacketCase parse() {
    while (at_ < lines_.size()) {
      const Line& line = lines_[at_++];
      if (line.name == "[tables]")
        section_ = &CaseParser::table_line;
      else if (line.name == "[port]")
        section_ = &CaseParser::port_line;
      else if (line.name == "[packets]")
        section_ = &CaseParser::step;
      else if (line.name == "[counters]")
        section_ = &CaseParser::counter_line;
      else if (section_ == nullptr)
        throw TextError(line.number, "a case begins with [tables]");
      else
        (this->*section_)(line);
    }
    return std::move(case_);
  }

 private:
  // ---- [tables] ----
  void table_line(const Line& line) {
    Fields fields(line);
    if (line.name == "key")
      key(fields);
    else if (line.name == "pool")
      pool(fields);
    else if (line.name == "backend")
      backend(fields);
    else if (line.name == "vip")
      vip(fields);
    else
      fields.fail("no line \"" + line.name + "\" in [tables]");
    fields.finish();
  }
  void key(Fields& fields) {
    const std::string hex = fields.word();
    if (hex.size() != 32) fields.fail("a key is 32 hex digits");
    for (std::size_t i = 0; i < 16; i++)
      case_.tables.hash_secret[i] = static_cast<std::uint8_t>(std::stoul(hex.substr(2 * i, 2), nullptr, 16));
  }
  void pool(Fields& fields) {
    pools_.push_back(fields.word());
    const std::string encap = fields.word();
    DesiredPool pool;
    pool.slot_count = fields.number("slots", kSlots);
    if (encap == "ipip")
      pool.encap = Encap::ipip;
    else if (encap == "gue")
      pool.encap = Encap::gue0;
    else if (encap == "gue1")
      pool.encap = Encap::gue1;
    else
      fields.fail("an encapsulation is ipip, gue or gue1");
    case_.tables.pools.push_back(pool);
  }
  void backend(Fields& fields) {
    if (pools_.empty()) fields.fail("a backend follows its pool");
    DesiredBackend backend;
    const auto address = parse_ip(fields.word());
    if (!address) fields.fail("no address");
    backend.address = *address;
    backend.weight = fields.number("weight", 1);
    Egress egress;
    egress.source_mac = *parse_mac("02:00:00:00:00:01");
    egress.next_hop_mac = *parse_mac("02:00:00:00:00:02");
    egress.source = *parse_ip(address->is_v4() ? "192.0.2.1" : "2001:db8:ff::1");
    egress.path_mtu_bytes = static_cast<std::uint16_t>(fields.number("mtu", 1500));
    if (!fields.flag("unreachable")) backend.egress = egress;
    case_.tables.pools.back().backends.push_back(backend);
  }
  void vip(Fields& fields) {
    DesiredVip vip;
    const auto address = parse_ip(fields.word());
    if (!address) fields.fail("no address");
    vip.address = *address;
    const std::string protocol = fields.word();
    if (protocol != "tcp" && protocol != "udp") fields.fail("a protocol is tcp or udp");
    vip.protocol = protocol == "tcp" ? IpProto::tcp : IpProto::udp;
    vip.port = static_cast<std::uint16_t>(fields.number("port", 80));
    const auto pool = std::find(pools_.begin(), pools_.end(), fields.text("pool", ""));
    if (pool == pools_.end()) fields.fail("say pool=NAME of a pool above");
    vip.pool = static_cast<std::uint32_t>(pool - pools_.begin());
    if (fields.text("unserved", "drop") == "kernel") vip.unserved = Unserved::kernel;
    case_.tables.vips.push_back(vip);
  }

  // ---- [port] ----
  void port_line(const Line& line) {
    Fields fields(line);
    const std::string what = fields.word();
    if (line.name == "kernel_path" && what == "none")
      case_.kernel_path = KernelPath::none;
    else if (line.name == "kernel_path" && what == "full")
      case_.kernel_path = KernelPath::full;
    else if (line.name == "network" && what == "full")
      case_.network_full = true;
    else
      fields.fail("[port] says \"kernel_path none\", \"kernel_path full\" or \"network full\"");
    fields.finish();
  }

  // ---- [packets] ----
  void step(const Line& line) {
    if (line.name != "in" && line.name != "from_kernel") throw TextError(line.number, "a packet begins with \"in\"");
    Step step;
    step.line = line.number;
    step.from = line.name == "in" ? From::network : From::kernel;
    step.frame = build_packet(headers());
    Fields fields(line);
    step.headroom_bytes = static_cast<std::uint16_t>(fields.number("headroom", step.headroom_bytes));
    const auto whole = static_cast<std::uint32_t>(std::min<std::size_t>(step.frame.size(), 0xffff));
    step.contiguous_bytes = fields.number("contiguous", whole);
    fields.finish();
    if (at_ == lines_.size()) throw TextError(line.number, "nothing says what becomes of this packet");
    const Line& end = lines_[at_++];
    Fields verdict(end);
    if (end.name == "forward") {
      step.verdict = Verdict::forward;
      step.sent = build_packet(headers(), inner_packet(step.frame));
    } else if (end.name == "unchanged") {
      step.verdict = Verdict::forward;
      step.sent = step.frame;
    } else if (end.name == "kernel") {
      step.verdict = Verdict::to_kernel;
    } else if (end.name == "refused") {
      step.reason = "from_kernel_dropped_packets";
    } else if (end.name == "drop") {
      step.reason = known_counter("drop_" + verdict.word(), end.number);
    } else {
      throw TextError(end.number, "a packet ends as forward, unchanged, kernel, drop or refused");
    }
    verdict.finish();
    case_.steps.push_back(std::move(step));
  }
  // The lines of one packet: up to the next word that is none of a packet.
  std::span<const Line> headers() {
    static constexpr std::string_view kEnds[] = {"forward", "unchanged", "kernel",     "drop",
                                                 "refused", "in",        "from_kernel"};
    const std::size_t first = at_;
    while (at_ < lines_.size() && lines_[at_].name[0] != '[' &&
           std::find(std::begin(kEnds), std::end(kEnds), lines_[at_].name) == std::end(kEnds))
      at_++;
    return std::span(lines_).subspan(first, at_ - first);
  }

  // ---- [counters] ----
  void counter_line(const Line& line) {
    Fields fields(line);
    case_.counters[known_counter(line.name, line.number)] = parse_number(fields.word(), line.number);
    fields.finish();
  }
  static std::string known_counter(const std::string& name, int line) {
    const auto named = [&](const CounterInfo& counter) { return counter.name == name; };
    if (std::none_of(kCounters.begin(), kCounters.end(), named)) throw TextError(line, "no counter \"" + name + "\"");
    return name;
  }

  std::vector<Line> lines_;
  std::size_t at_ = 0;
  void (CaseParser::*section_)(const Line&) = nullptr;
  std::vector<std::string> pools_;
  PacketCase case_;
};

}  // namespace

Bytes inner_packet(const Bytes& frame) {
  if (frame.size() < sizeof(EthernetHeader) + sizeof(Ipv4Header)) return {};
  const std::uint8_t* ip = frame.data() + sizeof(EthernetHeader);
  const std::size_t bytes = *ip >> 4 == 4
                                ? load<Be16>(ip + offsetof(Ipv4Header, total_length)).host()
                                : sizeof(Ipv6Header) + load<Be16>(ip + offsetof(Ipv6Header, payload_length)).host();
  return {ip, ip + std::min(bytes, frame.size() - sizeof(EthernetHeader))};
}

PacketCase parse_case(std::string_view name, std::string_view text) {
  PacketCase parsed = CaseParser(split_lines(text)).parse();
  parsed.name = name;
  return parsed;
}

std::vector<PacketCase> load_cases(const std::filesystem::path& directory) {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(directory))
    if (entry.path().extension() == ".pkt") paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  std::vector<PacketCase> cases;
  for (const auto& path : paths) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    try {
      cases.push_back(parse_case(path.stem().string(), text.str()));
    } catch (const TextError& error) {
      throw std::runtime_error(path.string() + ":" + error.what());
    }
  }
  return cases;
}

}  // namespace guideway::packet_text
