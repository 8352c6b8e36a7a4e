// The whole control plane, in front of a real kernel, real backends (network_lab.h) and the data plane's own reading
// side. Thread-safety: one thread; the data plane's end has one of its own.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "common/config/start_digests.h"
#include "common/net/address_text.h"
#include "common/shm/tables_reader.h"
#include "controlplane/api/handler.h"
#include "controlplane/control_plane.h"
#include "tests/lib/temporary_directory.h"
#include "tests/unit/controlplane/network_lab.h"

namespace guideway::controlplane {

using api::Method;
using nlohmann::json;

// The data plane's end of the contract: stats region, hand-over, gatekeeper and one worker; no packets.
class Dataplane {
 public:
  // Control planes may connect at once, but are greeted only after `silence`.
  explicit Dataplane(const std::string& run_dir, std::chrono::milliseconds silence = {})
      : memory_(shm::create_sealed_memory("test-stats", stats_bytes(1, 64, 64))),
        mapping_(shm::map_whole(memory_, shm::Access::read_write)),
        gatekeeper_(describe(header(), run_dir + "/guideway.toml")),
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
  static StatsHeader& describe(StatsHeader& stats, const std::string& config_path) {
    stats.start = config::start_digests_of(config::load_config(config_path).config.value());
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

}  // namespace guideway::controlplane
