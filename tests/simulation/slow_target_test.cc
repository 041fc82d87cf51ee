// A node that answers slowly takes its slots slowly, but it takes them.
#include <gtest/gtest.h>

#include "reconciler/base/log.h"
#include "tests/simulation/world.h"

namespace slotwright::simulation {
namespace {

using std::chrono::seconds;

// What came before the first slot (its functions, which migrations it knows) took the whole slice: none was ever moved.
TEST(SlowTarget, GetsItsSlotsAllTheSame) {
  reconciler::ConfigureLog(reconciler::LogLevel::kError, reconciler::LogFormat::kText);
  World world(11);
  world.Apply({{"masters", 3}, {"replicasPerMaster", 0}});
  ASSERT_TRUE(world.Converges(seconds(60))) << world.ReadyMessage();
  world.Apply({{"masters", 4}});
  for (int i = 0; i < 1000 && world.NodeOf("demo-3-0") == nullptr; ++i) world.Run(milliseconds(5));
  world.SlowDown("demo-3-0", milliseconds(500), seconds(300));
  EXPECT_TRUE(world.Converges(seconds(120))) << world.ReadyMessage();
  EXPECT_TRUE(world.violations().empty()) << world.violations().front();
}

}  // namespace
}  // namespace slotwright::simulation
