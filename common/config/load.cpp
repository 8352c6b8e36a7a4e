#include "common/config/load.h"

#include <xxhash.h>

#include "common/config/document.h"
#include "common/config/kinds.h"
#include "common/config/load_reviewed.h"
#include "common/config/read_file.h"
#include "common/config/sections.h"
#include "common/config/tables_size.h"

namespace guideway::config {
namespace {

constexpr std::size_t kFileBytesMax = 4 << 20;
constexpr std::int64_t kSchema = 1;
constexpr Place kFirstPlace{1, 1};

std::string directory_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash);
}

Config read_config(const Table& document, const std::string& directory, Review& review) {
  Config config;
  Section root(document, {}, "", "", review);
  Names check_names("health check");
  Names pool_names("pool");
  std::int64_t schema = kSchema;
  root.optional("schema", schema, integer(kSchema, kSchema));
  if (!root.has("schema")) review.error(kFirstPlace, "missing key schema at the top level; begin with schema = 1");
  read_dataplane(root, config.dataplane);
  read_flows(root, config.flows);
  read_flow_hash(root, directory, config.flow_hash);
  read_health_checks(root, check_names, config.health_checks);
  read_pools(root, pool_names, check_names, directory, config);
  const VipPrefixes vip_prefixes = read_vips(root, pool_names, config);
  read_bgp(root, config.vips, config.bgp);
  const Place tables_memory = read_control(root, config.control);
  refuse_shared_addresses(config, vip_prefixes, review);
  review_tables_size(config, tables_memory, review);
  check_names.warn_unused(review);
  pool_names.warn_unused(review);
  return config;
}

}  // namespace

std::optional<Config> load_reviewed(std::string_view text, const std::string& name, Review& review) {
  if (const auto excess = find_excess(text)) {
    review.error(excess->place, excess->why);
    return std::nullopt;
  }
  const Document document = parse_document(text);
  if (const auto* refusal = std::get_if<Refusal>(&document)) {
    review.error(refusal->place, refusal->why);
    return std::nullopt;
  }
  Config config = read_config(std::get<Table>(document), directory_of(name), review);
  if (review.has_error()) return std::nullopt;
  config.digest = XXH3_64bits(text.data(), text.size());
  return config;
}

LoadResult load_config_text(std::string text, const std::string& name) {
  LoadResult result;
  Review review(name);
  result.config = load_reviewed(text, name, review);
  result.diagnostics = std::move(review).in_order_of_the_file();
  result.text = std::move(text);
  return result;
}

LoadResult load_config(const std::string& path) {
  FileText file = read_file(path, kFileBytesMax);
  if (file.error.empty()) return load_config_text(std::move(file.text), path);
  LoadResult result;
  result.diagnostics.push_back({Severity::error, path, 0, 0, "cannot be read: " + file.error});
  return result;
}

}  // namespace guideway::config
