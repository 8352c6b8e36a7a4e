#include "dataplane/host_requirements.h"

#include <rte_config.h>
#include <sched.h>
#include <unistd.h>

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
        "this processor has no {}, which guideway-dataplane needs; in a virtual machine, give it the host's CPU model "
        "(for QEMU: -cpu host)",
        missing);
}

void require_root() {
  if (geteuid() != 0) throw StartError("guideway-dataplane needs root for its network devices; start it with sudo");
}

void require_cores(const config::Dataplane& config) {
  if (config.worker_cores.size() >= RTE_MAX_LCORE)
    throw StartError("dataplane.worker_cores names {} cores, and DPDK takes at most {}", config.worker_cores.size(),
                     RTE_MAX_LCORE - 1);
  cpu_set_t ours;
  CPU_ZERO(&ours);
  if (sched_getaffinity(0, sizeof ours, &ours) != 0) return;
  const auto require = [&](std::uint32_t core, const char* key) {
    if (core >= CPU_SETSIZE || !CPU_ISSET(core, &ours))
      throw StartError(
          "core {} of dataplane.{} does not exist or is not ours to use: this process may run on {} cores; choose "
          "among those that `taskset -pc $$` lists",
          core, key, CPU_COUNT(&ours));
  };
  require(config.main_core, "main_core");
  for (const std::uint32_t core : config.worker_cores) require(core, "worker_cores");
}

}  // namespace guideway
