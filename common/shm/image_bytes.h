// What an image takes in a segment. Thread-safety: pure functions.
#pragma once

#include <cstdint>
#include <unordered_set>

#include "common/tables/image.h"

namespace guideway::shm {

constexpr std::uint32_t units_of(std::uint32_t size_bytes) {
  return (size_bytes + kObjectUnitBytes - 1) / kObjectUnitBytes;
}

// Of those objects that count, each once.
template <typename Counts>
std::uint64_t units_of_objects(const TableImage& image, Counts counts) {
  std::uint64_t units = 0;
  std::unordered_set<std::uint64_t> counted;
  image.for_each_object([&](const ImageObjectPtr& object) {
    if (counted.insert(object->checksum()).second && counts(object))
      units += units_of(static_cast<std::uint32_t>(object->bytes.size()));
  });
  return units;
}

// What a segment has to have for this image alone, with the writer's reserve.
std::uint64_t segment_bytes_for(const TableImage& image);

}  // namespace guideway::shm
