#include "common/config/vip_prefixes.h"

#include "common/config/words.h"
#include "common/net/address_text.h"
#include "common/net/prefix.h"

namespace guideway::config {

void VipPrefixes::add(const Vip& vip, Place place, Review& review) {
  const auto [at, is_new] = holders_.try_emplace(vip.prefix, Holder{vip.name, place, vip.unserved, vip.echo});
  lengths_[vip.prefix.address.family()].insert(vip.prefix.bits);
  if (is_new) return;
  const Holder& first = at->second;
  const auto differs = [&](const char* key) {
    review.error(place, std::string(key) + " differs from VIP " + in_quotes(first.name) + ", but " +
                            to_text(vip.prefix) + " has one rule for all its services; make both equal");
  };
  if (first.unserved != vip.unserved) differs("unserved");
  if (first.echo != vip.echo) differs("echo");
}

const VipPrefixes::Holder* VipPrefixes::over(const IpAddress& address) const {
  const auto lengths = lengths_.find(address.family());
  if (lengths == lengths_.end()) return nullptr;
  for (const std::uint8_t bits : lengths->second)
    if (const auto found = holders_.find(prefix_of(address, bits)); found != holders_.end()) return &found->second;
  return nullptr;
}

// Prefixes that lie in another one follow it in order.
const VipPrefixes::Holder* VipPrefixes::overlapping(const IpPrefix& prefix) const {
  if (const Holder* around = over(prefix.address); around != nullptr) return around;
  const auto inside = holders_.lower_bound(prefix);
  return inside != holders_.end() && contains(prefix, inside->first.address) ? &inside->second : nullptr;
}

}  // namespace guideway::config
