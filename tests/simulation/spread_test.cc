// Masters that piled up on a machine after failovers.
#include <gtest/gtest.h>

#include "reconciler/base/log.h"
#include "tests/simulation/world.h"

namespace slotwright::simulation {
namespace {

using std::chrono::seconds;

std::map<int, int> MastersByMachine(const World& world) {
  std::map<int, int> masters;
  for (const auto& pod : world.Pods()) masters[MachineOf(pod)] += world.NodeOf(pod)->me().slots.empty() ? 0 : 1;
  return masters;
}

TEST(Spread, EndsWithOneMasterOnEachMachineAndThenInSilence) {
  reconciler::ConfigureLog(reconciler::LogLevel::kError, reconciler::LogFormat::kText);
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    SCOPED_TRACE(seed);
    World world(seed);
    world.Apply({{"masters", 4}, {"replicasPerMaster", 1}});
    ASSERT_TRUE(world.Converges(seconds(60))) << world.ReadyMessage();
    world.StartClients();
    world.LoseMachine(static_cast<int>(seed) % kMachines);
    world.Run(seconds(60));
    ASSERT_TRUE(world.Converges(seconds(120))) << world.ReadyMessage();
    world.Run(seconds(240));
    for (const auto& [machine, masters] : MastersByMachine(world)) EXPECT_EQ(masters, 1) << "machine " << machine;
    EXPECT_TRUE(world.StaysSilent(seconds(120))) << world.ReadyMessage();
    world.StopClients();
    EXPECT_TRUE(world.violations().empty()) << world.violations().front();
    EXPECT_TRUE(world.LostWrites().empty()) << world.LostWrites().front();
  }
}

}  // namespace
}  // namespace slotwright::simulation
