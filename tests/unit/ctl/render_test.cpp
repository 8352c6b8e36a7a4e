// Answers of the control plane in, exact text out.

#include "controlplane/ctl/render.h"

#include <gtest/gtest.h>

#include "tests/unit/ctl/sample.h"

namespace guideway::ctl {
namespace {

const Style kPlain{};

std::string rendered(const Json& status) {
  return render_status(status, kPlain, kSampleNow);
}

TEST(RenderStatus, GoodDay) {
  EXPECT_EQ(rendered(good_status()),
            R"(lb1   guideway 0.1.0   up 1m2s   OK
Config      /etc/guideway/guideway.toml 9f2c41d05a0f31c7, loaded 32s ago
Tables      generation 17, every worker follows
Data plane  alive, pid 4100, worker 0 on core 1, port uplink up
BGP         established, 2 of 3 VIPs announced
Traffic     12 pkt/s in, 10 pkt/s out, 2.0 pkt/s drop_unserved

web  203.0.113.10:80 tcp    announced      10 pkt/s  5.1 kbit/s
web  [2001:db8::10]:80 tcp  not announced   0 pkt/s     0 bit/s  the configuration says never
  pool web   gue   65521 slots   health check http   3 of 3 backends usable
      BACKEND            WEIGHT  SLOTS   SHARE     DUE  STATE  SINCE    PACKETS        BITS  KNOWN  REASON
  ->  b1 10.1.0.11            1  16380  25.0 %  25.0 %  up      1m1s  2.5 pkt/s  1.3 kbit/s      7  status 200
  ->  b2 10.1.0.12            2  32761  50.0 %  50.0 %  up      1m1s  2.5 pkt/s  1.3 kbit/s      7  status 200
  ->  b3 2001:db8:1::13       1  16380  25.0 %  25.0 %  up      1m1s  2.5 pkt/s  1.3 kbit/s      7  status 200

dns  203.0.113.53:53 udp  announced  18 Mpkt/s  71 Gbit/s
  pool resolvers   ipip   4093 slots   health check none   1 of 1 backends usable
      BACKEND       WEIGHT  SLOTS    SHARE      DUE  STATE  SINCE    PACKETS        BITS  KNOWN  REASON
  ->  b1 10.1.0.53       1   4093  100.0 %  100.0 %  up      1m1s  2.5 pkt/s  1.3 kbit/s      7  status 200
)");
  EXPECT_TRUE(problems_in(good_status()).empty());
}

TEST(RenderStatus, WhatTheFileSaysBeyondTheUsual) {
  Json status = good_status();
  status["vips"][0].update({{"address", "203.0.113.0/24"}, {"port", "any"}, {"unserved", "reject"}});
  status["vips"][1].update({{"protocol", "quic"}, {"echo", "healthy"}, {"no_backend", "reject"}});
  status["pools"][0].update({{"encap", "gre"}, {"dscp", 46}, {"oversize", "fragment-inner"}});
  const std::string text = rendered(status);
  EXPECT_EQ(text.substr(text.find("\nweb  ") + 1, text.find("      BACKEND") - text.find("\nweb  ") - 1),
            R"(web  203.0.113.0/24:any tcp  announced      10 pkt/s  5.1 kbit/s  unserved reject
web  [2001:db8::10]:80 quic  not announced   0 pkt/s     0 bit/s  echo healthy, no_backend reject; the configuration says never
  pool web   gre, dscp 46, oversize fragment-inner   65521 slots   health check http   3 of 3 backends usable
)");
}

TEST(RenderStatus, SlotsOfAPoolThatChangedLately) {
  Json status = good_status();
  status["pools"][0]["unsettled_slots"] = 1200;
  EXPECT_NE(rendered(status).find("gue   65521 slots (1200 unsettled)   health"), std::string::npos);
  status["pools"][0]["crowded_slots"] = 3;
  EXPECT_NE(rendered(status).find("gue   65521 slots (1200 unsettled, 3 crowded)   health"), std::string::npos);
  status["pools"][0]["kept_slots"] = 655;
  EXPECT_NE(
      rendered(status).find("gue   65521 slots (1200 unsettled, 655 of them until drained backends are undrained or "
                            "removed, 3 crowded)   health"),
      std::string::npos);
}

TEST(RenderStatus, NobodyKnowsTheFlowsWithoutADataPlane) {
  Json status = good_status();
  status["pools"][0]["backends"][0]["flows"] = nullptr;
  EXPECT_NE(rendered(status).find("1.3 kbit/s      ?  status 200"), std::string::npos);
}

TEST(RenderStatus, BackendsInEveryState) {
  Json status = good_status();
  Json& backends = status["pools"][0]["backends"];
  status["pools"].erase(1);
  status["vips"].erase(2);
  backends[0].update({{"weight_override", 6}, {"weight_effective", 6}, {"share", 1.0}, {"slots", 65521}});
  backends[1].update({{"state", "drained"},
                      {"drained", true},
                      {"intent_reason", "kernel update"},
                      {"slots", 0},
                      {"share", 0.0},
                      {"weight_effective", 0}});
  backends[2].update(
      {{"state", "down"}, {"reason", "connection refused"}, {"slots", 0}, {"share", 0.0}, {"weight_effective", 0}});
  const std::string text = rendered(status);
  EXPECT_EQ(
      text.substr(text.find("      BACKEND")),
      R"(      BACKEND                 WEIGHT  SLOTS    SHARE      DUE  STATE    SINCE    PACKETS        BITS  KNOWN  REASON
  ->  b1 10.1.0.11       6 (file: 1)  65521  100.0 %  100.0 %  up        1m1s  2.5 pkt/s  1.3 kbit/s      7  status 200
  ->  b2 10.1.0.12                 2      0    0.0 %    0.0 %  drained   1m1s  2.5 pkt/s  1.3 kbit/s      7  kernel update
  ->  b3 2001:db8:1::13            1      0    0.0 %    0.0 %  down      1m1s  2.5 pkt/s  1.3 kbit/s      7  connection refused
)");
}

TEST(RenderStatus, APoolThatMayFailOpenAndOneThatDoes) {
  Json status = good_status();
  Json& web = status["pools"][0];
  web["fail_open_below"] = 50;
  EXPECT_NE(rendered(status).find("health check http, fails open below 50 %   3 of 3"), std::string::npos);
  web["fails_open"] = true;
  web["backends"][1].update({{"state", "down"}, {"reason", "timed out; gets its traffic all the same"}});
  const std::string text = rendered(status);
  EXPECT_NE(text.find("health check http, FAILS OPEN (below 50 %)   3 of 3 backends usable"), std::string::npos);
  EXPECT_NE(text.find("->  b2 10.1.0.12            2  32761  50.0 %  50.0 %  down    1m1s"), std::string::npos) << text;
}

TEST(RenderStatus, AChangeThatWaitsIsNotPassedOver) {
  Json status = good_status();
  status["generation"]["pending"] = true;
  EXPECT_NE(rendered(status).find("generation 17, every worker follows, but the last change is not in force yet\n"),
            std::string::npos);
}

TEST(RenderStatus, BadDay) {
  Json status = good_status();
  Json& dataplane = status["dataplane"];
  status["generation"].update({{"published", 19}, {"workers_follow", false}});
  dataplane["workers"][0]["alive"] = false;
  dataplane["ports"][0]["state"] = "down";
  dataplane["equations"][0]["holds"] = false;
  status["vips"][0].update({{"announced", false}, {"why", "no backend is usable"}});
  status["warnings"] = {"port uplink has no link", "pool web: 1 of 3 backends is down"};
  const std::string text = rendered(status);
  EXPECT_EQ(text.substr(0, text.find("\n\n") + 1),
            R"(lb1   guideway 0.1.0   up 1m2s   DEGRADED
Config      /etc/guideway/guideway.toml 9f2c41d05a0f31c7, loaded 32s ago
Tables      generation 19, the data plane uses 17, not every worker follows
Data plane  alive, pid 4100, worker 0 on core 1 is silent, port uplink down
BGP         established, 1 of 3 VIPs announced
Traffic     12 pkt/s in, 10 pkt/s out, 2.0 pkt/s drop_unserved
Warning     port uplink has no link
Warning     pool web: 1 of 3 backends is down
Warning     worker 0 is silent
Warning     packets are missing: rx_packets = tx_packets + to_kernel_packets + waiting_packets + drops
Warning     VIP web 203.0.113.10:80 tcp is not announced
)");
}

TEST(RenderStatus, WithoutADataPlane) {
  Json status = good_status();
  status["dataplane"] = {{"connected", false},
                         {"pid", 0},
                         {"why", "no dataplane.sock in /run/guideway"},
                         {"workers", Json::array()},
                         {"ports", Json::array()},
                         {"counters", Json::array()},
                         {"equations", Json::array()},
                         {"speaker", {{"state", "off"}, {"error", ""}}}};
  status["generation"].update({{"published", 0}, {"active", 0}});
  status["warnings"] = {"no data plane: no dataplane.sock in /run/guideway"};
  const std::string text = rendered(status);
  EXPECT_EQ(text.substr(0, text.find("\n\n") + 1),
            R"(lb1   guideway 0.1.0   up 1m2s   DEGRADED
Config      /etc/guideway/guideway.toml 9f2c41d05a0f31c7, loaded 32s ago
Tables      nothing published yet
Data plane  not connected: no dataplane.sock in /run/guideway
BGP         unknown
Traffic     unknown
Warning     no data plane: no dataplane.sock in /run/guideway
)");
}

TEST(RenderStatus, SpeakerOnItsWay) {
  Json status = good_status();
  status["dataplane"]["speaker"] = {{"state", "idle"}, {"error", "connection refused"}};
  status["vips"][0]["announced"] = false;
  EXPECT_TRUE(problems_in(status).empty());
  EXPECT_NE(rendered(status).find("BGP         idle, 1 of 3 VIPs announced: connection refused\n"), std::string::npos);
}

TEST(RenderStatus, ForeignTextCannotMoveTheCursor) {
  Json status = good_status();
  status["pools"][0]["backends"][0]["reason"] = "status \x1b[2J\n\x07";
  status["warnings"] = {"\x1b]0;x"};
  EXPECT_EQ(rendered(status).find('\x1b'), std::string::npos);
  EXPECT_NE(rendered(status).find("status ?[2J??\n"), std::string::npos);
}

TEST(RenderStatus, ColoursWordsAndKeepsColumns) {
  const std::string text = render_status(good_status(), Style{true}, kSampleNow);
  EXPECT_NE(text.find("\033[32mup\033[0m  "), std::string::npos);
  std::string bare = text;
  for (const char* code : {"\033[32m", "\033[31m", "\033[33m", "\033[2m", "\033[0m"})
    for (std::size_t at = 0; (at = bare.find(code)) != std::string::npos;) bare.erase(at, std::string(code).size());
  EXPECT_EQ(bare, rendered(good_status()));
}

TEST(RenderStatus, MissingKeyIsAnException) {
  Json status = good_status();
  status.erase("pools");
  EXPECT_THROW(rendered(status), Json::exception);
}

const Json kFlow = {{"protocol", "tcp"},
                    {"source", "2001:db8::7"},
                    {"source_port", 40000},
                    {"destination", "2001:db8::10"},
                    {"destination_port", 80}};

TEST(RenderExplain, Forwarded) {
  const Json answer = Json::parse(R"({
    "generation": 17, "vip": {"name": "web", "address": "2001:db8::10", "port": 80, "protocol": "tcp"}, "pool": "web",
    "hash": "0x5a0f31c79f2c41d0", "slot": 23017, "slots": 65521,
    "backend": {"pool": "web", "name": "b2", "address": "10.1.0.12"}, "encapsulation": "gue",
    "outer": {"source": "10.1.0.1", "destination": "10.1.0.12", "source_port": 49217, "destination_port": 6080,
              "next_hop_mac": "02:00:00:00:00:02", "port": "uplink", "vlans": [], "path_mtu_bytes": 1500},
    "verdict": "forward", "why": "slot 23017 of 65521 of pool web belongs to backend b2 in generation 17"})");
  EXPECT_EQ(render_explain(kFlow, answer, kPlain),
            R"(Flow     tcp [2001:db8::7]:40000 -> [2001:db8::10]:80
VIP      web [2001:db8::10]:80 tcp
Slot     23017 of 65521 of pool web, hash 0x5a0f31c79f2c41d0
Backend  web/b2 10.1.0.12
Outer    gue 10.1.0.1:49217 -> 10.1.0.12:6080, by port uplink to 02:00:00:00:00:02, path MTU 1500
Verdict  forward
Why      slot 23017 of 65521 of pool web belongs to backend b2 in generation 17
)");
}

TEST(RenderExplain, IpipHasNoOuterPorts) {
  const Json answer = Json::parse(R"({
    "generation": 17, "vip": null, "pool": null, "hash": null, "slot": null, "slots": null, "backend": null,
    "encapsulation": "ipip",
    "outer": {"source": "10.1.0.1", "destination": "10.1.0.12",
              "next_hop_mac": "02:00:00:00:00:02", "port": "uplink", "vlans": [], "path_mtu_bytes": 1500},
    "verdict": "forward", "why": "so"})");
  EXPECT_NE(render_explain(kFlow, answer, kPlain).find("Outer    ipip 10.1.0.1 -> 10.1.0.12, by port"),
            std::string::npos);
}

TEST(RenderExplain, L2dsrHasNoOuterAddresses) {
  const Json answer = Json::parse(R"({
    "generation": 17, "vip": {"name": "all", "address": "2001:db8::/64", "port": "any", "protocol": "quic"},
    "pool": "web", "hash": null, "slot": null, "slots": null, "backend": null, "encapsulation": "l2dsr",
    "outer": {"next_hop_mac": "02:00:00:00:00:02", "port": "uplink", "vlans": [100, 7], "path_mtu_bytes": 1500},
    "verdict": "answered_unserved", "why": "so"})");
  EXPECT_EQ(render_explain(kFlow, answer, kPlain), R"(Flow     tcp [2001:db8::7]:40000 -> [2001:db8::10]:80
VIP      all [2001:db8::/64]:any quic
Outer    l2dsr, by port uplink to 02:00:00:00:00:02, VLAN 100, VLAN 7, path MTU 1500
Verdict  answered_unserved
Why      so
)");
}

TEST(RenderExplain, NoVip) {
  const Json answer = Json::parse(R"({
    "generation": 17, "vip": null, "pool": null, "hash": null, "slot": null, "slots": null, "backend": null,
    "encapsulation": null, "outer": null, "verdict": "to_kernel", "why": "2001:db8::10 is no VIP"})");
  EXPECT_EQ(render_explain(kFlow, answer, kPlain), R"(Flow     tcp [2001:db8::7]:40000 -> [2001:db8::10]:80
Verdict  to_kernel
Why      2001:db8::10 is no VIP
)");
}

TEST(RenderPlan, SaysWhatComesGoesAndMoves) {
  const Json plan = Json::parse(R"({
    "vips": [{"name": "dns", "address": "203.0.113.53", "port": 53, "protocol": "udp", "change": "added", "keys": []},
             {"name": "web", "address": "2001:db8::10", "port": "any", "protocol": "tcp", "change": "changed",
              "keys": ["pool", "echo"]}],
    "pools": [
      {"name": "web", "change": "changed", "keys": ["encap"], "slots_before": 65521, "slots_after": 65521,
       "moved_slots": 16380, "moved_share": 0.25, "unsettled_slots": 16500, "crowded_slots": 3, "removed_flows": 12,
       "backends": [
         {"name": "b4", "address": "10.1.0.14", "change": "added", "weight_before": null, "weight_after": 1, "flows": null},
         {"name": "b2", "address": "10.1.0.12", "change": "changed", "weight_before": 2, "weight_after": 30, "flows": 9},
         {"name": "b3", "address": "10.1.0.13", "change": "removed", "weight_before": 1, "weight_after": null,
          "flows": 12}]},
      {"name": "new", "change": "added", "keys": [], "slots_before": 0, "slots_after": 1021, "moved_slots": 0,
       "moved_share": 0.0, "unsettled_slots": 0, "crowded_slots": 0, "removed_flows": 0, "backends": []},
      {"name": "old", "change": "removed", "keys": [], "slots_before": 1021, "slots_after": 0, "moved_slots": 1021,
       "moved_share": 1.0, "unsettled_slots": 0, "crowded_slots": 0, "removed_flows": 0, "backends": []}],
    "warnings": ["pool web: so \u001b[2J"]})");
  EXPECT_EQ(render_plan("new.toml", plan, kPlain), R"(+  VIP dns  203.0.113.53:53 udp
~  VIP web  [2001:db8::10]:any tcp  pool, echo
~  pool web: 16380 of 65521 slots move (25.0 %), 3 crowded, 12 known flows on backends that go; encap
    +  b4  10.1.0.14  weight 1
    ~  b2  10.1.0.12  weight 2 -> 30  9 known flows
    -  b3  10.1.0.13  weight 1        12 known flows
+  pool new: comes, with 1021 slots
-  pool old: goes, 1021 of 1021 slots move (100.0 %)
Warning  pool web: so ?[2J
)");
  const Json nothing = {{"vips", Json::array()}, {"pools", Json::array()}, {"warnings", Json::array()}};
  EXPECT_EQ(render_plan("new.toml", nothing, kPlain), "new.toml: a reload would change no VIP and move no slot\n");
}

Json answer_of(Json backend, const Json& change = Json::object()) {
  backend.update(change);
  backend.update({{"pool", "web"}, {"generation", 18}});
  return backend;
}

TEST(RenderChange, SaysWhatChangedAndHowToUndoIt) {
  const Json before = sample_backend("b2", "10.1.0.12", 2, 32761, 0.5);
  const Json drained = answer_of(before, {{"drained", true}, {"state", "drained"}});
  EXPECT_EQ(render_change(before, drained),
            "web/b2: drained, takes no new flow (generation 18, now drained)\nUndo: guidewayctl undrain web/b2\n");
  EXPECT_EQ(render_change(drained, answer_of(before)),
            "web/b2: no longer drained, takes new flows when healthy (generation 18, now up)\n"
            "Undo: guidewayctl drain web/b2\n");
  EXPECT_EQ(render_change(before, answer_of(drained, {{"not_in_force", "readers hold it up"}})),
            "web/b2: drained, takes no new flow (generation 18, now drained)\n"
            "Not in force yet, and tried again: readers hold it up\nUndo: guidewayctl undrain web/b2\n");
  EXPECT_EQ(render_change(drained, drained), "web/b2: nothing to change, it was so already\n");

  const Json soon = answer_of(
      before, {{"drained", true}, {"state", "drained"}, {"deadline", "2026-11-23T12:31:02Z"}, {"remaining_s", 1800}});
  const std::string with_deadline =
      "web/b2: drained, takes no new flow, and is removed in 30m0s at 2026-11-23T12:31:02Z (generation 18, now "
      "drained)\n";
  EXPECT_EQ(render_change(before, soon), with_deadline + "Undo: guidewayctl undrain web/b2\n");
  EXPECT_EQ(render_change(drained, soon), with_deadline + "Undo: guidewayctl drain web/b2\n");
  EXPECT_EQ(render_change(soon, answer_of(before)),
            "web/b2: no longer drained, takes new flows when healthy (generation 18, now up)\n"
            "Undo: guidewayctl drain web/b2 --deadline 1800s\n");

  const Json heavier = answer_of(before, {{"weight_override", 6}});
  EXPECT_EQ(render_change(before, heavier),
            "web/b2: weight 6 instead of 2 (generation 18, now up)\nUndo: guidewayctl weight web/b2 file\n");
  EXPECT_EQ(render_change(heavier, answer_of(before, {{"weight_override", 0}})),
            "web/b2: weight 0 instead of 6 (generation 18, now up)\nUndo: guidewayctl weight web/b2 6\n");
  EXPECT_EQ(render_change(heavier, answer_of(before)),
            "web/b2: weight 2 instead of 6, as the file says (generation 18, now up)\n"
            "Undo: guidewayctl weight web/b2 6\n");
}

}  // namespace
}  // namespace guideway::ctl
