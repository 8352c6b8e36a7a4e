#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "common/net/address_text.h"
#include "controlplane/ctl/figures.h"
#include "controlplane/ctl/render.h"

namespace guideway::ctl {
namespace {

std::string text_of(const Json& object, const char* key) {
  return object.at(key).get<std::string>();
}

std::string service_of(const Json& vip) {
  return with_port(text_of(vip, "address"), port_text(vip.at("port"))) + " " + text_of(vip, "protocol");
}

// What a VIP or pool says of `key`, unless it is what the file need not say.
void add_unless(std::string& list, const Json& object, const char* key, const Json& usual) {
  const Json& value = object.at(key);
  if (value == usual) return;
  list += (list.empty() ? "" : ", ") + std::string(key) + " " +
          (value.is_string() ? value.get<std::string>() : value.dump());
}

// What is special about a VIP, and why it is not announced.
std::string notes_on(const Json& vip) {
  std::string notes;
  add_unless(notes, vip, "echo", "answer");
  add_unless(notes, vip, "unserved", "drop");
  add_unless(notes, vip, "no_backend", "drop");
  if (vip.at("announced").get<bool>()) return notes;
  return notes + (notes.empty() ? "" : "; ") + text_of(vip, "why");
}

std::string carriage_of(const Json& pool) {
  std::string carriage = text_of(pool, "encap");
  add_unless(carriage, pool, "dscp", "copy");
  add_unless(carriage, pool, "oversize", "fragment");
  return carriage;
}

Cell state_of(const Json& backend) {
  const std::string state = text_of(backend, "state");
  const Colour colour = state == "up" ? Colour::good : state == "down" ? Colour::bad : Colour::odd;
  return {state, colour};
}

// "6 (file: 1)" when the operator set another weight than the file.
std::string weight_of(const Json& backend) {
  const auto file = backend.at("weight").get<std::uint32_t>();
  const Json& override = backend.at("weight_override");
  return override.is_null() ? std::to_string(file) : fmt::format("{} (file: {})", override.get<std::uint32_t>(), file);
}

std::string reason_of(const Json& backend) {
  const std::string intent = text_of(backend, "intent_reason");
  const bool has_deadline = !backend.at("deadline").is_null();
  return intent.empty() || has_deadline ? text_of(backend, "reason") : intent;
}

// None without a data plane.
std::string flows_of(const Json& backend) {
  const Json& flows = backend.at("flows");
  return flows.is_null() ? "?" : std::to_string(flows.get<std::uint64_t>());
}

std::string render_backends(const Json& backends, const Style& style) {
  double weights = 0;
  for (const Json& backend : backends) weights += backend.at("weight_effective").get<double>();
  TextTable table("llrrrrlrrrrl");
  table.add({"", "BACKEND", "WEIGHT", "SLOTS", "SHARE", "DUE", "STATE", "SINCE", "PACKETS", "BITS", "KNOWN", "REASON"});
  for (const Json& backend : backends) {
    const double due = weights > 0 ? backend.at("weight_effective").get<double>() / weights : 0;
    const std::string name_and_address = text_of(backend, "name") + " " + text_of(backend, "address");
    table.add({"->", name_and_address, weight_of(backend), std::to_string(backend.at("slots").get<std::uint32_t>()),
               percent(backend.at("share").get<double>()), percent(due), state_of(backend),
               age(backend.at("since_s").get<std::int64_t>()),
               rate(backend.at("packets_per_second").get<double>(), "pkt"),
               rate(backend.at("bits_per_second").get<double>(), "bit"), flows_of(backend), reason_of(backend)});
  }
  return table.text(style, "  ");
}

// The VIPs of each pool.
using VipsByPool = std::map<std::string, Json>;

VipsByPool by_pool(const Json& vips) {
  VipsByPool of;
  for (const Json& vip : vips) of[text_of(vip, "pool")].push_back(vip);
  return of;
}

std::string render_vips(const Json& vips, const Style& style) {
  TextTable table("lllrrl");
  for (const Json& vip : vips) {
    const bool announced = vip.at("announced").get<bool>();
    table.add({text_of(vip, "name"), service_of(vip),
               announced ? Cell("announced", Colour::good) : Cell("not announced", Colour::odd),
               rate(vip.at("packets_per_second").get<double>(), "pkt"),
               rate(vip.at("bits_per_second").get<double>(), "bit"), notes_on(vip)});
  }
  return table.text(style, "");
}

// "65521 slots (1200 unsettled, 655 of them until drained backends are undrained or removed, 3 crowded)": while a
// change is recent, or a drain lasts.
std::string slots_of(const Json& pool) {
  std::string slots = fmt::format("{} slots", pool.at("slots").get<std::uint32_t>());
  const auto unsettled = pool.at("unsettled_slots").get<std::uint32_t>();
  if (unsettled == 0) return slots;
  slots += fmt::format(" ({} unsettled", unsettled);
  if (const auto kept = pool.at("kept_slots").get<std::uint32_t>(); kept > 0)
    slots += fmt::format(", {} of them until drained backends are undrained or removed", kept);
  if (const auto crowded = pool.at("crowded_slots").get<std::uint32_t>(); crowded > 0)
    slots += fmt::format(", {} crowded", crowded);
  return slots + ")";
}

// "http", "http, fails open below 50 %", "http, FAILS OPEN (below 50 %)".
std::string check_of(const Json& pool) {
  const Json& check = pool.at("health_check");
  if (check.is_null()) return "none";
  const auto below = pool.at("fail_open_below").get<std::uint32_t>();
  if (below == 0) return check.get<std::string>();
  const bool open = pool.at("fails_open").get<bool>();
  return fmt::format("{}, {} {} %{}", check.get<std::string>(), open ? "FAILS OPEN (below" : "fails open below", below,
                     open ? ")" : "");
}

std::string render_pool(const Json& vips, const Json& pool, const Style& style) {
  const Json& backends = pool.at("backends");
  const std::string summary = fmt::format("  pool {}   {}   {}   health check {}   {} of {} backends usable",
                                          text_of(pool, "name"), carriage_of(pool), slots_of(pool), check_of(pool),
                                          pool.at("usable_backends").get<std::size_t>(), backends.size());
  return "\n" + render_vips(vips, style) + style.paint(summary, Colour::none) + "\n" + render_backends(backends, style);
}

// ---- the head: one line per part of the house -----------------------------------------------------------------------

std::string tables_line(const Json& generation) {
  const auto published = generation.at("published").get<std::uint64_t>();
  if (published == 0) return "nothing published yet";
  std::string line = fmt::format("generation {}", published);
  const auto active = generation.at("active").get<std::uint64_t>();
  if (active != published) line += fmt::format(", the data plane uses {}", active);
  line += generation.at("workers_follow").get<bool>() ? ", every worker follows" : ", not every worker follows";
  if (generation.at("pending").get<bool>()) line += ", but the last change is not in force yet";
  return line;
}

std::string dataplane_line(const Json& dataplane) {
  if (!dataplane.at("connected").get<bool>()) return "not connected: " + text_of(dataplane, "why");
  std::string line = fmt::format("alive, pid {}", dataplane.at("pid").get<std::int64_t>());
  for (const Json& worker : dataplane.at("workers"))
    line += fmt::format(", worker {} on core {}{}", worker.at("index").get<std::uint32_t>(),
                        worker.at("lcore").get<std::uint32_t>(), worker.at("alive").get<bool>() ? "" : " is silent");
  for (const Json& port : dataplane.at("ports"))
    line += fmt::format(", port {} {}", text_of(port, "name"), text_of(port, "state"));
  return line;
}

std::string speaker_line(const Json& status) {
  if (!status.at("dataplane").at("connected").get<bool>()) return "unknown";
  const Json& speaker = status.at("dataplane").at("speaker");
  const Json& vips = status.at("vips");
  const auto announced =
      std::count_if(vips.begin(), vips.end(), [](const Json& v) { return v.at("announced").get<bool>(); });
  std::string line = fmt::format("{}, {} of {} VIPs announced", text_of(speaker, "state"), announced, vips.size());
  if (const std::string error = text_of(speaker, "error"); !error.empty()) line += ": " + error;
  return line;
}

// Received, sent on, and each counter of drops that grows.
std::string traffic_line(const Json& dataplane) {
  std::string line;
  for (const Json& counter : dataplane.at("counters")) {
    const std::string name = text_of(counter, "name");
    const auto per_second = counter.at("per_second").get<double>();
    const bool drops = counter.at("drop").get<bool>() && per_second > 0;
    if (name != "rx_packets" && name != "tx_packets" && name != "to_kernel_packets" && !drops) continue;
    const std::string what = name == "rx_packets"          ? "in"
                             : name == "tx_packets"        ? "out"
                             : name == "to_kernel_packets" ? "to the kernel"
                                                           : name;
    line += (line.empty() ? "" : ", ") + rate(per_second, "pkt") + " " + what;
  }
  return line.empty() ? "unknown" : line;
}

std::string render_head(const Json& status, const Style& style, std::time_t now) {
  const Json& config = status.at("config");
  const bool good = problems_in(status).empty();
  const std::string title = fmt::format("{}   guideway {}   up {}   ", text_of(status, "node"),
                                        text_of(status, "version"), age_since(text_of(status, "started"), now));
  TextTable table("ll");
  table.add({"Config", fmt::format("{} {}, loaded {} ago", text_of(config, "file"), text_of(config, "digest"),
                                   age_since(text_of(config, "loaded"), now))});
  table.add({"Tables", tables_line(status.at("generation"))});
  table.add({"Data plane", dataplane_line(status.at("dataplane"))});
  table.add({"BGP", speaker_line(status)});
  table.add({"Traffic", traffic_line(status.at("dataplane"))});
  for (const std::string& problem : problems_in(status)) table.add({Cell("Warning", Colour::odd), problem});
  return style.paint(title, Colour::none) +
         (good ? style.paint("OK", Colour::good) : style.paint("DEGRADED", Colour::bad)) + "\n" + table.text(style, "");
}

}  // namespace

std::string port_text(const Json& port) {
  return port.is_string() ? port.get<std::string>() : std::to_string(port.get<std::uint16_t>());
}

std::vector<std::string> problems_in(const Json& status) {
  auto problems = status.at("warnings").get<std::vector<std::string>>();
  const Json& dataplane = status.at("dataplane");
  for (const Json& worker : dataplane.at("workers"))
    if (!worker.at("alive").get<bool>())
      problems.push_back(fmt::format("worker {} is silent", worker.at("index").get<std::uint32_t>()));
  for (const Json& equation : dataplane.at("equations"))
    if (!equation.at("holds").get<bool>()) problems.push_back("packets are missing: " + text_of(equation, "name"));
  // Without a session no VIP is announced, and the control plane warns of that itself.
  const bool speaks =
      dataplane.at("connected").get<bool>() && text_of(dataplane.at("speaker"), "state") == "established";
  for (const Json& vip : status.at("vips"))
    if (speaks && !vip.at("announced").get<bool>() && text_of(vip, "announce") != "never")
      problems.push_back("VIP " + text_of(vip, "name") + " " + service_of(vip) + " is not announced");
  return problems;
}

std::string render_status(const Json& status, const Style& style, std::time_t now) {
  std::string out = render_head(status, style, now);
  VipsByPool vips = by_pool(status.at("vips"));
  for (const Json& pool : status.at("pools")) out += render_pool(vips[text_of(pool, "name")], pool, style);
  return out;
}

}  // namespace guideway::ctl
