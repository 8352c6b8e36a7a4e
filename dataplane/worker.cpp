#include "dataplane/worker.h"

#include <algorithm>
#include <cassert>

namespace guideway {
namespace {

// Gives the packets that `taken` does not cover back to the port they came from; says how many.
std::uint32_t release_rest(Port& from, std::span<Packet* const> packets, std::uint32_t taken) {
  const auto rest = static_cast<std::uint32_t>(packets.size()) - taken;
  if (rest > 0) from.release(packets.data() + taken, rest);
  return rest;
}

}  // namespace

Worker::Worker(std::span<const WorkerPort> ports, WorkerStats stats, const WorkerFlows& flows,
               const WorkerSettings& settings)
    : ports_(ports),
      stats_(stats),
      splitter_(settings.identifications),
      stages_{{},
              {FlowTable(flows.own, stats.flows, settings.flow_timeouts),
               PeerFlows(flows.all, flows.own, settings.flow_timeouts)},
              {RateLimit(settings.echo_per_second), RateLimit(settings.errors_per_second)}} {
  assert(ports.size() <= kPortsMax);
}

Worker::~Worker() {
  stages_.fragments.give_up_all();
  while (stages_.fragments.take_ready(batch_)) end_batch(ports_[batch_.packets[0].ingress], nullptr);
}

// What has waited too long ends before anything new comes: its first fragment would be too late.
void Worker::poll(const TablesView* view, Ns now) {
  if (view != nullptr && stages_.fragments.has_any()) [[unlikely]] {
    stages_.fragments.expire(now);
    process_ready(*view, now);
  }
  for (std::size_t ingress = 0; ingress < ports_.size(); ingress++) {
    poll_network(ingress, view, now);
    if (ports_[ingress].kernel != nullptr) poll_kernel(ports_[ingress]);
  }
  stages_.tracker.flows.sweep(std::chrono::duration_cast<Seconds>(now));
  report_flows();
  add(stats_.block->heartbeat, 1);
}

// What the flow table has counted, since it counts where the stages are.
void Worker::report_flows() {
  const auto set = [&](Counter counter, std::uint64_t n) {
    stats_.block->counters[index(counter)].store(n, std::memory_order_relaxed);
  };
  const FlowTable::Usage& usage = stages_.tracker.flows.usage();
  set(Counter::flows_remembered, usage.inserted);
  set(Counter::flows_refused, usage.refused);
  set(Counter::flows_evicted, usage.evicted);
  set(Counter::flows_expired, usage.expired);
  set(Counter::flows, usage.flows);
  set(Counter::kept_flow_packets, stages_.tracker.kept_flows);
}

void Worker::poll_network(std::size_t ingress, const TablesView* view, Ns now) {
  const WorkerPort& port = ports_[ingress];
  batch_.clear();
  port.network->receive(batch_);
  if (batch_.count == 0) return;
  take_in(ingress);
  if (view == nullptr) return end_batch(port, view);
  count(Counter::answers_limited, run_stages(batch_, *view, stages_, now));
  end_batch(port, view);
  if (stages_.fragments.has_any()) [[unlikely]]
    process_ready(*view, now);
}

// Fragments whose first one has come, or has not come in time.
void Worker::process_ready(const TablesView& view, Ns now) {
  while (stages_.fragments.take_ready(batch_)) {
    const WorkerPort& from = ports_[batch_.packets[0].ingress];
    batch_.port_mac = from.mac;
    count(Counter::answers_limited, run_stages_of_ready(batch_, view, stages_, now));
    end_batch(from, &view);
  }
  stats_.block->counters[index(Counter::waiting_packets)].store(stages_.fragments.waiting(), std::memory_order_relaxed);
}

void Worker::take_in(std::size_t ingress) {
  batch_.port_mac = ports_[ingress].mac;
  std::uint64_t bytes = 0;
  for (Packet& packet : batch_.all()) {
    packet.ingress = static_cast<std::uint8_t>(ingress);
    bytes += packet.frame_bytes;
  }
  count(Counter::bursts, 1);
  count(Counter::rx_packets, batch_.count);
  count(Counter::rx_bytes, bytes);
}

// Every packet of the batch to its end. Without a view no stage ran, and nothing is to be sent.
void Worker::end_batch(const WorkerPort& from, const TablesView* view) {
  sort_by_end();
  if (view != nullptr) {
    for (std::size_t egress = 0; egress < ports_.size(); egress++)
      if (forward_[egress].count > 0) forward(from, egress, *view);
    if (replies_.count > 0) send_replies(from);
  }
  if (to_kernel_.count > 0) hand_to_kernel(from);
  if (dropped_.count > 0) release_dropped(from);
}

// A backend may name an egress port that this process does not have: its tables come from another one.
[[gnu::always_inline]] inline void Worker::sort_forwarded(Packet& packet) {
  const std::uint8_t egress = packet.backend->port;
  if (egress < ports_.size()) {
    forward_[egress].push(packet);
    // There are more counters than fit the cache; count_sent() will want these.
    const std::uint32_t at = packet.backend->stats_index;
    if (at < stats_.backends.size()) __builtin_prefetch(&stats_.backends[at], 1);
  } else {
    drop(packet, Counter::drop_no_backend);
    dropped_.push(packet);
  }
}

void Worker::sort_by_end() {
  for (std::size_t egress = 0; egress < ports_.size(); egress++) forward_[egress].count = 0;
  replies_.count = to_kernel_.count = dropped_.count = 0;
  for (Packet& packet : batch_.all()) {
    switch (packet.verdict) {
      case Verdict::forward:
      case Verdict::split_outer:
      case Verdict::split_inner:
        sort_forwarded(packet);
        break;
      case Verdict::reply:
        replies_.push(packet);
        break;
      case Verdict::pending:  // without a view no stage ran
      case Verdict::to_kernel:
        to_kernel_.push(packet);
        break;
      case Verdict::held:
        break;
      case Verdict::answer:
      case Verdict::drop:
        dropped_.push(packet);
        break;
    }
  }
}

// In the order they came: what has to be split is sent between the runs of what has not.
void Worker::forward(const WorkerPort& from, std::size_t egress, const TablesView& view) {
  const std::span<Packet* const> packets = forward_[egress].all();
  const auto has_to_be_split = [](const Packet* packet) { return packet->verdict != Verdict::forward; };
  for (auto at = packets.begin(); at != packets.end();) {
    const auto run_end = std::find_if(at, packets.end(), has_to_be_split);
    if (run_end != at) send_run(from, egress, {at, run_end}, view);
    at = run_end;
    if (at != packets.end()) send_in_fragments(from, egress, **at++, view);
  }
}

void Worker::send_run(const WorkerPort& from, std::size_t egress, std::span<Packet* const> run,
                      const TablesView& view) {
  const auto run_count = static_cast<std::uint32_t>(run.size());
  const std::uint32_t sent = ports_[egress].network->transmit(run.data(), run_count);
  std::uint64_t bytes = 0;
  for (const Packet* packet : run.first(sent)) {
    bytes += packet->frame_bytes;
    count_sent(*packet, view);
  }
  count(Counter::tx_packets, sent);
  count(Counter::tx_bytes, bytes);
  count(Counter::drop_tx_full, release_rest(*from.network, run, sent));
}

// The packet counts as sent if any of its fragments was.
void Worker::send_in_fragments(const WorkerPort& from, std::size_t egress, Packet& packet, const TablesView& view) {
  Port& port = *ports_[egress].network;
  Fragments& fragments = splitter_.split(packet, view, port);
  std::uint32_t sent = 0;
  for (Packet& fragment : fragments.packets) {
    Packet* const one = &fragment;
    if (port.transmit(&one, 1) == 0) {
      port.release(&one, 1);
      continue;
    }
    sent++;
    count(Counter::tx_bytes, fragment.frame_bytes);
  }
  if (sent == 0) drop(packet, fragments.problem != kNothing ? fragments.problem : Counter::drop_tx_full);
  Packet* const whole = &packet;
  from.network->release(&whole, 1);
  if (sent == 0) return count(packet.reason, 1);
  count(Counter::tx_packets, 1);
  count(Counter::tx_fragments, sent - 1);
  count_sent(packet, view);
}

void Worker::send_replies(const WorkerPort& from) {
  const std::uint32_t sent = from.network->transmit(replies_.packets.data(), replies_.count);
  std::uint64_t bytes = 0;
  for (const Packet* packet : replies_.all().first(sent)) {
    bytes += packet->frame_bytes;
    count(answered_as(packet->reason), 1);
  }
  count(Counter::tx_packets, sent);
  count(Counter::tx_bytes, bytes);
  count(Counter::drop_tx_full, release_rest(*from.network, replies_.all(), sent));
}

void Worker::hand_to_kernel(const WorkerPort& from) {
  if (from.kernel_sees_all) {
    count(Counter::to_kernel_packets, release_rest(*from.network, to_kernel_.all(), 0));
  } else if (from.kernel == nullptr) {
    count(Counter::drop_no_kernel_path, release_rest(*from.network, to_kernel_.all(), 0));
  } else {
    const std::uint32_t taken = from.kernel->transmit(to_kernel_.packets.data(), to_kernel_.count);
    count(Counter::to_kernel_packets, taken);
    count(Counter::drop_kernel_path_full, release_rest(*from.network, to_kernel_.all(), taken));
  }
}

void Worker::release_dropped(const WorkerPort& from) {
  for (const Packet* packet : dropped_.all()) count(packet->reason, 1);
  release_rest(*from.network, dropped_.all(), 0);
}

void Worker::poll_kernel(const WorkerPort& port) {
  batch_.clear();
  port.kernel->receive(batch_);
  if (batch_.count == 0) return;
  PacketList list;
  for (Packet& packet : batch_.all()) list.push(packet);
  const std::uint32_t sent = port.network->transmit(list.packets.data(), list.count);
  count(Counter::from_kernel_packets, list.count);
  count(Counter::from_kernel_tx_packets, sent);
  count(Counter::from_kernel_dropped_packets, release_rest(*port.kernel, list.all(), sent));
}

// stats_index comes from the tables: it is bounded here, so that no table can make a worker write out of bounds.
void Worker::count_sent(const Packet& packet, const TablesView& view) {
  const auto count_in = [&](std::span<Traffic> all, std::uint32_t at) {
    if (at >= all.size()) return;
    add(all[at].packets, 1);
    add(all[at].bytes, packet.l3_bytes);
  };
  if (packet.reason != kNothing) count(packet.reason, 1);
  if (const VipRecord* vip = vip_record(view, packet.vip)) count_in(stats_.vips, vip->stats_index);
  count_in(stats_.backends, packet.backend->stats_index);
}

}  // namespace guideway
