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
  for (int seed = first; seed < first + kSeedsOfARange; ++seed) {
    EXPECT_EQ(RunSeed(static_cast<std::uint64_t>(seed)).problem, "")
        << "replay: build/release/tests/simulation/simulate --verbose --seed=" << seed;
  }
}

INSTANTIATE_TEST_SUITE_P(Ranges, Seeds, ::testing::Range(0, kRanges));

}  // namespace
}  // namespace slotwright::simulation
