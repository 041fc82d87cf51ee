// What was under way when an edit was refused is finished as the last valid specification says.
#include <gtest/gtest.h>

#include "reconciler/base/log.h"
#include "tests/simulation/world.h"

namespace slotwright::simulation {
namespace {

using std::chrono::seconds;

// Simulation, seed 3082: each eviction was held up by a pod that only the refused specification wants.
TEST(RefusedEdit, LeavesARollToGoOn) {
  reconciler::ConfigureLog(reconciler::LogLevel::kError, reconciler::LogFormat::kText);
  World world(7);
  world.Apply({{"masters", 3}, {"replicasPerMaster", 1}});
  ASSERT_TRUE(world.Converges(seconds(60))) << world.ReadyMessage();
  const auto before = world.Processes();
  world.Apply({{"image", "redis:7.2"}});
  while (world.Processes() == before && world.effects.count() < 10'000) world.Run(milliseconds(5));
  world.Apply({{"replicasPerMaster", 2}, {"config", {{"port", "7000"}}}});
  world.Run(seconds(120));
  EXPECT_NE(world.ReadyMessage().find("InvalidSpec"), std::string::npos) << world.ReadyMessage();
  EXPECT_EQ(world.Pods().size(), 6U);
  for (const auto& process : world.Processes()) {
    EXPECT_EQ(std::ranges::find(before, process), before.end()) << process << " was not rolled";
  }
  EXPECT_TRUE(world.violations().empty()) << world.violations().front();
}

}  // namespace
}  // namespace slotwright::simulation
