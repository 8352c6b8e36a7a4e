#include <sys/stat.h>

#include "common/config/kinds.h"
#include "common/config/read_file.h"
#include "common/config/sections.h"
#include "common/config/words.h"

namespace guideway::config {
namespace {

constexpr std::size_t kKeyFileBytesMax = 4096;

std::optional<FlowHashSecret> parse_secret(std::string_view text) {
  const std::size_t end = text.find_last_not_of(" \t\r\n");
  text = text.substr(0, end == std::string_view::npos ? 0 : end + 1);
  FlowHashSecret secret{};
  if (text.size() != 2 * secret.size()) return std::nullopt;
  for (std::size_t i = 0; i < secret.size(); i++) {
    const char* first = text.data() + 2 * i;
    if (std::from_chars(first, first + 2, secret[i], 16).ptr != first + 2) return std::nullopt;
  }
  return secret;
}

std::optional<FlowHashSecret> read_key(const Field& field, const std::string& directory) {
  const auto name = text(field);
  if (!name) return std::nullopt;
  const std::string path = name->front() == '/' ? *name : directory + "/" + *name;
  const FileText file = read_file(path, kKeyFileBytesMax);
  if (!file.error.empty()) return field.error(in_quotes(path) + " cannot be read: " + file.error);
  const auto secret = parse_secret(file.text);
  if (!secret) return field.error(in_quotes(path) + " must hold 32 hex digits; make them with: openssl rand -hex 16");
  if ((file.mode & S_IROTH) != 0)
    field.review.warning(field.value.place,
                         "key_file " + in_quotes(path) + " can be read by everyone; fix: chmod o= " + printable(path));
  return secret;
}

}  // namespace

void read_flow_hash(Section& root, const std::string& directory, FlowHash& flow_hash) {
  root.in("flow_hash", [&](Section& section) {
    section.optional("key_file", flow_hash.secret, [&](const Field& field) { return read_key(field, directory); });
    flow_hash.is_default = !section.has("key_file");
    if (flow_hash.is_default)
      section.review().warning(section.place(),
                               "no flow_hash.key_file: the flow hash key is a published one, fit for labs only");
  });
}

}  // namespace guideway::config
