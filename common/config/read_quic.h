// [pool.NAME.quic], server_id of the pool's backends, and what VIPs of QUIC want of their pool.
//
// Thread-safety: one thread.
#pragma once

#include <map>
#include <string>
#include <utility>

#include "common/config/config.h"
#include "common/config/section.h"

namespace guideway::config {

// Gives pool.quic if the section has it. Relative key files start at `directory`.
void read_quic(Section& pool_section, const std::string& directory, Pool& pool);

// The server IDs of one pool's backends. REQUIRES: the pool's `quic` has been read.
class ServerIds {
 public:
  explicit ServerIds(const Pool& pool) : pool_(pool) {}

  // Those of one element of `backends`.
  void read(Section& section, Backend& backend);

 private:
  void claim(const QuicServerId& id, Place place, const Backend& backend, Review& review);
  void require_all(Section& section, const Backend& backend) const;

  const Pool& pool_;
  std::map<QuicServerId, std::pair<std::string, Place>> taken_;
};

// A VIP of QUIC needs a pool whose connection IDs name backends. `section` is the VIP's.
void require_quic(Section& section, const Pool& pool);

}  // namespace guideway::config
