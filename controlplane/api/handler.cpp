#include "controlplane/api/handler.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string_view>
#include <system_error>
#include <vector>

#include "common/config/words.h"
#include "common/net/address_text.h"
#include "controlplane/api/explanation.h"
#include "controlplane/api/plan.h"
#include "controlplane/api/status.h"
#include "controlplane/log.h"
#include "controlplane/text.h"

namespace guideway::controlplane::api {
namespace {

using nlohmann::json;

constexpr std::size_t kReasonBytesMax = 256;
constexpr std::int64_t kDeadlineSecondsMax = std::int64_t{30} * 86400;

// A request that cannot be answered: becomes {"error": what()}.
struct RequestError : std::runtime_error {
  RequestError(unsigned http_status, const std::string& sentence) : std::runtime_error(sentence), status(http_status) {}
  unsigned status;
};

using Keys = std::vector<std::string_view>;

// A key that is not known may be a mistyped one, and what it should have said would be missed.
void want_known(const json& object, const Keys& known) {
  for (const auto& [key, value] : object.items()) {
    if (std::ranges::find(known, key) != known.end()) continue;
    throw RequestError(
        400, fmt::format("{} is no key of this request; {}", config::in_quotes(key),
                         known.empty() ? "it has none" : fmt::format("it may have: {}", fmt::join(known, ", "))));
  }
}

// The body's members, which are at depth 1, and none of them twice: parsers disagree about which one holds.
json parse_object(const std::string& body, const Keys& known) {
  if (body.empty()) return json::object();
  std::set<std::string> keys;
  std::string twice;
  const auto note_key = [&](int depth, json::parse_event_t event, const json& parsed) {
    if (event == json::parse_event_t::key && depth == 1 && !keys.insert(parsed.get<std::string>()).second)
      twice = parsed.get<std::string>();
    return true;
  };
  json object = json::parse(body, note_key, false);
  if (!object.is_object()) throw RequestError(400, "the body must be a JSON object, in UTF-8");
  want_known(object, known);
  if (!twice.empty()) throw RequestError(400, fmt::format("{} is there twice; say it once", config::in_quotes(twice)));
  return object;
}

const json& member(const json& object, const char* key, const char* shape) {
  const auto found = object.find(key);
  if (found == object.end()) throw RequestError(400, fmt::format("\"{}\" is missing; it must be {}", key, shape));
  return *found;
}

std::string text_member(const json& object, const char* key, const char* shape) {
  const json& value = member(object, key, shape);
  if (!value.is_string()) throw RequestError(400, fmt::format("\"{}\" must be {}", key, shape));
  return value.get<std::string>();
}

std::uint16_t u16_member(const json& object, const char* key) {
  const json& value = member(object, key, "a number within 0…65535");
  if (!value.is_number_integer() || value < 0 || value > 65535)
    throw RequestError(400, fmt::format("\"{}\" must be a number within 0…65535", key));
  return value.get<std::uint16_t>();
}

struct PacketAddress {
  Family family;  // by its form, because an IPv6 address may be IPv4-mapped
  IpAddress address;
};

PacketAddress address_member(const json& object, const char* key) {
  const std::string text = text_member(object, key, "an IPv4 or IPv6 address");
  const auto address = parse_ip(text);
  if (!address) throw RequestError(400, fmt::format("\"{}\" must be an IPv4 or IPv6 address", key));
  return {text.find(':') == std::string::npos ? Family::ipv4 : Family::ipv6, *address};
}

std::string reason_member(const json& object) {
  if (!object.contains("reason")) return "";
  std::string reason = text_member(object, "reason", "a string");
  const auto control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
  if (reason.size() > kReasonBytesMax || std::ranges::any_of(reason, control))
    throw RequestError(400, fmt::format("\"reason\" must be one line of at most {} bytes", kReasonBytesMax));
  return reason;
}

// ---- explain -------------------------------------------------------------------------------------------------------

Flow flow_of(const json& body) {
  Flow flow;
  const std::string protocol = text_member(body, "protocol", "\"tcp\" or \"udp\"");
  if (protocol != "tcp" && protocol != "udp") throw RequestError(400, "\"protocol\" must be \"tcp\" or \"udp\"");
  flow.protocol = protocol == "tcp" ? IpProto::tcp : IpProto::udp;
  const PacketAddress source = address_member(body, "source");
  flow.family = source.family;
  flow.source = source.address;
  flow.source_port = u16_member(body, "source_port");
  const PacketAddress destination = address_member(body, "destination");
  flow.destination = destination.address;
  flow.destination_port = u16_member(body, "destination_port");
  if (source.family != destination.family)
    throw RequestError(400, "\"source\" and \"destination\" must be of one family");
  return flow;
}

Response explain_flow(ControlPlane& control_plane, const Request& request) {
  const Flow flow =
      flow_of(parse_object(request.body, {"protocol", "source", "source_port", "destination", "destination_port"}));
  const TablesView* view = control_plane.live_view();
  if (view == nullptr)
    throw RequestError(503, "no tables are published for the running configuration yet; is the data plane running?");
  return make_response(200, explanation_json(control_plane, *view, flow, explain(*view, flow)));
}

// ---- backends ------------------------------------------------------------------------------------------------------

struct Place {
  std::size_t pool, backend;
};

Place find_backend(const config::Config& config, const BackendName& name) {
  for (std::size_t p = 0; p < config.pools.size(); p++) {
    if (config.pools[p].name != name.pool) continue;
    const auto& backends = config.pools[p].backends;
    for (std::size_t b = 0; b < backends.size(); b++)
      if (backends[b].name == name.name) return {p, b};
    throw RequestError(404, fmt::format("pool {} has no backend \"{}\"", name.pool, name.name));
  }
  throw RequestError(404, fmt::format("there is no pool \"{}\"", name.pool));
}

std::optional<Deadline> deadline_member(const json& object, Deadline now) {
  const auto found = object.find("deadline_s");
  if (found == object.end()) return std::nullopt;
  if (!found->is_number_integer() || *found < 1 || *found > kDeadlineSecondsMax)
    throw RequestError(400, fmt::format("\"deadline_s\" must be a number within 1…{}", kDeadlineSecondsMax));
  return now + std::chrono::seconds(found->get<std::int64_t>());
}

Intent changed(Intent intent, const std::string& verb, const std::string& text, Deadline now) {
  if (verb == "drain") {
    const json body = parse_object(text, {"reason", "deadline_s"});
    intent.drained = true;
    intent.deadline = deadline_member(body, now);
    intent.reason = reason_member(body);
  } else if (verb == "undrain") {
    parse_object(text, {});
    intent.drained = false;
    intent.deadline.reset();
    if (!intent.weight) intent.reason.clear();
  } else if (verb == "weight") {
    const json body = parse_object(text, {"weight", "reason"});
    const bool undo = member(body, "weight", "a number within 0…65535 or null").is_null();
    intent.weight = undo ? std::nullopt : std::optional(u16_member(body, "weight"));
    intent.reason = reason_member(body);
  } else {
    throw RequestError(404, fmt::format("a backend cannot \"{}\"; it can drain, undrain, weight", verb));
  }
  return intent;
}

Response show_backend(ControlPlane& control_plane, const BackendName& name) {
  const Place place = find_backend(control_plane.config(), name);
  json answer = backend_status(control_plane, place.pool, place.backend);
  answer["pool"] = name.pool;
  answer["generation"] = number(control_plane.published());
  answer["not_in_force"] = control_plane.not_in_force();
  return make_response(200, answer);
}

Response change_backend(ControlPlane& control_plane, const BackendName& name, const std::string& verb,
                        const Request& request) {
  find_backend(control_plane.config(), name);
  const Intent intent = changed(control_plane.intent_of(name), verb, request.body, control_plane.clock().now());
  try {
    control_plane.set_intent(name, intent);
  } catch (const std::system_error& error) {
    throw RequestError(500, fmt::format("nothing was changed: {}", error.what()));
  }
  log(Level::info, "operator: {} {}{}{}", verb, to_text(name), intent.reason.empty() ? "" : ": ", intent.reason);
  return show_backend(control_plane, name);
}

// ---- the rest ------------------------------------------------------------------------------------------------------

Response reload(ControlPlane& control_plane, const Request& request) {
  parse_object(request.body, {});
  const ControlPlane::Reload outcome = control_plane.reload();
  if (!outcome.ok) return make_response(422, {{"error", outcome.first_error}, {"report", outcome.report}});
  std::vector<std::string> warnings = outcome.warnings;
  for (std::string& warning : control_plane.warnings()) warnings.push_back(std::move(warning));
  return make_response(200, {{"digest", to_hex(control_plane.config().digest)},
                             {"generation", number(control_plane.published())},
                             {"warnings", std::move(warnings)}});
}

Response plan(const ControlPlane& control_plane, const Request& request) {
  const json body = parse_object(request.body, {"file", "text"});
  const std::string name = body.contains("file") ? text_member(body, "file", "the file's path") : "guideway.toml";
  const ControlPlane::Planned planned = control_plane.plan(text_member(body, "text", "the text of a file"), name);
  if (planned.plan) return make_response(200, plan_json(*planned.plan));
  return make_response(422, {{"error", planned.first_error}, {"report", planned.report}});
}

void want_method(const Request& request, Method method) {
  if (request.method != method)
    throw RequestError(405, fmt::format("{} wants {}", request.target, method == Method::get ? "GET" : "POST"));
}

std::vector<std::string> split_path(const std::string& target) {
  std::vector<std::string> parts;
  std::size_t at = 0;
  while (at < target.size() && target[at] == '/') {
    const std::size_t end = std::min(target.find('/', at + 1), target.size());
    parts.push_back(target.substr(at + 1, end - at - 1));
    at = end;
  }
  return parts;
}

Response route(ControlPlane& control_plane, const Request& request) {
  const std::vector<std::string> path = split_path(request.target);
  if (path.size() >= 3 && path[0] == "api" && path[1] == "v1") {
    if (path.size() == 3 && path[2] == "status") {
      want_method(request, Method::get);
      return make_response(200, status_of(control_plane));
    }
    if (path.size() == 3 && path[2] == "explain") {
      want_method(request, Method::post);
      return explain_flow(control_plane, request);
    }
    if (path.size() == 3 && path[2] == "plan") {
      want_method(request, Method::post);
      return plan(control_plane, request);
    }
    if (path.size() == 3 && path[2] == "reload") {
      want_method(request, Method::post);
      return reload(control_plane, request);
    }
    if (path.size() == 5 && path[2] == "backends") {
      want_method(request, Method::get);
      return show_backend(control_plane, {path[3], path[4]});
    }
    if (path.size() == 6 && path[2] == "backends") {
      want_method(request, Method::post);
      return change_backend(control_plane, {path[3], path[4]}, path[5], request);
    }
  }
  throw RequestError(404, "there is no such path; docs/api.md lists them");
}

}  // namespace

Response handle(ControlPlane& control_plane, const Request& request) {
  try {
    return route(control_plane, request);
  } catch (const RequestError& error) {
    return make_error(error.status, error.what());
  }
}

}  // namespace guideway::controlplane::api
