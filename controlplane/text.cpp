#include "controlplane/text.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <cstring>

namespace guideway::controlplane {

const char* to_text(IpProto protocol) {
  return protocol == IpProto::udp ? "udp" : "tcp";
}

const char* protocol_of(const config::Vip& vip) {
  return vip.quic ? "quic" : to_text(vip.protocol);
}

const char* to_text(config::Echo echo) {
  switch (echo) {
    case config::Echo::answer:
      return "answer";
    case config::Echo::healthy:
      return "healthy";
    case config::Echo::drop:
      return "drop";
  }
  return "?";
}

const char* to_text(Unserved unserved) {
  switch (unserved) {
    case Unserved::drop:
      return "drop";
    case Unserved::kernel:
      return "kernel";
    case Unserved::reject:
      return "reject";
  }
  return "?";
}

const char* to_text(NoBackend no_backend) {
  return no_backend == NoBackend::reject ? "reject" : "drop";
}

const char* to_text(Oversize oversize) {
  switch (oversize) {
    case Oversize::fragment_outer:
      return "fragment";
    case Oversize::fragment_inner:
      return "fragment-inner";
    case Oversize::drop:
      return "drop";
  }
  return "?";
}

const char* to_text(config::Announce announce) {
  switch (announce) {
    case config::Announce::healthy:
      return "healthy";
    case config::Announce::always:
      return "always";
    case config::Announce::never:
      return "never";
  }
  return "?";
}

std::string from_bounded(const char* text, std::size_t size) {
  return {text, strnlen(text, size)};
}

std::string to_hex(std::uint64_t value) {
  return fmt::format("{:016x}", value);
}

std::string to_utc_text(std::chrono::system_clock::time_point at) {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::chrono::system_clock::to_time_t(at)));
}

}  // namespace guideway::controlplane
