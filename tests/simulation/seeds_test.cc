// Seeds by the thousand, in ranges that run side by side.
#include <gtest/gtest.h>

#include "reconciler/base/log.h"
#include "tests/simulation/scenario.h"

namespace slotwright::simulation {
namespace {

constexpr int kRanges = 8;
constexpr int kSeedsOfARange = 250;

class Seeds : public ::testing::TestWithParam<int> {
 protected:
  void SetUp() override { reconciler::ConfigureLog(reconciler::LogLevel::kError, reconciler::LogFormat::kText); }
};

TEST_P(Seeds, KeepEveryPromiseConvergeAndFallSilent) {
  const int first = 1 + GetParam() * kSeedsOfARange;
  int gave_up = 0;
  std::int64_t acknowledged = 0;
  std::int64_t excused = 0;
  for (int seed = first; seed < first + kSeedsOfARange; ++seed) {
    const auto verdict = RunSeed(static_cast<std::uint64_t>(seed));
    EXPECT_EQ(verdict.problem, "") << "replay: build/release/tests/simulation/simulate --verbose --seed=" << seed;
    gave_up += verdict.gave_up ? 1 : 0;
    acknowledged += verdict.acknowledged;
    excused += verdict.excused;
  }
  // What was not looked at must stay the exception.
  EXPECT_LE(gave_up, 2);
  EXPECT_LT(excused * 100, acknowledged);
}

TEST(Replay, TellsTheSameStoryAgain) {
  for (const std::uint64_t seed : {1, 2, 3, 5, 8, 13, 21, 34}) {
    const auto first = RunSeed(seed);
    EXPECT_GT(first.effects, 10);
    EXPECT_EQ(RunSeed(seed).story, first.story) << seed;
  }
}

INSTANTIATE_TEST_SUITE_P(Ranges, Seeds, ::testing::Range(0, kRanges));

}  // namespace
}  // namespace slotwright::simulation
