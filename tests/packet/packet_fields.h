// Packets field by field, for people who look at a failed test.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace guideway::packet_text {

// A line per field, "ipv4.ttl 64"; goes into IPIP and GUE. What cannot be told apart comes as rows of hex.
std::vector<std::string> describe(std::span<const std::uint8_t> frame);

// Both, field by field: "  " what is equal, "- " what was expected, "+ " what came. Empty if the frames are equal.
std::string diff(std::span<const std::uint8_t> expected, std::span<const std::uint8_t> got);

}  // namespace guideway::packet_text
