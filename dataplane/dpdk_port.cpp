#include "dataplane/dpdk_port.h"

#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include <algorithm>
#include <cstring>

namespace guideway {
namespace {

// Cuts a chain of segments behind `bytes`: what the stages took for Ethernet padding may reach over several segments.
void trim_chain(rte_mbuf* first, std::uint32_t bytes) {
  std::uint16_t segments = 1;
  rte_mbuf* last = first;
  for (bytes -= std::min<std::uint32_t>(bytes, last->data_len); bytes > 0; segments++) {
    last = last->next;
    last->data_len = static_cast<std::uint16_t>(std::min<std::uint32_t>(bytes, last->data_len));
    bytes -= last->data_len;
  }
  rte_mbuf* rest = last->next;
  last->next = nullptr;
  first->nb_segs = segments;
  rte_pktmbuf_free(rest);
}

// What the stages put in front of a packet at most: OuterTemplate::header, or the headers of an ICMPv6 error.
constexpr std::uint16_t kHeadroomBytesMin = sizeof(OuterTemplate::header);

// Some devices deliver without headroom, or in several pieces; nearly always the buffer itself has the room to mend it.
// What cannot be mended is counted when it matters (drop_no_headroom, drop_segmented).
void mend(rte_mbuf* mbuf) {
  if (mbuf->nb_segs > 1 && rte_pktmbuf_linearize(mbuf) != 0) return;
  const std::uint16_t missing = kHeadroomBytesMin - std::min(kHeadroomBytesMin, mbuf->data_off);
  if (missing == 0 || missing > rte_pktmbuf_tailroom(mbuf) || rte_mbuf_refcnt_read(mbuf) != 1) return;
  const auto* from = rte_pktmbuf_mtod(mbuf, const std::uint8_t*);
  std::memmove(rte_pktmbuf_mtod_offset(mbuf, std::uint8_t*, missing), from, mbuf->data_len);
  mbuf->data_off = static_cast<std::uint16_t>(mbuf->data_off + missing);
}

void wrap(rte_mbuf* mbuf, Packet& packet) {
  packet = {};
  packet.data = rte_pktmbuf_mtod(mbuf, std::uint8_t*);
  packet.buffer = mbuf;
  packet.frame_bytes = mbuf->pkt_len;
  packet.contiguous_bytes = mbuf->data_len;
  packet.headroom_bytes = mbuf->data_off;
}

// What the stages changed, told to the buffer.
rte_mbuf* shaped_buffer(const Packet& packet) {
  auto* mbuf = static_cast<rte_mbuf*>(packet.buffer);
  mbuf->data_off = packet.headroom_bytes;
  mbuf->data_len = packet.contiguous_bytes;
  mbuf->pkt_len = packet.frame_bytes;
  if (mbuf->nb_segs > 1) [[unlikely]]
    trim_chain(mbuf, packet.frame_bytes);
  return mbuf;
}

}  // namespace

void DpdkPort::receive(Batch& batch) {
  std::array<rte_mbuf*, kBatchMax> mbufs;
  batch.count = rte_eth_rx_burst(device_, queue_, mbufs.data(), kBatchMax);
  for (std::uint32_t i = 0; i < batch.count; i++) rte_prefetch0(rte_pktmbuf_mtod(mbufs[i], void*));
  for (std::uint32_t i = 0; i < batch.count; i++) {
    if (mbufs[i]->nb_segs > 1 || mbufs[i]->data_off < kHeadroomBytesMin) [[unlikely]]
      mend(mbufs[i]);
    wrap(mbufs[i], batch.packets[i]);
  }
}

std::uint32_t DpdkPort::transmit(Packet* const* packets, std::uint32_t count) {
  std::array<rte_mbuf*, kBatchMax> mbufs;
  for (std::uint32_t i = 0; i < count; i++) mbufs[i] = shaped_buffer(*packets[i]);
  return rte_eth_tx_burst(device_, queue_, mbufs.data(), static_cast<std::uint16_t>(count));
}

bool DpdkPort::allocate(Packet& packet, std::uint32_t frame_bytes) {
  rte_mbuf* mbuf = rte_pktmbuf_alloc(buffers_);
  if (mbuf == nullptr) return false;
  if (rte_pktmbuf_tailroom(mbuf) < frame_bytes) {
    rte_pktmbuf_free(mbuf);
    return false;
  }
  static_assert(RTE_PKTMBUF_HEADROOM >= kNewPacketHeadroom);
  wrap(mbuf, packet);
  return true;
}

void DpdkPort::release(Packet* const* packets, std::uint32_t count) {
  std::array<rte_mbuf*, kBatchMax> mbufs;
  for (std::uint32_t i = 0; i < count; i++) mbufs[i] = static_cast<rte_mbuf*>(packets[i]->buffer);
  rte_pktmbuf_free_bulk(mbufs.data(), count);
}

}  // namespace guideway
