// Which VIP has which prefix, and what it says for the whole of it.
//
// Thread-safety: one thread.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <set>
#include <string>

#include "common/config/config.h"
#include "common/config/review.h"

namespace guideway::config {

class VipPrefixes {
 public:
  struct Holder {
    std::string name;  // of the first VIP with this prefix
    Place place;
    Unserved unserved;
    Echo echo;
  };

  // Reports a VIP that contradicts an earlier one of the same prefix.
  void add(const Vip& vip, Place place, Review& review);

  // A VIP whose prefix holds the address, or has addresses in common with the prefix; nullptr if there is none.
  const Holder* over(const IpAddress& address) const;
  const Holder* overlapping(const IpPrefix& prefix) const;

 private:
  std::map<IpPrefix, Holder> holders_;
  std::map<Family, std::set<std::uint8_t, std::greater<>>> lengths_;  // that occur
};

}  // namespace guideway::config
