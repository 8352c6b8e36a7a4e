#include "dataplane/worker.h"

#include <cassert>

#include "dataplane/stages/stages.h"

namespace guideway {
namespace {

// Gives the packets that `taken` does not cover back to the port they came from; says how many.
std::uint32_t release_rest(Port& from, const PacketList& list, std::uint32_t taken) {
  const std::uint32_t rest = list.count - taken;
  if (rest > 0) from.release(list.packets.data() + taken, rest);
  return rest;
}

}  // namespace

Worker::Worker(std::span<const WorkerPort> ports, WorkerStats stats) : ports_(ports), stats_(stats) {
  assert(ports.size() <= kPortsMax);
}

void Worker::poll(const TablesView* view) {
  for (const WorkerPort& port : ports_) {
    poll_network(port, view);
    if (port.kernel != nullptr) poll_kernel(port);
  }
  add(stats_.block->heartbeat, 1);
}

void Worker::poll_network(const WorkerPort& port, const TablesView* view) {
  batch_.count = 0;
  port.network->receive(batch_);
  if (batch_.count == 0) return;
  count_received();
  if (view != nullptr) run_stages(batch_, *view);
  sort_by_end();
  // Without a view no stage ran, and nothing is to be forwarded.
  for (std::size_t egress = 0; view != nullptr && egress < ports_.size(); egress++)
    if (forward_[egress].count > 0) forward(port, egress, *view);
  if (to_kernel_.count > 0) hand_to_kernel(port);
  if (dropped_.count > 0) release_dropped(port);
}

void Worker::count_received() {
  std::uint64_t bytes = 0;
  for (const Packet& packet : batch_.all()) bytes += packet.frame_bytes;
  count(Counter::bursts, 1);
  count(Counter::rx_packets, batch_.count);
  count(Counter::rx_bytes, bytes);
}

// Without a view no stage ran: packets still pending are for the kernel, too.
void Worker::sort_by_end() {
  for (std::size_t egress = 0; egress < ports_.size(); egress++) forward_[egress].count = 0;
  to_kernel_.count = 0;
  dropped_.count = 0;
  for (Packet& packet : batch_.all()) {
    // A backend may name an egress port that this process does not have: its tables come from another one.
    if (packet.verdict == Verdict::forward && packet.backend->port >= ports_.size())
      drop(packet, Counter::drop_no_backend);
    if (packet.verdict == Verdict::forward)
      forward_[packet.backend->port].push(packet);
    else if (packet.verdict == Verdict::drop)
      dropped_.push(packet);
    else
      to_kernel_.push(packet);
  }
}

void Worker::forward(const WorkerPort& from, std::size_t egress, const TablesView& view) {
  const PacketList& list = forward_[egress];
  const std::uint32_t sent = ports_[egress].network->transmit(list.packets.data(), list.count);
  std::uint64_t bytes = 0;
  for (const Packet* packet : list.all().first(sent)) {
    bytes += packet->frame_bytes;
    count_traffic(*packet, view);
  }
  count(Counter::tx_packets, sent);
  count(Counter::tx_bytes, bytes);
  count(Counter::drop_tx_full, release_rest(*from.network, list, sent));
}

void Worker::hand_to_kernel(const WorkerPort& from) {
  if (from.kernel_sees_all) {
    count(Counter::to_kernel_packets, release_rest(*from.network, to_kernel_, 0));
  } else if (from.kernel == nullptr) {
    count(Counter::drop_no_kernel_path, release_rest(*from.network, to_kernel_, 0));
  } else {
    const std::uint32_t taken = from.kernel->transmit(to_kernel_.packets.data(), to_kernel_.count);
    count(Counter::to_kernel_packets, taken);
    count(Counter::drop_kernel_path_full, release_rest(*from.network, to_kernel_, taken));
  }
}

void Worker::release_dropped(const WorkerPort& from) {
  for (const Packet* packet : dropped_.all()) count(packet->reason, 1);
  release_rest(*from.network, dropped_, 0);
}

void Worker::poll_kernel(const WorkerPort& port) {
  batch_.count = 0;
  port.kernel->receive(batch_);
  if (batch_.count == 0) return;
  PacketList list;
  for (Packet& packet : batch_.all()) list.push(packet);
  const std::uint32_t sent = port.network->transmit(list.packets.data(), list.count);
  count(Counter::from_kernel_packets, list.count);
  count(Counter::from_kernel_tx_packets, sent);
  count(Counter::from_kernel_dropped_packets, release_rest(*port.kernel, list, sent));
}

// stats_index comes from the tables: it is bounded here, so that no table can make a worker write out of bounds.
void Worker::count_traffic(const Packet& packet, const TablesView& view) {
  const auto count_in = [&](std::span<Traffic> all, std::uint32_t at) {
    if (at >= all.size()) return;
    add(all[at].packets, 1);
    add(all[at].bytes, packet.l3_bytes);
  };
  if (const VipRecord* vip = vip_record(view, packet.vip)) count_in(stats_.vips, vip->stats_index);
  count_in(stats_.backends, packet.backend->stats_index);
}

}  // namespace guideway
