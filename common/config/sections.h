// One function per table of the file; each fills its part of the Config and reports what is wrong. In this order: a
// section may refer to those that were read before it.
//
// Thread-safety: one thread.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/config/config.h"
#include "common/config/section.h"
#include "common/config/vip_prefixes.h"

namespace guideway::config {

// The names of one sort of table, which other tables may refer to.
class Names {
 public:
  explicit Names(std::string noun) : noun_(std::move(noun)) {}

  // The next position belongs to `name`. Reports a name that is none.
  void add(const std::string& name, Section& section);

  // The kind of a key that holds one of the names; gives its position. REQUIRES: the Names outlive it.
  auto reference() {
    return [this](const Field& field) { return find(field); };
  }

  void warn_unused(Review& review) const;

 private:
  std::optional<std::size_t> find(const Field& field);

  std::string noun_;
  std::vector<std::string> names_;
  std::map<std::string, std::size_t, std::less<>> positions_;  // the first of each name
  std::vector<Place> places_;
  std::vector<bool> used_;
};

void read_dataplane(Section& root, Dataplane& dataplane);
void read_flows(Section& root, Flows& flows);
void read_flow_hash(Section& root, const std::string& directory, FlowHash& flow_hash);
void read_health_checks(Section& root, Names& names, std::vector<HealthCheck>& checks);
void read_pools(Section& root, Names& names, Names& check_names, const std::string& directory, Config& config);
VipPrefixes read_vips(Section& root, Names& pool_names, Config& config);
void read_bgp(Section& root, const std::vector<Vip>& vips, Bgp& bgp);
// Returns the place of tables_memory.
Place read_control(Section& root, Control& control);

// What is sent to an address of a VIP comes back to us: nobody else may have it.
void refuse_shared_addresses(const Config& config, const VipPrefixes& vips, Review& review);

}  // namespace guideway::config
