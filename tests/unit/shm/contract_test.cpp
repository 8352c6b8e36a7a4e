// docs/shm_contract.md against the structs: its tables of offsets are read as they stand there.

#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <regex>

#include "guideway/tables.h"

namespace guideway {
namespace {

struct Field {
  std::size_t offset, bytes;
  bool operator==(const Field&) const = default;
};

// Rows like "| `magic` | 0 | 8 | …", those below the table's head named `head`.
std::map<std::string, Field> rows_below(const std::string& head) {
  std::ifstream document(GUIDEWAY_SHM_CONTRACT);
  std::map<std::string, Field> rows;
  const std::regex row(R"(\| `(\w+)` \| (\d+) \| (\d+) \|.*)");
  bool inside = false;
  for (std::string line; std::getline(document, line);) {
    if (line.rfind("| " + head + " | offset | bytes |", 0) == 0) inside = true;
    if (line.empty()) inside = false;
    if (std::smatch match; inside && std::regex_match(line, match, row))
      rows[match[1]] = {std::stoul(match[2]), std::stoul(match[3])};
  }
  return rows;
}

#define FIELD(type, name)                      \
  {                                            \
#name, Field {                             \
      offsetof(type, name), sizeof(type::name) \
    }                                          \
  }

TEST(ShmContract, SaysWhereTheHeaderIs) {
  const std::map<std::string, Field> expected{
      FIELD(SegmentHeader, magic),       FIELD(SegmentHeader, kind),       FIELD(SegmentHeader, layout_version),
      FIELD(SegmentHeader, layout_hash), FIELD(SegmentHeader, size_bytes), FIELD(SegmentHeader, created_unix_ns),
      FIELD(SegmentHeader, creator_pid), FIELD(TablesHeader, root)};
  EXPECT_EQ(rows_below("what"), expected);
}

TEST(ShmContract, SaysWhatAnObjectBeginsWith) {
  const std::map<std::string, Field> expected{FIELD(ObjectHeader, checksum), FIELD(ObjectHeader, kind),
                                              FIELD(ObjectHeader, count), FIELD(ObjectHeader, size_bytes),
                                              FIELD(ObjectHeader, probes_max)};
  EXPECT_EQ(rows_below("object header"), expected);
}

}  // namespace
}  // namespace guideway
