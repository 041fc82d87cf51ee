// When slots are moved, by how many at once, and when that has to wait.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "tests/unit/planning/world.h"

namespace slotwright::testing {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

TEST(Rebalance, InManualModeLeavesUnevenSlotsAlone) {
  World world = World::Healthy(3, 1);
  world.MoveAllSlots("demo-2-0", "demo-0-0");
  EXPECT_EQ(world.MakePlan().step, "rebalance");
  world.observation.cluster.spec.rebalance.automatic = false;
  EXPECT_TRUE(world.MakePlan().settled);
  EXPECT_THAT(world.MakePlan().message, HasSubstr("uneven"));
}

TEST(Rebalance, InManualModeMovesNoSlotsButThoseOfTheMasterThatLeaves) {
  World world = World::Healthy(4, 1);
  world.observation.cluster.spec.masters = 3;
  world.TakeObjectsAsDesired();
  world.MoveAllSlots("demo-1-0", "demo-0-0");
  EXPECT_THAT(world.Actions(), Contains(HasSubstr("from demo-0-0")));
  world.observation.cluster.spec.rebalance.automatic = false;
  EXPECT_THAT(world.Actions(), AllOf(Not(IsEmpty()), Each(HasSubstr("from demo-3-0"))));
}

TEST(Rebalance, InManualModeSaysOfAMasterWithoutSlotsThatTheyAreUneven) {
  World world = World::Healthy(4, 1);
  world.MoveAllSlots("demo-3-0", "demo-2-0");
  world.observation.cluster.spec.rebalance.automatic = false;
  const Plan plan = world.MakePlan();
  EXPECT_TRUE(plan.settled);
  EXPECT_THAT(plan.message, AllOf(HasSubstr("16384 slots on 3 of 4 masters"), HasSubstr("uneven")));
}

TEST(Rebalance, NeverTouchesAClusterThatIsNotWell) {
  World world = World::Healthy(3, 1);
  world.MoveAllSlots("demo-2-0", "demo-0-0");
  world.Kill("demo-1-1");
  EXPECT_THAT(world.Actions(), Not(Contains(HasSubstr("move slots"))));
}

// "DUMP payload version or checksum are wrong": the image was changed in the middle of it, and one master is newer.
TEST(Rebalance, WaitsForTheRollOfATargetThatCannotReadWhatItsSourceWrites) {
  const auto reason = [](const std::string& source, const std::string& target, UpdateStrategy strategy) {
    World world = World::Healthy(3, 1);
    world.MoveAllSlots("demo-2-0", "demo-0-0");
    world.observation.cluster.spec.image = "redis:8.2";
    world.observation.cluster.spec.update = strategy;
    world.TakeObjectsAsDesired();
    world.TakePodsAsDesired();
    for (const char* pod : {"demo-2-0", "demo-2-1"}) world.Pod(pod).hash = "older";
    for (auto& node : world.observation.nodes) node.server.version = node.shard == 2 ? target : source;
    return world.MakePlan().reason;
  };
  EXPECT_THAT(reason("8.2.3", "7.0.15", UpdateStrategy::kRolling), Not(HasSubstr("Rebalancing")));
  EXPECT_EQ(reason("8.2.3", "7.0.15", UpdateStrategy::kManual), "Rebalancing") << "nobody else makes it newer";
  EXPECT_EQ(reason("8.2.3", "8.2.1", UpdateStrategy::kRolling), "Rebalancing");
  EXPECT_EQ(reason("7.0.15", "8.2.3", UpdateStrategy::kRolling), "Rebalancing");
}

// As it stands in the resource.
TEST(Rebalance, LeavesAloneWhatIsWithinTheThreshold) {
  World world = World::Healthy(3, 1);
  const SlotSet some({SlotRange{5200, 5460}});  // 261 of 5461: 4.8 %
  for (auto& node : world.observation.nodes) {
    auto& giver = world.Line(node.pod, "demo-0-0");
    giver.slots = giver.slots - some;
    auto& taker = world.Line(node.pod, "demo-1-0");
    taker.slots = taker.slots | some;
  }
  const auto reason = [&](int threshold) {
    auto object = ClusterObject();
    object["spec"]["rebalance"] = {{"thresholdPercent", threshold}};
    world.observation.cluster.spec.rebalance = ParseRedisCluster(object)->spec.rebalance;
    return world.MakePlan().reason;
  };
  EXPECT_EQ(reason(5), "Healthy");
  EXPECT_EQ(reason(4), "Rebalancing");
}

TEST(Rebalance, IsDoneByTheMethodThatTheResourceNames) {
  World world = World::Healthy(3, 1);
  world.MoveAllSlots("demo-2-0", "demo-1-0");
  for (const auto& [name, method] :
       {std::pair("Auto", MigrationMethod::kAuto), std::pair("Keys", MigrationMethod::kKeys),
        std::pair("Atomic", MigrationMethod::kAtomic)}) {
    auto object = ClusterObject();
    object["spec"]["rebalance"] = {{"method", name}};
    world.observation.cluster.spec.rebalance = ParseRedisCluster(object)->spec.rebalance;
    const Plan plan = world.MakePlan();
    ASSERT_FALSE(plan.actions.empty());
    for (const auto& action : plan.actions) EXPECT_EQ(std::get<MigrateSlots>(action).method, method) << name;
  }
}

// More would wait for each other's slices. Some that cannot be done keep nobody from a turn.
TEST(Rebalance, IsDoneBySixteenSourcesAtATimeAndByOthersTheNextTime) {
  World world = World::Healthy(36, 0);
  world.observation.cluster.spec.masters = 3;
  world.TakeObjectsAsDesired();
  std::set<std::string> sources;
  for (int second = 0; second < 33; ++second) {
    const Plan plan = world.MakePlan();
    EXPECT_EQ(plan.actions.size(), 16U);
    for (const auto& action : plan.actions) sources.insert(std::get<MigrateSlots>(action).from.pod);
    world.observation.now += std::chrono::seconds(1);
  }
  EXPECT_EQ(sources.size(), 33U);
}

// The directive is Valkey's, since 9: to an older source, as in the middle of an upgrade, it means nothing.
TEST(Rebalance, MindsSeveralDatabasesOnlyWhereASourceMayHaveThem) {
  World world = World::Healthy(3, 1);
  world.MoveAllSlots("demo-2-0", "demo-1-0");
  world.observation.cluster.spec.config["cluster-databases"] = "4";
  world.TakeObjectsAsDesired();
  world.TakePodsAsDesired();
  const auto minds = [&](const char* engine, const char* version, bool several = false) {
    for (auto& node : world.observation.nodes) {
      node.server.engine = engine;
      node.server.version = version;
      node.server.several_databases = several && node.pod == "demo-1-0";
    }
    const Plan plan = world.MakePlan();
    EXPECT_EQ(plan.reason, "Rebalancing");
    return std::ranges::any_of(plan.actions,
                               [](const Action& action) { return std::get<MigrateSlots>(action).several_databases; });
  };
  EXPECT_FALSE(minds("valkey", "8.1.4"));
  EXPECT_TRUE(minds("valkey", "9.0.0"));
  EXPECT_FALSE(minds("redis", "8.2.3"));
  EXPECT_TRUE(minds("redis", "8.2.3", true)) << "whatever is specified, it has them";
}

}  // namespace
}  // namespace slotwright::testing
