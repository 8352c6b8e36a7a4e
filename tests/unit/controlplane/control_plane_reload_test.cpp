// The whole control plane while its file changes: what a reload takes, what it refuses and warns of, and what goes on.
#include <filesystem>

#include "tests/unit/controlplane/control_plane_lab.h"

namespace guideway::controlplane {
namespace {

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

TEST_F(ControlPlaneTest, WarnsOfWhatTakesARestartUntilTheDataplaneHasIt) {
  constexpr const char* kWarning = "[flows] has changed; restart guideway-dataplane for it to take effect";
  const auto warned = [&] {
    return ask(Method::get, "/api/v1/status")["warnings"].dump().find(kWarning) != std::string::npos;
  };
  const auto connected = [&] { return wait([&] { return control_plane_->dataplane().connected(); }); };
  ASSERT_TRUE(connected());
  EXPECT_FALSE(warned());
  write_config("[flows]\nmax_per_worker = 100\n");
  ask(Method::post, "/api/v1/reload");
  EXPECT_TRUE(warned());
  start();
  ASSERT_TRUE(connected());
  EXPECT_TRUE(warned()) << "a new control plane does not take the data plane to be new, too";
  dataplane_.reset();
  dataplane_.emplace(directory_);
  ASSERT_TRUE(wait([&] { return !warned(); }) && connected());
  EXPECT_FALSE(warned());
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
