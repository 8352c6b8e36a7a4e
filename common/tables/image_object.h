// How objects of an image are put together: header, what lies in front of the elements, elements, checksum; and the
// indexes among them.
#pragma once

#include <algorithm>
#include <bit>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

#include "common/tables/image.h"
#include "guideway/tables_view.h"

namespace guideway {

// `preamble` lies between the header's unit and the elements; REQUIRES: as large as elements_offset_bytes(kind) says.
template <typename Element>
ImageObjectPtr make_object(ObjectKind kind, const std::vector<Element>& elements, std::uint32_t probes_max = 0,
                           std::span<const std::byte> preamble = {}) {
  const std::uint32_t elements_at = elements_offset_bytes(kind);
  auto object = std::make_shared<ImageObject>(
      ImageObject{kind, std::vector<std::byte>(elements_at + elements.size() * sizeof(Element))});
  std::vector<std::byte>& bytes = object->bytes;
  ObjectHeader header{0, kind, static_cast<std::uint32_t>(elements.size()), static_cast<std::uint32_t>(bytes.size()),
                      probes_max};
  std::memcpy(bytes.data(), &header, sizeof header);
  if (!preamble.empty()) std::memcpy(bytes.data() + kObjectUnitBytes, preamble.data(), preamble.size());
  if (!elements.empty()) std::memcpy(bytes.data() + elements_at, elements.data(), elements.size() * sizeof(Element));
  header.checksum = object_checksum(bytes);
  std::memcpy(bytes.data(), &header.checksum, sizeof header.checksum);
  return object;
}

// Open addressing with linear probing, at most half full; `probes_max` is the longest way to any entry, so a lookup
// that has found nothing by then will not.
template <typename Entry>
class IndexBuilder {
 public:
  explicit IndexBuilder(std::size_t entries) : entries_(std::bit_ceil(std::max<std::size_t>(2 * entries, 2))) {}

  // The first entry of a key stays.
  void insert(const Entry& entry) {
    std::uint64_t at = index_hash(entry.key);
    for (std::uint32_t probes = 1;; probes++, at++) {
      Entry& place = entries_[at & (entries_.size() - 1)];
      if (place.key == entry.key) return;
      if (!is_free(place.key)) continue;
      place = entry;
      probes_max_ = std::max(probes_max_, probes);
      return;
    }
  }
  ImageObjectPtr object(ObjectKind kind, std::span<const std::byte> preamble = {}) const {
    return make_object(kind, entries_, probes_max_, preamble);
  }

 private:
  std::vector<Entry> entries_;
  std::uint32_t probes_max_ = 1;
};

}  // namespace guideway
