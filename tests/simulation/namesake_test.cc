// A cluster that is made anew under its name while the operator still sees the one before.
#include <gtest/gtest.h>

#include "reconciler/base/log.h"
#include "tests/simulation/world.h"

namespace slotwright::simulation {
namespace {

using std::chrono::seconds;

class Namesake : public ::testing::TestWithParam<int> {};

// Simulation, seed 2028: what was known of the old one was written to the status of the new one, which was then taken
// for a cluster whose password had been lost.
TEST_P(Namesake, TakesNothingOfWhatTheOtherWas) {
  reconciler::ConfigureLog(reconciler::LogLevel::kError, reconciler::LogFormat::kText);
  World world(static_cast<std::uint64_t>(GetParam()));
  world.Apply({{"masters", 3}, {"replicasPerMaster", 1}});
  ASSERT_TRUE(world.Converges(seconds(60))) << world.ReadyMessage();
  world.SetCacheLag(milliseconds(1), milliseconds(1000));
  world.DeletePod("demo-0-0");
  world.Run(milliseconds(100 * GetParam()));
  world.DeleteCluster();
  world.Run(milliseconds(20 * GetParam()));
  world.MakeAnew(true);
  EXPECT_TRUE(world.Converges(seconds(120))) << world.ReadyMessage();
  EXPECT_TRUE(world.violations().empty()) << world.violations().front();
}

INSTANTIATE_TEST_SUITE_P(Worlds, Namesake, ::testing::Range(0, 20));

}  // namespace
}  // namespace slotwright::simulation
