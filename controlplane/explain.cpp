#include "controlplane/explain.h"

#include "guideway/bad_source.h"

namespace guideway::controlplane {
namespace {

using Verdict = Explanation::Verdict;

VipMatch find_vip(const TablesView& view, const Flow& flow) {
  const Be16 port = Be16::from_host(flow.destination_port);
  return flow.family == Family::ipv4 ? find_vip4(view, flow.destination.v4(), flow.protocol, port)
                                     : find_vip6(view, flow.destination.bytes, flow.protocol, port);
}

std::uint64_t hash_of(const TablesView& view, const Flow& flow) {
  const Ports ports{Be16::from_host(flow.source_port), Be16::from_host(flow.destination_port)};
  if (flow.family == Family::ipv4)
    return flow_hash(view.hash_keys, FlowKey4{flow.source.v4(), flow.destination.v4(), ports, flow.protocol});
  return flow_hash(view.hash_keys, FlowKey6{flow.source.bytes, flow.destination.bytes, ports, flow.protocol});
}

void explain_slot(const PoolView& pool, std::uint64_t hash, Explanation& e) {
  if (pool.slot_count == 0) return;
  const Slot slot = slot_of(hash, pool.slot_count);
  const SlotEntry entry = pool.slots[index(slot)];
  e.slot = slot;
  e.unsettled = (entry & kSlotUnsettled) != 0;
  if (const PastOwners* past = past_owners(pool, slot); past != nullptr) {
    e.has_oldest = backend_record(pool, past->backends[0]) != nullptr;
    for (const BackendId backend : past->backends)
      if (backend_record(pool, backend) != nullptr) e.previous.push_back(index(backend));
  }
  e.record = owner_of(pool, entry);
  if (e.record != nullptr) e.backend = static_cast<std::uint32_t>(e.record - pool.backends);
}

bool is_own_source(const TablesView& view, const Flow& flow) {
  const VipMatch source =
      flow.family == Family::ipv4 ? find_address4(view, flow.source.v4()) : find_address6(view, flow.source.bytes);
  return source.pool == PoolId::own;
}

bool has_bad_source(const Flow& flow) {
  return flow.family == Family::ipv4 ? is_bad_source(flow.source.v4(), flow.destination.v4())
                                     : is_bad_source(flow.source.bytes, flow.destination.bytes);
}

bool is_gue(const Flow& flow) {
  return flow.protocol == IpProto::udp && flow.destination_port == kGuePort;
}

Verdict verdict_beside_vips(const TablesView& view, const Flow& flow, bool to_own_address) {
  if (is_gue(flow) && to_own_address) return Verdict::drop_encapsulated;
  if (is_gue(flow) && is_own_source(view, flow)) return Verdict::drop_returned;
  return Verdict::to_kernel;
}

Verdict verdict_unserved(const Flow& flow, Unserved unserved) {
  if (is_gue(flow)) return Verdict::drop_encapsulated;
  if (unserved == Unserved::kernel) return Verdict::to_kernel;
  return unserved == Unserved::reject ? Verdict::answered_unserved : Verdict::drop_unserved;
}

Verdict verdict_without_backend(NoBackend no_backend) {
  return no_backend == NoBackend::reject ? Verdict::answered_no_backend : Verdict::drop_no_backend;
}

}  // namespace

const char* to_text(Verdict verdict) {
  switch (verdict) {
    case Verdict::forward:
      return "forward";
    case Verdict::to_kernel:
      return "to_kernel";
    case Verdict::drop_encapsulated:
      return "drop_encapsulated";
    case Verdict::drop_returned:
      return "drop_returned";
    case Verdict::drop_bad_source:
      return "drop_bad_source";
    case Verdict::drop_unserved:
      return "drop_unserved";
    case Verdict::drop_no_backend:
      return "drop_no_backend";
    case Verdict::answered_unserved:
      return "answered_unserved";
    case Verdict::answered_no_backend:
      return "answered_no_backend";
  }
  return "?";
}

Explanation explain(const TablesView& view, const Flow& flow) {
  Explanation e;
  const VipMatch match = find_vip(view, flow);
  e.own = match.pool == PoolId::own;
  e.vip = vip_record(view, match.vip);
  if (e.vip == nullptr) {
    e.verdict = verdict_beside_vips(view, flow, e.own);
    return e;
  }
  if (has_bad_source(flow)) {
    e.verdict = Verdict::drop_bad_source;
    return e;
  }
  const PoolView* pool = pool_view(view, match.pool);
  if (pool == nullptr) {
    e.verdict = verdict_unserved(flow, e.vip->unserved);
    return e;
  }
  e.vip_index = index(match.vip);
  e.pool = index(match.pool);
  e.hash = hash_of(view, flow);
  e.slot_count = pool->slot_count;
  e.verdict = verdict_without_backend(e.vip->no_backend);
  e.scheduler = pool->scheduler;
  explain_slot(*pool, slot_hash(view.hash_keys, *pool, e.hash, flow.family, flow.source), e);
  if (e.record != nullptr) e.outer = outer_of(view, *e.record);
  if (e.outer != nullptr) e.verdict = Verdict::forward;
  return e;
}

}  // namespace guideway::controlplane
