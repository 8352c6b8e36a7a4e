#include "perf/continuity/pool.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <system_error>

namespace guideway::perf {
namespace {

constexpr std::uint32_t kFirstAddress = 0x0a000001;
constexpr std::size_t kSegmentBytes = std::size_t{16} << 20;
constexpr const char* kPoolName = "pool";

controlplane::EraTime wall(Seconds now) {
  return controlplane::EraTime(std::chrono::milliseconds(now));
}

Egress some_egress() {
  Egress egress;
  egress.source_mac = {{2, 0, 0, 0, 0, 3}};
  egress.next_hop_mac = {{2, 0, 0, 0, 0, 4}};
  egress.source = IpAddress::from_v4(Be32::from_host(0x0ac80001));
  return egress;
}

}  // namespace

IpAddress address_of_member(std::uint32_t member) {
  return IpAddress::from_v4(Be32::from_host(kFirstAddress + member));
}
std::uint32_t member_of_address(const IpAddress& address) {
  return address.v4().host() - kFirstAddress;
}
IpAddress simulated_vip() {
  return IpAddress::from_v4(Be32::from_host(0xcb007101));
}

JournalDirectory::JournalDirectory() : path_("/dev/shm/guideway-eras-XXXXXX") {
  if (mkdtemp(path_.data()) == nullptr) throw std::system_error(errno, std::generic_category(), "making " + path_);
}
JournalDirectory::~JournalDirectory() {
  std::error_code ignored;  // what is left behind is a small file among temporary ones
  std::filesystem::remove_all(path_, ignored);
}

PublishedTables::PublishedTables(Encap encap) : encap_(encap), writer_(shm::TablesWriter::create(kSegmentBytes)) {
  writer_->set_reader_pins([] { return kPinNone; });
}

bool PublishedTables::publish(DesiredTables desired) {
  desired.pools[0].encap = encap_;
  desired.pools[0].second_chance = encap_ == Encap::gue0;
  const shm::PublishResult result = writer_->publish(builder_.build(desired));
  if (result == shm::PublishResult::unchanged) return false;
  if (result != shm::PublishResult::published) throw std::runtime_error("the tables do not fit their segment");
  pools_.resize(pool_count(writer_->memory(), writer_->root()));
  TablesView opened;
  const TablesError error = open_generation(writer_->memory(), writer_->root(), pools_, nullptr, opened);
  if (error != TablesError::none) throw std::runtime_error(guideway::to_text(error));
  view_ = opened;
  return true;
}

Pool::Pool(std::uint32_t backends, std::uint32_t spare_backends, std::uint32_t slot_count)
    : slot_count_(slot_count), members_(backends + spare_backends) {
  for (std::uint32_t i = backends; i < members_.size(); i++) members_[i].present = false;
  start_control_plane();
}

void Pool::start_control_plane() {
  std::string warning;
  eras_.emplace(directory_.path(), kSettleAfter, warning);
  if (!warning.empty()) throw std::runtime_error(warning);
  ipip_.forget();
  gue_.forget();
  changed_ = true;
}

bool Pool::apply(const Event& event) {
  if (event.action == Action::restart_control) {
    start_control_plane();
    return true;
  }
  if (event.action >= Action::lose_lb) return false;
  Member& member = members_[event.subject];
  switch (event.action) {
    case Action::weigh:
      member.weight = event.value;
      break;
    case Action::drain:
      member.drained = true;
      break;
    case Action::undrain:
      member.drained = false;
      break;
    case Action::add:
      member = {.life = member.life};
      break;
    case Action::remove:
      member.present = false;
      member.life++;
      break;
    case Action::crash:
      member.is_up = false;
      member.life++;
      break;
    case Action::notice:
      member.seems_up = false;
      break;
    case Action::boot:
      member.is_up = true;
      break;
    default:
      member.seems_up = true;
  }
  changed_ = true;
  return true;
}

DesiredTables Pool::desired_at(Seconds now) {
  DesiredTables desired;
  DesiredPool& pool = desired.pools.emplace_back();
  pool.slot_count = slot_count_;
  for (std::uint32_t i = 0; i < members_.size(); i++)
    if (const Member& member = members_[i]; member.present)
      pool.backends.push_back({.address = address_of_member(i),
                               .weight = member.takes_new() ? member.weight : 0,
                               .stats_index = i,
                               .alive = member.seems_up,
                               .egress = some_egress()});
  eras_->note(kPoolName, pool.slot_count, weights_of(pool), wall(now));
  pool.past = eras_->past(kPoolName, wall(now));
  ownerships_.push_back({now, weights_of(pool)});
  desired.vips.push_back({.prefix = IpPrefix::of(simulated_vip()), .port = kSimulatedPort});
  return desired;
}

bool Pool::owns(const Weights& weights, Slot slot, std::uint32_t member) {
  const std::vector<SlotEntry>& slots = tables_.of(weights, slot_count_);
  return !slots.empty() && member_of_address(weights[slots[index(slot)]].address) == member;
}

bool Pool::has_owned(Slot slot, std::uint32_t member, Seconds now) {
  for (std::size_t i = 0; i < ownerships_.size(); i++) {
    const bool is_over = i + 1 < ownerships_.size() && ownerships_[i + 1].began + kSettleAfter <= now;
    if (!is_over && owns(ownerships_[i].weights, slot, member)) return true;
  }
  return false;
}

bool Pool::is_remembered_as_owner(Slot slot, std::uint32_t member, Seconds now) {
  const PastEras past = eras_->past(kPoolName, wall(now));
  const auto owned = [&](const Weights& weights) { return owns(weights, slot, member); };
  return owned(ownerships_.back().weights) || std::ranges::any_of(past.recent, owned) ||
         std::ranges::any_of(past.older, owned) || (members_[member].drained && std::ranges::any_of(past.kept, owned));
}

bool Pool::publish_if_due(Seconds now) {
  if (!changed_ && (!settles_at_ || *settles_at_ > wall(now))) return false;
  changed_ = false;
  const DesiredTables desired = desired_at(now);
  settles_at_ = eras_->next_change(wall(now));
  const bool ipip_differs = ipip_.publish(desired);
  return gue_.publish(desired) || ipip_differs;
}

}  // namespace guideway::perf
