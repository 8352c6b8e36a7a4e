#include "common/config/key_file.h"

#include <sys/stat.h>

#include <algorithm>

#include "common/config/kinds.h"
#include "common/config/read_file.h"
#include "common/config/words.h"

namespace guideway::config {
namespace {

constexpr std::size_t kKeyFileBytesMax = 4096;

std::optional<Block16> parse_secret(std::string_view text) {
  const std::size_t end = text.find_last_not_of(" \t\r\n");
  const auto bytes = parse_hex(text.substr(0, end == std::string_view::npos ? 0 : end + 1));
  Block16 secret{};
  if (!bytes || bytes->size() != secret.size()) return std::nullopt;
  std::copy(bytes->begin(), bytes->end(), secret.begin());
  return secret;
}

}  // namespace

std::optional<Block16> read_key_file(const Field& field, const std::string& directory) {
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

}  // namespace guideway::config
