// What people and Prometheus are told when nobody could be asked.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <prometheus/registry.h>

#include <cmath>

#include "controllers/cluster_metrics.h"
#include "operator/report.h"
#include "tests/unit/planning/world.h"

namespace slotwright::testing {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsNan;
using ::testing::Not;

// As after the password in the Secret was changed and the servers still have the old one.
World Locked() {
  World world = World::Healthy(3, 1);
  for (const auto& node : std::vector(world.observation.nodes)) world.RefusePassword(node.pod);
  return world;
}

double ValueOf(prometheus::Registry& registry, const std::string& name) {
  for (const auto& family : registry.Collect()) {
    if (family.name == name) return family.metric.at(0).gauge.value;
  }
  ADD_FAILURE() << name << " is not there";
  return 0;
}

TEST(CheckReport, FindsNothingWrongWithAHealthyCluster) {
  const World world = World::Healthy(3, 1);
  const auto report = Check(world.observation, world.MakePlan());
  EXPECT_TRUE(report.healthy);
  EXPECT_THAT(report.text, AllOf(HasSubstr("all 16384 slots covered"), Not(HasSubstr("[FAIL]"))));
}

TEST(CheckReport, DoesNotCallGoodWhatNobodyCouldBeAsked) {
  const World world = Locked();
  const auto report = Check(world.observation, world.MakePlan());
  EXPECT_FALSE(report.healthy);
  EXPECT_THAT(report.text, AllOf(HasSubstr("[FAIL] 0 of 6 nodes answer"), HasSubstr("[SKIP]"), Not(HasSubstr("[OK]"))));
}

TEST(ClusterMetrics, OfWhatNobodyCouldBeAskedAreNotZero) {
  const auto registry = std::make_shared<prometheus::Registry>();
  ClusterMetrics metrics(registry);
  World world = World::Healthy(3, 1);
  metrics.Observe(world.observation, Merge(world.observation), world.MakePlan(), {});
  EXPECT_EQ(ValueOf(*registry, "slotwright_cluster_slots_covered"), kSlotCount);
  world = Locked();
  metrics.Observe(world.observation, Merge(world.observation), world.MakePlan(), {});
  EXPECT_TRUE(std::isnan(ValueOf(*registry, "slotwright_cluster_slots_covered")));
  EXPECT_EQ(ValueOf(*registry, "slotwright_cluster_ready"), 0);
  metrics.Remove({"default", "demo"});
  for (const auto& family : registry->Collect()) EXPECT_TRUE(family.metric.empty()) << family.name;
}

// Nodes that do not reach each other answer the operator as ever.
TEST(ClusterMetrics, CountNoSlotsThatAreNotServed) {
  const auto registry = std::make_shared<prometheus::Registry>();
  ClusterMetrics metrics(registry);
  World world = World::Healthy(3, 1);
  const auto covered = [&] {
    metrics.Observe(world.observation, Merge(world.observation), world.MakePlan(), {});
    return ValueOf(*registry, "slotwright_cluster_slots_covered");
  };
  world.Node("demo-0-0").info.state_ok = false;
  EXPECT_EQ(covered(), kSlotCount - 5461);
  for (auto& node : world.observation.nodes) node.info.state_ok = false;
  EXPECT_EQ(covered(), 0);
  world.observation.cluster.formed_at = "";
  EXPECT_TRUE(std::isnan(covered())) << "nobody is to be woken for a cluster that is being made";
}

TEST(ClusterMetrics, SayHowFullTheFullestMasterIsThatEvictsNothing) {
  const auto registry = std::make_shared<prometheus::Registry>();
  ClusterMetrics metrics(registry);
  World world = World::Healthy(3, 1);
  const auto fullness = [&] {
    metrics.Observe(world.observation, Merge(world.observation), world.MakePlan(), {});
    return ValueOf(*registry, "slotwright_cluster_memory_fullness");
  };
  EXPECT_EQ(fullness(), 0) << "without maxmemory nobody knows";
  for (auto& node : world.observation.nodes) {
    node.server.maxmemory = 1000;
    node.server.maxmemory_policy = "noeviction";
    node.server.used_memory = node.pod == "demo-1-0" ? 900 : node.pod == "demo-0-1" ? 1000 : 100;
  }
  EXPECT_DOUBLE_EQ(fullness(), 0.9) << "what its replica uses follows";
  world.Node("demo-1-0").server.maxmemory_policy = "allkeys-lru";
  EXPECT_DOUBLE_EQ(fullness(), 0.1);
}

TEST(ClusterMetrics, SayHowFarAMigrationIsAndHowFastOnceThatIsKnown) {
  const auto registry = std::make_shared<prometheus::Registry>();
  ClusterMetrics metrics(registry);
  World world = World::Healthy(3, 1);
  const auto shown = [&](const Plan& plan) {
    metrics.Observe(world.observation, Merge(world.observation), plan, {});
    std::vector<double> values;
    for (const char* what : {"slots_left", "keys_per_second", "estimated_seconds_left"}) {
      values.push_back(ValueOf(*registry, std::string("slotwright_cluster_migration_") + what));
    }
    return values;
  };
  EXPECT_THAT(shown(world.MakePlan()), ElementsAre(0, 0, 0));
  world.MoveAllSlots("demo-2-0", "demo-0-0");
  Plan plan = world.MakePlan();
  EXPECT_THAT(shown(plan), ElementsAre(5461, IsNan(), IsNan()));
  plan.migration = MigrationProgress{.slots_left = 100, .keys_per_second = 5000, .seconds_left = 7};
  EXPECT_THAT(shown(plan), ElementsAre(100, 5000, 7));
}

TEST(PlanReport, SaysThatAPausedClusterWaitsForTheAnnotation) {
  World world = World::Healthy(3, 1);
  world.RemovePod("demo-1-1");
  world.observation.cluster.paused = true;
  EXPECT_THAT(PlanReport(world.MakePlan()), AllOf(HasSubstr("create Pod demo-1-1"), HasSubstr("Paused: nothing is")));
}

TEST(PlanReport, SaysOfAPausedClusterWhatIsRefused) {
  World world = World::Healthy(3, 1);
  world.observation.cluster.spec.config["port"] = "1";
  world.observation.cluster.paused = true;
  const auto names_both = AllOf(HasSubstr("spec.config.port"), HasSubstr("paused by annotation"));
  EXPECT_THAT(PlanReport(world.MakePlan()), AllOf(names_both, HasSubstr("Refused")));
  world.RemovePod("demo-1-1");
  EXPECT_THAT(PlanReport(world.MakePlan()), AllOf(names_both, HasSubstr("create Pod demo-1-1"), HasSubstr("Refused")));
}

}  // namespace
}  // namespace slotwright::testing
