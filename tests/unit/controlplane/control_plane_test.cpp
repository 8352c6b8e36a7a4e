// The whole control plane, in front of a real kernel, real backends and the data plane's own reading side.
#include "controlplane/control_plane.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "common/net/address_text.h"
#include "common/shm/tables_reader.h"
#include "controlplane/api/handler.h"
#include "tests/lib/temporary_directory.h"
#include "tests/unit/controlplane/network_lab.h"

namespace guideway::controlplane {
namespace {

const auto* const kLab = testing::AddGlobalTestEnvironment(new NetworkLab);

using api::Method;
using nlohmann::json;

// The data plane's end of the contract: stats region, hand-over, gatekeeper and one worker; no packets.
class Dataplane {
 public:
  // Control planes may connect at once, but are greeted only after `silence`.
  explicit Dataplane(const std::string& run_dir, std::chrono::milliseconds silence = {})
      : memory_(shm::create_sealed_memory("test-stats", stats_bytes(1, 64, 64))),
        mapping_(shm::map_whole(memory_, shm::Access::read_write)),
        gatekeeper_(describe(header())),
        server_(run_dir + "/dataplane.sock", shm::reopen(memory_, shm::Access::read_only)),
        thread_([this, silence] {
          server_.open();
          std::this_thread::sleep_for(silence);
          run();
        }) {}
  ~Dataplane() {
    stop_ = true;
    thread_.join();
  }
  std::uint64_t active() { return header().active_generation.load(); }
  void set_port(PortState state) { header().ports[0].state = state; }

 private:
  StatsHeader& header() { return *reinterpret_cast<StatsHeader*>(mapping_.bytes().data()); }
  static StatsHeader& describe(StatsHeader& stats) {
    stats.segment.kind = kStatsSegment.kind;
    stats.segment.layout_version = kStatsSegment.layout_version;
    stats.segment.layout_hash = kStatsSegment.layout_hash;
    stats.segment.size_bytes = stats_bytes(1, 64, 64);
    stats.worker_count = 1;
    stats.vip_capacity = stats.backend_capacity = 64;
    stats.port_count = 1;
    std::strcpy(stats.ports[0].name, "uplink");
    std::strcpy(stats.ports[0].kernel_name, "gwt0");
    stats.ports[0].mac = *parse_mac("02:00:00:00:77:01");
    stats.ports[0].mtu_bytes = 1500;
    stats.ports[0].state = PortState::up;
    stats.segment.magic.store(kSegmentMagic, std::memory_order_release);
    return stats;
  }
  void run() {
    auto worker = gatekeeper_.worker(WorkerId{0});
    while (!stop_) {
      server_.serve(gatekeeper_.custody(), [this](Descriptor tables) { return gatekeeper_.attach(std::move(tables)); });
      gatekeeper_.poll();
      worker.follow();
      add(stats_of(header(), WorkerId{0}).block->heartbeat, 1);
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    worker.detach();
  }

  Descriptor memory_;
  shm::Mapping mapping_;
  shm::Gatekeeper gatekeeper_;
  shm::HandoverServer server_;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

class ControlPlaneTest : public testing::Test {
 protected:
  ControlPlaneTest() {
    write_config("");
    dataplane_.emplace(directory_);
    start();
  }
  ~ControlPlaneTest() override {
    control_plane_.reset();
    dataplane_.reset();
  }
  void write_config(const std::string& more, const std::string& path = "/") {
    std::ofstream(config_path())
        << "schema = 1\n[dataplane]\nworker_cores = [1]\n[[dataplane.port]]\nname = \"uplink\"\n"
           "device = \"net_af_packet0,iface=gwt0\"\n[health_check.http]\ntype = \"http\"\n"
           "port = 80\npath = \""
        << path
        << "\"\ninterval = \"100ms\"\ntimeout = \"90ms\"\n[pool.web]\nhealth_check = \"http\"\n"
           "slots = 1021\nbackends = [\n"
           "{ name = \"b1\", address = \"10.77.0.2\" },\n"
           "{ name = \"b2\", address = \"10.77.0.3\", weight = 3 },\n"
           "{ name = \"dead\", address = \"10.88.0.99\" }]\n"
           "[vip.web]\naddress = \"203.0.113.10\"\nport = 80\npool = \"web\"\n[control]\nrun_dir = \""
        << directory_ << "\"\nstate_dir = \"" << directory_ << "/state\"\n"
        << more;
  }
  void rewrite_config(const std::string& before, const std::string& after) const {
    std::ifstream file(config_path());
    std::string text(std::istreambuf_iterator<char>(file), {});
    text.replace(text.find(before), before.size(), after);
    std::ofstream(config_path()) << text;
  }
  // All checks fail, of backends that serve and of the one that is dead. The pool may fail open.
  bool checks_break_and_the_pool_fails_open() {
    write_config("", "/down");
    rewrite_config("slots = ", "fail_open_below = 50\nslots = ");
    ask(Method::post, "/api/v1/reload");
    return wait([&] { return all_down() && ask(Method::get, "/api/v1/status")["pools"][0]["fails_open"] == true; });
  }
  bool all_down() {
    const json status = ask(Method::get, "/api/v1/status");
    return std::ranges::all_of(status["pools"][0]["backends"],
                               [](const json& each) { return each["state"] == "down"; });
  }
  std::string config_path() const { return directory_ + "/guideway.toml"; }
  void start() {
    control_plane_.reset();
    config::LoadResult loaded = config::load_config(config_path());
    ASSERT_TRUE(loaded.config) << loaded.report();
    control_plane_ = std::make_unique<ControlPlane>(loop_, config_path(), std::move(loaded));
    control_plane_->start();
  }
  json ask(Method method, const std::string& target, const std::string& body = "", unsigned status = 200) {
    const api::Response response = api::handle(*control_plane_, {method, target, body});
    EXPECT_EQ(response.status, status) << response.body;
    return json::parse(response.body);
  }
  json backend(std::size_t position) { return ask(Method::get, "/api/v1/status")["pools"][0]["backends"][position]; }
  bool wait(const std::function<bool()>& done) { return run_until(loop_, done); }
  bool state_becomes(std::size_t position, const std::string& state) {
    return wait([&] { return backend(position)["state"] == state; });
  }
  json slots_of_web() {
    const json status = ask(Method::get, "/api/v1/status");
    json slots;
    for (const json& each : status["pools"][0]["backends"]) slots.push_back(each["slots"]);
    return slots;
  }
  // What the published generation says of a backend.
  bool alive(std::size_t position) {
    const TablesView* view = control_plane_->live_view();
    return view != nullptr && (view->pools[0].backends[position].flags & kBackendAlive) != 0;
  }
  bool followed() {
    return wait([&] { return dataplane_->active() == number(control_plane_->published()); });
  }

  const TemporaryDirectory temporary_;
  const std::string directory_ = temporary_.path();
  EventLoop loop_;
  std::optional<Dataplane> dataplane_;
  std::unique_ptr<ControlPlane> control_plane_;
};

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

// One pool whose slots take 2 MiB, and 8 more when all of them have moved.
std::string large_pool(const std::string& tables_memory) {
  return "tables_memory = \"" + tables_memory +
         "\"\n[pool.large]\nslots = 1048573\nbackends = [{ name = \"b1\", address = \"10.77.0.2\" }, "
         "{ name = \"b2\", address = \"10.77.0.3\" }]\n";
}

TEST_F(ControlPlaneTest, AChangeThatDoesNotFitBesideWhatIsInForceComesIntoForce) {
  write_config(large_pool("8MiB"));
  ask(Method::post, "/api/v1/reload");
  ASSERT_TRUE(state_becomes(0, "up") && state_becomes(1, "up") && followed());
  const auto slots_of_b1 = [&] {
    return ask(Method::get, "/api/v1/status")["pools"][1]["backends"][0]["slots"].get<int>();
  };
  for (int i = 0; i < 3; i++) {
    const Generation before = control_plane_->published();
    EXPECT_EQ(ask(Method::post, "/api/v1/backends/large/b1/drain")["not_in_force"], "");
    EXPECT_EQ(slots_of_b1(), 0);
    EXPECT_GT(control_plane_->published(), before) << "also those of another segment count on";
    EXPECT_TRUE(followed());
    ask(Method::post, "/api/v1/backends/large/b1/undrain");
    EXPECT_NEAR(slots_of_b1(), 524286, 1);
    EXPECT_TRUE(followed());
  }
  EXPECT_EQ(ask(Method::get, "/api/v1/status")["warnings"].dump().find("no room"), std::string::npos);
}

TEST_F(ControlPlaneTest, HistoriesThatDoNotFitAreLeftOutWithAWarning) {
  write_config(large_pool("3MiB"));
  ask(Method::post, "/api/v1/reload");
  ASSERT_TRUE(state_becomes(0, "up") && state_becomes(1, "up") && followed());
  ask(Method::post, "/api/v1/backends/large/b1/drain");
  EXPECT_TRUE(followed());
  const json status = ask(Method::get, "/api/v1/status");
  EXPECT_EQ(status["pools"][1]["backends"][0]["slots"], 0);
  EXPECT_EQ(status["pools"][1]["unsettled_slots"], 0);
  EXPECT_NE(status["warnings"].dump().find("tables_memory has no room for the slot histories of 1 pool:"),
            std::string::npos)
      << status["warnings"];
  write_config(large_pool("16MiB"));
  ask(Method::post, "/api/v1/reload");
  EXPECT_TRUE(followed());
  EXPECT_NEAR(ask(Method::get, "/api/v1/status")["pools"][1]["unsettled_slots"].get<int>(), 524286, 1)
      << "there is room again";
}

TEST_F(ControlPlaneTest, TablesMemoryTakesEffectByReloadAndByRestart) {
  ASSERT_TRUE(state_becomes(0, "up") && followed());
  const auto size_after = [&](const std::string& memory, const std::function<void()>& apply) {
    const Generation before = control_plane_->published();
    write_config("tables_memory = \"" + memory + "\"\n");
    apply();
    EXPECT_TRUE(wait([&] { return control_plane_->published() > before; }));
    EXPECT_TRUE(followed());
    EXPECT_EQ(backend(0)["state"], "up");
    const json status = ask(Method::get, "/api/v1/status");
    EXPECT_EQ(status["warnings"].dump().find("[control] has changed"), std::string::npos);
    return status["tables"]["size_bytes"].get<int>() >> 20;
  };
  EXPECT_EQ(size_after("2MiB", [&] { ask(Method::post, "/api/v1/reload"); }), 2);
  EXPECT_EQ(size_after("4MiB", [&] { start(); }), 4);
}

std::string vip(const std::string& name, const std::string& address) {
  return "[vip." + name + "]\naddress = \"" + address + "\"\nport = 80\npool = \"web\"\n";
}

TEST_F(ControlPlaneTest, RefusesMoreThanTheRunningDataPlaneCounts) {
  ASSERT_TRUE(wait([&] { return control_plane_->dataplane().connected(); }));
  std::string vips;
  for (int i = 1; i <= 63; i++) vips += vip("v" + std::to_string(i), "203.0.114." + std::to_string(i));
  write_config(vips);
  ask(Method::post, "/api/v1/reload");
  for (const auto& [service, number] : control_plane_->vip_indices().all()) EXPECT_LT(number, 64U);
  write_config(vips + vip("v64", "203.0.114.64"));
  const std::string why =
      config_path() +
      ": here are 65 VIPs, but the running data plane counts no more than 64: it takes [dataplane] vips_max at its "
      "start; restart guideway-dataplane with this file, then reload";
  EXPECT_EQ(ask(Method::post, "/api/v1/reload", "", 422)["error"], why);
  std::ifstream file(config_path());
  const std::string text(std::istreambuf_iterator<char>(file), {});
  EXPECT_EQ(ask(Method::post, "/api/v1/plan", json{{"file", config_path()}, {"text", text}}.dump(), 422)["error"], why);
}

TEST_F(ControlPlaneTest, RefusesVipsThatCutTheHostOff) {
  ASSERT_TRUE(state_becomes(0, "up"));
  const struct {
    const char* address;
    const char* what;  // nullptr: taken
  } kCases[] = {
      {"10.77.0.1", "10.77.0.1, which this host has on gwt0"},
      {"10.99.0.0/24", "10.99.0.1, which this host has on gwt2"},
      {"fd77::1", "fd77::1, which this host has on gwt0"},
      {"203.0.113.77", nullptr},  // on loopback
  };
  NetworkLab::here("ip addr add 203.0.113.77/32 dev lo");
  for (const auto& [address, what] : kCases) {
    write_config(vip("bad", address));
    const json answer = ask(Method::post, "/api/v1/reload", "", what == nullptr ? 200 : 422);
    if (what == nullptr) continue;
    const std::string why = config_path() + ": VIP bad has " + what +
                            ": packets for this host would go to backends, and it would be cut off; give the VIP "
                            "another address";
    EXPECT_EQ(answer["error"], why);
    EXPECT_EQ(answer["report"], why + "\n");
    EXPECT_THROW(ControlPlane(loop_, config_path(), config::load_config(config_path())), std::runtime_error);
  }
  const auto warnings = [&] { return ask(Method::get, "/api/v1/status")["warnings"].dump(); };
  EXPECT_EQ(warnings().find("VIP bad"), std::string::npos);
  NetworkLab::here("ip addr add 203.0.113.77/32 dev gwt2");
  EXPECT_NE(warnings().find("VIP bad has 203.0.113.77, which this host has on gwt2"), std::string::npos);
  NetworkLab::here("ip addr del 203.0.113.77/32 dev gwt2 && ip addr del 203.0.113.77/32 dev lo");
}

TEST_F(ControlPlaneTest, ReloadTakesAGoodFileAndRefusesABadOne) {
  ASSERT_TRUE(state_becomes(0, "up"));
  write_config("[bgp]\nnonsense = 1\n");
  EXPECT_NE(ask(Method::post, "/api/v1/reload", "", 422)["report"].get<std::string>().find("nonsense"),
            std::string::npos);
  EXPECT_EQ(backend(0)["state"], "up");
  EXPECT_NE(ask(Method::get, "/api/v1/status")["warnings"][0].get<std::string>().find("the last reload was refused"),
            std::string::npos);
  write_config("", "/down");
  ask(Method::post, "/api/v1/reload");
  ASSERT_TRUE(state_becomes(0, "down"));
  EXPECT_EQ(backend(0)["reason"], "status 503, expected 200-299 (3 of 3)");
}

TEST_F(ControlPlaneTest, APoolThatGetsAnotherCheckGoesOn) {
  ASSERT_TRUE(state_becomes(0, "up") && state_becomes(1, "up") && state_becomes(2, "down") && followed());
  const json slots = slots_of_web();
  write_config("[health_check.other]\ntype = \"tcp\"\nport = 80\ninterval = \"10m\"\n");
  rewrite_config("health_check = \"http\"", "health_check = \"other\"");
  ask(Method::post, "/api/v1/reload");
  EXPECT_EQ(backend(0)["state"], "up");
  EXPECT_EQ(backend(0)["reason"], "up before this check began; not checked yet");
  EXPECT_EQ(backend(2)["state"], "down");
  EXPECT_TRUE(followed() && slots_of_web() == slots);
}

TEST_F(ControlPlaneTest, FailsOpenSaysSoAndEnds) {
  ASSERT_TRUE(state_becomes(0, "up") && state_becomes(1, "up") && state_becomes(2, "down"));
  ASSERT_TRUE(checks_break_and_the_pool_fails_open());
  const std::string note = "; down, but it gets its traffic all the same, since the pool fails open";
  EXPECT_EQ(backend(0)["reason"], "status 503, expected 200-299 (3 of 3)" + note);
  const std::string flow = R"({"protocol": "tcp", "source": "198.51.100.7", "source_port": 40000,
                               "destination": "203.0.113.10", "destination_port": 80})";
  EXPECT_NE(ask(Method::post, "/api/v1/explain", flow)["why"].get<std::string>().find(note), std::string::npos);
  for (std::size_t b = 0; b < 3; b++) {
    EXPECT_GT(backend(b)["slots"], 0) << b;
    EXPECT_TRUE(alive(b)) << b;
  }
  json status = ask(Method::get, "/api/v1/status");
  EXPECT_EQ(status["pools"][0]["fail_open_below"], 50);
  EXPECT_EQ(status["pools"][0]["usable_backends"], 3);
  EXPECT_NE(status["warnings"].dump().find("pool web fails open: its checks hold 3 of 3 backends down"),
            std::string::npos)
      << status["warnings"];

  rewrite_config("path = \"/down\"", "path = \"/\"");
  ask(Method::post, "/api/v1/reload");
  ASSERT_TRUE(state_becomes(0, "up") && state_becomes(1, "up"));
  EXPECT_TRUE(wait([&] { return backend(2)["slots"] == 0; }));
  status = ask(Method::get, "/api/v1/status");
  EXPECT_EQ(status["pools"][0]["fails_open"], false);
  EXPECT_EQ(status["warnings"].dump().find("fails open"), std::string::npos) << status["warnings"];
}

TEST_F(ControlPlaneTest, ARestartWhileThePoolFailsOpenMovesNoSlot) {
  ASSERT_TRUE(state_becomes(0, "up") && state_becomes(1, "up") && state_becomes(2, "down"));
  ASSERT_TRUE(checks_break_and_the_pool_fails_open() && followed());
  const json slots = slots_of_web();
  start();
  const auto checked = [&](std::size_t position) {
    return backend(position)["reason"].get<std::string>().find("before this check began") == std::string::npos;
  };
  EXPECT_TRUE(wait([&] {
    const TablesView* view = control_plane_->live_view();
    if (view == nullptr) return false;
    EXPECT_EQ(slots_of_web(), slots);
    EXPECT_EQ(view->vips[0].flags & kVipAnnounce, 0) << "nobody is up";
    return HasFailure() || (checked(0) && checked(1) && checked(2));
  }));
  EXPECT_TRUE(all_down());
}

TEST_F(ControlPlaneTest, AReloadWarnsOfWhatItBreaks) {
  const auto reload_with_key = [&](const char* key) {
    std::ofstream(directory_ + "/flow_hash.key") << key << "\n";
    std::filesystem::permissions(directory_ + "/flow_hash.key", std::filesystem::perms::owner_read);
    return ask(Method::post, "/api/v1/reload")["warnings"].dump();
  };
  constexpr const char* kBreaks = "the key of the flow hash changes: every flow of every pool goes elsewhere";
  write_config("[flow_hash]\nkey_file = \"flow_hash.key\"\n");
  EXPECT_NE(reload_with_key("000102030405060708090a0b0c0d0e0f").find(kBreaks), std::string::npos);
  EXPECT_EQ(reload_with_key("000102030405060708090a0b0c0d0e0f").find(kBreaks), std::string::npos);
  EXPECT_NE(reload_with_key("ff0102030405060708090a0b0c0d0e0f").find(kBreaks), std::string::npos);
  EXPECT_EQ(ask(Method::get, "/api/v1/status")["warnings"].dump().find(kBreaks), std::string::npos) << "it is done";
}

}  // namespace
}  // namespace guideway::controlplane
