// A pool's connection ID layouts and server IDs → its quic object.
#pragma once

#include "common/tables/image.h"

namespace guideway {

// nullptr if the pool's connection IDs name no backends. REQUIRES: sound shapes; no server ID twice.
ImageObjectPtr make_quic(const DesiredPool& pool);

// Whether make_quic() gives the same bytes for both.
bool same_quic(const DesiredPool& a, const DesiredPool& b);

}  // namespace guideway
