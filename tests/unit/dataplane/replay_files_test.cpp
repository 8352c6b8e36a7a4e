// A replay writes over nothing that it reads, and writes no file twice; the capture that is asked about is often the
// only one there is.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "dataplane/replay/pcap_file.h"
#include "dataplane/replay/replay.h"
#include "tests/lib/temporary_directory.h"

namespace guideway::replay {
namespace {

namespace fs = std::filesystem;

constexpr const char* kConfig = R"(schema = 1
[dataplane]
worker_cores = [1]
[[dataplane.port]]
name = "uplink"
device = "net_null0"
[pool.web]
slots = 251
backends = [{ name = "b1", address = "10.0.0.1" }]
[vip.web]
address = "203.0.113.10"
port = 80
pool = "web"
)";

class ReplayFilesTest : public testing::Test {
 protected:
  ReplayFilesTest() {
    fs::create_directories(directory_ / "sub");
    for (const char* name : {"guideway.toml", "older.toml"}) std::ofstream(directory_ / name) << kConfig;
    std::ofstream(directory_ / "changes.txt") << "0 web/b1 down\n";
    PcapWriter(path("in.pcap")).flush();
    fs::create_symlink("in.pcap", directory_ / "symbolic.pcap");
    fs::create_hard_link(directory_ / "in.pcap", directory_ / "hard.pcap");
  }

  std::string path(const char* name) const {
    return name[0] == '\0' || name[0] == '/' ? name : (directory_ / name).string();
  }
  // What the replay says; empty if it runs.
  std::string replay(const char* out, const char* kernel, const char* counters) {
    try {
      testing::internal::CaptureStdout();
      run({.config = path("guideway.toml"),
           .before = {path("older.toml")},
           .changes = path("changes.txt"),
           .in = path("in.pcap"),
           .out = path(out),
           .kernel = path(kernel),
           .counters = path(counters)});
      testing::internal::GetCapturedStdout();
      return {};
    } catch (const std::exception& e) {
      testing::internal::GetCapturedStdout();
      return e.what();
    }
  }
  static std::string content(const fs::path& file) {
    std::ifstream stream(file);
    return {std::istreambuf_iterator(stream), {}};
  }

  const TemporaryDirectory temporary_;
  const fs::path directory_ = temporary_.path();
};

TEST_F(ReplayFilesTest, WritesOverNothingThatItReadsOrWrites) {
  struct Row {
    const char *out, *kernel, *counters;
  };
  for (const Row& row : std::initializer_list<Row>{{"in.pcap", "", ""},
                                                   {"sub/../in.pcap", "", ""},
                                                   {"symbolic.pcap", "", ""},
                                                   {"hard.pcap", "", ""},
                                                   {"out.pcap", "in.pcap", ""},
                                                   {"out.pcap", "hard.pcap", ""},
                                                   {"out.pcap", "", "in.pcap"},
                                                   {"guideway.toml", "", ""},
                                                   {"out.pcap", "older.toml", ""},
                                                   {"out.pcap", "", "changes.txt"},
                                                   {"out.pcap", "out.pcap", ""},
                                                   {"out.pcap", "sub/../out.pcap", ""},
                                                   {"out.pcap", "kernel.pcap", "kernel.pcap"}}) {
    SCOPED_TRACE(std::string(row.out) + " " + row.kernel + " " + row.counters);
    const std::string capture = content(directory_ / "in.pcap");
    EXPECT_NE(replay(row.out, row.kernel, row.counters).find("are the same file"), std::string::npos);
    EXPECT_EQ(content(directory_ / "in.pcap"), capture);
    EXPECT_FALSE(fs::exists(directory_ / "out.pcap")) << "written before it was refused";
  }
  EXPECT_EQ(content(directory_ / "guideway.toml"), kConfig);
}

TEST_F(ReplayFilesTest, WritesToFilesOfTheirOwn) {
  EXPECT_EQ(replay("out.pcap", "kernel.pcap", "counters.json"), "");
  EXPECT_EQ(replay("out.pcap", "kernel.pcap", "counters.json"), "") << "those of the last replay";
  EXPECT_EQ(replay("/dev/null", "/dev/null", ""), "");
}

}  // namespace
}  // namespace guideway::replay
