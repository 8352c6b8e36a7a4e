#include "common/config/kinds.h"

#include <algorithm>

#include "common/config/words.h"
#include "common/net/address_text.h"
#include "common/net/prefix.h"

namespace guideway::config {
namespace {

constexpr std::size_t kTextBytesMax = 255;
constexpr std::size_t kNameBytesMax = 63;
constexpr std::uint32_t kSlotCountMin = 251;

struct Unit {
  std::string_view name;
  std::int64_t factor;
};
constexpr std::array kTimeUnits{Unit{"ms", 1}, Unit{"s", 1000}, Unit{"m", 60'000}, Unit{"h", 3'600'000}};
constexpr std::array kMemoryUnits{Unit{"MiB", 1}, Unit{"GiB", 1024}};

template <std::size_t N>
std::string names(const std::array<Unit, N>& units) {
  std::string list;
  for (const Unit& unit : units)
    list += (list.empty() ? "" : &unit == &units.back() ? " or " : ", ") + std::string(unit.name);
  return list;
}

// "3s" → 3 × the factor of "s". Numbers are whole and have at most 9 digits, so nothing overflows.
template <std::size_t N>
std::optional<std::int64_t> quantity(const Field& field, const std::array<Unit, N>& units, std::string_view example) {
  const auto* text = std::get_if<std::string>(&field.value.data);
  const std::string wanted = "a string with a unit, like " + in_quotes(example);
  if (text == nullptr) return field.wants(wanted);
  const std::size_t digits = std::min(text->find_first_not_of("0123456789"), text->size());
  if (digits == 0 || digits > 9) return field.wants(wanted);
  const std::string_view unit_name = std::string_view(*text).substr(digits);
  for (const Unit& unit : units) {
    if (unit_name != unit.name) continue;
    std::int64_t count = 0;
    std::from_chars(text->data(), text->data() + digits, count);
    return count * unit.factor;
  }
  if (unit_name.empty()) return field.error("has no unit; write " + names(units) + " behind the number");
  return field.error("has the unknown unit " + in_quotes(unit_name) + "; use " + names(units));
}

std::string range(const std::string& min, const std::string& max, const std::string& found) {
  if (min == max) return "must be " + min + ", not " + found;
  return "must be between " + min + " and " + max + ", not " + found;
}

std::string to_text(Milliseconds time) {
  const auto ms = time.count();
  return ms % 1000 == 0 && ms != 0 ? std::to_string(ms / 1000) + "s" : std::to_string(ms) + "ms";
}

bool is_prime(std::uint32_t n) {
  if (n < 2) return false;
  for (std::uint32_t divisor = 2; divisor * divisor <= n; divisor++)
    if (n % divisor == 0) return false;
  return true;
}

constexpr IpPrefix v4_prefix(std::uint32_t address, std::uint8_t bits) {
  return {IpAddress::from_v4(Be32::from_host(address)), bits};
}

// Where no host on a network can be; the first that fits counts.
struct NotUnicast {
  IpPrefix prefix;
  bool is_local;  // a host has it all the same, for itself or its neighbours
  const char* why;
};
constexpr NotUnicast kNotUnicast[] = {
    {v4_prefix(0xffffffff, 32), false, "is the broadcast address"},
    {v4_prefix(0, 8), false, "is in 0.0.0.0/8, which names no host"},
    {v4_prefix(0x7f000000, 8), true, "is a loopback address"},
    {v4_prefix(0xa9fe0000, 16), true, "is a link-local address"},
    {v4_prefix(0xe0000000, 4), false, "is a multicast address"},
    {v4_prefix(0xf0000000, 4), false, "is in 240.0.0.0/4, which is reserved"},
    {{{}, 128}, false, "is the unspecified address"},
    {{{{0xff}}, 8}, false, "is a multicast address"},
    {{{{0xfe, 0x80}}, 10}, true, "is a link-local address"},
    {{{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}}, 128}, true, "is the loopback address"},
};

// The first of them that the prefix has a part in; nullptr if a host on a network can have every address of it.
const NotUnicast* not_unicast(const IpPrefix& prefix) {
  const auto found = std::ranges::find_if(kNotUnicast, [&](const NotUnicast& n) { return overlap(n.prefix, prefix); });
  return found == std::end(kNotUnicast) ? nullptr : found;
}

// An IPv4 address in the clothes of IPv6 would be taken for IPv4.
std::nullopt_t refuse_mapped(const Field& field, const std::string& text, const std::string& better) {
  return field.error("is the IPv4-mapped " + in_quotes(text) + "; write " + in_quotes(better));
}

std::optional<IpAddress> address(const Field& field) {
  const auto* text = std::get_if<std::string>(&field.value.data);
  if (text == nullptr) return field.wants("an IP address");
  const auto ip = parse_ip(*text);
  if (!ip) return field.error("must be an IPv4 or IPv6 address, not " + in_quotes(*text));
  if (ip->is_v4() && text->find(':') != std::string::npos) return refuse_mapped(field, *text, guideway::to_text(*ip));
  return ip;
}

std::nullopt_t refuse(const Field& field, const IpAddress& ip, const NotUnicast& found) {
  return field.error("must be a unicast address, but " + guideway::to_text(ip) + " " + found.why);
}

}  // namespace

std::optional<bool> boolean(const Field& field) {
  if (const auto* value = std::get_if<bool>(&field.value.data)) return *value;
  return field.wants("true or false");
}

std::optional<std::int64_t> integer_in(const Field& field, std::int64_t min, std::int64_t max) {
  const auto* value = std::get_if<std::int64_t>(&field.value.data);
  if (value == nullptr) return field.wants("an integer");
  if (*value < min || *value > max)
    return field.error(range(std::to_string(min), std::to_string(max), std::to_string(*value)));
  return *value;
}

std::optional<double> number_in(const Field& field, double min, double max) {
  const auto* integer = std::get_if<std::int64_t>(&field.value.data);
  const auto* fraction = std::get_if<double>(&field.value.data);
  if (integer == nullptr && fraction == nullptr) return field.wants("a number");
  const double value = fraction != nullptr ? *fraction : static_cast<double>(*integer);
  if (value >= min && value <= max) return value;  // false for a NaN
  const auto shortest = [](double number) {
    std::array<char, 64> digits{};
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
    return std::string(digits.data(), end);
  };
  return field.error(range(shortest(min), shortest(max), shortest(value)));
}

std::optional<Milliseconds> duration_in(const Field& field, Milliseconds min, Milliseconds max) {
  const auto ms = quantity(field, kTimeUnits, "3s");
  if (!ms) return std::nullopt;
  if (*ms >= min.count() && *ms <= max.count()) return Milliseconds(*ms);
  return field.error(range(to_text(min), to_text(max), std::get<std::string>(field.value.data)));
}

std::optional<std::uint32_t> mebibytes_in(const Field& field, std::uint32_t min, std::uint32_t max) {
  const auto mib = quantity(field, kMemoryUnits, "512MiB");
  if (!mib) return std::nullopt;
  if (*mib >= min && *mib <= max) return static_cast<std::uint32_t>(*mib);
  return field.error(
      range(std::to_string(min) + "MiB", std::to_string(max) + "MiB", std::get<std::string>(field.value.data)));
}

std::optional<std::size_t> choice_of(const Field& field, const std::vector<std::string>& words) {
  std::string wanted;
  for (const std::string& word : words)
    wanted += (wanted.empty() ? "" : &word == &words.back() ? " or " : ", ") + in_quotes(word);
  const auto* text = std::get_if<std::string>(&field.value.data);
  if (text == nullptr) return field.wants(wanted);
  const auto found = std::find(words.begin(), words.end(), *text);
  if (found != words.end()) return static_cast<std::size_t>(found - words.begin());
  return field.error("must be " + wanted + ", not " + in_quotes(*text) + field.review.did_you_mean(*text, words));
}

std::optional<std::string> text(const Field& field) {
  const auto* text = std::get_if<std::string>(&field.value.data);
  if (text == nullptr) return field.wants("a string");
  if (text->empty()) return field.error("is empty; remove the key or fill it in");
  if (text->size() > kTextBytesMax) return field.error("is longer than 255 bytes");
  const auto fits = [](char c) { return c > ' ' && c < 0x7f; };
  if (!std::all_of(text->begin(), text->end(), fits))
    return field.error("must be printable ASCII without spaces, not " + in_quotes(*text));
  return *text;
}

bool is_name(std::string_view text) {
  const auto fits = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-'; };
  return !text.empty() && text.size() <= kNameBytesMax && std::all_of(text.begin(), text.end(), fits);
}

std::optional<std::string> name(const Field& field) {
  const auto* text = std::get_if<std::string>(&field.value.data);
  if (text == nullptr) return field.wants("a name");
  if (!is_name(*text)) return field.error("must be 1 to 63 of a-z, 0-9, _ and -, not " + in_quotes(*text));
  return *text;
}

std::optional<IpAddress> unicast_address(const Field& field) {
  const auto ip = address(field);
  if (!ip) return std::nullopt;
  if (const NotUnicast* found = not_unicast(IpPrefix::of(*ip)); found != nullptr) return refuse(field, *ip, *found);
  return ip;
}

std::optional<IpAddress> host_address(const Field& field) {
  const auto ip = address(field);
  if (!ip) return std::nullopt;
  const NotUnicast* found = not_unicast(IpPrefix::of(*ip));
  if (found != nullptr && !found->is_local) return refuse(field, *ip, *found);
  return ip;
}

std::optional<IpPrefix> unicast_prefix(const Field& field) {
  const auto* text = std::get_if<std::string>(&field.value.data);
  if (text == nullptr) return field.wants("an IP address or a prefix");
  if (text->find('/') == std::string::npos) {
    const auto ip = unicast_address(field);
    return ip ? std::optional(IpPrefix::of(*ip)) : std::nullopt;
  }
  std::string why;
  const auto prefix = parse_prefix(*text, why);
  if (!prefix) return field.error(in_quotes(*text) + " " + why);
  if (prefix->address.is_v4() && text->find(':') != std::string::npos)
    return refuse_mapped(field, *text, guideway::to_text(*prefix));
  if (const NotUnicast* found = not_unicast(*prefix); found != nullptr) {
    const IpPrefix& smaller = found->prefix.bits > prefix->bits ? found->prefix : *prefix;
    return field.error("must hold unicast addresses only, but " + guideway::to_text(smaller.address) + " in " + *text +
                       " " + found->why);
  }
  return prefix;
}

std::optional<MacAddress> unicast_mac(const Field& field) {
  const auto* text = std::get_if<std::string>(&field.value.data);
  if (text == nullptr) return field.wants("a MAC address");
  const auto mac = parse_mac(*text);
  if (!mac) return field.error("must be a MAC address like \"02:00:5e:10:00:01\", not " + in_quotes(*text));
  if ((mac->bytes[0] & 1) != 0 || *mac == MacAddress{})
    return field.error("must be a unicast MAC address, not " + in_quotes(*text));
  return mac;
}

std::optional<std::uint32_t> slot_count(const Field& field) {
  const auto count = integer_in(field, kSlotCountMin, kSlotCountMax);
  if (!count) return std::nullopt;
  const auto slots = static_cast<std::uint32_t>(*count);
  if (is_prime(slots)) return slots;
  std::uint32_t below = slots;
  std::uint32_t above = slots;
  while (!is_prime(below)) below--;
  while (!is_prime(above)) above++;
  const std::string primes = std::to_string(below) + (above <= kSlotCountMax ? " or " + std::to_string(above) : "");
  return field.error("must be a prime, and " + std::to_string(slots) + " is none; the nearest are " + primes);
}

}  // namespace guideway::config
