#include "dataplane/steering.h"

#include <exception>

#include "dataplane/log.h"

namespace guideway {

Steering::Steering(const std::vector<std::string>& interfaces) {
  for (const std::string& interface : interfaces) maps_.push_back(bpf::SteerMap::open(interface));
}

void Steering::update(const TablesView& view) {
  if (view.generation == steered_ || maps_.empty()) return;
  steered_ = view.generation;
  std::vector<IpPrefix> vips;
  for (const VipRecord& vip : view.vips) vips.push_back({.address = vip.address, .bits = vip.prefix_bits});
  for (bpf::SteerMap& map : maps_) {
    try {
      map.set(vips);
    } catch (const std::exception& e) {
      log::error("{}", e.what());
    }
  }
}

}  // namespace guideway
