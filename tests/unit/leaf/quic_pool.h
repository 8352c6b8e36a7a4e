// A pool whose connection IDs name its backends, without shared memory: for tests of the lookups.
#pragma once

#include <array>
#include <utility>
#include <vector>

#include "guideway/quic_route.h"

namespace guideway {

class QuicPool {
 public:
  // Backend i has the i-th server ID and is usable.
  QuicPool(const QuicLayouts& layouts, const std::vector<QuicServerId>& ids)
      : backends_(ids.size()), entries_(std::bit_ceil(2 * ids.size() + 1)) {
    for (std::size_t i = 0; i < layouts.size(); i++) {
      decoders_.shapes[i] = layouts[i].shape;
      if (layouts[i].shape.kind == QuicLayoutKind::single_pass)
        decoders_.keys[i] = aes::decryption_keys(layouts[i].secret);
      if (layouts[i].shape.kind == QuicLayoutKind::four_pass)
        decoders_.keys[i] = aes::encryption_keys(layouts[i].secret);
    }
    for (std::size_t i = 0; i < ids.size(); i++) {
      backends_[i].flags = kBackendAlive;
      std::uint64_t at = index_hash(ids[i]);
      while (!is_free(entries_[at % entries_.size()].key)) at++;
      entries_[at % entries_.size()] = {ids[i], static_cast<BackendId>(i)};
    }
    view_.backends = backends_.data();
    view_.backend_count = static_cast<std::uint32_t>(backends_.size());
    const auto entries = static_cast<std::uint32_t>(entries_.size());
    view_.quic = {entries_.data(), entries - 1, entries, &decoders_, decoders_.shapes};
  }
  QuicPool(const QuicPool&) = delete;
  QuicPool& operator=(const QuicPool&) = delete;

  const PoolView& view() const { return view_; }
  BackendRecord& backend(std::size_t i) { return backends_.at(i); }
  // Its position; -1: none.
  std::ptrdiff_t position_of(const BackendRecord* backend) const {
    return backend == nullptr ? -1 : backend - backends_.data();
  }

 private:
  QuicDecoders decoders_{};
  std::vector<BackendRecord> backends_;
  std::vector<QuicServerEntry> entries_;
  PoolView view_;
};

inline QuicServerId server_id_of(const std::vector<std::uint8_t>& bytes) {
  QuicServerId id;
  id.size_bytes = static_cast<std::uint8_t>(bytes.size());
  std::copy(bytes.begin(), bytes.end(), id.bytes.begin());
  return id;
}

}  // namespace guideway
