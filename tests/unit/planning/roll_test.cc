// Rolling changes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/planning/world.h"

namespace slotwright::testing {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

TEST(Roll, ReplacesReplicasFirstAndOfAThirdOfTheShardsAtATime) {
  World world = World::Healthy(6, 1);
  world.observation.cluster.spec.image = "redis:8.2";
  EXPECT_THAT(world.Actions(), ElementsAre("evict Pod demo-0-1", "evict Pod demo-1-1"));
}

TEST(Roll, TakesOnePodOfAShardAtATime) {
  World world = World::Healthy(1, 3);
  world.observation.cluster.spec.image = "redis:8.2";
  EXPECT_THAT(world.Actions(), ElementsAre("evict Pod demo-0-1"));
}

// Its disruption budget would spare it anyway.
TEST(Roll, WaitsUntilKubernetesCallsTheOthersOfTheShardReady) {
  World world = World::Healthy(1, 1);
  world.observation.cluster.spec.image = "redis:8.2";
  world.Pod("demo-0-0").ready = false;
  EXPECT_THAT(world.Actions(), IsEmpty());
  EXPECT_THAT(world.MakePlan().message, HasSubstr("demo-0-0 ready"));
}

TEST(Roll, WaitsUntilEverythingIsWellAgain) {
  World world = World::Healthy(3, 1);
  world.observation.cluster.spec.image = "redis:8.2";
  world.Kill("demo-2-1");
  EXPECT_THAT(world.Actions(), IsEmpty());
  EXPECT_EQ(world.MakePlan().step, "health");
}

// A server that is older than its master cannot copy from it, and everything waits until it is in sync.
TEST(Roll, ReplacesAnOutdatedReplicaThatNeverGotAnything) {
  World world = World::Healthy(3, 1);
  world.observation.cluster.spec.image = "redis:8.2";
  auto& server = world.Node("demo-1-1").server;
  server.master_link_up = false;
  server.master_link_down_seconds = -1;
  world.Pod("demo-1-1").ready = false;
  EXPECT_THAT(world.Actions(), IsEmpty()) << "whether a new pod works is not known";
  world.Pod("demo-0-1").hash = PodHash(world.observation.cluster);
  EXPECT_THAT(world.Actions(), ElementsAre("evict Pod demo-1-1"));
  world.Pod("demo-0-1").ready = false;
  EXPECT_THAT(world.Actions(), IsEmpty()) << "the one that was tried does not";
  world.Pod("demo-0-1").ready = true;
  server.master_link_down_seconds = 7;
  EXPECT_THAT(world.Actions(), IsEmpty()) << "it has an older copy, perhaps the last one";
  server.master_link_down_seconds = -1;
  server.master_sync_in_progress = true;
  EXPECT_THAT(world.Actions(), IsEmpty()) << "it is copying";
  server.master_sync_in_progress = false;
  world.observation.cluster.spec.update = UpdateStrategy::kManual;
  EXPECT_THAT(world.Actions(), IsEmpty());
  world.observation.cluster.spec.update = UpdateStrategy::kRolling;
  world.Kill("demo-1-0");
  EXPECT_THAT(world.Actions(), Not(Contains("evict Pod demo-1-1"))) << "there is no master to copy from";
}

TEST(Roll, SaysWhichVersionCannotCopyFromWhich) {
  World world = World::Healthy(3, 1);
  world.Node("demo-1-0").server.version = "8.2.3";
  auto& server = world.Node("demo-1-1").server;
  server.master_link_up = false;
  server.master_link_down_seconds = -1;
  EXPECT_THAT(world.MakePlan().message,
              HasSubstr("demo-1-1 (redis 7.0.15) is not in sync with demo-1-0 (redis 8.2.3)"));
}

// Each replica runs the new image already.
World WithNewReplicas(int replicas = 1) {
  World world = World::Healthy(3, replicas);
  world.observation.cluster.spec.image = "redis:8.2";
  for (auto& pod : world.observation.pods) {
    if (pod.index == 0) continue;
    pod.hash = reconciler::AnnotationOf(DesiredPod(world.observation.cluster, pod.shard, pod.index),
                                        "slotwright.dev/pod-hash");
  }
  return world;
}

TEST(Roll, HandsOneMasterOverAtATime) {
  EXPECT_THAT(WithNewReplicas().Actions(), ElementsAre(AllOf(HasSubstr("let demo-0-1"), HasSubstr("take over"))));
}

TEST(Roll, NeverHandsOverToAReplicaThatIsNotInSync) {
  World world = WithNewReplicas();
  world.Node("demo-0-1").server.master_link_up = false;
  EXPECT_THAT(world.Actions(), IsEmpty());
  EXPECT_FALSE(HandOver(world.observation, Merge(world.observation), world.Node("demo-0-0"), "", ""))
      << "it does not rely on AwaitHealth";
}

// An introduction closes links for a moment. What is asked for, or voted, in that time is lost.
TEST(Roll, HandsOverToNoReplicaWithoutLinksToAMajorityOfMasters) {
  const auto plan_without = [](const std::vector<std::pair<const char*, const char*>>& links) {
    World world = World::Healthy();
    for (const auto& [from, to] : links) world.Line(from, to).link_connected = false;
    return HandOver(world.observation, Merge(world.observation), world.Node("demo-0-0"), "Why", "").value_or(Plan());
  };
  // One of three need not vote, whichever way it is cut off; nor does it matter what replicas of others say.
  for (const auto& links : std::vector<std::vector<std::pair<const char*, const char*>>>{
           {},
           {{"demo-0-0", "demo-0-1"}},
           {{"demo-1-0", "demo-0-1"}, {"demo-0-1", "demo-1-0"}},
           {{"demo-1-1", "demo-0-1"}}}) {
    EXPECT_EQ(plan_without(links).actions.size(), 1U) << links.size();
  }
  for (const auto& links : std::vector<std::vector<std::pair<const char*, const char*>>>{
           {{"demo-0-1", "demo-0-0"}}, {{"demo-1-0", "demo-0-1"}, {"demo-0-1", "demo-2-0"}}}) {
    const Plan plan = plan_without(links);
    EXPECT_TRUE(plan.actions.empty());
    EXPECT_THAT(plan.message, HasSubstr("waiting until demo-0-1 has links to the masters"));
  }
}

TEST(Roll, HandsOverToNoReplicaThatIsBeingIntroduced) {
  World world = World::Healthy();
  NodeLine handshake{.id = IdOf("somebody"), .endpoint = world.Node("demo-0-0").endpoint};
  handshake.flags.handshake = true;
  world.Node("demo-0-1").table->lines.push_back(handshake);
  const auto plan =
      HandOver(world.observation, Merge(world.observation), world.Node("demo-0-0"), "Why", "").value_or(Plan());
  EXPECT_TRUE(plan.actions.empty());
  EXPECT_THAT(plan.message, HasSubstr("has links to the masters"));
}

TEST(Roll, HandsOverToTheReplicaThatIsNearest) {
  World world = WithNewReplicas(2);
  world.Node("demo-0-1").server.replica_offset = 7;
  world.Node("demo-0-2").server.replica_offset = 8;
  EXPECT_THAT(world.Actions(), ElementsAre(HasSubstr("let demo-0-2")));
}

TEST(Roll, IsHeldBackByTheManualStrategy) {
  World world = World::Healthy(3, 1);
  world.observation.cluster.spec.image = "redis:8.2";
  world.observation.cluster.spec.update = UpdateStrategy::kManual;
  EXPECT_THAT(world.Actions(), IsEmpty());
  EXPECT_FALSE(world.MakePlan().settled);
  EXPECT_EQ(world.MakePlan().reason, "UpdatePending");
}

// Without replicas and volumes a pod that is deleted takes its slots with it.
TEST(Roll, ByHandIsAdvisedOnlyWhereItLosesNothing) {
  const auto advice = [](int replicas, bool storage) {
    World world = World::Healthy(3, replicas);
    world.observation.cluster.spec.update = UpdateStrategy::kManual;
    if (storage) world.observation.cluster.spec.storage = StorageSpec{.size = "1Gi"};
    world.TakeObjectsAsDesired();
    world.TakePodsAsDesired();
    world.observation.cluster.spec.image = "redis:8.2";
    return world.MakePlan().message;
  };
  EXPECT_THAT(advice(1, false), HasSubstr("delete the replicas' pods"));
  EXPECT_THAT(advice(0, true), HasSubstr("delete the pods one by one"));
  EXPECT_THAT(advice(0, false), AllOf(Not(HasSubstr("one by one")), HasSubstr("set it to Rolling")));
}

TEST(Roll, ReplacesAStuckPodAtOnceWhenTheSpecificationChangesAgain) {
  World world = World::Healthy(3, 1);
  world.Pod("demo-0-1").hash = "of an image that does not exist";
  world.Pod("demo-0-1").trouble = "ErrImagePull: no such image";
  world.Pod("demo-0-1").ready = false;
  world.Kill("demo-0-1");
  EXPECT_THAT(world.Actions(), ElementsAre("delete Pod demo-0-1"));
}

// Creation waits for all nodes: those that can never answer go first.
TEST(Roll, ReplacesPodsThatNeverRanAlsoBeforeTheClusterIsMade) {
  World world(3, 0);
  for (auto& pod : world.observation.pods) {
    pod.trouble = "ImagePullBackOff: no such image";
    pod.ready = false;
    pod.ip.clear();
  }
  world.observation.nodes.clear();
  EXPECT_THAT(world.Actions(), IsEmpty()) << "they are as the specification wants them";
  world.observation.cluster.spec.image = "redis:8.2";
  world.TakeObjectsAsDesired();
  EXPECT_THAT(world.Actions(), ElementsAre("delete Pod demo-0-0", "delete Pod demo-1-0", "delete Pod demo-2-0"));
}

// Evicted by its kubelet, or its machine was shut down: phase Failed, for ever. Nobody but us makes room for another.
TEST(Roll, ReplacesPodsThatHaveEnded) {
  World world = World::Healthy(3, 1);
  world.observation.cluster.spec.update = UpdateStrategy::kManual;
  world.Kill("demo-1-0");
  world.Pod("demo-1-0").phase = "Failed";
  world.Pod("demo-1-0").trouble = "Failed: Evicted";
  world.Pod("demo-1-0").ready = false;
  std::erase_if(world.observation.nodes, [](const NodeView& node) { return !node.table; });
  EXPECT_THAT(world.Actions(), ElementsAre("delete Pod demo-1-0"));
}

// As after replicasPerMaster 1 -> 2 -> 1 where no machine has room for the second ones.
World WithAPodThatNeverRan() {
  World world = World::Healthy(3, 2);
  world.observation.cluster.spec.replicas_per_master = 1;
  world.TakeObjectsAsDesired();
  world.RemovePod("demo-1-2");
  world.RemovePod("demo-2-2");
  auto pod = world.Pod("demo-0-2");
  world.RemovePod("demo-0-2");
  world.Introduce();
  pod.ready = false;
  pod.ip.clear();
  pod.trouble = "Unschedulable: 0/3 nodes are available";
  world.observation.pods.push_back(pod);
  return world;
}

TEST(Roll, DeletesAPodThatNeverRanAndIsNotWantedAnyMore) {
  EXPECT_THAT(WithAPodThatNeverRan().Actions(), ElementsAre("delete Pod demo-0-2"));
}

TEST(Roll, KeepsAPodThatDoesNotRunWhileItsShardHasNoMaster) {
  World world = WithAPodThatNeverRan();
  world.Kill("demo-0-0");
  EXPECT_THAT(world.Actions(), Not(Contains(HasSubstr("demo-0-2")))) << "it may have the last copy";
}

// Found by the simulation: made while a value was in force with which no server starts; in the meantime
// replicasPerMaster was lowered and all pods went. Its volume may have the last copy, and stays.
TEST(Roll, MakesAPodAnewThatCannotStartAndMayHaveTheLastCopyOnItsVolume) {
  for (const bool outdated : {true, false}) {
    World world = WithAPodThatNeverRan();
    world.observation.cluster.spec.storage = StorageSpec{.size = "1Gi"};
    world.TakeObjectsAsDesired();
    world.TakePodsAsDesired();
    auto& objects = world.observation.objects;
    objects[{"PersistentVolumeClaim", "data-demo-0-2"}] = objects.at({"PersistentVolumeClaim", "data-demo-0-1"});
    // It took over before all of them went.
    world.Kill("demo-0-0");
    for (auto& node : world.observation.nodes) {
      if (!node.table) continue;
      NodeLine line = world.Line(node.pod, "demo-0-0");
      line.id = IdOf("demo-0-2");
      line.hostname = HostnameOf("default", "demo", "demo-0-2");
      world.Line(node.pod, "demo-0-0").slots = {};
      node.table->lines.push_back(line);
    }
    if (outdated) world.Pod("demo-0-2").hash = "of a bad one";
    EXPECT_THAT(world.Actions(), Contains("delete Pod demo-0-2").Times(outdated ? 1 : 0));
  }
}

// Found by the simulation: masters that were added in Manual mode. Redis elects nobody in the place of a master without
// slots, and a hand-over that never comes held the roll up for ever.
TEST(Roll, ReplacesAMasterWithoutSlotsThatCannotHandOver) {
  World world = World::Healthy(4, 1);
  world.MoveAllSlots("demo-3-0", "demo-2-0");
  world.observation.cluster.spec.rebalance.automatic = false;
  world.observation.cluster.spec.image = "redis:8.2";
  world.TakeObjectsAsDesired();
  world.TakePodsAsDesired();
  world.Pod("demo-3-0").hash = "older";
  EXPECT_THAT(world.Actions(), ElementsAre("evict Pod demo-3-0"));
  world.Node("demo-3-0").server.keys = 1;
  EXPECT_THAT(world.Actions(), IsEmpty()) << "nobody else may have it";
  EXPECT_EQ(world.MakePlan().reason, "NodesNotEmpty");
  world.Pod("demo-2-0").hash = "older";
  EXPECT_THAT(world.Actions(), ElementsAre(HasSubstr("demo-2-0"))) << "it holds up no other one";
}

// Made again while a specification was in force with which no server starts; reverted, and scaled in meanwhile.
TEST(Roll, ReplacesAPodThatCannotStartOfAShardThatLeaves) {
  World world = World::Healthy(3, 1);
  world.observation.cluster.spec.masters = 2;
  world.TakeObjectsAsDesired();
  world.SwapRoles("demo-2-0", "demo-2-1");
  world.Kill("demo-2-0");
  auto& pod = world.Pod("demo-2-0");
  pod.ready = false;
  pod.trouble = "CrashLoopBackOff: back-off restarting failed container";
  EXPECT_THAT(world.Actions(), IsEmpty()) << "it is as it should be";
  pod.hash = "of a bad one";
  EXPECT_THAT(world.Actions(), ElementsAre("delete Pod demo-2-0"));
}

// Who dies as master before they are written has lost more than the old master has.
TEST(Roll, HandsOverToNoReplicaThatStillWritesItsAppendOnlyFiles) {
  World world = World::Healthy(3, 1);
  world.observation.cluster.spec.image = "redis:8.2";
  world.TakeObjectsAsDesired();
  for (auto& pod : world.observation.pods) {
    if (pod.index == 1) pod.hash = PodHash(world.observation.cluster);
  }
  EXPECT_THAT(world.Actions(), ElementsAre(HasSubstr("take over")));
  for (auto& node : world.observation.nodes) node.server.rewrites_aof = true;
  const Plan plan = world.MakePlan();
  EXPECT_THAT(plan.actions, IsEmpty());
  EXPECT_THAT(plan.message, HasSubstr("append-only files"));
}

}  // namespace
}  // namespace slotwright::testing
