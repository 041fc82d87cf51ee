// Whoever has most of a lost master's data takes its place.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/planning/world.h"

namespace slotwright::testing {
namespace {

using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

// replicasPerMaster 1 -> 0 while demo-2-1 is master: its pod is not made again.
World WithAMasterThatIsOneTooMany() {
  World world = World::Healthy(3, 1);
  world.SwapRoles("demo-2-0", "demo-2-1");
  world.observation.cluster.spec.replicas_per_master = 0;
  world.TakeObjectsAsDesired();
  return world;
}

TEST(LostMaster, WritesNoMoreOnceItsPodIsGone) {
  World world = WithAMasterThatIsOneTooMany();
  world.Kill("demo-2-1");
  EXPECT_THAT(world.Actions(), IsEmpty());
  world.RemovePod("demo-2-1");
  EXPECT_THAT(world.Actions(), ElementsAre(HasSubstr("let demo-2-0 (64656d6f) take over from its dead master")));
}

TEST(LostMaster, IsReplacedByTheReplicaThatHasMostOfItsData) {
  World world = World::Healthy(3, 2);
  world.Reincarnate("demo-0-0");
  world.JoinAgain("demo-0-0");
  world.Node("demo-0-1").server.replica_offset = 7;
  world.Node("demo-0-2").server.replica_offset = 8;
  EXPECT_THAT(world.Actions(), ElementsAre(AllOf(HasSubstr("let demo-0-2"), HasSubstr("take over"))));
}

// demo-0-2 was cut off when demo-0-0 died and demo-0-1 was elected: only it lists the dead one still, with slots.
TEST(LostMaster, IsNotReplacedAgainByAReplicaThatWasCutOff) {
  World world = World::Healthy(3, 2);
  const NodeTable before = *world.Node("demo-0-2").table;
  world.SwapRoles("demo-0-0", "demo-0-1");
  world.Reincarnate("demo-0-0");
  world.JoinAgain("demo-0-0");
  for (auto& node : world.observation.nodes) {
    std::erase_if(node.table->lines, [&](const NodeLine& line) { return line.id == IdOf("demo-0-0"); });
  }
  world.Node("demo-0-2").table = before;
  for (auto& line : world.Node("demo-0-2").table->lines) line.flags.pfail = !line.flags.myself;
  EXPECT_THAT(world.Actions(), Not(Contains(HasSubstr("take over"))));
  EXPECT_FALSE(world.MakePlan().refusal);
}

// The one that loads its data, or missed one look, may have more; once the others call it dead it has nothing to say.
TEST(LostMaster, IsNotReplacedBeforeABetterReplicaCouldAnswer) {
  World world = World::Healthy(1, 2);
  world.Reincarnate("demo-0-0");
  world.JoinAgain("demo-0-0");
  world.Node("demo-0-1").server.master_link_down_seconds = 600;
  auto& other = world.Node("demo-0-2");
  other.table.reset();
  other.loading = true;
  EXPECT_THAT(world.Actions(), Not(Contains(HasSubstr("take over"))));
  other.loading = false;
  other.error = "no answer in time";
  EXPECT_THAT(world.Actions(), Not(Contains(HasSubstr("take over"))));
  const Plan wait = world.MakePlan();
  EXPECT_THAT(wait.message, AllOf(HasSubstr("demo-0-1"), HasSubstr("demo-0-2 does not answer")));
  auto& operation = world.observation.cluster.status["operation"];
  operation = {{"step", wait.reason}, {"reason", wait.message}, {"stepSince", "2026-11-23T05:59:29Z"}};
  EXPECT_THAT(world.Actions(), Contains(AllOf(HasSubstr("let demo-0-1"), HasSubstr("take over"))));
  operation = {};
  world.Kill("demo-0-2");
  EXPECT_THAT(world.Actions(), Contains(AllOf(HasSubstr("let demo-0-1"), HasSubstr("take over"))));
}

TEST(LostMaster, WhoseBestReplicaIsWaitedForKeepsNobodyFromBeingIntroduced) {
  World world = World::Healthy(3, 2);
  world.Reincarnate("demo-0-0");
  world.JoinAgain("demo-0-0");
  world.Node("demo-0-1").server.master_link_down_seconds = 600;
  world.Node("demo-0-2").table.reset();
  world.Node("demo-0-2").loading = true;
  EXPECT_EQ(world.MakePlan().reason, "AwaitingReplica");
  world.Line("demo-1-0", "demo-2-0").flags.noaddr = true;
  EXPECT_THAT(world.Actions(), Contains(AllOf(HasSubstr("introduce"), HasSubstr("demo-1-0"))));
  EXPECT_EQ(world.MakePlan().reason, "AwaitingReplica") << "its time goes on";
}

TEST(LostMaster, IsNotReplacedByAnEmptyReplicaWhileThereIsAnother) {
  World world = World::Healthy(1, 2);
  world.Reincarnate("demo-0-0");
  world.JoinAgain("demo-0-0");
  for (const char* pod : {"demo-0-1", "demo-0-2"}) {
    world.Node(pod).server.replica_offset = 1;  // as after a restart
    world.Node(pod).server.master_link_up = false;
    world.Node(pod).server.master_link_down_seconds = -1;
  }
  world.Node("demo-0-2").server.keys = 100;
  EXPECT_THAT(world.Actions(), Contains(AllOf(HasSubstr("let demo-0-2"), HasSubstr("take over"))));
}

// With storage: it may come back. Its replica was started anew, so that no election is won by it.
TEST(LostMaster, WhoseReplicaNobodyElectsIsToldWithTheWayOut) {
  World world = World::Healthy(3, 1);
  world.observation.cluster.spec.storage = StorageSpec{.size = "1Gi"};
  world.TakeObjectsAsDesired();
  world.TakePodsAsDesired();
  world.Kill("demo-1-0");
  std::erase_if(world.observation.nodes, [](const NodeView& node) { return node.pod == "demo-1-0"; });
  auto& pod = world.Pod("demo-1-0");
  pod.phase = "Pending";
  pod.ready = false;
  pod.ip.clear();
  pod.trouble = "Unschedulable: volume node affinity conflict";
  auto& server = world.Node("demo-1-1").server;
  server.keys = 100;
  server.master_link_up = false;
  server.master_link_down_seconds = -1;
  const Plan later = world.MakePlan();
  EXPECT_EQ(later.reason, "AwaitingElection") << later.message;
  EXPECT_THAT(later.message, AllOf(HasSubstr("demo-1-0"), HasSubstr("CLUSTER FAILOVER FORCE on demo-1-1")));
  server.master_link_down_seconds = 3;
  EXPECT_EQ(world.MakePlan().reason, "WaitingForPods") << "the others are about to elect it";
}

// Keys had been moved to a new master before it owned a slot, and it died.
TEST(LostMaster, WithoutSlotsWhoseReplicaHasKeysIsToldWithTheWayOut) {
  World world = World::Healthy(4, 1);
  world.MoveAllSlots("demo-3-0", "demo-0-0");
  world.observation.cluster.spec.rebalance.automatic = false;
  world.Reincarnate("demo-3-0");
  world.JoinAgain("demo-3-0");
  world.Node("demo-3-0").quarantined = false;
  world.Node("demo-3-1").server.keys = 3;
  EXPECT_THAT(world.MakePlan().message, HasSubstr("CLUSTER FAILOVER TAKEOVER on demo-3-1")) << world.MakePlan().step;
}

// A master died a moment after its new replica's first synchronisation, before it told it of its slots: seen on real
// servers (Rolling.ToADirectiveThatNoServer…).
TEST(UnawareReplica, TakesTheSlotsThatItNeverHeardOf) {
  World world = World::Healthy(3, 1);
  world.Reincarnate("demo-2-0");
  world.JoinAgain("demo-2-0");
  auto& replica = world.Node("demo-2-1");
  replica.server.keys = 100;
  const SlotSet slots = world.Line("demo-2-1", "demo-2-0").slots;
  world.Line("demo-2-1", "demo-2-0").slots = {};
  const Plan plan = world.MakePlan();
  ASSERT_EQ(plan.actions.size(), 1U) << plan.message;
  const auto* takeover = std::get_if<Takeover>(&plan.actions[0]);
  ASSERT_NE(takeover, nullptr) << ToString(plan.actions[0]);
  EXPECT_EQ(takeover->replica.pod, "demo-2-1");
  EXPECT_EQ(takeover->unknown_slots, slots);
  world.observation.cluster.spec.takeover = TakeoverPolicy::kNever;
  EXPECT_THAT(world.Actions(), IsEmpty());
  world.observation.cluster.spec.takeover = TakeoverPolicy::kFenced;
  replica.server.keys = 0;
  EXPECT_THAT(world.Actions(), Not(Contains(HasSubstr("demo-2-1")))) << "it has no copy";
}

// demo-2-0 is dead, and demo-2-1 has its data and never heard that it owned slots.
World WithAnUnawareReplicaOfAFencedMaster(int replicas) {
  World world = World::Healthy(3, replicas);
  world.Node("demo-2-1").server.keys = 100;
  world.Line("demo-2-1", "demo-2-0").slots = {};
  world.Reincarnate("demo-2-0");
  world.JoinAgain("demo-2-0");
  return world;
}

// It is one pod too many: else its shard would not be whole without it, and nothing would be done anyway.
TEST(UnawareReplica, WaitsForAMasterThatMayComeBackWithWrites) {
  World world = WithAMasterThatIsOneTooMany();
  world.Node("demo-2-0").server.keys = 100;
  world.Line("demo-2-0", "demo-2-1").slots = {};
  world.Kill("demo-2-1");
  EXPECT_THAT(world.Actions(), Not(Contains(HasSubstr("take over"))));
  world.RemovePod("demo-2-1");
  EXPECT_THAT(world.Actions(), Contains(HasSubstr("take over")));
}

TEST(UnawareReplica, WaitsForOthersOfItsShardThatMayHaveMore) {
  World world = WithAnUnawareReplicaOfAFencedMaster(2);
  world.Line("demo-2-2", "demo-2-0").slots = {};
  EXPECT_THAT(world.Actions(), ElementsAre(AllOf(HasSubstr("demo-2-1"), HasSubstr("take over"))));
  world.Node("demo-2-2").server.keys = 101;
  world.Node("demo-2-2").server.replica_offset = 1;
  EXPECT_THAT(world.Actions(), ElementsAre(AllOf(HasSubstr("demo-2-2"), HasSubstr("take over"))));
  world.Kill("demo-2-2");
  EXPECT_THAT(world.Actions(), Not(Contains(HasSubstr("take over"))));
  world.observation.cluster.spec.replicas_per_master = 1;  // it is one too many now, and may have more all the same
  world.TakeObjectsAsDesired();
  EXPECT_THAT(world.Actions(), Not(Contains(HasSubstr("take over"))));
}

TEST(UnawareReplica, ClaimsNothingThatSomebodyElseServes) {
  World world = WithAnUnawareReplicaOfAFencedMaster(1);
  world.Line("demo-0-0", "demo-0-0").slots.Add(16383);
  world.Line("demo-0-0", "demo-0-0").config_epoch = 99;
  const Plan plan = world.MakePlan();
  ASSERT_EQ(plan.actions.size(), 1U) << plan.message;
  const auto* takeover = std::get_if<Takeover>(&plan.actions[0]);
  ASSERT_NE(takeover, nullptr) << ToString(plan.actions[0]);
  EXPECT_FALSE(takeover->unknown_slots.Contains(16383));
}

// All came back with new addresses, and the master's volume was lost: by force nobody is elected for whom nobody can be
// asked, and then nothing else would ever be done.
TEST(LostVolume, OfAMasterIsNoReasonToElectBeforeAllKnowEachOther) {
  World world = World::Healthy(3, 1);
  world.Reincarnate("demo-0-0");
  world.JoinAgain("demo-0-0");
  EXPECT_THAT(world.Actions(), ElementsAre(AllOf(HasSubstr("let demo-0-1"), HasSubstr("take over"))));
  for (auto& node : world.observation.nodes) {
    for (auto& line : node.table->lines) line.link_connected = line.flags.myself;
  }
  EXPECT_THAT(world.Actions(), Not(Contains(HasSubstr("take over"))));
}

// Nobody makes a pod without a claim for a shard that is to go.
// Killed before it had said its hostname to anybody (Redis 8.2, ServerCrash.*).
TEST(LostMaster, OfWhichNobodyKnowsTheNameIsReplacedOnceEachPodHasAnotherNode) {
  for (const bool has_replica : {true, false}) {
    World world = World::Healthy(3, has_replica ? 1 : 0);
    world.observation.cluster.ready_at.clear();
    world.Reincarnate("demo-1-0");
    world.JoinAgain("demo-1-0");
    world.Node("demo-1-0").quarantined = false;
    for (auto& node : world.observation.nodes) {
      for (auto& line : node.table->lines) {
        if (line.id == IdOf("demo-1-0")) line.hostname.clear();
      }
    }
    EXPECT_THAT(world.Actions(), Contains(AllOf(HasSubstr(has_replica ? "let demo-1-1" : "forget"),
                                                HasSubstr(has_replica ? "take over" : ""))))
        << world.MakePlan().message;
    World kept = world;
    kept.observation.objects[{"PersistentVolumeClaim", "data-demo-3-0"}] = std::make_shared<const reconciler::Json>();
    EXPECT_THAT(kept.Actions(), Not(Contains(AnyOf(HasSubstr("take over"), HasSubstr("forget"))))) << "or that one's";
    world.Node("demo-2-0").table.reset();
    world.Node("demo-2-0").error = "no answer in time";
    EXPECT_THAT(world.Actions(), Not(Contains(AnyOf(HasSubstr("take over"), HasSubstr("forget")))))
        << "it may be that one";
  }
}

}  // namespace
}  // namespace slotwright::testing
