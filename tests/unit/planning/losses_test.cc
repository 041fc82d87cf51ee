// Losses that need a decision: of the majority, of a whole shard.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/planning/world.h"

namespace slotwright::testing {
namespace {

using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::Contains;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

// Two of three masters died with everything; their pods live on under new ids, unknown to the others.
World WithoutMajority() {
  World world = World::Healthy(3, 1);
  world.Reincarnate("demo-0-0");
  world.Reincarnate("demo-1-0");
  for (auto& node : world.observation.nodes) {
    for (auto& line : node.table->lines) {
      if (!line.flags.fail) continue;
      line.flags.fail = false;
      line.flags.pfail = true;  // nobody is left to agree
    }
  }
  world.JoinAgain("demo-0-0");
  world.JoinAgain("demo-1-0");
  world.Node("demo-0-0").table->lines.push_back(world.Node("demo-1-0").table->lines[0]);
  world.Node("demo-0-0").table->lines.back().flags.myself = false;
  return world;
}

TEST(MajorityLost, IsTakenOverOneByOneWhenTheOldMastersCannotComeBack) {
  const World world = WithoutMajority();
  const Plan plan = world.MakePlan();
  EXPECT_EQ(plan.step, "takeover") << plan.message;
  ASSERT_EQ(plan.actions.size(), 1U);
  EXPECT_THAT(plan.actions.empty() ? "" : ToString(plan.actions[0]), HasSubstr("take over from the lost master"));
}

// Votes of masters that are only silent are missing as well, and a failed attempt blocks the next one for a while.
TEST(MajorityLost, CountsMastersThatNobodyCallsDeadYet) {
  World world = World::Healthy(5, 1);
  world.Reincarnate("demo-0-0");
  world.JoinAgain("demo-0-0");
  for (const std::string pod : {"demo-1-0", "demo-2-0"}) {
    world.Node(pod).table.reset();
    world.Node(pod).error = "no answer in time";
  }
  const Plan plan = world.MakePlan();
  ASSERT_EQ(plan.actions.size(), 1U) << plan.message;
  EXPECT_TRUE(std::holds_alternative<Takeover>(plan.actions[0])) << ToString(plan.actions[0]);
  EXPECT_THAT(plan.message, HasSubstr("of 5 masters"));
}

TEST(MajorityLost, IsLeftToAPersonIfThePolicySaysSo) {
  World world = WithoutMajority();
  world.observation.cluster.spec.takeover = TakeoverPolicy::kNever;
  const Plan plan = world.MakePlan();
  ASSERT_TRUE(plan.refusal) << plan.message;
  EXPECT_EQ(plan.refusal->reason, "MajorityLost");
}

TEST(MajorityLost, IsNotAssumedWhileAMasterMayComeBackWithWrites) {
  World world = World::Healthy(3, 1);
  world.Kill("demo-0-0");
  world.Kill("demo-1-0");
  EXPECT_THAT(world.Actions(), IsEmpty());
  EXPECT_THAT(world.MakePlan().message, HasSubstr("is back within 26 s"));
  world.Pod("demo-0-0").terminating = true;
  EXPECT_THAT(world.Actions(), IsEmpty()) << "its process may live until the pod is gone";
  world.Pod("demo-0-0").terminating = false;
  world.observation.cluster.status["operation"] = {{"step", "MajorityLost"}, {"stepSince", "2026-11-23T05:59:34Z"}};
  const Plan plan = world.MakePlan();
  EXPECT_EQ(plan.reason, "MajorityLost");
  EXPECT_THAT(plan.message, AllOf(HasSubstr("2 of 3 masters"), HasSubstr("demo-0-1 has a copy"),
                                  HasSubstr("kubectl delete pod demo-0-0 --force")));
  world.observation.cluster.spec.storage = StorageSpec{.size = "1Gi"};
  EXPECT_THAT(world.MakePlan().message, HasSubstr("CLUSTER FAILOVER TAKEOVER on demo-0-1"));
}

TEST(MajorityLost, IsTakenOverWhenTheNextPodOfAMasterHasNothingToStartFrom) {
  World world = World::Healthy(3, 1);
  world.Kill("demo-0-0");
  world.Kill("demo-1-0");
  world.Pod("demo-0-0").phase = "Pending";
  EXPECT_THAT(world.Actions(), ElementsAre(AllOf(HasSubstr("demo-0-1"), HasSubstr("take over from the lost master"))));
  world.observation.cluster.spec.storage = StorageSpec{.size = "1Gi"};
  world.TakeObjectsAsDesired();
  EXPECT_THAT(world.Actions(), IsEmpty()) << "its volume may have more than the replica";
}

// Who makes pods may be long in coming to it (a quota, a webhook), and what is gone writes no more.
TEST(MajorityLost, IsTakenOverThoughThePodsOfItCannotBeMadeAgain) {
  World world = World::Healthy(3, 1);
  for (const char* pod : {"demo-0-0", "demo-1-0"}) {
    world.Kill(pod);
    world.RemovePod(pod);
  }
  const Plan plan = world.MakePlan();
  ASSERT_FALSE(plan.actions.empty()) << plan.message;
  const auto* takeover = std::get_if<Takeover>(&plan.actions[0]);
  ASSERT_NE(takeover, nullptr) << ToString(plan.actions[0]);
  EXPECT_EQ(takeover->missing_pod, "demo-0-0") << "the API server has the last word";
  PodView pending;
  pending.name = "demo-1-0";
  pending.shard = 1;
  pending.phase = "Pending";
  pending.ours = true;
  world.observation.pods.push_back(pending);
  EXPECT_THAT(world.Actions(), Contains(HasSubstr("let demo-1-1"))) << "whom no answer of its keeps waiting";
  world.RemovePod("demo-1-0");
  world.observation.cluster.spec.storage = StorageSpec{.size = "1Gi"};
  world.TakeObjectsAsDesired();
  EXPECT_THAT(world.Actions(), Not(Contains(HasSubstr("take over")))) << "its volume may have more than the replica";
}

TEST(MajorityLost, IsNotAssumedWhileTheOthersCanElect) {
  World world = World::Healthy(3, 1);
  world.Reincarnate("demo-0-0");
  world.JoinAgain("demo-0-0");
  EXPECT_THAT(world.Actions(), Each(Not(HasSubstr("without votes"))));
}

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

// Found by the simulation: drained, just when replicasPerMaster was lowered. That there is no pod any more proves no
// less than a new pod of that name would.
TEST(MajorityLost, IsTakenOverFromMastersThatAreOneTooManyAndLeftNothing) {
  World world = World::Healthy(3, 1);
  for (const char* shard : {"demo-0", "demo-1"}) world.SwapRoles(std::string(shard) + "-0", std::string(shard) + "-1");
  world.observation.cluster.spec.replicas_per_master = 0;
  world.TakeObjectsAsDesired();
  for (const char* pod : {"demo-0-1", "demo-1-1"}) world.RemovePod(pod);
  EXPECT_THAT(world.Actions(), ElementsAre(AllOf(HasSubstr("demo-0-0"), HasSubstr("take over from the lost master"))));
  world.observation.cluster.spec.storage = StorageSpec{.size = "1Gi"};
  world.TakeObjectsAsDesired();
  auto& objects = world.observation.objects;
  for (const char* claim : {"data-demo-0-1", "data-demo-1-1"}) {
    objects[{"PersistentVolumeClaim", claim}] = objects.at({"PersistentVolumeClaim", "data-demo-0-0"});
  }
  EXPECT_THAT(world.Actions(), ElementsAre("create Pod demo-0-1", "create Pod demo-1-1"))
      << "their volumes may have more than the replicas";
  for (const char* claim : {"data-demo-0-1", "data-demo-1-1"}) {
    reconciler::Json going = *objects.at({"PersistentVolumeClaim", claim});
    going["metadata"]["deletionTimestamp"] = "2026-11-23T06:00:00Z";
    objects[{"PersistentVolumeClaim", claim}] = std::make_shared<const reconciler::Json>(going);
  }
  EXPECT_THAT(world.Actions(), ElementsAre(HasSubstr("take over from the lost master")));
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
