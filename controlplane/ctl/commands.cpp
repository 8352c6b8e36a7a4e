#include "controlplane/ctl/commands.h"

#include <cstdio>
#include <ctime>

#include "common/config/load.h"
#include "common/net/address_text.h"
#include "controlplane/ctl/render.h"

namespace guideway::ctl {
namespace {

constexpr const char* kStatusPath = "/api/v1/status";

void print(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
}

void print(const Json& answer) {
  print(answer.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

const Json& backend_in(const Json& status, const BackendName& wanted) {
  for (const Json& pool : status.at("pools"))
    for (const Json& backend : pool.at("backends"))
      if (pool.at("name") == wanted.pool && backend.at("name") == wanted.name) return backend;
  throw UsageError("backend " + wanted.pool + "/" + wanted.name + " is gone");
}

Exit change(const ApiClient& api, const std::string& argument, const std::string& verb, const Json& body,
            const Output& output) {
  const Json before = api.get(kStatusPath);
  const BackendName backend = find_backend(before, argument);
  const Json after = api.post("/api/v1/backends/" + backend.pool + "/" + backend.name + "/" + verb, body);
  if (output.json)
    print(after);
  else
    print(render_change(backend_in(before, backend), after));
  return Exit::ok;
}

std::string checked_address(const std::string& text) {
  if (!parse_ip(text)) throw UsageError("\"" + text + "\" is no IP address; write 192.0.2.1 or 2001:db8::1");
  return text;
}

Json diagnostics_of(const config::LoadResult& result) {
  Json list = Json::array();
  for (const config::Diagnostic& diagnostic : result.diagnostics)
    list.push_back({{"severity", diagnostic.severity == config::Severity::error ? "error" : "warning"},
                    {"file", diagnostic.file},
                    {"line", diagnostic.line},
                    {"column", diagnostic.column},
                    {"message", diagnostic.message}});
  return {{"valid", result.config.has_value()}, {"diagnostics", std::move(list)}};
}

}  // namespace

Exit check(const std::string& file, const Output& output) {
  const config::LoadResult result = config::load_config(file);
  if (output.json)
    print(diagnostics_of(result));
  else
    print(result.report());
  return result.config ? Exit::ok : Exit::failed;
}

Exit status(const ApiClient& api, bool exit_degraded, const Output& output) {
  const Json answer = api.get(kStatusPath);
  if (output.json)
    print(answer);
  else
    print(render_status(answer, output.style, std::time(nullptr)));
  return exit_degraded && !problems_in(answer).empty() ? Exit::degraded : Exit::ok;
}

Exit explain(const ApiClient& api, const FlowArguments& flow, const Output& output) {
  const Json question{{"protocol", flow.protocol},
                      {"source", checked_address(flow.source)},
                      {"source_port", flow.source_port},
                      {"destination", checked_address(flow.destination)},
                      {"destination_port", flow.destination_port}};
  const Json answer = api.post("/api/v1/explain", question);
  if (output.json)
    print(answer);
  else
    print(render_explain(question, answer, output.style));
  return Exit::ok;
}

Exit drain(const ApiClient& api, const std::string& backend, const std::string& reason, const Output& output) {
  return change(api, backend, "drain", {{"reason", reason}}, output);
}

Exit undrain(const ApiClient& api, const std::string& backend, const Output& output) {
  return change(api, backend, "undrain", Json::object(), output);
}

Exit weight(const ApiClient& api, const std::string& backend, std::optional<std::uint16_t> weight,
            const std::string& reason, const Output& output) {
  return change(api, backend, "weight", {{"weight", weight ? Json(*weight) : Json()}, {"reason", reason}}, output);
}

Exit version(const ApiClient& api, const Output& output) {
  Json versions{{"guidewayctl", GUIDEWAY_VERSION}, {"controlplane", nullptr}};
  try {
    versions["controlplane"] = api.get(kStatusPath).at("version");
  } catch (const Unreachable&) {
    // Not needed to say which program this is.
  }
  const Json& remote = versions["controlplane"];
  if (output.json)
    print(versions);
  else
    print("guidewayctl " GUIDEWAY_VERSION "\nguideway-controlplane " +
          (remote.is_null() ? "is not running" : remote.get<std::string>()) + "\n");
  return Exit::ok;
}

}  // namespace guideway::ctl
