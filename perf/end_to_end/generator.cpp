// Sends UDP to a VIP at a given rate and receives what comes out of a load balancer: how much, and how late.
//
//   end_to_end_generator --transmit DEVICE [--receive DEVICE] [--vip ADDRESS] [--mac MAC] [--flows N] [--core N]
//
// Devices are DPDK's (net_memif0,role=client,…; net_af_packet0,iface=…). Without --receive packets come back to where
// they left. Says "ready" when the devices have a link. Then each line of standard input is a trial,
//
//   PACKETS_PER_SECOND MILLISECONDS          0: as many as go
//
// and is answered by a line of JSON. A packet is `offered` when its time has come; one that the device does not take is
// lost, as on a wire. Packets whose time passed while this thread did not run (it was preempted, or is too slow for the
// rate) are not offered, so that a pause is not followed by a flood: then offered / seconds is less than the rate.
#include <fmt/format.h>
#include <rte_cycles.h>
#include <rte_eal.h>
#include <x86intrin.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <memory>
#include <thread>

#include "common/command_line.h"
#include "common/net/address_text.h"
#include "perf/end_to_end/latency_histogram.h"
#include "perf/end_to_end/test_frame.h"
#include "perf/end_to_end/trial_port.h"

namespace guideway::perf {
namespace {

constexpr std::uint32_t kBurst = 32;
constexpr std::uint32_t kReceiveBurst = 64;
constexpr double kBehindMaxSeconds = 50e-6;  // how far the schedule may be made up for
constexpr double kSilenceSeconds = 20e-3;    // after this long without a packet none is under way any more
constexpr double kSilenceMaxSeconds = 0.5;   // strangers' packets must not keep a trial going
constexpr std::chrono::seconds kLinkTimeout{10};

struct Options {
  std::string transmit, transmit_netns;
  std::string receive, receive_netns;
  std::string vip = "203.0.113.10";
  std::string mac = "02:00:00:00:00:02";
  std::uint16_t port = 80;
  std::uint32_t flows = 65536;
  std::uint16_t receive_queues = 1;
  std::uint32_t core = 0;
};

struct Trial {
  std::uint32_t number = 0;
  double rate_pps = 0;
  double seconds = 0;
  std::uint64_t offered = 0;
  std::uint64_t taken = 0;  // by the device
  std::uint64_t received = 0;
  std::uint64_t strangers = 0;
  double elapsed_s = 0;
  LatencyHistogram latency{};
};

class Generator {
 public:
  Generator(TrialPort& transmit, TrialPort& receive, const FrameMaker& frames)
      : transmit_(transmit), receive_(receive), frames_(frames), hz_(static_cast<double>(rte_get_tsc_hz())) {}

  void run(Trial& trial) {
    const std::uint64_t begin = __rdtsc();
    const std::uint64_t end = begin + cycles(trial.seconds);
    schedule_ = begin;
    scheduled_ = 0;
    for (std::uint64_t now = begin; now < end; now = __rdtsc()) {
      send(trial, due(trial, now));
      receive_burst(trial);
    }
    trial.elapsed_s = static_cast<double>(__rdtsc() - begin) / hz_;
    drain(trial);
  }

  double microseconds(std::uint64_t tsc) const { return static_cast<double>(tsc) / hz_ * 1e6; }

 private:
  std::uint64_t cycles(double seconds) const { return static_cast<std::uint64_t>(seconds * hz_); }

  // How many packets may leave now. The schedule begins anew when it was left behind.
  std::uint32_t due(const Trial& trial, std::uint64_t now) {
    if (trial.rate_pps == 0) return kBurst;
    const double behind = static_cast<double>(now - schedule_) / hz_ * trial.rate_pps - static_cast<double>(scheduled_);
    if (behind > trial.rate_pps * kBehindMaxSeconds + kBurst) {
      schedule_ = now;
      scheduled_ = 0;
      return 0;
    }
    return behind < 1 ? 0 : std::min(kBurst, static_cast<std::uint32_t>(behind));
  }

  void send(Trial& trial, std::uint32_t count) {
    const std::span burst(out_.data(), count);
    if (count == 0 || !transmit_.allocate(burst)) return;
    const std::uint64_t now = __rdtsc();
    for (rte_mbuf* buffer : burst)
      frames_.make(reinterpret_cast<std::uint8_t*>(rte_pktmbuf_append(buffer, kTestFrameBytes)), trial.number, now);
    trial.taken += transmit_.transmit(burst);
    trial.offered += count;
    scheduled_ += count;
  }

  std::uint32_t receive_burst(Trial& trial) {
    const std::uint32_t count = receive_.receive(in_);
    if (count == 0) return 0;
    const std::uint64_t now = __rdtsc();
    std::uint32_t ours = 0;
    for (std::uint32_t i = 0; i < count; i++) {
      const auto stamp = stamp_of(rte_pktmbuf_mtod(in_[i], const std::uint8_t*), rte_pktmbuf_data_len(in_[i]));
      if (!stamp || stamp->trial != trial.number) continue;
      trial.latency.add(now - stamp->sent_tsc);
      ours++;
    }
    rte_pktmbuf_free_bulk(in_.data(), count);
    trial.received += ours;
    trial.strangers += count - ours;
    return ours;
  }

  // What is under way belongs to the trial, too.
  void drain(Trial& trial) {
    const std::uint64_t give_up = __rdtsc() + cycles(kSilenceMaxSeconds);
    for (std::uint64_t heard = __rdtsc(), now = heard; now < heard + cycles(kSilenceSeconds) && now < give_up;
         now = __rdtsc())
      if (receive_burst(trial) > 0) heard = now;
  }

  TrialPort& transmit_;
  TrialPort& receive_;
  FrameMaker frames_;
  double hz_;
  std::uint64_t schedule_ = 0;  // since when `scheduled_` packets have been offered
  std::uint64_t scheduled_ = 0;
  std::array<rte_mbuf*, kBurst> out_{};
  std::array<rte_mbuf*, kReceiveBurst> in_{};
};

std::string to_json(const Trial& trial, const Generator& generator) {
  const auto us = [&](double share) { return generator.microseconds(trial.latency.quantile(share)); };
  return fmt::format(
      R"({{"rate_pps": {}, "seconds": {:.6f}, "offered": {}, "taken": {}, "received": {}, "strangers": {}, )"
      R"("latency_us": {{"p50": {:.2f}, "p99": {:.2f}, "p99.9": {:.2f}, "max": {:.2f}}}}})",
      trial.rate_pps, trial.elapsed_s, trial.offered, trial.taken, trial.received, trial.strangers, us(0.5), us(0.99),
      us(0.999), generator.microseconds(trial.latency.max()));
}

void start_eal(std::uint32_t core) {
  // memif without copies wants memory that another process can map, in one file for each piece.
  std::vector<std::string> arguments = {
      "generator", "--lcores",       fmt::format("0@{}", core), "--in-memory", "--single-file-segments",
      "--no-pci",  "--no-telemetry", "--log-level=*:error"};
  std::vector<char*> argv;
  argv.reserve(arguments.size());
  for (std::string& argument : arguments) argv.push_back(argument.data());
  if (rte_eal_init(static_cast<int>(argv.size()), argv.data()) < 0)
    throw std::runtime_error("DPDK does not start; are 300 MiB of hugepages free?");
}

void wait_for_link(const TrialPort& port) {
  const auto deadline = std::chrono::steady_clock::now() + kLinkTimeout;
  while (!port.is_up()) {
    if (std::chrono::steady_clock::now() > deadline) throw std::runtime_error("a device has no link after 10 s");
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

void serve(Generator& generator) {
  std::cout << "ready" << std::endl;
  double rate_pps = 0;
  double milliseconds = 0;
  for (std::uint32_t number = 1; std::cin >> rate_pps >> milliseconds; number++) {
    Trial trial{.number = number, .rate_pps = rate_pps, .seconds = milliseconds / 1e3};
    generator.run(trial);
    std::cout << to_json(trial, generator) << std::endl;
  }
}

void run(const Options& options) {
  const auto vip = parse_ip(options.vip);
  const auto mac = parse_mac(options.mac);
  if (!vip || !vip->is_v4()) throw std::runtime_error("--vip wants an IPv4 address");
  if (!mac) throw std::runtime_error("--mac wants a MAC address");
  start_eal(options.core);
  TrialPort transmit(options.transmit, options.transmit_netns, options.receive_queues);
  std::unique_ptr<TrialPort> other;
  if (!options.receive.empty())
    other = std::make_unique<TrialPort>(options.receive, options.receive_netns, options.receive_queues);
  TrialPort& receive = other ? *other : transmit;
  wait_for_link(transmit);
  wait_for_link(receive);
  Generator generator(transmit, receive, {transmit.mac(), *mac, *vip, options.port, options.flows});
  serve(generator);
}

int run_program(int argc, char** argv) {
  Options options;
  CLI::App app("Measures a load balancer with UDP packets over DPDK devices.", "generator");
  app.add_option("--transmit", options.transmit, "the device to send with")->required();
  app.add_option("--transmit-netns", options.transmit_netns, "the network namespace it is opened in");
  app.add_option("--receive", options.receive, "the device to receive from (default: the same)");
  app.add_option("--receive-netns", options.receive_netns, "the network namespace it is opened in");
  app.add_option("--receive-queues", options.receive_queues, "how many queues the devices receive with");
  app.add_option("--vip", options.vip, "where the packets go");
  app.add_option("--mac", options.mac, "the MAC address they go to");
  app.add_option("--port", options.port, "the UDP port they go to");
  app.add_option("--flows", options.flows, "how many sources they have")->check(CLI::Range(1U, kFlowsMax));
  app.add_option("--core", options.core, "the core to run on");
  if (const auto exit_code = parse_command_line(app, argc, argv)) return *exit_code;
  run(options);
  return 0;
}

}  // namespace
}  // namespace guideway::perf

int main(int argc, char** argv) {
  try {
    return guideway::perf::run_program(argc, argv);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "generator: %s\n", e.what());
    return 1;
  }
}
