#include "dataplane/replay/changes.h"

#include <gtest/gtest.h>

#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace guideway::replay {
namespace {

using namespace std::chrono_literals;

class ChangesTest : public testing::Test {
 protected:
  ChangesTest() {
    for (const char* name : {"web", "dns"}) {
      config::Pool& pool = config_.pools.emplace_back();
      pool.name = name;
      for (const char* backend : {"b1", "b2"}) pool.backends.emplace_back().name = backend;
    }
  }
  ~ChangesTest() override { std::filesystem::remove(path_); }

  std::vector<Change> read(const std::string& text) {
    std::ofstream(path_) << text;
    return read_changes(path_, config_);
  }
  // What is wrong, without the path; empty: nothing.
  std::string mistake(const std::string& text) {
    try {
      read(text);
      return "";
    } catch (const std::runtime_error& error) {
      return std::string(error.what()).substr(path_.size());
    }
  }

  config::Config config_;
  const std::string path_ = testing::TempDir() + "guideway-changes-" + std::to_string(getpid());
};

TEST_F(ChangesTest, EachLineIsAChange) {
  const auto changes =
      read("# nothing\n\n0 web/b2 down\n  1.5\tdns/b1 unreachable # why\n1.5 web/b2 up\n2e1 web/b1 drained");
  ASSERT_EQ(changes.size(), 4U);
  EXPECT_EQ(changes[0].at, 0s);
  EXPECT_EQ(changes[0].pool, 0U);
  EXPECT_EQ(changes[0].backend, 1U);
  EXPECT_EQ(changes[0].to, BackendState::down);
  EXPECT_EQ(changes[1].at, 1500ms);
  EXPECT_EQ(changes[1].pool, 1U);
  EXPECT_EQ(changes[1].backend, 0U);
  EXPECT_EQ(changes[1].to, BackendState::unreachable);
  EXPECT_EQ(changes[2].to, BackendState::up);
  EXPECT_EQ(changes[3].at, 20s);
  EXPECT_EQ(changes[3].to, BackendState::drained);
}

TEST_F(ChangesTest, MistakesAreNamedWithTheirLine) {
  EXPECT_EQ(mistake("\nsoon web/b1 up"), ":2: \"soon\" is no time; write seconds since the first packet");
  EXPECT_EQ(mistake("-1 web/b1 up"), ":1: \"-1\" is no time; write seconds since the first packet");
  EXPECT_EQ(mistake("nan web/b1 up"), ":1: \"nan\" is no time; write seconds since the first packet");
  EXPECT_EQ(mistake("1 mail/b1 up"), ":1: \"mail/b1\" is of no pool; write POOL/BACKEND");
  EXPECT_EQ(mistake("1"), ":1: \"\" is of no pool; write POOL/BACKEND");
  EXPECT_EQ(mistake("1 web up"), ":1: \"web\" is no backend of pool web; write POOL/BACKEND");
  EXPECT_EQ(mistake("1 web/b3 up"), ":1: \"web/b3\" is no backend of pool web; write POOL/BACKEND");
  EXPECT_EQ(mistake("1 web/b1 dead"), ":1: \"dead\" is no state; write up, drained, down or unreachable");
  EXPECT_EQ(mistake("1 web/b1 up 2"), ":1: \"2\" is too much; a line says SECONDS POOL/BACKEND STATE");
  EXPECT_EQ(mistake("2 web/b1 up\n1 web/b1 up"),
            ":2: it is of an earlier time than the line before; put them in order");
}

TEST_F(ChangesTest, AFileThatIsNotThere) {
  EXPECT_THROW(read_changes(path_ + ".missing", config_), std::runtime_error);
}

}  // namespace
}  // namespace guideway::replay
