#include <map>
#include <tuple>

#include "common/config/kinds.h"
#include "common/config/sections.h"
#include "common/config/words.h"
#include "common/net/address_text.h"

namespace guideway::config {
namespace {

constexpr std::size_t kAddressesPerVipMax = 256;

std::string to_text(IpProto protocol) {
  return protocol == IpProto::tcp ? "tcp" : "udp";
}

// What the VIPs so far have taken, and where.
class Services {
 public:
  void add(const Vip& vip, Place place, Review& review) {
    const auto [other, is_new] = services_.try_emplace({vip.address, vip.port, vip.protocol}, Holder{vip, place});
    if (!is_new)
      review.error(place, "VIP " + in_quotes(other->second.vip.name) + " (line " +
                              std::to_string(other->second.place.line) + ") has " +
                              to_text_with_port(vip.address, vip.port) + " " + to_text(vip.protocol) + " already");
    const auto [first, is_first] = addresses_.try_emplace(vip.address, Holder{vip, place});
    if (!is_first && first->second.vip.unserved != vip.unserved)
      review.error(place, "unserved differs from VIP " + in_quotes(first->second.vip.name) + ", but " +
                              guideway::to_text(vip.address) + " is one address with one rule; make both equal");
  }

  // A packet encapsulated to a VIP would come back to us.
  void refuse_as_backends(const std::vector<Pool>& pools, Review& review) const {
    for (const Pool& pool : pools)
      for (const Backend& backend : pool.backends)
        if (const auto found = addresses_.find(backend.address); found != addresses_.end())
          review.error(found->second.place,
                       "VIP " + in_quotes(found->second.vip.name) + " has the address of backend " +
                           in_quotes(pool.name + "/" + backend.name) + "; give the backend its own");
  }

 private:
  struct Holder {
    Vip vip;
    Place place;
  };
  std::map<std::tuple<IpAddress, std::uint16_t, IpProto>, Holder> services_;
  std::map<IpAddress, Holder> addresses_;
};

void read_vip(Section& section, Names& pool_names, Services& services, Vip vip, std::vector<Vip>& vips) {
  std::vector<Located<IpAddress>> addresses;
  std::vector<IpProto> protocols{IpProto::tcp};
  const auto protocol = choice<IpProto>({{"tcp", IpProto::tcp}, {"udp", IpProto::udp}});
  section.required("address", addresses, one_or_list_of(located(unicast_address), kAddressesPerVipMax));
  section.required("port", vip.port, integer<std::uint16_t>(1, 65535));
  section.optional("protocol", protocols, one_or_list_of(protocol, 2));
  section.required("pool", vip.pool, pool_names.reference());
  section.optional(
      "announce", vip.announce,
      choice<Announce>({{"healthy", Announce::healthy}, {"always", Announce::always}, {"never", Announce::never}}));
  section.optional("unserved", vip.unserved,
                   choice<Unserved>({{"drop", Unserved::drop}, {"kernel", Unserved::kernel}}));
  for (const auto& [address, place] : addresses) {
    for (const IpProto each : protocols) {
      vip.address = address;
      vip.protocol = each;
      if (vip.port != 0) services.add(vip, place, section.review());
      vips.push_back(vip);
    }
  }
}

}  // namespace

void read_vips(Section& root, Names& pool_names, Config& config) {
  Services services;
  Names names("VIP");
  root.each_named("vip", [&](const std::string& name, Section& section) {
    names.add(name, section);
    const bool fitted = config.vips.size() <= config.dataplane.vips_max;
    Vip vip;
    vip.name = name;
    read_vip(section, pool_names, services, std::move(vip), config.vips);
    if (fitted && config.vips.size() > config.dataplane.vips_max)
      section.review().error(section.place(), "here are more than " + std::to_string(config.dataplane.vips_max) +
                                                  " VIPs in all; raise dataplane.vips_max");
  });
  services.refuse_as_backends(config.pools, root.review());
}

}  // namespace guideway::config
