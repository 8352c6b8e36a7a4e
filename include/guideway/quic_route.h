// Which backend a packet to a QUIC service goes to: docs/packet_policy.md, section 9. For the select stage, for
// `guidewayctl explain` and for the tests.
//
// Thread-safety: pure functions over an immutable view.
#pragma once

#include <cstdint>
#include <span>

#include "guideway/quic_packet.h"
#include "guideway/quic_server_id.h"
#include "guideway/tables_view.h"

namespace guideway {

enum class QuicRouteKind : std::uint8_t {
  by_flow_hash,  // a new flow
  by_server_id,  // `backend` is named by the connection ID, and alive
  unknown_id,    // the connection ID names nobody alive: by the flow hash, too, but counted
};

struct QuicRoute {
  QuicRouteKind kind = QuicRouteKind::by_flow_hash;
  const BackendRecord* backend = nullptr;  // by_server_id only
};

// The backend of a server ID, alive or not; nullptr if the pool has none.
inline const BackendRecord* quic_backend(const PoolView& pool, const QuicServerId& id) {
  const QuicServerEntry* entry = detail::probe(pool.quic, id);
  if (entry == nullptr) return nullptr;
  const std::uint32_t backend = index(entry->backend);
  return backend < pool.backend_count ? &pool.backends[backend] : nullptr;
}

// Of the payload of a UDP packet to a QUIC service, or of its beginning. Never reads past it.
inline QuicRoute route_quic(const PoolView& pool, std::span<const std::uint8_t> payload) {
  if (pool.quic.entries == nullptr) return {};
  const QuicPacket packet = read_quic_packet(payload);
  if (packet.kind == QuicPacketKind::new_flow) return {};
  const QuicServerId id = quic_server_id(pool.quic, packet.connection_id);
  if (is_free(id)) return {QuicRouteKind::unknown_id, nullptr};
  const BackendRecord* backend = quic_backend(pool, id);
  if (!can_take(backend)) return {QuicRouteKind::unknown_id, nullptr};
  return {QuicRouteKind::by_server_id, backend};
}

}  // namespace guideway
