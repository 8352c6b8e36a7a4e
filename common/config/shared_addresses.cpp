#include "common/config/sections.h"
#include "common/config/words.h"
#include "common/net/address_text.h"

namespace guideway::config {
namespace {

class SharedAddresses {
 public:
  SharedAddresses(const VipPrefixes& vips, Review& review) : vips_(vips), review_(review) {}

  void address(const IpAddress& address, const std::string& whose) {
    refuse(vips_.over(address), to_text(address), whose);
  }
  void prefix(const IpPrefix& prefix, const std::string& whose) {
    refuse(vips_.overlapping(prefix), to_text(prefix), whose);
  }

 private:
  void refuse(const VipPrefixes::Holder* vip, const std::string& what, const std::string& whose) {
    if (vip == nullptr) return;
    review_.error(vip->place, "VIP " + in_quotes(vip->name) + " has " + what + ", " + whose +
                                  ", and packets sent there would come back; give one of them another address");
  }

  const VipPrefixes& vips_;
  Review& review_;
};

}  // namespace

void refuse_shared_addresses(const Config& config, const VipPrefixes& vips, Review& review) {
  SharedAddresses refuse(vips, review);
  for (const Pool& pool : config.pools)
    for (const Backend& backend : pool.backends)
      refuse.address(backend.address, "the address of backend " + in_quotes(pool.name + "/" + backend.name));
  for (const Port& port : config.dataplane.ports) {
    for (const IpAddress& source : port.source_addresses)
      refuse.address(source, "a source address of port " + in_quotes(port.name));
    for (const IpPrefix& source : port.ipip_source_prefixes)
      refuse.prefix(source, "a source prefix of port " + in_quotes(port.name));
  }
  if (config.bgp.next_hop4) refuse.address(*config.bgp.next_hop4, "the next_hop4 of bgp");
  if (config.bgp.next_hop6) refuse.address(*config.bgp.next_hop6, "the next_hop6 of bgp");
}

}  // namespace guideway::config
