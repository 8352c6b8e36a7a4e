#include "tests/packet/packet_case.h"

#include <algorithm>
#include <fstream>
#include <sstream>

#include "guideway/stats.h"
#include "guideway/wire.h"
#include "tests/packet/packet_tables.h"

namespace guideway::packet_text {
namespace {

using Ns = std::chrono::nanoseconds;

std::string known_counter(const std::string& name, int line) {
  const auto named = [&](const CounterInfo& counter) { return counter.name == name; };
  if (std::none_of(kCounters.begin(), kCounters.end(), named)) throw TextError(line, "no counter \"" + name + "\"");
  return name;
}

// "1500ms" or "2s".
Ns parse_time(const std::string& text, int line) {
  const std::size_t unit = text.find_first_not_of("0123456789");
  const std::uint32_t count = parse_number(text.substr(0, unit), line);
  const std::string_view name = unit == std::string::npos ? "" : std::string_view(text).substr(unit);
  if (name == "ms") return std::chrono::milliseconds(count);
  if (name == "s") return std::chrono::seconds(count);
  throw TextError(line, "\"" + text + "\" is no time in ms or s");
}

// The section [packets].
class StepsText {
 public:
  // Time goes on from section to section.
  StepsText(std::span<const Line> lines, Ns now) : lines_(lines), now_(now) {}

  void parse(PacketCase& into) {
    while (at_ < lines_.size()) {
      const Line& line = lines_[at_++];
      if (line.name == "at") {
        time(line);
        into.takes_time = true;
      } else if (line.name == "in" || line.name == "from_kernel") {
        packets(line);
      } else {
        throw TextError(line.number, "a packet begins with \"in\"");
      }
    }
    for (Step& step : steps_) {
      step.tables = into.later_tables.size();
      into.steps.push_back(std::move(step));
    }
  }

 private:
  void time(const Line& line) {
    Fields fields(line);
    now_ = parse_time(fields.word(), line.number);
    fields.finish();
    if (at_ == lines_.size() || !is_end(lines_[at_].name)) return;
    Step step;
    step.line = line.number;
    step.now = now_;
    step.has_packet = false;
    ends(step, 0);
    steps_.push_back(std::move(step));
  }
  void packets(const Line& line) {
    Fields fields(line);
    const std::uint32_t count = fields.number("repeat", 1);
    const std::size_t first = at_;
    for (std::uint32_t i = 0; i < count; i++) {
      at_ = first;
      packet(repetition(line, i), i);
    }
  }
  void packet(const Line& line, std::uint32_t i) {
    Step step;
    step.line = line.number;
    step.now = now_;
    step.from = line.name == "in" ? From::network : From::kernel;
    step.frame.bytes = build(i);
    const auto whole = static_cast<std::uint32_t>(std::min<std::size_t>(step.frame.bytes.size(), 0xffff));
    Fields fields(line);
    fields.number("repeat", 1);
    step.frame.port = fields.number("port", 0);
    step.headroom_bytes = static_cast<std::uint16_t>(fields.number("headroom", step.headroom_bytes));
    step.contiguous_bytes = fields.number("contiguous", whole);
    for (const std::string& name : {std::string(), fields.text("as", "")}) {
      frames_[name] = step.frame;
      inner_[name] = inner_packet(step.frame.bytes);
    }
    fields.finish();
    ends(step, i);
    steps_.push_back(std::move(step));
  }

  // ---- how packets end ----
  static bool is_end(std::string_view name) {
    static constexpr std::string_view kEnds[] = {"forward", "answer",  "unchanged", "kernel",
                                                 "drop",    "refused", "waits",     "nothing"};
    return std::find(std::begin(kEnds), std::end(kEnds), name) != std::end(kEnds);
  }
  void ends(Step& step, std::uint32_t i) {
    if (at_ == lines_.size() || !is_end(lines_[at_].name))
      throw TextError(step.line, "nothing says what becomes of this packet");
    const Line line = repetition(lines_[at_++], i);
    end(step, line.name, Fields(line), i);
    while (at_ < lines_.size() && lines_[at_].name == "also") also(step, i);
  }
  // "also drop …", "also kernel …"; alone, a frame that leaves, too.
  void also(Step& step, std::uint32_t i) {
    const Line line = repetition(lines_[at_++], i);
    Fields fields(line);
    const std::uint32_t count = fields.number("repeat", 1);
    if (fields.has_word()) {
      const std::string what = fields.word();
      return end(step, what, fields, i);
    }
    const std::uint32_t port = fields.number("port", 0);
    const std::size_t first = at_;
    for (std::uint32_t k = 0; k < count; k++) {
      at_ = first;
      step.ends.sent.push_back({port, build(count > 1 ? k : i)});
    }
    fields.finish();
  }
  void end(Step& step, const std::string& name, Fields fields, std::uint32_t i) {
    if (name == "forward") {
      step.ends.sent.push_back({fields.number("port", 0), build(i)});
    } else if (name == "answer") {
      step.ends.sent.push_back({step.frame.port, build(i)});
    } else if (name == "unchanged") {
      step.ends.sent.push_back(step.frame);
    } else if (name == "kernel") {
      step.ends.to_kernel.push_back(frames_.at(fields.text("of", "")));
    } else if (name == "refused") {
      step.ends.lost["from_kernel_dropped_packets"]++;
    } else if (name == "drop") {
      const std::string counter = known_counter("drop_" + fields.word(), fields.line());
      step.ends.lost[counter] += fields.has_word() ? parse_number(fields.word(), fields.line()) : 1;
    }
    fields.finish();
  }
  // The lines of one packet: up to the next word that is none of a packet.
  Bytes build(std::uint32_t i) {
    std::vector<Line> lines;
    for (; at_ < lines_.size(); at_++) {
      const std::string& name = lines_[at_].name;
      if (is_end(name) || name == "in" || name == "from_kernel" || name == "at" || name == "also") break;
      lines.push_back(repetition(lines_[at_], i));
    }
    return build_packet(lines, inner_);
  }

  std::span<const Line> lines_;
  std::size_t at_ = 0;
  Ns now_;
  std::map<std::string, Frame> frames_;
  InnerPackets inner_;
  std::vector<Step> steps_;
};

class CaseParser {
 public:
  explicit CaseParser(std::vector<Line> lines) : lines_(std::move(lines)) {}

  PacketCase parse() {
    static const std::map<std::string_view, void (CaseParser::*)(std::span<const Line>)> kSections{
        {"[tables]", &CaseParser::tables},
        {"[limits]", &CaseParser::limits},
        {"[port]", &CaseParser::port},
        {"[packets]", &CaseParser::packets},
        {"[counters]", &CaseParser::counters}};
    for (std::size_t at = 0; at < lines_.size();) {
      const auto section = kSections.find(lines_[at].name);
      if (section == kSections.end())
        throw TextError(lines_[at].number, "sections are [tables], [limits], [port], [packets] and [counters]");
      const std::size_t first = ++at;
      while (at < lines_.size() && lines_[at].name[0] != '[') at++;
      (this->*section->second)(std::span(lines_).subspan(first, at - first));
    }
    return std::move(case_);
  }

 private:
  void tables(std::span<const Line> lines) {
    for (const Line& line : lines) tables_.add(line);
    if (case_.steps.empty())
      case_.tables = tables_.take();
    else
      case_.later_tables.push_back(tables_.take());
  }
  void limits(std::span<const Line> lines) {
    for (const Line& line : lines) {
      Fields fields(line);
      const std::uint32_t limit = parse_number(fields.word(), line.number);
      if (line.name == "echo_per_second")
        case_.echo_per_second = limit;
      else if (line.name == "errors_per_second")
        case_.errors_per_second = limit;
      else if (line.name == "flow_buckets")
        case_.flow_buckets = limit;
      else
        fields.fail("[limits] says echo_per_second, errors_per_second or flow_buckets");
      fields.finish();
    }
  }
  void port(std::span<const Line> lines) {
    for (const Line& line : lines) {
      Fields fields(line);
      const std::string what = line.name == "no_buffers" ? "" : fields.word();
      if (line.name == "kernel_path" && what == "none")
        case_.kernel_path = KernelPath::none;
      else if (line.name == "kernel_path" && what == "full")
        case_.kernel_path = KernelPath::full;
      else if (line.name == "network" && what == "full")
        case_.network_full = true;
      else if (line.name == "no_buffers")
        case_.no_buffers = true;
      else
        fields.fail("[port] says \"kernel_path none\", \"kernel_path full\", \"network full\" or \"no_buffers\"");
      fields.finish();
    }
  }
  void packets(std::span<const Line> lines) {
    StepsText(lines, case_.steps.empty() ? Ns{} : case_.steps.back().now).parse(case_);
  }
  void counters(std::span<const Line> lines) {
    for (const Line& line : lines) {
      Fields fields(line);
      case_.counters[known_counter(line.name, line.number)] = parse_number(fields.word(), line.number);
      fields.finish();
    }
  }

  std::vector<Line> lines_;
  TablesText tables_;
  PacketCase case_;
};

}  // namespace

Bytes inner_packet(const Bytes& frame) {
  std::size_t at = offsetof(EthernetHeader, ether_type);
  for (; at + sizeof(VlanTag) <= frame.size(); at += sizeof(VlanTag)) {
    const auto type = static_cast<EtherType>(load<Be16>(frame.data() + at).host());
    if (type != EtherType::vlan && type != EtherType::qinq) break;
  }
  at += sizeof(Be16);
  if (frame.size() < at + sizeof(Ipv4Header)) return {};
  const std::uint8_t* ip = frame.data() + at;
  const std::size_t bytes = *ip >> 4 == 4
                                ? load<Be16>(ip + offsetof(Ipv4Header, total_length)).host()
                                : sizeof(Ipv6Header) + load<Be16>(ip + offsetof(Ipv6Header, payload_length)).host();
  return {ip, ip + std::min(bytes, frame.size() - at)};
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
