// The words of the configuration file and the API for our values. Thread-safety: pure functions.
#pragma once

#include <chrono>
#include <string>

#include "common/config/config.h"

namespace guideway::controlplane {

const char* to_text(IpProto protocol);            // "tcp" or "udp"
const char* protocol_of(const config::Vip& vip);  // "tcp", "udp" or "quic"
const char* to_text(config::Announce announce);
const char* to_text(config::Echo echo);
const char* to_text(Unserved unserved);
const char* to_text(NoBackend no_backend);
const char* to_text(Oversize oversize);
std::string from_bounded(const char* text, std::size_t size);       // up to a zero byte, `size` bytes at most
std::string to_hex(std::uint64_t value);                            // 16 digits
std::string to_utc_text(std::chrono::system_clock::time_point at);  // RFC 3339, whole seconds

}  // namespace guideway::controlplane
