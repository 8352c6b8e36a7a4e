// The clock of eras and deadlines: goes on evenly whatever the time of day does, for every control plane of one boot.
#include "controlplane/steady_wall_clock.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <system_error>

#include "tests/lib/temporary_directory.h"

namespace guideway::controlplane {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using Time = SteadyWallClock::Time;

constexpr Time kNoon{1'800'000'000s};

class SteadyWallClockTest : public testing::Test {
 protected:
  fs::path run_dir() const { return directory_ / "run"; }
  SteadyWallClock clock(const std::string& boot_id, Time wall, std::chrono::milliseconds since_boot,
                        Time not_before = {}) const {
    return {run_dir(), not_before, {boot_id, wall, since_boot}};
  }

  const TemporaryDirectory temporary_;
  const fs::path directory_ = temporary_.path();
};

TEST_F(SteadyWallClockTest, BeginsWithTheTimeOfDayAndGoesOnWithTheHost) {
  const SteadyWallClock clock = this->clock("boot", kNoon, 10s);
  EXPECT_EQ(clock.at(10s), kNoon);
  EXPECT_EQ(clock.at(70s), kNoon + 60s);
}

TEST_F(SteadyWallClockTest, AClockThatWasSetDoesNotMatterToTheNextControlPlaneOfThisBoot) {
  for (const auto set : {-3h, 0h, 3h}) {
    fs::remove_all(run_dir());
    clock("boot", kNoon, 10s);
    EXPECT_EQ(clock("boot", kNoon + 60s + set, 70s).at(70s), kNoon + 60s) << set.count();
  }
}

TEST_F(SteadyWallClockTest, AnotherBootBeginsAnew) {
  clock("boot", kNoon, 10s);
  EXPECT_EQ(clock("next-boot", kNoon + 3h, 5s).at(5s), kNoon + 3h);
  EXPECT_EQ(clock("next-boot", kNoon, 6s).at(6s), kNoon + 3h + 1s);
}

TEST_F(SteadyWallClockTest, DoesNotBeginBeforeWhatIsKnownToHaveBeen) {
  EXPECT_EQ(clock("boot", kNoon - 24h, 10s, kNoon).at(20s), kNoon + 10s);
  EXPECT_EQ(clock("boot", kNoon - 24h, 30s, kNoon).at(30s), kNoon + 20s);
  EXPECT_EQ(clock("boot", kNoon, 40s, kNoon + 1h).at(40s), kNoon + 1h);
}

TEST_F(SteadyWallClockTest, GarbageIsNoTime) {
  for (const char* text : {"", "garbage", "boot", "boot x\n", "boot 99999999999999999999\n", "other 1000\n"}) {
    fs::create_directories(run_dir());
    std::ofstream(run_dir() / "clock") << text;
    EXPECT_EQ(clock("boot", kNoon, 10s).at(10s), kNoon) << text;
    EXPECT_EQ(clock("boot", kNoon + 3h, 10s).at(10s), kNoon) << text;
  }
}

TEST_F(SteadyWallClockTest, AFileThatCannotBeIsAnErrorThatNamesIt) {
  fs::create_directories(run_dir() / "clock");
  try {
    clock("boot", kNoon, 10s);
    FAIL() << "a directory was taken for a file";
  } catch (const std::system_error& error) {
    EXPECT_NE(std::string(error.what()).find("run/clock"), std::string::npos) << error.what();
  }
}

TEST_F(SteadyWallClockTest, TheKernelsClockIsNearTheTimeOfDayAndDoesNotStand) {
  const SteadyWallClock clock(run_dir(), {});
  const auto off = clock.now() - std::chrono::system_clock::now();
  EXPECT_LT(off, 1min);
  EXPECT_GT(off, -1min);
  const Time before = clock.now();
  while (clock.now() == before) {
  }
  EXPECT_GT(clock.now(), before);
}

}  // namespace
}  // namespace guideway::controlplane
