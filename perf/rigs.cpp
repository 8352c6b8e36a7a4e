#include "perf/rigs.h"

#include <stdlib.h>  // mkdtemp
#include <x86intrin.h>

#include <filesystem>
#include <stdexcept>

#include "dataplane/flows/flows_file.h"
#include "dataplane/worker.h"

namespace guideway::perf {
namespace {

// As fast as the clock of a 2.6 GHz machine; only the fragment table and the limits of answers look at it.
Ns now() {
  return Ns(static_cast<Ns::rep>(static_cast<double>(__rdtsc()) / 2.6));
}

void transmit_all(Port& port, Batch& batch) {
  PacketList list;
  for (Packet& packet : batch.all()) list.push(packet);
  port.transmit(list.packets.data(), list.count);
}

class EmptyRig final : public Rig {
 public:
  explicit EmptyRig(Port& port) : port_(port) {}
  void poll() override {
    batch_.clear();
    port_.receive(batch_);
    transmit_all(port_, batch_);
  }

 private:
  Port& port_;
  Batch batch_;
};

// In one register, as testpmd does it; the four bytes behind the addresses are written back as they were.
void exchange_macs(std::uint8_t* ethernet) {
  const __m128i order = _mm_setr_epi8(6, 7, 8, 9, 10, 11, 0, 1, 2, 3, 4, 5, 12, 13, 14, 15);
  auto* at = reinterpret_cast<__m128i*>(ethernet);
  _mm_storeu_si128(at, _mm_shuffle_epi8(_mm_loadu_si128(at), order));
}

class MacSwapRig final : public Rig {
 public:
  explicit MacSwapRig(Port& port) : port_(port) {}
  void poll() override {
    batch_.clear();
    port_.receive(batch_);
    for (Packet& packet : batch_.all()) exchange_macs(packet.data);
    transmit_all(port_, batch_);
  }

 private:
  Port& port_;
  Batch batch_;
};

// A flow table as the data plane has it, in a file on a memory file system.
class RigFlows {
 public:
  RigFlows(const TablesSpec& tables, std::uint32_t flows)
      : directory_(make_directory()),
        file_(directory_, 1, tables.flows == Flows::settled ? 1 : flows, {}, Seconds{0}) {}
  ~RigFlows() { std::filesystem::remove_all(directory_); }
  RigFlows(const RigFlows&) = delete;
  RigFlows& operator=(const RigFlows&) = delete;
  std::span<FlowBucket> buckets() { return file_.worker(WorkerId{0}); }

 private:
  static std::string make_directory() {
    std::string pattern = "/dev/shm/guideway-perf-XXXXXX";
    if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("cannot make a directory in /dev/shm");
    return pattern;
  }
  std::string directory_;
  FlowsFile file_;
};

class WorkerRig final : public Rig {
 public:
  WorkerRig(Port& port, const BenchTables& tables, std::uint32_t flows)
      : tables_(tables),
        flows_(tables.spec(), flows),
        port_{&port, nullptr, true, {}},
        block_(std::make_unique<WorkerBlock>()),
        vips_(tables.spec().vips),
        backends_(std::size_t{tables.spec().pools} * tables.spec().backends),
        flows_of_backend_(backends_.size()),
        worker_({&port_, 1}, {block_.get(), vips_, backends_, flows_of_backend_}, {flows_.buckets(), flows_.buckets()},
                {}),
        polls_per_round_(std::max(flows / kBatchMax, 1U)) {}
  void poll() override { worker_.poll(&tables_.view(), now()); }

 private:
  // `fresh`: when a flow comes round again, what was remembered of it has just expired.
  Ns now() {
    if (tables_.spec().flows != Flows::fresh) return perf::now();
    return (FlowTimeouts{}.probation + Seconds{1}) * static_cast<std::uint32_t>(polls_++ / polls_per_round_);
  }

  const BenchTables& tables_;
  RigFlows flows_;
  WorkerPort port_;
  std::unique_ptr<WorkerBlock> block_;
  std::vector<Traffic> vips_;
  std::vector<Traffic> backends_;
  std::vector<std::atomic<std::uint32_t>> flows_of_backend_;
  Worker worker_;
  std::uint32_t polls_per_round_;
  std::uint64_t polls_ = 0;
};

class StagesRig final : public Rig {
 public:
  StagesRig(Port& port, const BenchTables& tables, Stage last) : port_(port), tables_(tables), last_(last) {}
  void poll() override {
    batch_.clear();
    port_.receive(batch_);
    run();
    transmit_all(port_, batch_);
  }

 private:
  void run() {
    parse(batch_);
    if (last_ >= Stage::classify) classify(batch_, tables_.view());
    if (last_ >= Stage::select) select(batch_, tables_.view(), tracker_, {});
    if (last_ >= Stage::encap) encap(batch_, tables_.view());
  }

  Port& port_;
  const BenchTables& tables_;
  Stage last_;
  Tracker tracker_{FlowTable({}, {}, {})};
  Batch batch_;
};

}  // namespace

std::unique_ptr<Rig> empty_rig(Port& port) {
  return std::make_unique<EmptyRig>(port);
}
std::unique_ptr<Rig> mac_swap_rig(Port& port) {
  return std::make_unique<MacSwapRig>(port);
}
std::unique_ptr<Rig> worker_rig(Port& port, const BenchTables& tables, std::uint32_t flows) {
  return std::make_unique<WorkerRig>(port, tables, flows);
}
std::unique_ptr<Rig> stages_rig(Port& port, const BenchTables& tables, Stage last) {
  return std::make_unique<StagesRig>(port, tables, last);
}

}  // namespace guideway::perf
