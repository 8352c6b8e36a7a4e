// What each stage and each structure costs by itself:
//
//   ninja -C build perf/micro_bench && taskset -c 1 build/perf/micro_bench --benchmark_filter=classify
//
// micro_stages.cpp: stages over batches; micro_tables.cpp: slot tables and the hand-over; micro_quic.cpp: connection
// IDs. Everything is in cache here. What a packet costs when it is not, perf/pipeline_bench says.
#include <benchmark/benchmark.h>

BENCHMARK_MAIN();
