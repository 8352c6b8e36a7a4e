#include "controlplane/ctl/commands.h"

#include <cstdio>
#include <ctime>
#include <filesystem>
#include <thread>

#include "common/config/load.h"
#include "common/config/words.h"
#include "common/net/address_text.h"
#include "controlplane/ctl/drain_watch.h"
#include "controlplane/ctl/render.h"

namespace guideway::ctl {
namespace {

constexpr const char* kStatusPath = "/api/v1/status";
constexpr std::chrono::seconds kLookAgain{1};
constexpr int kUnansweredMax = 30;  // a control plane that is restarted meanwhile comes back

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

std::string path_of(const BackendName& backend) {
  return "/api/v1/backends/" + backend.pool + "/" + backend.name;
}

struct Change {
  BackendName backend;
  Json before, after;
};

Change make_change(const ApiClient& api, const std::string& argument, const std::string& verb, const Json& body) {
  const Json status = api.get(kStatusPath);
  const BackendName backend = find_backend(status, argument);
  return {backend, backend_in(status, backend), api.post(path_of(backend) + "/" + verb, body)};
}

Exit change(const ApiClient& api, const std::string& argument, const std::string& verb, const Json& body,
            const Output& output) {
  const Change made = make_change(api, argument, verb, body);
  if (output.json)
    print(made.after);
  else
    print(render_change(made.before, made.after));
  return Exit::ok;
}

// ---- waiting for a drain -------------------------------------------------------------------------------------------

void print_progress(const std::string& line, const Output& output) {
  if (output.json) return;
  print(output.overwrites ? "\r" + config::printable(line) + "\033[K" : config::printable(line) + "\n");
  std::fflush(stdout);
}

// None: no answer this time.
std::optional<Json> look_at(const ApiClient& api, const BackendName& backend, int& unanswered) {
  try {
    Json answer = api.get(path_of(backend));
    unanswered = 0;
    return answer;
  } catch (const Unreachable&) {
    if (++unanswered > kUnansweredMax) throw;
    return std::nullopt;
  }
}

Exit exit_of(const DrainWatch& watch) {
  if (watch.outcome() == DrainWatch::Outcome::undrained) return Exit::failed;
  return watch.may_have_cut() ? Exit::cut : Exit::ok;
}

Exit wait_for_drain(const ApiClient& api, const BackendName& backend, const Output& output) {
  DrainWatch watch;
  int unanswered = 0;
  for (;; std::this_thread::sleep_for(kLookAgain)) {
    const std::optional<Json> seen = look_at(api, backend, unanswered);
    if (!seen) {
      print_progress("guideway-controlplane gives no answer; the drain goes on, and so does the waiting", output);
      continue;
    }
    watch.see(*seen, std::chrono::steady_clock::now());
    print_progress(watch.progress(), output);
    if (watch.outcome() == DrainWatch::Outcome::going_on) continue;
    if (output.json)
      print(*seen);
    else
      print((output.overwrites ? "\n" : "") + config::printable(watch.conclusion()) + "\n");
    return exit_of(watch);
  }
}

std::string checked_address(const std::string& text) {
  if (!parse_ip(text)) throw UsageError("\"" + text + "\" is no IP address; write 192.0.2.1 or 2001:db8::1");
  return text;
}

// JSON has no other encoding.
std::string checked_utf8(const char* what, const std::string& text) {
  try {
    Json(text).dump();
  } catch (const Json::type_error&) {
    throw UsageError(std::string(what) + " must be UTF-8; set the terminal to that, or use ASCII");
  }
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

// What is wrong with the file is said as `check` says it, before anybody is asked.
Exit plan(const ApiClient& api, const std::string& file, const Output& output) {
  const config::LoadResult loaded = config::load_config(file);
  if (!loaded.config) return check(file, output);
  const std::string path = checked_utf8("the path of the file", std::filesystem::absolute(file).string());
  const Json answer = api.post("/api/v1/plan", {{"file", path}, {"text", loaded.text}});
  if (output.json)
    print(answer);
  else
    print(render_plan(file, answer, output.style));
  return Exit::ok;
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

Exit drain(const ApiClient& api, const std::string& backend, const DrainArguments& arguments, const Output& output) {
  Json body{{"reason", checked_utf8("--reason", arguments.reason)}};
  if (arguments.deadline) body["deadline_s"] = arguments.deadline->count();
  if (!arguments.wait) return change(api, backend, "drain", body, output);
  const Change made = make_change(api, backend, "drain", body);
  if (!output.json) print(render_change(made.before, made.after) + "Waiting; Ctrl-C leaves the drain in force.\n");
  return wait_for_drain(api, made.backend, output);
}

Exit undrain(const ApiClient& api, const std::string& backend, const Output& output) {
  return change(api, backend, "undrain", Json::object(), output);
}

Exit weight(const ApiClient& api, const std::string& backend, std::optional<std::uint16_t> weight,
            const std::string& reason, const Output& output) {
  return change(api, backend, "weight",
                {{"weight", weight ? Json(*weight) : Json()}, {"reason", checked_utf8("--reason", reason)}}, output);
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
