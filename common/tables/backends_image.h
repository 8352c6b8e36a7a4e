// Backends and their outer headers, as they lie in shared memory. Pure functions.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "common/tables/image.h"

namespace guideway {

// Numbers outer templates in the order they come, no two alike.
class OuterTemplates {
 public:
  // kNoOuter when there are kOutersMax others already.
  std::uint16_t number_of(const OuterTemplate& outer);
  const std::vector<OuterTemplate>& all() const { return all_; }

 private:
  using Bytes = std::array<std::uint8_t, sizeof(OuterTemplate)>;
  std::map<Bytes, std::uint16_t> numbers_;
  std::vector<OuterTemplate> all_;
};

// The backends of a pool before the outer templates of all pools are numbered: `outer` of a record is a position here.
struct BackendsDraft {
  std::vector<BackendRecord> records;
  std::vector<OuterTemplate> outers;
};
BackendsDraft draft_backends(const DesiredPool& pool);

// `numbers`: what each of the draft's outer templates is called in the tables.
ImageObjectPtr make_backends(const BackendsDraft& draft, const std::vector<std::uint16_t>& numbers);

}  // namespace guideway
