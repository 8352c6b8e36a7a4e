#include "common/config/kinds.h"
#include "common/config/sections.h"
#include "common/config/words.h"

namespace guideway::config {

void Names::add(const std::string& name, Section& section) {
  if (!is_name(name))
    section.review().error(section.place(),
                           "the name of a " + noun_ + " must be 1 to 63 of a-z, 0-9, _ and -, not " + in_quotes(name));
  positions_.emplace(name, names_.size());
  names_.push_back(name);
  places_.push_back(section.place());
  used_.push_back(false);
}

std::optional<std::size_t> Names::find(const Field& field) {
  const auto* name = std::get_if<std::string>(&field.value.data);
  if (name == nullptr) return field.wants("the name of a " + noun_);
  const auto found = positions_.find(*name);
  if (found == positions_.end())
    return field.error("names the " + noun_ + " " + in_quotes(*name) + ", which does not exist" +
                       field.review.did_you_mean(*name, names_));
  used_[found->second] = true;
  return found->second;
}

void Names::warn_unused(Review& review) const {
  for (std::size_t i = 0; i < names_.size(); i++)
    if (!used_[i])
      review.warning(places_[i], noun_ + " " + in_quotes(names_[i]) + " is not used; remove it or refer to it");
}

}  // namespace guideway::config
