// When an idle worker sleeps, and that a busy one does not.

#include "dataplane/idle_sleep.h"

#include <gtest/gtest.h>

namespace guideway {
namespace {

using std::chrono::microseconds;
constexpr microseconds kAwake{0};

// Turns without a packet until the first sleep.
std::uint32_t turns_awake(IdleSleep& idle, std::uint64_t received) {
  std::uint32_t turns = 0;
  while (turns < 10 * IdleSleep::kEmptyTurns && idle.after_turn(received) == kAwake) turns++;
  return turns;
}

TEST(IdleSleep, BeginsAfterEmptyTurnsAndGoesOn) {
  IdleSleep idle(microseconds{100});
  EXPECT_EQ(turns_awake(idle, 0), IdleSleep::kEmptyTurns);
  for (int turn = 0; turn < 1000; turn++) EXPECT_EQ(idle.after_turn(0), microseconds{100});
}

TEST(IdleSleep, EndsWithTheFirstPacket) {
  IdleSleep idle(microseconds{100});
  turns_awake(idle, 0);
  EXPECT_EQ(idle.after_turn(1), kAwake);
  EXPECT_EQ(turns_awake(idle, 1), IdleSleep::kEmptyTurns - 1);
}

TEST(IdleSleep, NeverComesUnderLoad) {
  IdleSleep idle(microseconds{100});
  for (std::uint64_t turn = 1; turn < 10000; turn++)
    EXPECT_EQ(idle.after_turn(turn / (IdleSleep::kEmptyTurns / 2)), kAwake) << "turn " << turn;
}

TEST(IdleSleep, ZeroMeansNever) {
  IdleSleep idle(microseconds{0});
  EXPECT_FALSE(idle.enabled());
  EXPECT_EQ(turns_awake(idle, 0), 10 * IdleSleep::kEmptyTurns);
}

}  // namespace
}  // namespace guideway
