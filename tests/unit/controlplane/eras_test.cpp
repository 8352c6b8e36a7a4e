// The journal of eras: what is noted is there again, however the program ended, and bounded.
#include "controlplane/eras.h"

#include <gtest/gtest.h>
#include <stdlib.h>  // mkdtemp

#include <algorithm>
#include <filesystem>
#include <fstream>

namespace guideway::controlplane {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::seconds;

using Pasts = std::vector<Weights>;

constexpr std::uint32_t kSlots = 1009;

IpAddress address(std::uint32_t n) {
  return IpAddress::from_v4(Be32::from_host(0x0a000000 + n));
}
Weights weights(std::initializer_list<std::uint32_t> backends) {
  Weights weights;
  for (const std::uint32_t n : backends) weights.push_back({address(n), 10});
  return weights;
}

class ErasTest : public testing::Test {
 protected:
  ErasTest() {
    std::string name = testing::TempDir() + "eras-XXXXXX";
    directory_ = mkdtemp(name.data());
  }
  ~ErasTest() override { fs::remove_all(directory_); }

  Eras load() {
    warning_.clear();
    Eras eras(directory_, warning_);
    eras.set_window(seconds(100));
    return eras;
  }
  fs::path journal() const { return directory_ / "eras.journal"; }
  std::string text() const {
    std::ifstream file(journal());
    return {std::istreambuf_iterator<char>(file), {}};
  }

  fs::path directory_;
  std::string warning_;
  const EraTime t0{seconds(1'700'000'000)};
};

TEST_F(ErasTest, HasNoPastAtFirst) {
  Eras eras = load();
  eras.note("web", kSlots, weights({1, 2}), t0);
  EXPECT_TRUE(eras.past("web", t0).empty());
  EXPECT_FALSE(eras.next_change(t0));
}

TEST_F(ErasTest, RemembersAnEraUntilTheWindowHasPassedSinceItsEnd) {
  Eras eras = load();
  eras.note("web", kSlots, weights({1, 2}), t0);
  eras.note("web", kSlots, weights({1}), t0 + seconds(1000));
  const EraTime end = t0 + seconds(1100);
  EXPECT_EQ(eras.past("web", end - milliseconds(1)), Pasts{weights({1, 2})});
  EXPECT_EQ(eras.next_change(t0 + seconds(1000)), end);
  EXPECT_TRUE(eras.past("web", end).empty());
  EXPECT_FALSE(eras.next_change(end));
}

TEST_F(ErasTest, TakesTheSameWeightsForTheSameEra) {
  Eras eras = load();
  eras.note("web", kSlots, weights({2, 1}), t0);
  Weights with_zero = weights({1, 2});
  with_zero.push_back({address(3), 0});
  eras.note("web", kSlots, with_zero, t0 + seconds(1));
  EXPECT_TRUE(eras.past("web", t0 + seconds(1)).empty());
}

TEST_F(ErasTest, KnowsTheErasOfABeforeItWasKilled) {
  {
    Eras eras = load();
    eras.note("web", kSlots, weights({1, 2}), t0);
    eras.note("dns", kSlots, weights({7}), t0);
    eras.note("web", kSlots, weights({1}), t0 + seconds(1));
    eras.note("web", kSlots, {}, t0 + seconds(2));
  }
  Eras eras = load();
  EXPECT_EQ(warning_, "");
  EXPECT_EQ(eras.past("web", t0 + seconds(3)), (Pasts{weights({1, 2}), weights({1})}));
  eras.note("web", kSlots, {}, t0 + seconds(3));
  EXPECT_EQ(eras.past("web", t0 + seconds(3)).size(), 2U) << "what was in force goes on";
  EXPECT_TRUE(eras.past("dns", t0 + seconds(3)).empty());
}

TEST_F(ErasTest, IsCutShortAnywhere) {
  {
    Eras eras = load();
    eras.note("web", kSlots, weights({1, 2}), t0);
    eras.note("web", kSlots, weights({1}), t0 + seconds(1));
    eras.note("web", kSlots, weights({2}), t0 + seconds(2));
  }
  const std::string whole = text();
  for (std::size_t bytes = 0; bytes < whole.size(); bytes++) {
    std::ofstream(journal()) << whole.substr(0, bytes);
    Eras eras = load();
    const auto lines =
        static_cast<std::size_t>(std::count(whole.begin(), whole.begin() + static_cast<long>(bytes), '\n'));
    ASSERT_EQ(eras.past("web", t0 + seconds(3)).size(), lines == 0 ? 0 : lines - 1) << bytes;
    ASSERT_EQ(warning_, "") << "a line cut short is what a kill leaves behind";
    eras.note("web", kSlots, weights({3}), t0 + seconds(3));
    ASSERT_EQ(load().past("web", t0 + seconds(3)).size(), lines) << "and the next one is not lost with it";
  }
}

TEST_F(ErasTest, LeavesOutALineThatWasChanged) {
  {
    Eras eras = load();
    for (std::uint32_t n = 1; n <= 3; n++) eras.note("web", kSlots, weights({n}), t0 + seconds(n));
  }
  std::string changed = text();
  changed[changed.find("10.0.0.2")] = '2';
  std::ofstream(journal()) << changed;
  EXPECT_EQ(load().past("web", t0 + seconds(4)), Pasts{weights({1})});
  EXPECT_NE(warning_.find("1 line cannot be understood and is left out"), std::string::npos) << warning_;
}

TEST_F(ErasTest, KeepsTheOldestOfTooMany) {
  Eras eras = load();
  for (std::uint32_t n = 0; n < 50; n++) eras.note("web", kSlots, weights({n}), t0 + milliseconds(n));
  const auto past = eras.past("web", t0 + seconds(1));
  ASSERT_EQ(past.size(), Eras::kErasMax);
  EXPECT_EQ(past.front(), weights({0}));
  EXPECT_EQ(past[1], weights({34}));
  EXPECT_EQ(past.back(), weights({48}));
  EXPECT_EQ(load().past("web", t0 + seconds(1)), past);
}

// The journal still has what was over long ago.
TEST_F(ErasTest, RemembersTheSameWhenItComesBack) {
  Eras eras = load();
  eras.note("web", kSlots, weights({1}), t0);
  eras.note("web", kSlots, weights({2}), t0 + seconds(200));
  for (std::uint32_t n = 3; n < 21; n++) eras.note("web", kSlots, weights({n}), t0 + seconds(347 + n));
  const auto past = eras.past("web", t0 + seconds(375));
  EXPECT_EQ(past.size(), Eras::kErasMax);
  EXPECT_EQ(past.front(), weights({2}));
  EXPECT_EQ(load().past("web", t0 + seconds(375)), past);
}

TEST_F(ErasTest, KeepsItsFileSmall) {
  Eras eras = load();
  for (std::uint32_t n = 0; n < 1500; n++) eras.note("web", kSlots, weights({n % 7}), t0 + milliseconds(n));
  const std::string file = text();
  EXPECT_LT(std::ranges::count(file, '\n'), 1100);
}

TEST_F(ErasTest, HasNoPastOfAnotherNumberOfSlots) {
  Eras eras = load();
  eras.note("web", kSlots, weights({1, 2}), t0);
  eras.note("web", 65521, weights({1}), t0 + seconds(1));
  EXPECT_TRUE(eras.past("web", t0 + seconds(1)).empty());
}

TEST_F(ErasTest, SaysWhatThePastWouldBe) {
  Eras eras = load();
  EXPECT_TRUE(eras.past_if("web", kSlots, weights({1}), t0).empty());
  eras.note("web", kSlots, weights({1}), t0);
  eras.note("web", kSlots, weights({2}), t0 + seconds(1));
  const auto before = eras.past("web", t0 + seconds(2));
  EXPECT_EQ(eras.past_if("web", kSlots, weights({3}), t0 + seconds(2)), (Pasts{weights({1}), weights({2})}));
  EXPECT_EQ(eras.past_if("web", kSlots, weights({2}), t0 + seconds(2)), before) << "no change";
  EXPECT_TRUE(eras.past_if("web", 65521, weights({2}), t0 + seconds(2)).empty());
  EXPECT_EQ(eras.past("web", t0 + seconds(2)), before) << "and nothing has happened";
}

TEST_F(ErasTest, GoesOnWhenTheClockIsSetBack) {
  Eras eras = load();
  eras.note("web", kSlots, weights({1}), t0);
  eras.note("web", kSlots, weights({2}), t0 - seconds(3600));
  EXPECT_EQ(eras.past("web", t0), Pasts{weights({1})});
  EXPECT_TRUE(eras.past("web", t0 + seconds(100)).empty());
}

TEST_F(ErasTest, ForgetsPoolsThatAreGone) {
  Eras eras = load();
  eras.note("web", kSlots, weights({1}), t0);
  eras.note("web", kSlots, weights({2}), t0);
  eras.keep_only({"dns"});
  EXPECT_TRUE(eras.past("web", t0).empty());
}

}  // namespace
}  // namespace guideway::controlplane
