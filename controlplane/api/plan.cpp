#include "controlplane/api/plan.h"

#include <nlohmann/json.hpp>

#include "common/net/address_text.h"
#include "controlplane/text.h"

namespace guideway::controlplane::api {
namespace {

using nlohmann::json;

json vip_json(const Plan::PlannedVip& vip) {
  const ServiceKey& service = vip.service;
  return {{"name", vip.name},
          {"address", guideway::to_text(service.prefix)},
          {"port", service.port == 0 ? json("any") : json(service.port)},
          {"protocol", controlplane::to_text(service.protocol)},
          {"change", controlplane::to_text(vip.change)},
          {"keys", vip.keys}};
}

json backend_json(const Plan::PlannedBackend& backend) {
  return {{"name", backend.name},
          {"address", guideway::to_text(backend.address)},
          {"change", controlplane::to_text(backend.change)},
          {"weight_before", backend.change == Plan::Change::added ? json() : json(backend.weight_before)},
          {"weight_after", backend.change == Plan::Change::removed ? json() : json(backend.weight_after)},
          {"flows", backend.flows ? json(*backend.flows) : json()}};
}

json pool_json(const Plan::PlannedPool& pool) {
  json backends = json::array();
  for (const Plan::PlannedBackend& backend : pool.backends) backends.push_back(backend_json(backend));
  return {{"name", pool.name},
          {"change", controlplane::to_text(pool.change)},
          {"keys", pool.keys},
          {"slots_before", pool.slots_before},
          {"slots_after", pool.slots_after},
          {"moved_slots", pool.moved_slots},
          {"moved_share", pool.slots_before == 0 ? 0.0 : static_cast<double>(pool.moved_slots) / pool.slots_before},
          {"unsettled_slots", pool.unsettled_slots},
          {"crowded_slots", pool.crowded_slots},
          {"removed_flows", pool.removed_flows},
          {"backends", std::move(backends)}};
}

}  // namespace

json plan_json(const Plan& plan) {
  json answer = {{"vips", json::array()}, {"pools", json::array()}, {"warnings", plan.warnings}};
  for (const Plan::PlannedVip& vip : plan.vips) answer["vips"].push_back(vip_json(vip));
  for (const Plan::PlannedPool& pool : plan.pools) answer["pools"].push_back(pool_json(pool));
  return answer;
}

}  // namespace guideway::controlplane::api
