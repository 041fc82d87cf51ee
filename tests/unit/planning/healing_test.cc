// What the planner does about a cluster that was whole once.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "controllers/status/status.h"
#include "tests/unit/planning/world.h"

namespace slotwright::testing {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

// demo-1-1 lives on as a new node, which is in as a replica; only its earlier life's line is left over.
World WithAGhostOfAReplica() {
  World world = World::Healthy();
  world.Reincarnate("demo-1-1");
  auto& me = world.Node("demo-1-1").table->lines[0];
  me.flags.master = false;
  me.flags.replica = true;
  me.master = IdOf("demo-1-0");
  world.JoinAgain("demo-1-1");
  return world;
}

TEST(Healing, RecreatesAMissingPod) {
  World world = World::Healthy();
  world.RemovePod("demo-1-1");
  EXPECT_THAT(world.Actions(), ElementsAre("create Pod demo-1-1"));
}

TEST(Healing, RecreatesAShardOfWhichEveryPodIsGone) {
  for (const std::string shard : {"demo-0", "demo-1", "demo-2"}) {
    World world = World::Healthy();
    world.RemovePod(shard + "-0");
    world.RemovePod(shard + "-1");
    EXPECT_THAT(world.Actions(), ElementsAre("create Pod " + shard + "-0", "create Pod " + shard + "-1"));
  }
}

TEST(Healing, DoesNotWaitForObjectsThatCannotBeWritten) {
  World world = World::Healthy();
  world.observation.objects.erase({"PodDisruptionBudget", "demo-0"});
  world.RemovePod("demo-1-1");
  EXPECT_THAT(world.Actions(), ElementsAre("create Pod demo-1-1", "create PodDisruptionBudget demo-0"));
}

TEST(Healing, IsNotReadyWhileAnObjectDiffers) {
  World world = World::Healthy();
  world.observation.objects.erase({"Service", "demo"});
  EXPECT_FALSE(world.MakePlan().settled);
  EXPECT_THAT(world.Actions(), ElementsAre("create Service demo"));
}

TEST(Healing, TakesANewNodeInAsReplicaOfWhoeverIsMasterNow) {
  World world = World::Healthy();
  world.Reincarnate("demo-1-0");  // its replica was elected meanwhile
  for (auto& node : world.observation.nodes) {
    if (node.pod == "demo-1-0") continue;
    auto& promoted = world.Line(node.pod, "demo-1-1");
    promoted.slots.Add(InitialSlots(1, 3));
    promoted.flags.master = true;
    promoted.flags.replica = false;
    promoted.master.reset();
    world.Line(node.pod, "demo-1-0").slots = {};
  }
  EXPECT_THAT(world.Actions(), AllOf(Not(IsEmpty()), Each(HasSubstr("introduce"))));
  NodeLine master = world.Node("demo-1-1").me();
  master.flags.myself = false;
  world.Node("demo-1-0").table->lines.push_back(master);
  EXPECT_THAT(world.Actions(), Contains(HasSubstr("make demo-1-0")));
}

TEST(Healing, DoesNotForgetADeadMasterThatStillOwnsSlots) {
  World world = World::Healthy(3, 0);  // no replica whose existence alone would forbid it
  world.Reincarnate("demo-1-0");
  world.JoinAgain("demo-1-0");
  EXPECT_THAT(world.Actions(), IsEmpty());
}

TEST(Healing, ForgetsADeadNodeEverywhereOnceItsPodLivesOnUnderANewId) {
  const World world = WithAGhostOfAReplica();
  const NodeId ghost = IdOf("demo-1-1");
  const auto actions = world.Actions();
  EXPECT_THAT(actions, Each(HasSubstr("forget " + ghost.Short())));
  EXPECT_EQ(actions.size(), 5U) << "each node that lists it";
}

// Found by the simulation: all pods went, and replicasPerMaster was lowered meanwhile. The first one to be back has not
// heard that demo-1-1 took over before it went, too.
TEST(Healing, ForgetsNobodyWhoMayOwnTheSlotsThatNobodyServes) {
  for (const bool all_served : {true, false}) {
    World world = World::Healthy(3, 1);
    world.observation.cluster.spec.replicas_per_master = 0;
    world.TakeObjectsAsDesired();
    world.RemovePod("demo-1-1");
    if (!all_served) world.Kill("demo-1-0");
    EXPECT_THAT(world.Actions(), Contains(HasSubstr("forget " + IdOf("demo-1-1").Short())).Times(all_served ? 5 : 0));
  }
}

// Where packets to the address of a pod that is gone are swallowed, each new attempt looks like a connection.
TEST(Healing, ForgetsADeadNodeToWhichLinksAreOpenedInVain) {
  World world = WithAGhostOfAReplica();
  for (auto& node : world.observation.nodes) {
    for (auto& line : node.table->lines) line.link_connected = true;
  }
  EXPECT_THAT(world.Actions(), AllOf(SizeIs(5), Each(HasSubstr("forget"))));
}

// On Kubernetes the dead look alive for a node timeout, and a roll leaves one behind for each pod.
TEST(Healing, OfWhatIsLeftOverHoldsNoRollUpButReady) {
  World world = WithAGhostOfAReplica();
  for (auto& node : world.observation.nodes) {
    for (auto& line : node.table->lines) {
      line.link_connected = true;
      line.flags.fail = false;
    }
  }
  // Gossip does not tell a new node of it.
  NodeView& reborn = world.Node("demo-1-1");
  std::erase_if(reborn.table->lines, [](const NodeLine& line) { return line.id == IdOf("demo-1-1"); });
  reborn.quarantined = false;
  reborn.info.state_ok = true;
  reborn.server.master_role = false;
  reborn.server.master_link_up = true;
  EXPECT_THAT(world.Actions(), IsEmpty());
  EXPECT_FALSE(world.MakePlan().settled);
  EXPECT_EQ(world.MakePlan().reason, "DeadNodeInTable");
  world.observation.cluster.spec.image = "redis:8.2";
  world.TakeObjectsAsDesired();
  EXPECT_THAT(world.Actions(), ElementsAre("evict Pod demo-0-1"));
}

// Others told it of its master's new address before the master did: Redis then leaves the replication as it is, for
// good.
TEST(Healing, TellsAReplicaThatAsksAnOldAddressAgainWhomToReplicate) {
  World world = World::Healthy();
  auto& server = world.Node("demo-1-1").server;
  server.master_host = "10.9.9.9";
  EXPECT_THAT(world.Actions(), IsEmpty()) << "the link is there";
  server.master_link_up = false;
  EXPECT_THAT(world.Actions(), ElementsAre(HasSubstr("make demo-1-1 (64656d6f) a replica of demo-1-0")));
  server.master_host = world.Node("demo-1-0").endpoint.host;
  EXPECT_THAT(world.Actions(), IsEmpty()) << "it only takes its time";
}

// Valkey does nothing when it is told again.
TEST(Healing, StartsAReplicaAnewThatGoesOnAskingAnOldAddress) {
  World world = World::Healthy();
  auto& server = world.Node("demo-1-1").server;
  server.engine = "valkey";
  server.master_host = "10.9.9.9";
  server.master_link_up = false;
  const Plan wait = world.MakePlan();
  EXPECT_THAT(wait.actions, IsEmpty());
  EXPECT_THAT(wait.message, AllOf(HasSubstr("demo-1-1"), HasSubstr("10.9.9.9")));
  const auto status = BuildStatus(world.observation, Merge(world.observation), wait);
  auto& operation = world.observation.cluster.status["operation"];
  operation = status["operation"];
  operation["stepSince"] = "2026-11-23T05:59:51Z";
  EXPECT_THAT(world.Actions(), IsEmpty());
  operation["stepSince"] = "2026-11-23T05:59:50Z";
  EXPECT_THAT(world.Actions(), ElementsAre("delete Pod demo-1-1"));
  server.master_link_up = true;
  EXPECT_THAT(world.Actions(), IsEmpty());
}

// Each of two would wait for the other to become ready.
TEST(Healing, StartsReplicasAnewThatAreBothUnready) {
  World world = World::Healthy(3, 2);
  for (const char* pod : {"demo-1-1", "demo-1-2"}) {
    auto& server = world.Node(pod).server;
    server.engine = "valkey";
    server.master_host = "10.9.9.9";
    server.master_link_up = false;
    world.Pod(pod).ready = false;
  }
  const Plan wait = world.MakePlan();
  EXPECT_EQ(wait.step, "stale-links") << wait.message;
  const auto status = BuildStatus(world.observation, Merge(world.observation), wait);
  auto& operation = world.observation.cluster.status["operation"];
  operation = status["operation"];
  operation["stepSince"] = "2026-11-23T05:59:50Z";
  EXPECT_THAT(world.Actions(), ElementsAre("delete Pod demo-1-1"));
}

// It has not heard of that master, which is dead: no introduction tells it.
TEST(Healing, DoesNotIntroduceForEverWhomNobodyCanNote) {
  World world = World::Healthy(3, 1);
  world.Kill("demo-1-0");
  world.RemovePod("demo-1-0");
  std::erase_if(world.Node("demo-2-1").table->lines, [](const NodeLine& line) { return line.id == IdOf("demo-1-0"); });
  world.Line("demo-2-1", "demo-1-1").master.reset();
  EXPECT_THAT(world.Actions(), Not(Contains(HasSubstr("introduce demo-1-1"))));
}

TEST(Healing, DoesNotForgetADeadNodeThatSomebodyStillReaches) {
  World world = WithAGhostOfAReplica();
  for (auto& line : world.Node("demo-2-0").table->lines) {
    if (line.id != IdOf("demo-1-1")) continue;
    line.link_connected = true;
    line.flags.fail = false;
  }
  EXPECT_THAT(world.Actions(), IsEmpty());
}

TEST(Healing, NeverForgetsADeadMasterWhileALiveNodeReplicatesFromIt) {
  World world = World::Healthy();
  world.Reincarnate("demo-1-0");
  // It owns nothing any more: its slots went to another shard, so that only its replica speaks for it.
  for (auto& node : world.observation.nodes) {
    if (node.pod == "demo-1-0") continue;
    world.Line(node.pod, "demo-1-0").slots = {};
    world.Line(node.pod, "demo-2-0").slots.Add(InitialSlots(1, 3));
  }
  world.JoinAgain("demo-1-0");
  world.Node("demo-1-1").server.keys = 1;  // perhaps the last copy of it
  EXPECT_THAT(world.Actions(), IsEmpty());
  world.Node("demo-1-1").server.keys = 0;
  EXPECT_THAT(world.Actions(), ElementsAre(HasSubstr("make demo-1-1")));
}

TEST(Healing, UpdatesTheAddressesOfNodesThatCameBackElsewhere) {
  World world = World::Healthy();
  auto& moved = world.Node("demo-0-1");
  moved.endpoint.host = "127.1.9.9";
  world.Line("demo-0-1", "demo-0-1").endpoint = moved.endpoint;
  const Plan plan = world.MakePlan();
  ASSERT_EQ(plan.actions.size(), 5U);
  for (const auto& action : plan.actions) {
    const auto& meet = std::get<Meet>(action);
    ASSERT_EQ(meet.peers.size(), 1U);
    EXPECT_EQ(meet.peers[0].endpoint.host, "127.1.9.9");
  }
}

TEST(Healing, RefusesToServeSlotsAgainWhoseDataIsGone) {
  World world;  // all pods are new and empty, but the cluster was ready once
  world.observation.cluster.formed_at = "2026-11-23T05:00:00Z";
  world.TakeObjectsAsDesired();
  world.observation.cluster.ready_at = "2026-11-23T05:00:02Z";
  const Plan plan = world.MakePlan();
  EXPECT_THAT(plan.actions, IsEmpty());
  ASSERT_TRUE(plan.refusal);
  EXPECT_EQ(plan.refusal->reason, "DataLost");
  EXPECT_THAT(plan.refusal->message, HasSubstr("slots 0-16383"));
}

TEST(Healing, ServesLostSlotsAgainEmptyIfThePolicySaysSo) {
  World world;
  world.observation.cluster.formed_at = "2026-11-23T05:00:00Z";
  world.TakeObjectsAsDesired();
  world.observation.cluster.ready_at = "2026-11-23T05:00:02Z";
  world.observation.cluster.spec.lost_shard = LostShardPolicy::kAssignEmpty;
  EXPECT_THAT(world.Actions(), AllOf(SizeIs(3), Each(HasSubstr("assign slots"))));
}

// A replica that was Pending from the first day on keeps it from being Ready, and nobody from writing to it.
TEST(Healing, ServesLostSlotsAgainEmptyIfTheClusterIsNewAndWasNeverReady) {
  World world;
  world.observation.cluster.formed_at = "2026-11-23T05:51:00Z";
  world.TakeObjectsAsDesired();
  EXPECT_THAT(world.Actions(), AllOf(SizeIs(3), Each(HasSubstr("assign slots"))));
  world.observation.cluster.formed_at = "2026-11-23T05:49:00Z";
  EXPECT_EQ(world.MakePlan().reason, "DataLost");
}

// Nobody has heard the hostname of a node that is known from gossip alone.
TEST(Healing, ForgetsANodeWithoutANameOnceEveryPodHasANodeOfItsOwn) {
  World world = WithAGhostOfAReplica();
  for (auto& node : world.observation.nodes) {
    for (auto& line : node.table->lines) {
      if (line.id == IdOf("demo-1-1")) line.hostname.clear();
    }
  }
  EXPECT_THAT(world.Actions(), Contains(HasSubstr("forget")));
  world.Node("demo-2-1").table.reset();
  EXPECT_THAT(world.Actions(), Not(Contains(HasSubstr("forget")))) << "it may be the node of demo-2-1";
}

// Made anew over its volumes, with fewer replicas: one that is not to come back was its shard's master in the end,
// which the first node that answers does not know (simulation, seed 1141).
TEST(Healing, ForgetsNobodyWhoMayOwnSlotsOfAClusterThatIsMadeAnew) {
  World world = World::Healthy(3, 1);
  world.observation.cluster.formed_at.clear();
  world.observation.cluster.spec.replicas_per_master = 0;
  world.TakeObjectsAsDesired();
  for (const char* pod : {"demo-0-1", "demo-1-1", "demo-2-1"}) {
    world.Kill(pod);
    world.RemovePod(pod);
  }
  std::erase_if(world.observation.nodes, [](const NodeView& node) { return node.index > 0; });
  for (const char* pod : {"demo-1-0", "demo-2-0"}) world.Node(pod).table.reset();
  EXPECT_THAT(world.Actions(), Not(Contains(HasSubstr("forget"))));
}

// A demotion that its own replica has not heard of, and will not, as Redis lets no replica follow another one.
TEST(Healing, TellsAReplicaOfAReplicaWhoTheMasterIs) {
  World world = World::Healthy(3, 2);
  for (auto& node : world.observation.nodes) world.Line(node.pod, "demo-1-2").master = IdOf("demo-1-1");
  EXPECT_EQ(world.MakePlan().reason, "JoiningNodes");
  const Plan plan = world.MakePlan();
  ASSERT_EQ(plan.actions.size(), 1U);
  const auto& told = std::get<Replicate>(plan.actions[0]);
  EXPECT_EQ(told.node.pod, "demo-1-2");
  EXPECT_EQ(told.master, IdOf("demo-1-0"));
  // Told again and again in vain, it is named.
  world.observation.cluster.status["operation"] = {{"step", plan.reason}, {"stepSince", "2026-11-23T05:59:31Z"}};
  EXPECT_EQ(world.MakePlan().message, "9 nodes are being joined");
  world.observation.cluster.status["operation"]["stepSince"] = "2026-11-23T05:59:30Z";
  EXPECT_THAT(world.MakePlan().message, HasSubstr("again and again: make demo-1-2"));
}

// It serves a script that does not end, or writes for long; a person may end it.
TEST(Healing, LeavesAMasterAloneThatIsBusy) {
  World world = World::Healthy();
  NodeView& busy = world.Node("demo-1-0");
  busy.table.reset();
  busy.error = "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.";
  const Plan plan = world.MakePlan();
  EXPECT_THAT(plan.actions, IsEmpty());
  EXPECT_FALSE(plan.refusal);
  EXPECT_EQ(plan.reason, "WaitingForNodes");
  EXPECT_THAT(plan.message, AllOf(HasSubstr("demo-1-0"), HasSubstr("SCRIPT KILL")));
}

TEST(Healing, NeverTurnsANodeWithKeysIntoAReplica) {
  World world = World::Healthy();
  for (auto& node : world.observation.nodes) {
    auto& line = world.Line(node.pod, "demo-2-1");
    line.flags.master = true;
    line.flags.replica = false;
    line.master.reset();
  }
  world.Node("demo-2-1").server.keys = 1;
  EXPECT_THAT(world.Actions(), IsEmpty());
  EXPECT_EQ(world.MakePlan().reason, "ReplicaNotEmpty");
}

TEST(Healing, LooksLessOftenTheLongerItWaits) {
  World world = World::Healthy();
  world.Node("demo-1-1").info.state_ok = false;
  const auto interval = [&](int seconds) {
    world.observation.cluster.status["operation"] = {{"stepSince", "2026-11-23T06:00:00Z"}};
    world.observation.now = reconciler::ParseTime("2026-11-23T06:00:00Z") + std::chrono::seconds(seconds);
    return world.MakePlan().look_again.count();
  };
  EXPECT_EQ(interval(1), 20);
  EXPECT_EQ(interval(10), 200);
  EXPECT_EQ(interval(3600), 2000);
}

// A quota, an admission webhook: nobody knows how long a pod cannot be made.
TEST(Healing, DoesNotWaitForAPodThatCannotBeMade) {
  World world = World::Healthy();
  world.RemovePod("demo-2-1");
  EXPECT_THAT(world.Actions(), ElementsAre("create Pod demo-2-1"));
  world.Reincarnate("demo-1-1");
  EXPECT_THAT(world.Actions(), AllOf(Contains("create Pod demo-2-1"), Contains(HasSubstr("introduce"))));
  const Plan plan = world.MakePlan();
  EXPECT_EQ(plan.reason, "JoiningNodes");
  EXPECT_EQ(plan.beside, 1U);
}

// It might come back with the slots that nobody claims.
TEST(Healing, GivesNoSlotsAwayBeforeAllPodsAreMade) {
  World world = World::Healthy();
  world.observation.cluster.spec.lost_shard = LostShardPolicy::kAssignEmpty;
  for (auto& node : world.observation.nodes) {
    for (auto& line : node.table->lines) {
      if (line.hostname == HostnameOf("default", "demo", "demo-2-0")) line.slots = {};
    }
  }
  world.RemovePod("demo-2-1");
  EXPECT_THAT(world.Actions(), ElementsAre("create Pod demo-2-1"));
}

// They might follow the address that a new node has by now, and copy its emptiness.
TEST(Healing, LetsNobodyCopyANewNodeWhilePodsOfALeavingShardAreMissing) {
  World world = World::Healthy(4, 1);
  auto& spec = world.observation.cluster.spec;
  spec.storage = StorageSpec{.size = "10Gi"};
  world.TakeObjectsAsDesired();
  const auto objects = world.observation.objects;
  spec.masters = 3;
  world.TakeObjectsAsDesired();
  world.observation.objects.insert(objects.begin(), objects.end());
  world.Node("demo-1-1").quarantined = true;
  EXPECT_THAT(world.Actions(), Contains(HasSubstr("let replicas copy demo-1-1")));
  for (const char* pod : {"demo-3-0", "demo-3-1"}) {
    world.Kill(pod);
    world.RemovePod(pod);
  }
  EXPECT_THAT(world.Actions(), ElementsAre("create Pod demo-3-0", "create Pod demo-3-1"));
}

// Its nodes.conf was lost and not its data; nobody knows whose keys those are, and a replica would delete them.
TEST(Healing, SaysWhatToDoWithAMasterThatHasKeysAndNoSlots) {
  World world = World::Healthy(3, 1);
  world.Reincarnate("demo-0-1");
  world.JoinAgain("demo-0-1");
  world.Node("demo-0-1").server.keys = 5;
  for (auto& node : world.observation.nodes) {  // its ghost is forgotten
    std::erase_if(node.table->lines, [](const NodeLine& line) { return line.id == IdOf("demo-0-1"); });
    node.quarantined = false;
  }
  world.Node("demo-0-1").info = world.Node("demo-0-0").info;
  EXPECT_THAT(world.MakePlan().message,
              AllOf(HasSubstr("demo-0-1 owns no slots and has 5 keys"), HasSubstr("FLUSHALL")));
  World owner = World::Healthy(3, 0);
  owner.Reincarnate("demo-0-0");
  owner.JoinAgain("demo-0-0");
  owner.Node("demo-0-0").server.keys = 7;
  owner.Node("demo-0-0").quarantined = false;
  EXPECT_THAT(owner.MakePlan().message, AllOf(HasSubstr("demo-0-0 is a master of that shard with 7 keys"),
                                              HasSubstr("CLUSTER ADDSLOTSRANGE 0 5460 on")));
}

}  // namespace
}  // namespace slotwright::testing
