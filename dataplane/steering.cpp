#include "dataplane/steering.h"

#include <exception>

#include "dataplane/log.h"

namespace guideway {
namespace {

constexpr std::chrono::seconds kTryAgain{1};

}  // namespace

Steering::Steering(const std::vector<std::string>& interfaces) {
  for (const std::string& interface : interfaces) maps_.push_back(bpf::SteerMap::open(interface));
}

bool Steering::update(const TablesView& view, std::chrono::steady_clock::time_point now) {
  if (view.generation == steered_ || maps_.empty()) return true;
  const bool is_first_try = view.generation != refused_;
  if (!is_first_try && now < try_again_at_) return false;
  if (!set(view, is_first_try)) {
    refused_ = view.generation;
    try_again_at_ = now + kTryAgain;
    return false;
  }
  steered_ = view.generation;
  if (!is_first_try) log::info("all VIPs of generation {} are steered now", number(steered_));
  return true;
}

// False if a map did not take all; why is said once.
bool Steering::set(const TablesView& view, bool is_first_try) {
  std::vector<IpPrefix> vips;
  for (const VipRecord& vip : view.vips) vips.push_back({.address = vip.address, .bits = vip.prefix_bits});
  bool all_took = true;
  for (bpf::SteerMap& map : maps_) {
    try {
      map.set(vips);
    } catch (const std::exception& e) {
      all_took = false;
      if (is_first_try) log::error("{}; trying again every second, and announcing nothing new meanwhile", e.what());
    }
  }
  return all_took;
}

}  // namespace guideway
