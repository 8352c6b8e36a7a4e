// The whole control plane: what it says, what operators ask of it, and what outlives it.
#include <filesystem>
#include <set>

#include "tests/unit/controlplane/control_plane_lab.h"

namespace guideway::controlplane {
namespace {

const auto* const kLab = testing::AddGlobalTestEnvironment(new NetworkLab);

TEST_F(ControlPlaneTest, WarnsOfAPortThatIsNotUp) {
  struct Row {
    PortState state;
    const char* name;
    bool link_up;
    const char* warning;
  };
  ASSERT_TRUE(wait([&] { return ask(Method::get, "/api/v1/status")["dataplane"]["connected"] == true; }));
  for (const Row& row : std::initializer_list<Row>{
           {PortState::up, "up", true, nullptr},
           {PortState::down, "down", false, "port uplink has no link"},
           {PortState::gone, "gone", false,
            "port uplink has lost its interface; make it again and restart guideway-dataplane"},
           {PortState::replaced, "replaced", false,
            "port uplink has lost its interface to a new one of that name; restart guideway-dataplane to open it"},
           {PortState::not_steered, "not_steered", true,
            "port uplink gets no packets: its XDP program is not on the interface; the data plane's log says why"}}) {
    SCOPED_TRACE(row.name);
    dataplane_->set_port(row.state);
    const json status = ask(Method::get, "/api/v1/status");
    EXPECT_EQ(status["dataplane"]["ports"][0]["state"], row.name);
    EXPECT_EQ(status["dataplane"]["ports"][0]["link_up"], row.link_up);
    json about_ports = json::array();
    for (const std::string warning : status["warnings"])
      if (warning.starts_with("port ")) about_ports.push_back(warning);
    EXPECT_EQ(about_ports, row.warning == nullptr ? json::array() : json::array({row.warning}));
  }
}

TEST_F(ControlPlaneTest, ChecksResolvesPublishesAndSaysSo) {
  ASSERT_TRUE(state_becomes(0, "up")) << backend(0);
  ASSERT_TRUE(state_becomes(1, "up")) << backend(1);
  ASSERT_TRUE(state_becomes(2, "down")) << backend(2);
  ASSERT_TRUE(followed());
  json status;
  // A generation is in force a moment before workers follow it.
  EXPECT_TRUE(wait([&] {
    status = ask(Method::get, "/api/v1/status");
    return status["generation"]["workers_follow"] == true;
  }));
  EXPECT_EQ(backend(0)["slots"].get<int>() + backend(1)["slots"].get<int>(), 1021);
  EXPECT_NEAR(backend(1)["share"].get<double>(), 0.75, 0.001);
  EXPECT_EQ(backend(0)["reason"], "status 200");
  EXPECT_EQ(backend(0)["next_hop"]["source"], "10.77.0.1");
  EXPECT_EQ(status["dataplane"]["ports"][0]["kernel_name"], "gwt0");
  EXPECT_EQ(status["vips"][0]["why"], "[bgp] is off, so nothing is announced");
}

TEST_F(ControlPlaneTest, OperatorsDrainAndReweight) {
  ASSERT_TRUE(state_becomes(0, "up") && state_becomes(1, "up"));
  const json drained = ask(Method::post, "/api/v1/backends/web/b2/drain", R"({"reason": "disk swap"})");
  EXPECT_EQ(drained["state"], "drained");
  EXPECT_EQ(drained["slots"], 0);
  EXPECT_EQ(drained["reason"], "drained by an operator: disk swap");
  EXPECT_EQ(backend(0)["slots"], 1021);
  ask(Method::post, "/api/v1/backends/web/b2/undrain");
  EXPECT_EQ(ask(Method::post, "/api/v1/backends/web/b2/weight", R"({"weight": 1})")["weight_effective"], 1);
  EXPECT_NEAR(backend(1)["share"].get<double>(), 0.5, 0.001);
  EXPECT_EQ(ask(Method::post, "/api/v1/backends/web/b2/weight", R"({"weight": null})")["weight_effective"], 3);
}

TEST_F(ControlPlaneTest, ADrainEndsAtItsDeadline) {
  ASSERT_TRUE(state_becomes(0, "up") && state_becomes(1, "up"));
  json b2 = ask(Method::post, "/api/v1/backends/web/b2/drain", R"({"reason": "disk swap", "deadline_s": 1})");
  EXPECT_EQ(b2["state"], "drained");
  EXPECT_EQ(b2["remaining_s"], 1);
  EXPECT_EQ(b2["reason"],
            "drained by an operator, to be removed at " + b2["deadline"].get<std::string>() + ": disk swap");
  EXPECT_EQ(b2["flows"], 0);
  EXPECT_TRUE(alive(1));
  ASSERT_TRUE(wait([&] { return !alive(1); }));
  b2 = ask(Method::get, "/api/v1/backends/web/b2");
  EXPECT_EQ(b2["state"], "removed");
  EXPECT_EQ(b2["remaining_s"], 0);
  EXPECT_EQ(b2["since"], b2["deadline"]);
  EXPECT_EQ(b2["reason"],
            "drained by an operator, and removed at the deadline " + b2["deadline"].get<std::string>() + ": disk swap");
  EXPECT_EQ(b2["weight_effective"], 0);

  ASSERT_TRUE(followed());
  const Generation before = control_plane_->published();
  start();
  EXPECT_EQ(control_plane_->published(), before) << "a restart changes nothing";
  EXPECT_EQ(backend(1)["state"], "removed");

  ask(Method::post, "/api/v1/backends/web/b2/undrain");
  EXPECT_TRUE(alive(1));
  EXPECT_TRUE(state_becomes(1, "up")) << backend(1);
  EXPECT_TRUE(backend(1)["deadline"].is_null());
}

TEST_F(ControlPlaneTest, ADeadlineMovesWithTheNextDrain) {
  ASSERT_TRUE(state_becomes(0, "up") && state_becomes(1, "up"));
  const char* drain = "/api/v1/backends/web/b2/drain";
  EXPECT_EQ(ask(Method::post, drain, R"({"deadline_s": 1})")["remaining_s"], 1);
  EXPECT_EQ(ask(Method::post, drain, R"({"deadline_s": 2592000})")["remaining_s"], 2592000);
  EXPECT_TRUE(ask(Method::post, drain)["deadline"].is_null());
  EXPECT_EQ(backend(1)["state"], "drained");
}

TEST_F(ControlPlaneTest, ADeadlinePassesWhileTheControlPlaneIsOff) {
  ASSERT_TRUE(state_becomes(0, "up") && state_becomes(1, "up"));
  ask(Method::post, "/api/v1/backends/web/b2/drain", R"({"deadline_s": 1})");
  ASSERT_TRUE(followed());
  control_plane_.reset();
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));
  start();
  EXPECT_EQ(backend(1)["state"], "removed");
  EXPECT_TRUE(wait([&] { return control_plane_->live_view() != nullptr && !alive(1); }));
}

// With settle_after = "0s" all else settles at once.
TEST_F(ControlPlaneTest, SlotsOfDrainedBackendsStayUnsettledWithSecondChance) {
  write_config(R"([pool.api]
encap = "gue"
second_chance = true
slots = 1021
backends = [{ name = "b1", address = "10.77.0.2" }, { name = "b2", address = "10.77.0.3" }]
[flows]
settle_after = "0s"
)");
  ask(Method::post, "/api/v1/reload");
  ASSERT_TRUE(state_becomes(0, "up") && state_becomes(1, "up") && followed());
  const auto kept = [&](std::size_t pool) {
    const json all = ask(Method::get, "/api/v1/status")["pools"][pool];
    EXPECT_EQ(all["kept_slots"], all["unsettled_slots"]);
    return all["kept_slots"].get<int>();
  };
  ask(Method::post, "/api/v1/backends/web/b2/drain");
  ask(Method::post, "/api/v1/backends/api/b2/drain");
  EXPECT_EQ(kept(0), 0) << "without second chance";
  const int of_b2 = kept(1);
  EXPECT_NEAR(of_b2, 510, 2);
  const Generation before = control_plane_->published();
  start();
  ASSERT_TRUE(wait([&] { return control_plane_->dataplane().connected(); }));
  EXPECT_EQ(control_plane_->published(), before) << "a restart changes nothing";
  EXPECT_EQ(kept(1), of_b2);
  ask(Method::post, "/api/v1/backends/api/b2/undrain");
  EXPECT_EQ(kept(1), 0);
  ask(Method::post, "/api/v1/backends/api/b2/drain", R"({"deadline_s": 1})");
  EXPECT_EQ(kept(1), of_b2);
  EXPECT_TRUE(wait([&] { return kept(1) == 0; })) << "removed at the deadline";
}

TEST_F(ControlPlaneTest, ExplainsAFlowByTheLiveTables) {
  ASSERT_TRUE(state_becomes(0, "up") && state_becomes(1, "up"));
  ask(Method::post, "/api/v1/backends/web/b1/drain");
  json flow = {{"protocol", "tcp"},
               {"source", "198.51.100.7"},
               {"source_port", 40000},
               {"destination", "203.0.113.10"},
               {"destination_port", 80}};
  json answer = ask(Method::post, "/api/v1/explain", flow.dump());
  EXPECT_EQ(answer["backend"]["name"], "b2");
  EXPECT_EQ(answer["verdict"], "forward");
  EXPECT_EQ(answer["outer"]["destination"], "10.77.0.3");
  EXPECT_EQ(answer["outer"]["destination_port"], 6080);
  flow["destination_port"] = 81;
  EXPECT_EQ(ask(Method::post, "/api/v1/explain", flow.dump())["verdict"], "drop_unserved");
  flow["destination"] = "10.77.0.1";
  answer = ask(Method::post, "/api/v1/explain", flow.dump());
  EXPECT_EQ(answer["own"], true) << answer;
  EXPECT_EQ(answer["verdict"], "to_kernel");
  flow["destination"] = "203.0.113.11";
  answer = ask(Method::post, "/api/v1/explain", flow.dump());
  EXPECT_EQ(answer["verdict"], "to_kernel");
  EXPECT_EQ(answer["own"], false);
  EXPECT_TRUE(answer["vip"].is_null());
  flow["source"] = "::ffff:198.51.100.7";
  ask(Method::post, "/api/v1/explain", flow.dump(), 400);  // of IPv6, whatever it maps
  flow["destination"] = "::ffff:203.0.113.10";
  answer = ask(Method::post, "/api/v1/explain", flow.dump());
  EXPECT_EQ(answer["verdict"], "to_kernel");
  EXPECT_EQ(answer["why"].get<std::string>().find("::ffff:203.0.113.10 is no VIP's"), 0U) << answer;
}

TEST_F(ControlPlaneTest, ExplainNamesAllHopsOfSecondChance) {
  write_config(R"([pool.api]
second_chance = true
slots = 1021
backends = [{ name = "b1", address = "10.88.0.1" }, { name = "b2", address = "10.88.0.2" },
            { name = "b3", address = "10.88.0.3" }]
[vip.api]
address = "203.0.113.20"
port = 80
pool = "api"
[flows]
settle_after = "0s"
)");
  ask(Method::post, "/api/v1/reload");
  ASSERT_TRUE(wait([&] { return ask(Method::get, "/api/v1/status")["pools"][1]["backends"][2]["state"] == "up"; }));
  ask(Method::post, "/api/v1/backends/api/b1/drain");
  ask(Method::post, "/api/v1/backends/api/b2/drain");
  std::set<std::string> ends;
  for (int port = 40000; port < 40100; port++) {
    const json flow = {{"protocol", "tcp"},
                       {"source", "198.51.100.7"},
                       {"source_port", port},
                       {"destination", "203.0.113.20"},
                       {"destination_port", 80}};
    const std::string why = ask(Method::post, "/api/v1/explain", flow.dump())["why"];
    if (const auto end = why.find("; "); end != std::string::npos) ends.insert(why.substr(end));
  }
  EXPECT_EQ(ends, (std::set<std::string>{"; second chance finds flows that backends b1 and b2 still have",
                                         "; second chance finds flows that backend b1 still has",
                                         "; second chance finds flows that backend b2 still has"}));
}

TEST_F(ControlPlaneTest, BadRequestsAreSentences) {
  struct Case {
    Method method;
    const char* target;
    const char* body;
    unsigned status;
  };
  const Case cases[] = {
      {Method::get, "/", "", 404},
      {Method::get, "/api/v1/nothing", "", 404},
      {Method::post, "/api/v1/status", "", 405},
      {Method::get, "/api/v1/reload", "", 405},
      {Method::post, "/api/v1/explain", "{", 400},
      {Method::post, "/api/v1/explain", "[]", 400},
      {Method::post, "/api/v1/explain", R"({"protocol": "icmp"})", 400},
      {Method::post, "/api/v1/backends/web/b9/drain", "", 404},
      {Method::post, "/api/v1/backends/web9/b1/drain", "", 404},
      {Method::post, "/api/v1/backends/web/b1/explode", "", 404},
      {Method::post, "/api/v1/backends/web/b1/weight", "", 400},
      {Method::post, "/api/v1/backends/web/b1/weight", R"({"weight": 65536})", 400},
      {Method::post, "/api/v1/backends/web/b1/weight", R"({"weight": -1})", 400},
      {Method::post, "/api/v1/backends/web/b1/weight", R"({"weight": 1.5})", 400},
      {Method::post, "/api/v1/backends/web/b1/drain", R"({"reason": "two\nlines"})", 400},
      {Method::post, "/api/v1/backends/web/b1/drain", "{\"reason\": \"gr\xf6\xdf\"}", 400},
      {Method::post, "/api/v1/backends/web/b1/drain", R"({"reason": "half of a pair: \ud800"})", 400},
      {Method::post, "/api/v1/backends/web/b1/drain", R"({"deadline_s": 0})", 400},
      {Method::post, "/api/v1/backends/web/b1/drain", R"({"deadline_s": 2592001})", 400},
      {Method::post, "/api/v1/backends/web/b1/drain", R"({"deadline_s": "30m"})", 400},
      {Method::get, "/api/v1/backends/web/b9", "", 404},
      {Method::get, "/api/v1/plan", "", 405},
      {Method::post, "/api/v1/plan", "", 400},
      {Method::post, "/api/v1/plan", R"({"text": 1})", 400},
      {Method::post, "/api/v1/plan", R"({"text": "", "file": 1})", 400},
      {Method::post, "/api/v1/backends/web/b1", "", 405},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(std::string(c.target) + " " + c.body);
    EXPECT_TRUE(ask(c.method, c.target, c.body, c.status)["error"].is_string());
  }
}

// A mistyped key must not pass for one that was left out.
TEST_F(ControlPlaneTest, KeysThatARequestDoesNotHaveAreRefused) {
  const std::string backend_path = "/api/v1/backends/web/b1/";
  struct Case {
    std::string target;
    const char* body;
    const char* error;
  };
  const Case cases[] = {
      {backend_path + "drain", R"({"foo": 1})", R"("foo" is no key of this request; it may have: reason, deadline_s)"},
      {backend_path + "drain", R"({"deadline": 60, "reason": "disk"})",
       R"("deadline" is no key of this request; it may have: reason, deadline_s)"},
      {backend_path + "drain", R"({"deadline_s": 60, "deadline_s": 6000})",
       R"("deadline_s" is there twice; say it once)"},
      {backend_path + "undrain", R"({"reason": "done"})", R"("reason" is no key of this request; it has none)"},
      {backend_path + "weight", R"({"weight": 2, "deadline_s": 60})",
       R"("deadline_s" is no key of this request; it may have: weight, reason)"},
      {"/api/v1/reload", R"({"file": "other.toml"})", R"("file" is no key of this request; it has none)"},
      {"/api/v1/plan", R"({"text": "", "path": "a.toml"})",
       R"("path" is no key of this request; it may have: file, text)"},
      {"/api/v1/explain", R"({"proto": "tcp"})",
       R"("proto" is no key of this request; it may have: protocol, source, source_port, destination, destination_port)"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.target + " " + c.body);
    EXPECT_EQ(ask(Method::post, c.target, c.body, 400)["error"], c.error);
  }
  EXPECT_FALSE(backend(0)["drained"]);
  ask(Method::post, backend_path + "drain", R"({"reason": "disk", "deadline_s": 60})");
  ask(Method::post, backend_path + "undrain", "{}");
}

TEST_F(ControlPlaneTest, ARestartCarriesOnWithoutAnyChange) {
  ASSERT_TRUE(state_becomes(0, "up") && state_becomes(1, "up") && state_becomes(2, "down"));
  ask(Method::post, "/api/v1/backends/web/b1/drain");
  ASSERT_TRUE(followed());
  const Generation before = control_plane_->published();
  const json slots = backend(1)["slots"];
  start();  // before any check or neighbour could answer
  EXPECT_EQ(control_plane_->published(), before);
  EXPECT_EQ(backend(1)["state"], "up");
  EXPECT_EQ(backend(1)["slots"], slots);
  EXPECT_EQ(backend(0)["state"], "drained");
  EXPECT_EQ(backend(2)["state"], "down");
}

TEST_F(ControlPlaneTest, ARestartedDataplaneGetsTheTablesAgain) {
  ASSERT_TRUE(state_becomes(0, "up") && followed());
  dataplane_.reset();
  ASSERT_TRUE(wait([&] { return !control_plane_->dataplane().connected(); }));
  EXPECT_EQ(backend(0)["state"], "up");  // health and the last next hop stay
  dataplane_.emplace(directory_);
  EXPECT_TRUE(wait([&] { return dataplane_->active() != 0; }));
  EXPECT_TRUE(followed());
}

std::ptrdiff_t mappings_of_stats() {
  std::ifstream maps("/proc/self/maps");
  const std::string text(std::istreambuf_iterator<char>(maps), {});
  const std::string name = "memfd:test-stats";
  std::ptrdiff_t count = 0;
  for (std::size_t at = 0; (at = text.find(name, at)) != std::string::npos; at += name.size()) count++;
  return count;
}

// It closes the connection for a newer control plane, or one that it believes to be newer.
TEST_F(ControlPlaneTest, ADataplaneThatIsMetAgainIsHeldOnce) {
  const auto connected = [&] { return control_plane_->dataplane().connected(); };
  ASSERT_TRUE(wait(connected));
  const std::ptrdiff_t before = mappings_of_stats();
  for (int i = 0; i < 3; i++) {
    std::string why;
    ASSERT_TRUE(shm::greet(directory_ + "/dataplane.sock", why)) << why;
    ASSERT_TRUE(wait([&] { return !connected(); }) && wait(connected));
  }
  EXPECT_EQ(mappings_of_stats(), before);
  EXPECT_TRUE(followed());
}

// Flows that workers remember are of numbers, in a file that outlives both programs.
TEST_F(ControlPlaneTest, BackendsKeepTheirNumbersWhenBothProgramsDie) {
  const auto reload_with = [&](const std::string& pools) {
    write_config(pools);
    ask(Method::post, "/api/v1/reload");
  };
  const std::string second = "[pool.second]\nbackends = [{ name = \"b\", address = \"10.77.0.5\" }]\n";
  const BackendKey of_second{"second", IpAddress::from_v4(Be32::from_host(0x0a4d0005))};
  const auto number_of_second = [&] { return control_plane_->backend_indices().at(of_second); };
  reload_with("[pool.first]\nbackends = [{ name = \"b\", address = \"10.77.0.4\" }]\n" + second);
  const std::uint32_t number = number_of_second();
  reload_with(second);
  ASSERT_EQ(number_of_second(), number);
  control_plane_.reset();
  dataplane_.reset();
  dataplane_.emplace(directory_);
  start();
  EXPECT_EQ(number_of_second(), number);
}

TEST_F(ControlPlaneTest, ADataplaneThatWasStuckIsFoundSoonAfter) {
  using std::chrono::steady_clock;
  dataplane_.reset();
  ASSERT_TRUE(wait([&] { return !control_plane_->dataplane().connected(); }));
  const auto greets_at = steady_clock::now() + std::chrono::milliseconds(800);
  dataplane_.emplace(directory_, std::chrono::milliseconds(800));
  ASSERT_TRUE(wait([&] { return control_plane_->dataplane().connected(); }));
  EXPECT_LT(steady_clock::now() - greets_at, std::chrono::seconds(2));
}

TEST_F(ControlPlaneTest, PlansAReloadAndChangesNothing) {
  ASSERT_TRUE(state_becomes(0, "up") && state_becomes(1, "up") && state_becomes(2, "down") && followed());
  const Generation before = control_plane_->published();
  const json live = slots_of_web();
  write_config("[pool.api]\nbackends = [{ name = \"b1\", address = \"10.77.0.2\" }]\n");
  std::ifstream file(config_path());
  std::string text(std::istreambuf_iterator<char>(file), {});
  text.replace(text.find(", weight = 3"), 12, ", weight = 1");
  json plan = ask(Method::post, "/api/v1/plan", json{{"file", config_path()}, {"text", text}}.dump());
  ASSERT_EQ(plan["pools"].size(), 2U) << plan;
  EXPECT_EQ(plan["pools"][0]["name"], "web");
  EXPECT_NEAR(plan["pools"][0]["moved_share"].get<double>(), 0.25, 0.05);
  EXPECT_EQ(plan["pools"][0]["backends"][0]["weight_after"], 1);
  EXPECT_EQ(plan["pools"][0]["backends"][0]["flows"], 0);
  EXPECT_EQ(plan["pools"][1]["change"], "added");
  EXPECT_EQ(control_plane_->published(), before);
  EXPECT_EQ(slots_of_web(), live);

  std::ofstream(config_path()) << text;
  ask(Method::post, "/api/v1/reload");
  EXPECT_EQ(ask(Method::get, "/api/v1/status")["pools"][0]["unsettled_slots"], plan["pools"][0]["unsettled_slots"])
      << "what was planned";
  plan = ask(Method::post, "/api/v1/plan", json{{"text", text}}.dump());
  EXPECT_TRUE(plan["pools"].empty()) << plan;
  const json refused = ask(Method::post, "/api/v1/plan", json{{"text", text + "[bgp]\nnonsense = 1\n"}}.dump(), 422);
  EXPECT_NE(refused["report"].get<std::string>().find("guideway.toml:"), std::string::npos) << refused;
}

TEST_F(ControlPlaneTest, WarnsOfAJournalForAsLongAsItCannotBeWritten) {
  ASSERT_TRUE(state_becomes(0, "up") && state_becomes(1, "up"));
  const std::string state = directory_ + "/state";
  const auto unwritten = [&] {
    const json warnings = ask(Method::get, "/api/v1/status")["warnings"];
    return warnings.dump().find("connections of moved slots break") != std::string::npos;
  };
  std::filesystem::remove_all(state);
  std::ofstream(state) << "in the way";
  EXPECT_TRUE(wait(unwritten));
  std::filesystem::remove(state);
  EXPECT_TRUE(wait([&] { return !unwritten(); }));
}

TEST_F(ControlPlaneTest, AStateDirectoryThatWasTakenAwayIsMadeAnew) {
  ask(Method::post, "/api/v1/backends/web/b1/drain");
  const std::string state = directory_ + "/state/";
  std::filesystem::remove_all(state);
  for (const char* file : {"eras.journal", "backend_numbers.json", "intents.json"})
    EXPECT_TRUE(wait([&] { return std::filesystem::exists(state + file); })) << file;
  start();
  EXPECT_EQ(backend(0)["state"], "drained");
}

TEST_F(ControlPlaneTest, WarnsOfIntentsThatCannotBeUnderstood) {
  control_plane_.reset();
  std::ofstream(directory_ + "/state/intents.json") << "{";
  start();
  const std::string warnings = ask(Method::get, "/api/v1/status")["warnings"].dump();
  EXPECT_NE(warnings.find("operator intents in " + directory_ + "/state/intents.json cannot be understood"),
            std::string::npos)
      << warnings;
}

// Whoever takes the journal away while the control plane is off: the slots have moved, and nobody knows from where.
TEST_F(ControlPlaneTest, WarnsOfAJournalThatIsMissingBesideUnsettledSlots) {
  ASSERT_TRUE(state_becomes(0, "up") && state_becomes(1, "up"));
  ask(Method::post, "/api/v1/backends/web/b1/drain");
  ASSERT_TRUE(followed());
  const auto unsettled = [&] { return ask(Method::get, "/api/v1/status")["pools"][0]["unsettled_slots"].get<int>(); };
  const auto warnings_after_restart = [&](bool with_journal) {
    control_plane_.reset();
    if (!with_journal) std::filesystem::remove(directory_ + "/state/eras.journal");
    start();
    EXPECT_TRUE(wait([&] { return control_plane_->dataplane().connected(); }));
    return ask(Method::get, "/api/v1/status")["warnings"].dump();
  };
  const int moved = unsettled();
  ASSERT_GT(moved, 0);
  EXPECT_EQ(warnings_after_restart(true).find("eras.journal"), std::string::npos);
  const std::string warnings = warnings_after_restart(false);
  EXPECT_NE(warnings.find(directory_ +
                          "/state/eras.journal is missing, or says nothing of pools whose slots have moved: "
                          "web (unsettled slots: " +
                          std::to_string(moved) + ")"),
            std::string::npos)
      << warnings;
  EXPECT_EQ(unsettled(), 0) << "they settle";
  EXPECT_EQ(warnings_after_restart(false).find("eras.journal"), std::string::npos) << "nothing is unsettled any more";
}

}  // namespace
}  // namespace guideway::controlplane
