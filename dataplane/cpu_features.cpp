#include "dataplane/cpu_features.h"

#include "dataplane/start_error.h"

namespace guideway {

void require_cpu_features() {
  __builtin_cpu_init();
  const char* missing = !__builtin_cpu_supports("aes")      ? "AES-NI"
                        : !__builtin_cpu_supports("sse4.2") ? "SSE4.2"
                        : !__builtin_cpu_supports("popcnt") ? "POPCNT"
                                                            : nullptr;
  if (missing != nullptr)
    throw StartError(
        "this processor has no {}, which guideway-dataplane needs; in a virtual machine, give it the "
        "host's CPU model (for QEMU: -cpu host)",
        missing);
}

}  // namespace guideway
