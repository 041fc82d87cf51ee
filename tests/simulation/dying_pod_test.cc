// A scale-in that is reverted just when the drained pods are being deleted, seen through caches that lag.
#include <gtest/gtest.h>

#include "reconciler/base/log.h"
#include "tests/simulation/world.h"

namespace slotwright::simulation {
namespace {

using std::chrono::seconds;

TEST(DyingPods, AreGivenNoSlotsHoweverOldTheCacheIs) {
  reconciler::ConfigureLog(reconciler::LogLevel::kError, reconciler::LogFormat::kText);
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    World world(seed);
    world.Apply({{"masters", 3}, {"replicasPerMaster", 0}});
    ASSERT_TRUE(world.Converges(seconds(60))) << world.ReadyMessage();
    world.SetCacheLag(milliseconds(1), milliseconds(2000));
    world.StartClients();
    world.Apply({{"masters", 1}});
    // Until the first of the drained pods is on its way out.
    for (int i = 0; i < 4000 && world.Pods().size() == 3; ++i) world.Run(milliseconds(5));
    ASSERT_LT(world.Pods().size(), 3U);
    world.Apply({{"masters", 3}});
    ASSERT_TRUE(world.Converges(seconds(120))) << world.ReadyMessage();
    world.StopClients();
    EXPECT_TRUE(world.violations().empty()) << world.violations().front();
    EXPECT_TRUE(world.LostWrites().empty()) << world.LostWrites().front();
  }
}

}  // namespace
}  // namespace slotwright::simulation
