// What every shared-memory segment begins with, and how one says why it cannot be attached.
//
// A segment is a sealed memfd (it can neither shrink nor grow). Its header is written once by its creator: first all
// fields, then `magic` with release. Whoever attaches checks it with check_segment() before believing anything else.
// docs/shm_contract.md is the whole contract.
//
// Thread-safety: the header is immutable after `magic` is stored.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

namespace guideway {

enum class SegmentKind : std::uint32_t { tables = 1, stats = 2, flows = 3 };

struct SegmentHeader {
  std::atomic<std::uint64_t> magic;  // stored last
  SegmentKind kind;
  std::uint32_t layout_version;
  std::uint64_t layout_hash;  // over every field's name, offset and size, see layout.h
  std::uint64_t size_bytes;   // of the whole segment
  std::uint64_t created_unix_ns;
  std::uint32_t creator_pid;
  std::uint32_t reserved;
  std::array<std::uint64_t, 2> spare;
};
static_assert(sizeof(SegmentHeader) == 64);
static_assert(offsetof(SegmentHeader, kind) == 8);
static_assert(offsetof(SegmentHeader, layout_version) == 12);
static_assert(offsetof(SegmentHeader, layout_hash) == 16);
static_assert(offsetof(SegmentHeader, size_bytes) == 24);
static_assert(offsetof(SegmentHeader, created_unix_ns) == 32);
static_assert(offsetof(SegmentHeader, creator_pid) == 40);
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

inline constexpr std::uint64_t kSegmentMagic = 0x7961'7765'6469'7567;  // "guideway" in memory order

enum class AttachError : std::uint32_t {
  none = 0,
  not_ready,         // the magic is not there yet: the creator is still at it, or died before it was done
  bad_magic,         // not a segment of ours
  wrong_kind,        // a segment of ours, but another region
  version_mismatch,  // made by a release whose layout we do not read
  layout_mismatch,   // same version number, other layout: one side was built with changed structs
  truncated,         // the memory is smaller than its header says
  bad_root,          // the tables' root points to nothing valid
  not_sealed,        // the descriptor could shrink under our feet
  no_memory,         // it could not be mapped
  too_large,         // larger than any segment of ours; mapping it would eat the machine's memory
  no_answer,         // the data plane went away before it said how it took the segment
};
constexpr const char* to_text(AttachError error) {
  switch (error) {
    case AttachError::none:
      return "attached";
    case AttachError::not_ready:
      return "not ready: its creator has not finished it";
    case AttachError::bad_magic:
      return "bad magic: not a Guideway segment";
    case AttachError::wrong_kind:
      return "wrong kind: a Guideway segment of another region";
    case AttachError::version_mismatch:
      return "version mismatch: made by a release with another layout version";
    case AttachError::layout_mismatch:
      return "layout mismatch: same version, but its structs differ from ours";
    case AttachError::truncated:
      return "truncated: smaller than its header says";
    case AttachError::bad_root:
      return "bad root: it does not lead to a valid generation";
    case AttachError::not_sealed:
      return "not sealed: it could shrink while mapped";
    case AttachError::no_memory:
      return "out of memory: it could not be mapped";
    case AttachError::too_large:
      return "too large: more than a segment may have";
    case AttachError::no_answer:
      return "no answer: the data plane went away before it took the segment";
  }
  return "unknown error";
}

struct SegmentExpectation {
  SegmentKind kind;
  std::uint32_t layout_version;
  std::uint64_t layout_hash;
  std::size_t minimum_bytes;
};

// Checks the header at the start of mapped memory; never reads past `memory`.
inline AttachError check_segment(std::span<const std::byte> memory, const SegmentExpectation& expected) {
  if (memory.size() < sizeof(SegmentHeader)) return AttachError::truncated;
  const auto* header = reinterpret_cast<const SegmentHeader*>(memory.data());
  const std::uint64_t magic = header->magic.load(std::memory_order_acquire);
  if (magic == 0) return AttachError::not_ready;
  if (magic != kSegmentMagic) return AttachError::bad_magic;
  if (header->kind != expected.kind) return AttachError::wrong_kind;
  if (header->layout_version != expected.layout_version) return AttachError::version_mismatch;
  if (header->layout_hash != expected.layout_hash) return AttachError::layout_mismatch;
  if (header->size_bytes > memory.size() || header->size_bytes < expected.minimum_bytes) return AttachError::truncated;
  return AttachError::none;
}

}  // namespace guideway
