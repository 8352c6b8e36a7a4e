#include "common/config/read_quic.h"

#include <algorithm>
#include <limits>
#include <set>

#include "common/config/key_file.h"
#include "common/config/kinds.h"
#include "common/config/words.h"

namespace guideway::config {
namespace {

constexpr std::size_t kServerIdsPerBackendMax = 64;
constexpr std::uint32_t kQuicLbIdMax = 6;  // 7 is for connection IDs that name nobody

enum class LayoutName { quic_lb, katran };

bool is_katran(const QuicLayouts& layouts) {
  return layouts == kKatranLayouts;
}

std::string count_of_bytes(std::size_t bytes) {
  return std::to_string(bytes) + (bytes == 1 ? " byte" : " bytes");
}

QuicLayoutKind quic_lb_kind(bool has_key, std::uint32_t body_bytes) {
  if (!has_key) return QuicLayoutKind::plain;
  return body_bytes == sizeof(Block16) ? QuicLayoutKind::single_pass : QuicLayoutKind::four_pass;
}

// An element of configs.
void read_quic_lb_config(Section& section, const std::string& directory, QuicLayouts& layouts) {
  std::optional<std::uint32_t> id;
  QuicLayout layout;
  section.required("id", id, integer<std::uint32_t>(0, kQuicLbIdMax));
  section.required("server_id_bytes", layout.shape.server_id_bytes, integer<std::uint8_t>(1, kQuicServerIdBytesMax));
  section.required("nonce_bytes", layout.shape.nonce_bytes,
                   integer<std::uint8_t>(kQuicNonceBytesMin, kQuicBodyBytesMax - 1));
  section.optional("key_file", layout.secret, key_file(directory));
  const std::uint32_t body_bytes = layout.shape.body_bytes();
  layout.shape.kind = quic_lb_kind(section.has("key_file"), body_bytes);
  if (body_bytes > kQuicBodyBytesMax)
    section.review().error(section.place_of("nonce_bytes"), "server_id_bytes and nonce_bytes make " +
                                                                std::to_string(body_bytes) +
                                                                "; a connection ID has room for 19, so shorten one");
  if (!id) return;
  if (layouts[*id].shape.kind != QuicLayoutKind::none)
    section.review().error(section.place_of("id"),
                           "id " + std::to_string(*id) + " is another config's already; take a free one of 0 to 6");
  layouts[*id] = layout;
}

// Reads configs whatever the layout, so that its keys are known; gives what the pool uses.
QuicLayouts read_layouts(Section& section, const std::string& directory) {
  std::optional<LayoutName> layout;
  section.required("layout", layout,
                   choice<LayoutName>({{"quic-lb", LayoutName::quic_lb}, {"katran", LayoutName::katran}}));
  QuicLayouts layouts{};
  std::size_t configs = 0;
  section.each("configs", [&](Section& element) {
    read_quic_lb_config(element, directory, layouts);
    configs++;
  });
  if (layout == LayoutName::quic_lb && configs == 0)
    section.review().error(section.place_of("configs"), "layout = \"quic-lb\" needs configs; name at least one");
  if (layout != LayoutName::katran) return layouts;
  if (section.has("configs"))
    section.review().error(section.place_of("configs"), "configs is for layout = \"quic-lb\"; remove it");
  return kKatranLayouts;
}

// server_id with layout "katran", and with "quic-lb". 0 is what servers without a number write.
std::optional<QuicServerId> katran_number(const Field& field) {
  const auto number = integer_in(field, 1, std::numeric_limits<std::uint32_t>::max());
  return number ? std::optional(katran_server_id(static_cast<std::uint32_t>(*number))) : std::nullopt;
}

std::optional<QuicServerId> quic_lb_bytes(const Field& field) {
  const auto* text = std::get_if<std::string>(&field.value.data);
  if (text == nullptr) return field.wants("hex digits in quotes, like \"0a0b0c\"");
  const auto bytes = parse_hex(*text);
  if (!bytes || bytes->empty() || bytes->size() > kQuicServerIdBytesMax)
    return field.error("must be 1 to 15 bytes in hex digits, like \"0a0b0c\", not " + in_quotes(*text));
  QuicServerId id;
  std::copy(bytes->begin(), bytes->end(), id.bytes.begin());
  id.size_bytes = static_cast<std::uint8_t>(bytes->size());
  return id;
}

// As the operator writes it.
std::string to_text(const QuicServerId& id, bool katran) {
  if (katran) return std::to_string(load<Be32>(id.bytes.data()).host());
  std::string text;
  for (std::size_t i = 0; i < id.size_bytes; i++) {
    text += "0123456789abcdef"[id.bytes[i] >> 4];
    text += "0123456789abcdef"[id.bytes[i] & 0xf];
  }
  return text;
}

// The sizes of server IDs that the layouts can carry.
std::set<std::uint8_t> id_sizes(const QuicLayouts& layouts) {
  if (is_katran(layouts)) return {katran_server_id(1).size_bytes};
  std::set<std::uint8_t> sizes;
  for (const QuicLayout& layout : layouts)
    if (layout.shape.kind != QuicLayoutKind::none) sizes.insert(layout.shape.server_id_bytes);
  return sizes;
}

}  // namespace

void read_quic(Section& pool_section, const std::string& directory, Pool& pool) {
  pool_section.optional("quic", pool.quic, [&](const Field& field) -> std::optional<QuicLayouts> {
    const auto* table = std::get_if<Table>(&field.value.data);
    if (table == nullptr) return field.wants("a table");
    Section section(*table, field.value.place, "pool." + pool.name + ".quic", "pool.NAME.quic", field.review);
    return read_layouts(section, directory);
  });
  if (pool_section.has("quic") && !pool.quic) pool.quic.emplace();  // said to be wrong already
}

void ServerIds::read(Section& section, Backend& backend) {
  const bool katran = pool_.quic && is_katran(*pool_.quic);
  std::vector<Located<QuicServerId>> ids;
  section.optional("server_id", ids,
                   one_or_list_of(located(katran ? katran_number : quic_lb_bytes), kServerIdsPerBackendMax));
  if (!pool_.quic) {
    if (section.has("server_id"))
      section.review().error(section.place_of("server_id"), "server_id is for pools with quic; add [pool." +
                                                                printable(pool_.name) + ".quic] or remove it");
    return;
  }
  for (const auto& [id, place] : ids) {
    claim(id, place, backend, section.review());
    backend.server_ids.push_back(id);
  }
  if (!section.has("server_id") || !ids.empty()) require_all(section, backend);
}

void ServerIds::claim(const QuicServerId& id, Place place, const Backend& backend, Review& review) {
  const auto sizes = id_sizes(*pool_.quic);
  if (!sizes.empty() && !sizes.contains(id.size_bytes))
    review.error(place, "server_id has " + count_of_bytes(id.size_bytes) +
                            ", but no config of the pool has server_id_bytes = " + std::to_string(id.size_bytes) +
                            "; change one of them");
  const auto [first, is_new] = taken_.try_emplace(id, backend.name, place);
  if (!is_new)
    review.error(place, "server_id " + to_text(id, is_katran(*pool_.quic)) + " is that of backend " +
                            in_quotes(first->second.first) + " already (line " +
                            std::to_string(first->second.second.line) + ")");
}

// A connection ID of any config must be able to name any backend.
void ServerIds::require_all(Section& section, const Backend& backend) const {
  for (const std::uint8_t size : id_sizes(*pool_.quic)) {
    const auto fits = [&](const QuicServerId& id) { return id.size_bytes == size; };
    if (std::any_of(backend.server_ids.begin(), backend.server_ids.end(), fits)) continue;
    const std::string of_size = is_katran(*pool_.quic) ? "" : " of " + count_of_bytes(size);
    section.review().error(section.place(), "backend " + in_quotes(backend.name) + " has no server_id" + of_size +
                                                ": connection IDs cannot name it; add one");
  }
}

void require_quic(Section& section, const Pool& pool) {
  if (pool.quic) return;
  section.review().error(section.place_of("protocol"),
                         "protocol \"quic\" needs a pool whose backends connection IDs name, and pool " +
                             in_quotes(pool.name) + " has no quic; add [pool." + printable(pool.name) +
                             ".quic] or write \"udp\"");
}

}  // namespace guideway::config
