// The journal of eras: what is noted is there again, however the program ended, and bounded.
#include "controlplane/eras.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>
#include <random>

#include "tests/lib/temporary_directory.h"

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

// Of a pool of two: what they weigh, if they are in it.
Weights weights_of_two(std::uint32_t first, std::optional<std::uint32_t> second) {
  Weights weights = {{address(1), first}};
  if (second) weights.push_back({address(2), *second});
  return weights;
}

// While it lives no file of ours grows beyond `bytes`: a write ends where a full disk would end it.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(std::size_t bytes) {
    getrlimit(RLIMIT_FSIZE, &before_);
    rlimit limit = before_;
    limit.rlim_cur = bytes;
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    setrlimit(RLIMIT_FSIZE, &before_);
    signal(SIGXFSZ, handler_);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;

 private:
  rlimit before_{};
  void (*handler_)(int) = signal(SIGXFSZ, SIG_IGN);
};

class ErasTest : public testing::Test {
 protected:
  Eras load() {
    warning_.clear();
    return {directory_, seconds(100), warning_};
  }
  fs::path journal() const { return directory_ / "eras.journal"; }
  std::string text() const {
    std::ifstream file(journal());
    return {std::istreambuf_iterator<char>(file), {}};
  }

  const TemporaryDirectory temporary_;
  const fs::path directory_ = temporary_.path();
  std::string warning_;
  const EraTime t0{seconds(1'700'000'000)};
};

TEST_F(ErasTest, HasNoPastAtFirst) {
  Eras eras = load();
  eras.note("web", kSlots, weights({1, 2}), t0);
  EXPECT_TRUE(eras.past("web", t0).recent.empty());
  EXPECT_FALSE(eras.next_change(t0));
}

TEST_F(ErasTest, RemembersAnEraUntilTheWindowHasPassedSinceItsEnd) {
  Eras eras = load();
  eras.note("web", kSlots, weights({1, 2}), t0);
  eras.note("web", kSlots, weights({1}), t0 + seconds(1000));
  const EraTime end = t0 + seconds(1100);
  EXPECT_EQ(eras.past("web", end - milliseconds(1)).recent, Pasts{weights({1, 2})});
  EXPECT_EQ(eras.next_change(t0 + seconds(1000)), end);
  EXPECT_TRUE(eras.past("web", end).recent.empty());
  EXPECT_EQ(eras.next_change(end), end + seconds(300)) << "it still names hops";
  EXPECT_FALSE(eras.next_change(end + seconds(300)));
}

TEST_F(ErasTest, TakesTheSameWeightsForTheSameEra) {
  Eras eras = load();
  eras.note("web", kSlots, weights({2, 1}), t0);
  Weights with_zero = weights({1, 2});
  with_zero.push_back({address(3), 0});
  eras.note("web", kSlots, with_zero, t0 + seconds(1));
  EXPECT_TRUE(eras.past("web", t0 + seconds(1)).recent.empty());
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
  EXPECT_EQ(eras.past("web", t0 + seconds(3)).recent, (Pasts{weights({1, 2}), weights({1})}));
  eras.note("web", kSlots, {}, t0 + seconds(3));
  EXPECT_EQ(eras.past("web", t0 + seconds(3)).recent.size(), 2U) << "what was in force goes on";
  EXPECT_TRUE(eras.past("dns", t0 + seconds(3)).recent.empty());
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
    ASSERT_EQ(eras.past("web", t0 + seconds(3)).recent.size(), lines == 0 ? 0 : lines - 1) << bytes;
    ASSERT_EQ(warning_, "") << "a line cut short is what a kill leaves behind";
    eras.note("web", kSlots, weights({3}), t0 + seconds(3));
    ASSERT_EQ(load().past("web", t0 + seconds(3)).recent.size(), lines) << "and the next one is not lost with it";
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
  EXPECT_EQ(load().past("web", t0 + seconds(4)).recent, Pasts{weights({1})});
  EXPECT_NE(warning_.find("1 line cannot be understood and is left out"), std::string::npos) << warning_;
}

// Whether a part of the line fits or nothing of it, and whether the next call notes something or not.
TEST_F(ErasTest, WritesLaterWhatDidNotFitTheDisk) {
  for (const std::size_t fitting_bytes : {std::size_t{0}, std::size_t{20}})
    for (const std::uint32_t next : {2U, 3U}) {
      SCOPED_TRACE(testing::Message() << fitting_bytes << " bytes fit, then " << next);
      fs::remove(journal());
      Eras eras = load();
      eras.note("web", kSlots, weights({1}), t0);
      {
        const FileSizeLimit limit(fs::file_size(journal()) + fitting_bytes);
        EXPECT_THROW(eras.note("web", kSlots, weights({2}), t0 + seconds(1)), std::system_error);
        EXPECT_THROW(eras.note("web", kSlots, weights({2}), t0 + seconds(2)), std::system_error) << "it is not written";
      }
      eras.note("web", kSlots, weights({next}), t0 + seconds(3));
      eras.note("web", kSlots, weights({4}), t0 + seconds(4));
      const PastEras past = eras.past("web", t0 + seconds(5));
      EXPECT_EQ(past.recent.size(), next);
      EXPECT_EQ(load().past("web", t0 + seconds(5)), past);
      EXPECT_EQ(warning_, "");
    }
}

// By whom and how, whether the next call notes something or not; a directory that is gone comes back empty.
TEST_F(ErasTest, WritesAgainWhatSomebodyTookAway) {
  const std::pair<const char*, std::function<void()>> kThefts[] = {
      {"removed", [&] { fs::remove(journal()); }},
      {"moved", [&] { fs::rename(journal(), directory_ / "aside"); }},
      {"replaced", [&] { fs::copy(journal(), directory_ / "old"), fs::rename(directory_ / "old", journal()); }},
      {"its directory anew", [&] { fs::remove_all(directory_), fs::create_directory(directory_); }},
  };
  for (const auto& [how, take] : kThefts)
    for (const std::uint32_t next : {2U, 3U}) {
      SCOPED_TRACE(testing::Message() << how << ", then " << next);
      fs::remove(journal());
      Eras eras = load();
      eras.note("web", kSlots, weights({1}), t0);
      eras.note("web", kSlots, weights({2}), t0 + seconds(1));
      EXPECT_FALSE(eras.is_behind());
      take();
      EXPECT_TRUE(eras.is_behind());
      eras.note("web", kSlots, weights({next}), t0 + seconds(2));
      EXPECT_FALSE(eras.is_behind());
      EXPECT_EQ(load().past("web", t0 + seconds(3)), eras.past("web", t0 + seconds(3)));
      EXPECT_EQ(eras.past("web", t0 + seconds(3)).recent.size(), next - 1);
    }
}

TEST_F(ErasTest, KeepsTheOldestOfTooMany) {
  Eras eras = load();
  for (std::uint32_t n = 0; n < 50; n++) eras.note("web", kSlots, weights({n}), t0 + milliseconds(n));
  const auto past = eras.past("web", t0 + seconds(1)).recent;
  ASSERT_EQ(past.size(), Eras::kErasMax);
  EXPECT_EQ(past.front(), weights({0}));
  EXPECT_EQ(past[1], weights({34}));
  EXPECT_EQ(past.back(), weights({48}));
  EXPECT_EQ(load().past("web", t0 + seconds(1)).recent, past);
}

// The journal still has what was over long ago.
TEST_F(ErasTest, RemembersTheSameWhenItComesBack) {
  Eras eras = load();
  eras.note("web", kSlots, weights({1}), t0);
  eras.note("web", kSlots, weights({2}), t0 + seconds(200));
  for (std::uint32_t n = 3; n < 21; n++) eras.note("web", kSlots, weights({n}), t0 + seconds(347 + n));
  const auto past = eras.past("web", t0 + seconds(375)).recent;
  EXPECT_EQ(past.size(), Eras::kErasMax);
  EXPECT_EQ(past.front(), weights({2}));
  EXPECT_EQ(load().past("web", t0 + seconds(375)).recent, past);
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
  EXPECT_TRUE(eras.past("web", t0 + seconds(1)).recent.empty());
}

TEST_F(ErasTest, SaysWhatThePastWouldBe) {
  Eras eras = load();
  EXPECT_TRUE(eras.past_if("web", kSlots, weights({1}), t0).recent.empty());
  eras.note("web", kSlots, weights({1}), t0);
  eras.note("web", kSlots, weights({2}), t0 + seconds(1));
  const auto before = eras.past("web", t0 + seconds(2)).recent;
  EXPECT_EQ(eras.past_if("web", kSlots, weights({3}), t0 + seconds(2)).recent, (Pasts{weights({1}), weights({2})}));
  EXPECT_EQ(eras.past_if("web", kSlots, weights({2}), t0 + seconds(2)).recent, before) << "no change";
  EXPECT_TRUE(eras.past_if("web", 65521, weights({2}), t0 + seconds(2)).recent.empty());
  EXPECT_EQ(eras.past("web", t0 + seconds(2)).recent, before) << "and nothing has happened";
}

TEST_F(ErasTest, GoesOnWhenTheClockIsSetBack) {
  Eras eras = load();
  eras.note("web", kSlots, weights({1}), t0);
  eras.note("web", kSlots, weights({2}), t0 - seconds(3600));
  EXPECT_EQ(eras.past("web", t0).recent, Pasts{weights({1})});
  EXPECT_TRUE(eras.past("web", t0 + seconds(100)).recent.empty());
}

TEST_F(ErasTest, HasNothingBackThatWasOverWhenTheClockWasSetBack) {
  Eras eras = load();
  eras.note("web", kSlots, weights({1}), t0);
  eras.note("web", kSlots, weights({2}), t0 + seconds(10));
  eras.note("web", kSlots, weights({2}), t0 + seconds(200));
  const PastEras over{.recent = {}, .older = {weights({1})}};
  EXPECT_EQ(eras.past("web", t0 + seconds(50)), over);
  EXPECT_EQ(eras.past_if("web", kSlots, weights({2}), t0 + seconds(50)), over);
  EXPECT_EQ(eras.next_change(t0 + seconds(50)), t0 + seconds(410)) << "when the clock is there again";
  eras.note("web", kSlots, weights({3}), t0 + seconds(60));
  const PastEras both{.recent = {weights({2})}, .older = {weights({1})}};
  EXPECT_EQ(eras.past("web", t0 + seconds(60)), both);
  EXPECT_EQ(load().past("web", t0 + seconds(60)), both) << "nor after a restart";
}

TEST_F(ErasTest, HasNothingBackThatWasOverWhenTheWindowGrows) {
  const PastEras over{.recent = {}, .older = {weights({1})}};
  Eras eras = load();
  eras.note("web", kSlots, weights({1}), t0);
  eras.note("web", kSlots, weights({2}), t0 + seconds(10));
  eras.set_window(seconds(300), t0 + seconds(120));
  EXPECT_EQ(eras.past("web", t0 + seconds(120)), over);
  EXPECT_EQ(load().past("web", t0 + seconds(120)), over) << "nor after a restart";
  eras.note("web", kSlots, weights({3}), t0 + seconds(130));
  EXPECT_EQ(eras.past("web", t0 + seconds(429)).recent, Pasts{weights({2})}) << "it holds from then on";
  EXPECT_EQ(load().past("web", t0 + seconds(429)), eras.past("web", t0 + seconds(429)));
}

TEST_F(ErasTest, HasNothingBackThatWasOverWhenTheWindowGrewWhileItWasOff) {
  {
    Eras eras = load();
    eras.note("web", kSlots, weights({1}), t0);
    eras.note("web", kSlots, weights({2}), t0 + seconds(10));
    eras.note("web", kSlots, weights({3}), t0 + seconds(120));
  }
  Eras eras(directory_, seconds(1000), warning_);
  eras.set_window(seconds(1000), t0 + seconds(130));
  EXPECT_EQ(eras.past("web", t0 + seconds(130)), (PastEras{.recent = {weights({2})}, .older = {weights({1})}}));
}

TEST_F(ErasTest, ForgetsPoolsThatAreGone) {
  Eras eras = load();
  eras.note("web", kSlots, weights({1}), t0);
  eras.note("web", kSlots, weights({2}), t0);
  eras.keep_only({"dns"});
  EXPECT_TRUE(eras.past("web", t0).recent.empty());
}

// What its flows began with while it was gone, nobody remembered.
TEST_F(ErasTest, HasNoPastOfAPoolThatWasGone) {
  Eras eras = load();
  eras.note("web", kSlots, weights({1, 2}), t0);
  eras.note("dns", kSlots, weights({7}), t0);
  eras.note("dns", kSlots, weights({8}), t0 + seconds(5));
  eras.keep_only({"dns"});
  eras.note("web", kSlots, weights({1, 2, 3}), t0 + seconds(10));
  EXPECT_TRUE(eras.past("web", t0 + seconds(11)).empty());
  EXPECT_TRUE(load().past("web", t0 + seconds(11)).empty()) << "nor after a restart";
  EXPECT_EQ(load().past("dns", t0 + seconds(11)).recent, Pasts{weights({7})});
}

// ---- kept eras: of backends that are idle --------------------------------------------------------------------------

const Pasts kBoth{{{address(1), 10}, {address(2), 10}}};

TEST_F(ErasTest, KeepsTheLastEraOfABackendThatIsIdle) {
  Eras eras = load();
  eras.note("web", kSlots, weights_of_two(10, 10), t0);
  eras.note("web", kSlots, weights_of_two(10, 0), t0 + seconds(10));
  EXPECT_EQ(eras.past("web", t0 + seconds(109)), (PastEras{.recent = kBoth, .kept = {}}));
  EXPECT_EQ(eras.next_change(t0 + seconds(10)), t0 + seconds(110));
  EXPECT_EQ(eras.past("web", t0 + seconds(110)), (PastEras{.recent = {}, .older = kBoth}));
  EXPECT_EQ(eras.past("web", t0 + seconds(409)), (PastEras{.recent = {}, .older = kBoth}));
  EXPECT_EQ(eras.next_change(t0 + seconds(110)), t0 + seconds(410));
  EXPECT_EQ(eras.past("web", t0 + seconds(410)), (PastEras{.recent = {}, .kept = kBoth}));
  eras.note("web", kSlots, weights_of_two(20, 0), t0 + seconds(500'000));
  EXPECT_EQ(eras.past("web", t0 + seconds(1'000'000)).kept, kBoth) << "whatever the others weigh";
  EXPECT_FALSE(eras.next_change(t0 + seconds(1'000'000))) << "and time changes nothing";
}

TEST_F(ErasTest, KeepsNoEraOfABackendThatHasWeightAgainOrIsGone) {
  for (const std::optional<std::uint32_t> after : {std::optional<std::uint32_t>(1), std::optional<std::uint32_t>()}) {
    fs::remove(journal());
    Eras eras = load();
    eras.note("web", kSlots, weights_of_two(10, 10), t0);
    eras.note("web", kSlots, weights_of_two(10, 0), t0 + seconds(10));
    eras.note("web", kSlots, weights_of_two(10, after), t0 + seconds(500));
    EXPECT_EQ(eras.past("web", t0 + seconds(501)).kept, Pasts{});
    eras.note("web", kSlots, weights_of_two(10, 0), t0 + seconds(600));
    EXPECT_EQ(eras.past("web", t0 + seconds(601)).kept, Pasts{}) << "nor does it come back";
    EXPECT_EQ(load().past("web", t0 + seconds(601)), eras.past("web", t0 + seconds(601)));
  }
}

TEST_F(ErasTest, KeepsTheErasOfABackendThatWasDrainedStepByStep) {
  Eras eras = load();
  eras.note("web", kSlots, weights_of_two(10, 1), t0);
  for (const std::uint32_t weight : {10U, 4U, 7U, 2U, 0U})
    eras.note("web", kSlots, weights_of_two(10, weight), t0 + seconds(11 - weight));
  const Pasts steps{weights_of_two(10, 10), weights_of_two(10, 7), weights_of_two(10, 2)};
  EXPECT_EQ(eras.past("web", t0 + seconds(1000)).kept, steps) << "each in which it had more than since";
}

TEST_F(ErasTest, KeepsNothingThatWasOverBeforeTheBackendWasDrained) {
  Eras eras = load();
  eras.note("web", kSlots, weights_of_two(10, 10), t0);
  eras.note("web", kSlots, weights_of_two(10, 5), t0 + seconds(1));
  eras.note("web", kSlots, weights_of_two(10, 0), t0 + seconds(500));
  EXPECT_EQ(eras.past("web", t0 + seconds(1000)).kept, Pasts{weights_of_two(10, 5)});
}

// 16 eras after a drain within the window: its era is the second one, and makes room.
TEST_F(ErasTest, KeepsAnEraThatHasToMakeRoom) {
  Eras eras = load();
  eras.note("web", kSlots, weights_of_two(1, 5), t0);
  eras.note("web", kSlots, weights_of_two(1, 10), t0 + seconds(1));
  for (std::uint32_t n = 2; n < 20; n++) eras.note("web", kSlots, weights_of_two(n, 0), t0 + seconds(n));
  const PastEras past = eras.past("web", t0 + seconds(20));
  EXPECT_EQ(past.recent.size(), Eras::kErasMax);
  EXPECT_EQ(past.recent.front(), weights_of_two(1, 5));
  EXPECT_THAT(past.older, testing::Contains(weights_of_two(1, 10)));
  const PastEras later = eras.past("web", t0 + seconds(1000));
  EXPECT_EQ(later.kept, (Pasts{weights_of_two(1, 10)}));
}

TEST_F(ErasTest, KeepsWhatIsOverForFourWindows) {
  Eras eras = load();
  eras.note("web", kSlots, weights({1, 2}), t0);
  eras.note("web", kSlots, weights({1}), t0 + seconds(10));
  eras.note("web", kSlots, weights({3}), t0 + seconds(60));
  EXPECT_EQ(eras.past("web", t0 + seconds(110)), (PastEras{.recent = {weights({1})}, .older = {weights({1, 2})}}));
  EXPECT_EQ(eras.past("web", t0 + seconds(160)), (PastEras{.recent = {}, .older = {weights({1, 2}), weights({1})}}));
  EXPECT_EQ(load().past("web", t0 + seconds(160)), eras.past("web", t0 + seconds(160)));
  EXPECT_EQ(eras.past("web", t0 + seconds(410)), (PastEras{.recent = {}, .older = {weights({1})}}));
  EXPECT_TRUE(eras.past("web", t0 + seconds(460)).empty());
}

// Backends are drained one after the other and never come back.
TEST_F(ErasTest, KeepsTheOldestAndTheNewestOfTooManyKeptOnes) {
  constexpr std::uint32_t kBackends = 30;
  Eras eras = load();
  Weights now;
  for (std::uint32_t n = 0; n < kBackends; n++) now.push_back({address(n), 10});
  for (std::uint32_t n = 0; n + 1 < kBackends; n++) {
    eras.note("web", kSlots, now, t0 + seconds(1000 * n));
    now[n].weight = 0;
  }
  eras.note("web", kSlots, now, t0 + seconds(1000 * kBackends));
  const Pasts kept = eras.past("web", t0 + seconds(1000 * kBackends + 999)).kept;
  EXPECT_EQ(load().past("web", t0 + seconds(1000 * kBackends + 999)).kept, kept);
  ASSERT_EQ(kept.size(), Eras::kErasMax);
  EXPECT_EQ(kept.front().size(), kBackends) << "the first of all";
  EXPECT_EQ(kept[1].size(), Eras::kErasMax);
  EXPECT_EQ(kept.back().size(), 2U) << "the last";
}

TEST_F(ErasTest, KeepsNoEraOfAnotherNumberOfSlots) {
  Eras eras = load();
  eras.note("web", 65521, weights_of_two(10, 10), t0);
  eras.note("web", kSlots, weights_of_two(10, 0), t0 + seconds(10));
  EXPECT_TRUE(eras.past("web", t0 + seconds(500)).empty());
}

TEST_F(ErasTest, SaysWhatWouldBeKept) {
  Eras eras = load();
  eras.note("web", kSlots, weights_of_two(10, 10), t0);
  eras.note("web", kSlots, weights_of_two(10, 0), t0 + seconds(10));
  EXPECT_EQ(eras.past_if("web", kSlots, weights_of_two(20, 0), t0 + seconds(500)).kept, kBoth);
  EXPECT_EQ(eras.past_if("web", kSlots, weights_of_two(10, {}), t0 + seconds(500)).kept, Pasts{});
  EXPECT_EQ(eras.past("web", t0 + seconds(500)).kept, kBoth);
}

TEST_F(ErasTest, LeavesOutAChangeOfNothing) {
  {
    Eras eras = load();
    eras.note("web", kSlots, weights_of_two(10, {}), t0);
    eras.note("web", kSlots, weights_of_two(10, 0), t0 + seconds(1));
  }
  const std::string whole = text();
  std::ofstream(journal()) << whole.substr(whole.find('\n') + 1);
  EXPECT_TRUE(load().past("web", t0 + seconds(2)).empty());
  EXPECT_NE(warning_.find("1 line cannot be understood"), std::string::npos) << warning_;
}

// Whatever happens: who reads the journal knows what its writer knows, now and from then on.
TEST_F(ErasTest, IsTheSameForWhoReadsTheJournal) {
  for (std::uint32_t seed = 1; seed <= 30; seed++) {
    std::mt19937 random(seed);
    fs::remove(journal());
    Eras eras = load();
    EraTime now = t0;
    for (int step = 0; step < 60; step++) {
      now += milliseconds(random() % (step % 20 < 15 ? 8000 : 200'000));
      Weights some;
      for (std::uint32_t n = 0; n < 5; n++)
        if (random() % 8 != 0) some.push_back({address(n), static_cast<std::uint32_t>(random() % 3 * (random() % 2))});
      eras.note("web", random() % 50 == 0 ? 65521 : kSlots, some, now);
      if (random() % 20 == 0) eras.keep_only({random() % 2 == 0 ? "web" : "dns"});
      if (random() % 20 == 0) eras.set_window(seconds(50 + random() % 100), now);
      const EraTime later = now + seconds(random() % 500);
      ASSERT_EQ(load().past("web", later), eras.past("web", later)) << "seed " << seed << " step " << step;
      ASSERT_EQ(warning_, "");
      if (random() % 10 == 0) eras = load();
    }
  }
}

}  // namespace
}  // namespace guideway::controlplane
