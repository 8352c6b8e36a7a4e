// Text of the main core in the stats region, which others read while it changes.
//
// A version beside the text is odd while it is being written. Thread-safety: one writer; any number of readers, who
// never wait for it.
#pragma once

#include <string>
#include <string_view>

#include "guideway/stats.h"

namespace guideway::shm {

// As much of `text` as fits. REQUIRES: the caller is the only writer of `target`.
void set_text(StatsText& target, std::string_view text);

// Empty when its writer died in the middle of writing.
std::string get_text(const StatsText& source);

// As the API and the log name it.
constexpr const char* to_text(SpeakerState state) {
  switch (state) {
    case SpeakerState::off:
      return "off";
    case SpeakerState::idle:
      return "idle";
    case SpeakerState::connecting:
      return "connecting";
    case SpeakerState::open_sent:
      return "open_sent";
    case SpeakerState::open_confirm:
      return "open_confirm";
    case SpeakerState::established:
      return "established";
  }
  return "?";
}
constexpr const char* to_text(PortState state) {
  switch (state) {
    case PortState::down:
      return "down";
    case PortState::up:
      return "up";
    case PortState::gone:
      return "gone";
    case PortState::replaced:
      return "replaced";
    case PortState::not_steered:
      return "not_steered";
  }
  return "?";
}

}  // namespace guideway::shm
