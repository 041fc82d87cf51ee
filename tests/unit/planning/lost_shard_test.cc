// A shard of which nothing is left, and what may still be left of it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/planning/world.h"

namespace slotwright::testing {
namespace {

using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::Contains;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

// All that answers is new and empty, and the shards that are to go are silent.
TEST(LostShard, IsNotAssumedWhileAShardThatLeavesIsSilent) {
  World world = World::Healthy(3, 1);
  for (const char* pod : {"demo-0-0", "demo-0-1"}) world.Reincarnate(pod);
  for (auto& node : world.observation.nodes) {
    if (node.shard == 0) continue;
    node.table.reset();
    node.error = "no answer in time";
  }
  world.observation.cluster.spec.masters = 1;
  world.observation.cluster.spec.lost_shard = LostShardPolicy::kAssignEmpty;
  EXPECT_THAT(world.Actions(), Not(Contains(HasSubstr("assign slots"))));
  world.observation.cluster.spec.lost_shard = LostShardPolicy::kWait;
  EXPECT_FALSE(world.MakePlan().refusal);
}

// Not a new one: made anew over retained volumes, or restored.
TEST(LostShard, OfAClusterOverOlderVolumesIsNotServedEmpty) {
  World world = World::Healthy(3, 1);
  world.observation.cluster.ready_at.clear();
  world.observation.cluster.created_at = "2026-11-23T06:00:00Z";
  for (const char* pod : {"demo-1-0", "demo-1-1"}) world.Reincarnate(pod);
  world.JoinAgain("demo-1-0");
  world.JoinAgain("demo-1-1");
  for (auto& node : world.observation.nodes) node.quarantined = false;
  EXPECT_FALSE(world.MakePlan().refusal);
  const reconciler::Json claim = {
      {"metadata", {{"name", "data-demo-0-0"}, {"creationTimestamp", "2026-11-01T06:00:00Z"}}}};
  world.observation.objects[{"PersistentVolumeClaim", "data-demo-0-0"}] =
      std::make_shared<const reconciler::Json>(claim);
  for (int i = 0; i < 2 && world.MakePlan().step == "join"; ++i) {
    for (auto& node : world.observation.nodes) node.info.state_ok = false;
  }
  ASSERT_TRUE(world.MakePlan().refusal) << world.MakePlan().message;
  EXPECT_EQ(world.MakePlan().refusal->reason, "DataLost");
}

TEST(LostShard, IsNotLostWhileAPodOfItIsSilentThoughOneTooManyAnswers) {
  World world = World::Healthy(3, 2);
  for (const char* pod : {"demo-1-0", "demo-1-2"}) {
    world.Reincarnate(pod);
    world.JoinAgain(pod);
  }
  world.Kill("demo-1-1");
  world.observation.cluster.spec.replicas_per_master = 1;
  world.observation.cluster.spec.lost_shard = LostShardPolicy::kAssignEmpty;
  world.TakeObjectsAsDesired();
  EXPECT_NE(world.MakePlan().reason, "ForgettingLostShard");
}

World WithALostShard() {
  World world = World::Healthy(3, 1);
  world.Reincarnate("demo-1-0");
  world.Reincarnate("demo-1-1");
  world.JoinAgain("demo-1-0");
  world.JoinAgain("demo-1-1");
  auto& lines = world.Node("demo-1-0").table->lines;
  lines.push_back(world.Node("demo-1-1").table->lines[0]);
  lines.back().flags.myself = false;
  return world;
}

TEST(LostShard, IsReportedAndNotHealedSilently) {
  const Plan plan = WithALostShard().MakePlan();
  ASSERT_TRUE(plan.refusal) << plan.message;
  EXPECT_EQ(plan.refusal->reason, "DataLost");
  EXPECT_THAT(plan.refusal->message, HasSubstr("5461-10922"));
  EXPECT_THAT(plan.actions, IsEmpty());
}

TEST(LostShard, GivesItsSlotsFreeByPolicy) {
  World world = WithALostShard();
  world.observation.cluster.spec.lost_shard = LostShardPolicy::kAssignEmpty;
  EXPECT_THAT(world.Actions(), AllOf(Not(IsEmpty()), Each(HasSubstr("forget"))));
}

TEST(LostShard, IsNotLostWhileAPodOfItIsSilent) {
  World world = WithALostShard();
  world.Node("demo-1-1").table.reset();
  EXPECT_FALSE(world.MakePlan().refusal);
}

// Machines are lost and there is no room for what ran there: those pods have nothing that could be waited for.
TEST(LostShard, IsSaidAndServedEmptyThoughThereIsNoRoomForAPod) {
  for (const auto& pending : std::vector<std::vector<std::string>>{
           {"demo-1-1"}, {"demo-1-0", "demo-1-1"}, {"demo-1-0", "demo-2-1"}, {"demo-2-1"}}) {
    SCOPED_TRACE(pending.front() + (pending.size() > 1 ? " and " + pending.back() : ""));
    World world = WithALostShard();
    for (const auto& pod : pending) world.Unschedule(pod);
    world.TakePodsAsDesired();
    EXPECT_EQ(world.MakePlan().reason, "DataLost") << world.MakePlan().message;
    world.observation.cluster.spec.lost_shard = LostShardPolicy::kAssignEmpty;
    World soon = world;
    for (auto& pod : soon.observation.pods) pod.created = world.observation.now - std::chrono::seconds(59);
    EXPECT_EQ(soon.MakePlan().reason == "ForgettingLostShard", pending == std::vector<std::string>{"demo-2-1"})
        << "one that only starts is waited for";
    EXPECT_EQ(world.MakePlan().reason, "ForgettingLostShard") << world.MakePlan().message;
    // Once it is forgotten its slots go to the pod of the shard that is there, or to others.
    for (auto& node : world.observation.nodes) {
      std::erase_if(node.table->lines, [&](const NodeLine& line) { return line.id == IdOf("demo-1-0"); });
    }
    const Plan plan = world.MakePlan();
    EXPECT_EQ(plan.reason, "AssigningSlots") << plan.message;
    ASSERT_FALSE(plan.actions.empty());
    const std::string action = ToString(plan.actions[0]);
    const bool has_one = std::ranges::any_of(world.observation.nodes, [](const auto& node) { return node.shard == 1; });
    EXPECT_EQ(action.find("demo-1-") != std::string::npos, has_one) << action;
    world.observation.cluster.spec.storage = StorageSpec{.size = "1Gi"};
    world.TakeObjectsAsDesired();
    EXPECT_NE(world.MakePlan().reason, "AssigningSlots") << "its volume may have it";
  }
}

// A master that owns no slots yet died with the machines, and its replica follows it still.
TEST(LostShard, IsServedByOthersThanAShardOfWhichOnlyAReplicaAnswers) {
  World world = World::Healthy(3, 1);
  world.MoveAllSlots("demo-2-0", "demo-0-0");
  world.Unschedule("demo-2-0");
  for (const char* pod : {"demo-1-0", "demo-1-1"}) world.Unschedule(pod);
  for (auto& node : world.observation.nodes) {
    std::erase_if(node.table->lines, [](const NodeLine& line) { return line.id == IdOf("demo-1-0"); });
  }
  world.TakePodsAsDesired();
  world.observation.cluster.spec.lost_shard = LostShardPolicy::kAssignEmpty;
  const Plan plan = world.MakePlan();
  EXPECT_EQ(plan.reason, "AssigningSlots") << plan.message;
  ASSERT_EQ(plan.actions.size(), 1U);
  EXPECT_THAT(ToString(plan.actions[0]), HasSubstr("demo-0-0"));
}

// Two that owned its slots, and both have lost their volumes: neither is waited for because of the other.
TEST(LostShard, OfTwoOwnersThatCameBackWithoutTheirDataIsSaid) {
  World world = World::Healthy(3, 1);
  world.observation.cluster.spec.storage = StorageSpec{.size = "1Gi", .retain = true};
  world.TakeObjectsAsDesired();
  for (auto& node : world.observation.nodes) {
    NodeLine& one = world.Line(node.pod, "demo-0-0");
    NodeLine& other = world.Line(node.pod, "demo-0-1");
    other.flags.master = true;
    other.flags.replica = false;
    other.master.reset();
    other.slots = SlotSet({SlotRange{0, 99}});
    one.slots = one.slots - other.slots;
  }
  for (const char* pod : {"demo-0-0", "demo-0-1"}) world.Reincarnate(pod);
  for (const char* pod : {"demo-0-0", "demo-0-1"}) world.JoinAgain(pod);
  for (const char* pod : {"demo-0-0", "demo-0-1"}) world.Node(pod).quarantined = false;
  world.Node("demo-0-0").table->lines.push_back(world.Node("demo-0-1").table->lines[0]);
  world.Node("demo-0-0").table->lines.back().flags.myself = false;
  EXPECT_EQ(world.MakePlan().reason, "DataLost") << world.MakePlan().message;
}

// replicasPerMaster 1 -> 0: demo-0-1 has just gone when the volume of demo-0-0 is lost (simulation, seed 106122).
TEST(LostShard, IsNotLostWhileTheVolumeOfAReplicaThatHasJustGoneHasACopy) {
  for (const auto policy : {LostShardPolicy::kWait, LostShardPolicy::kAssignEmpty}) {
    World world = World::Healthy(3, 1);
    world.observation.cluster.spec.storage = StorageSpec{.size = "1Gi", .retain = true};
    world.observation.cluster.spec.lost_shard = policy;
    world.TakeObjectsAsDesired();
    const auto claim = world.observation.objects.at({"PersistentVolumeClaim", "data-demo-0-1"});
    world.observation.cluster.spec.replicas_per_master = 0;
    world.TakeObjectsAsDesired();
    world.observation.objects[{"PersistentVolumeClaim", "data-demo-0-1"}] = claim;
    for (const char* pod : {"demo-0-1", "demo-1-1", "demo-2-1"}) {
      world.Kill(pod);
      world.RemovePod(pod);
    }
    world.TakePodsAsDesired();
    world.Reincarnate("demo-0-0");
    world.JoinAgain("demo-0-0");
    EXPECT_THAT(world.Actions(), AllOf(Contains("create Pod demo-0-1"), Not(Contains(HasSubstr("forget")))));
    // Made and Pending, as its volume is on a machine that is away: it is waited for, and a person can end that.
    World waiting = world;
    PodView pending;
    pending.name = "demo-0-1";
    pending.shard = 0;
    pending.index = 1;
    pending.phase = "Pending";
    pending.trouble = "Unschedulable: volume node affinity conflict";
    pending.ours = true;
    pending.hash = world.Pod("demo-0-0").hash;
    waiting.observation.pods.push_back(pending);
    EXPECT_THAT(waiting.Actions(), Not(Contains(AnyOf(HasSubstr("forget"), HasSubstr("Pod demo-0-1")))));
    EXPECT_THAT(waiting.MakePlan().message, HasSubstr("delete the claim data-demo-0-1"));
    waiting.observation.objects.erase({"PersistentVolumeClaim", "data-demo-0-1"});
    EXPECT_THAT(waiting.Actions(), Contains("delete Pod demo-0-1"));
    world.observation.objects.erase({"PersistentVolumeClaim", "data-demo-0-1"});
    EXPECT_THAT(world.Actions(), Not(Contains("create Pod demo-0-1")));
    EXPECT_EQ(world.MakePlan().reason, policy == LostShardPolicy::kWait ? "DataLost" : "ForgettingLostShard");
  }
}

TEST(LostShard, ThatWasToGoIsSaidOnceItsPodsAndClaimsAreGone) {
  World world = World::Healthy(3, 1);
  auto& spec = world.observation.cluster.spec;
  spec.storage = StorageSpec{.size = "10Gi", .retain = true};
  spec.masters = 2;
  world.TakeObjectsAsDesired();
  for (const std::string pod : {"demo-2-0", "demo-2-1"}) {
    world.Kill(pod);
    world.RemovePod(pod);
    world.observation.objects.erase({"PersistentVolumeClaim", "data-" + pod});
  }
  const Plan plan = world.MakePlan();
  ASSERT_TRUE(plan.refusal) << plan.message;
  EXPECT_EQ(plan.refusal->reason, "DataLost");
  spec.lost_shard = LostShardPolicy::kAssignEmpty;
  EXPECT_THAT(world.Actions(), Contains(HasSubstr("forget")));
}

}  // namespace
}  // namespace slotwright::testing
