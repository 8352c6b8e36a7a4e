// A status as docs/api.md describes it, good in every respect; tests spoil it.
#pragma once

#include <nlohmann/json.hpp>

namespace guideway::ctl {

inline constexpr std::int64_t kSampleNow = 1795435262;  // 2026-11-23T12:01:02Z

inline nlohmann::json sample_backend(const char* name, const char* address, int weight, int slots, double share) {
  return {{"name", name},
          {"address", address},
          {"weight", weight},
          {"weight_override", nullptr},
          {"weight_effective", weight},
          {"drained", false},
          {"deadline", nullptr},
          {"remaining_s", nullptr},
          {"not_in_force", ""},
          {"intent_reason", ""},
          {"slots", slots},
          {"share", share},
          {"state", "up"},
          {"since", "2026-11-23T12:00:01Z"},
          {"since_s", 61},
          {"reason", "status 200"},
          {"next_hop", nullptr},
          {"flows", 7},
          {"packets", 250},
          {"bytes", 16000},
          {"packets_per_second", 2.5},
          {"bits_per_second", 1280.0}};
}

inline nlohmann::json sample_status() {
  return nlohmann::json::parse(R"({
    "version": "0.1.0", "node": "lb1", "pid": 4242, "started": "2026-11-23T12:00:00Z",
    "config": {"file": "/etc/guideway/guideway.toml", "digest": "9f2c41d05a0f31c7", "loaded": "2026-11-23T12:00:30Z"},
    "generation": {"pending": false, "published": 17, "active": 17, "announced": 17, "rejected": 0,
                   "rejected_reason": "", "workers_follow": true},
    "dataplane": {
      "connected": true, "pid": 4100, "why": "connected",
      "workers": [{"index": 0, "lcore": 1, "alive": true, "generation": 17}],
      "ports": [{"name": "uplink", "device": "net_af_xdp0", "kernel_name": "eth1", "mac": "02:00:00:00:00:01",
                 "mtu_bytes": 1500, "state": "up", "link_up": true, "queues": 1}],
      "counters": [
        {"name": "rx_packets", "unit": "packets", "sentence": "", "drop": false, "value": 1000, "per_second": 12.0},
        {"name": "rx_bytes", "unit": "bytes", "sentence": "", "drop": false, "value": 64000, "per_second": 768.0},
        {"name": "tx_packets", "unit": "packets", "sentence": "", "drop": false, "value": 900, "per_second": 10.0},
        {"name": "drop_unserved", "unit": "packets", "sentence": "", "drop": true, "value": 100, "per_second": 2.0},
        {"name": "drop_too_big", "unit": "packets", "sentence": "", "drop": true, "value": 7, "per_second": 0.0}],
      "equations": [{"name": "rx_packets = tx_packets + to_kernel_packets + waiting_packets + drops", "left": 1, "right": 1,
                     "holds": true}],
      "speaker": {"state": "established", "error": ""}},
    "vips": [
      {"name": "web", "address": "203.0.113.10", "port": 80, "protocol": "tcp", "pool": "web", "echo": "answer",
       "unserved": "drop", "no_backend": "drop", "announce": "healthy",
       "announced": true, "why": "a backend is usable", "packets": 1, "bytes": 1, "packets_per_second": 10.0,
       "bits_per_second": 5120.0},
      {"name": "web", "address": "2001:db8::10", "port": 80, "protocol": "tcp", "pool": "web", "echo": "answer",
       "unserved": "drop", "no_backend": "drop", "announce": "never",
       "announced": false, "why": "the configuration says never", "packets": 0, "bytes": 0, "packets_per_second": 0.0,
       "bits_per_second": 0.0},
      {"name": "dns", "address": "203.0.113.53", "port": 53, "protocol": "udp", "pool": "resolvers", "echo": "answer",
       "unserved": "drop", "no_backend": "drop", "announce": "healthy", "announced": true, "why": "a backend is usable", "packets": 0, "bytes": 0,
       "packets_per_second": 18400000.0, "bits_per_second": 71200000000.0}],
    "pools": [
      {"name": "web", "encap": "gue", "dscp": "copy", "oversize": "fragment", "slots": 65521, "unsettled_slots": 0, "crowded_slots": 0, "kept_slots": 0,
       "health_check": "http", "fail_open_below": 0, "fails_open": false, "digest": "1b2c3d4e5f607182",
       "usable_backends": 3, "backends": []},
      {"name": "resolvers", "encap": "ipip", "dscp": "copy", "oversize": "fragment", "slots": 4093, "unsettled_slots": 0, "crowded_slots": 0, "kept_slots": 0,
       "health_check": null, "fail_open_below": 0, "fails_open": false, "digest": "0b2c3d4e5f607182",
       "usable_backends": 1, "backends": []}],
    "warnings": []})");
}

inline nlohmann::json good_status() {
  nlohmann::json status = sample_status();
  status["pools"][0]["backends"] = {sample_backend("b1", "10.1.0.11", 1, 16380, 0.25),
                                    sample_backend("b2", "10.1.0.12", 2, 32761, 0.5),
                                    sample_backend("b3", "2001:db8:1::13", 1, 16380, 0.25)};
  status["pools"][1]["backends"] = nlohmann::json::array({sample_backend("b1", "10.1.0.53", 1, 4093, 1.0)});
  return status;
}

}  // namespace guideway::ctl
