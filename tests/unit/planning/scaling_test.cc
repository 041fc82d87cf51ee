// Growing and shrinking: what is done in which order, and what is never done.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "controllers/api/names.h"
#include "tests/unit/planning/world.h"

namespace slotwright::testing {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

// A healthy cluster whose specification asks for another number of masters.
World Asked(int masters, int from) {
  World world = World::Healthy(from, 1);
  world.observation.cluster.spec.masters = masters;
  world.TakeObjectsAsDesired();
  return world;
}

TEST(ScaleOut, CreatesAllMissingPodsAtOnce) {
  World world = Asked(5, 3);
  EXPECT_THAT(world.Actions(),
              ElementsAre("create Pod demo-3-0", "create Pod demo-3-1", "create Pod demo-4-0", "create Pod demo-4-1"));
}

TEST(ScaleOut, AttachesReplicasBeforeSlotsCome) {
  World world = World::Healthy(4, 1);
  world.MoveAllSlots("demo-3-0", "demo-2-0");
  for (auto& node : world.observation.nodes) {
    auto& line = world.Line(node.pod, "demo-3-1");
    line.flags.master = true;
    line.flags.replica = false;
    line.master.reset();
  }
  world.Node("demo-3-1").server.master_role = true;
  EXPECT_THAT(world.Actions(), ElementsAre(AllOf(HasSubstr("make demo-3-1"), HasSubstr("a replica of demo-3-0"))));
}

// Both sides of a partition may end with slots: the old master with those it got meanwhile, its successor with the
// rest.
TEST(TwoOwnersInAShard, AreMadeOneByMovingTheSlots) {
  World world = World::Healthy(3, 1);
  SlotSet some;
  some.Add(SlotRange{100, 140});
  for (auto& node : world.observation.nodes) {
    auto& master = world.Line(node.pod, "demo-0-0");
    master.slots = master.slots - some;
    auto& replica = world.Line(node.pod, "demo-0-1");
    replica.flags.master = true;
    replica.flags.replica = false;
    replica.master.reset();
    replica.slots = some;
  }
  world.Node("demo-0-1").server.master_role = true;
  for (const bool automatic : {true, false}) {
    world.observation.cluster.spec.rebalance.automatic = automatic;
    const Plan plan = world.MakePlan();
    EXPECT_EQ(plan.step, "rebalance");
    ASSERT_EQ(plan.actions.size(), 1U);
    const auto& move = std::get<MigrateSlots>(plan.actions[0]);
    EXPECT_EQ(move.from.pod, "demo-0-1");
    EXPECT_EQ(move.to.pod, "demo-0-0");
    EXPECT_EQ(move.slots, some);
  }
}

TEST(ScaleOut, MovesSlotsFromSeveralMastersAtOnce) {
  World world = World::Healthy(4, 1);
  // As it is when the fourth shard has just joined.
  for (int shard = 0; shard < 4; ++shard) {
    SlotSet slots;
    if (shard < 3) slots.Add(InitialSlots(shard, 3));
    for (auto& node : world.observation.nodes) world.Line(node.pod, PodNameOf("demo", shard, 0)).slots = slots;
  }
  const Plan plan = world.MakePlan();
  EXPECT_EQ(plan.step, "rebalance");
  ASSERT_EQ(plan.actions.size(), 3U);
  int slots = 0;
  for (const auto& action : plan.actions) {
    const auto& move = std::get<MigrateSlots>(action);
    EXPECT_EQ(move.to.pod, "demo-3-0");
    slots += move.slots.size();
  }
  EXPECT_EQ(slots, 4096);
  EXPECT_EQ(plan.migration->slots_left, 4096);
  EXPECT_FALSE(plan.settled);
}

TEST(ScaleIn, DrainsFirstAndTouchesNoPod) {
  World world = Asked(3, 5);
  const Plan plan = world.MakePlan();
  EXPECT_EQ(plan.reason, "DrainingMasters");
  ASSERT_EQ(plan.actions.size(), 2U);
  for (const auto& action : plan.actions) {
    const auto& move = std::get<MigrateSlots>(action);
    EXPECT_THAT(move.from.pod, ::testing::AnyOf("demo-3-0", "demo-4-0"));
  }
}

TEST(ScaleIn, RecreatesAPodOfAShardThatStillOwnsSlots) {
  World world = Asked(3, 5);
  world.RemovePod("demo-4-1");
  EXPECT_THAT(world.Actions(), ElementsAre("create Pod demo-4-1"));
}

TEST(ScaleIn, DeletesThePodsOfADrainedShardTogether) {
  World world = Asked(3, 4);
  world.MoveAllSlots("demo-3-0", "demo-2-0");
  EXPECT_THAT(world.Actions(), ElementsAre("delete Pod demo-3-0", "delete Pod demo-3-1"));
}

// Simulation, seed 21163: a stranger got the address of a pod that went 30 ms after CLUSTER MEET had named it.
TEST(ScaleIn, DeletesNoPodWhileSomebodyIsBeingIntroduced) {
  World world = Asked(3, 4);
  world.MoveAllSlots("demo-3-0", "demo-2-0");
  auto& lines = world.Node("demo-0-0").table->lines;
  lines.push_back(lines.front());
  lines.back().id = IdOf("unknown");
  lines.back().flags = {.handshake = true};
  EXPECT_THAT(world.Actions(), Not(Contains(HasSubstr("delete Pod"))));
}

TEST(ScaleIn, NeverDeletesAShardForWhichASilentNodeMightSpeak) {
  World world = Asked(3, 4);
  world.MoveAllSlots("demo-3-0", "demo-2-0");
  world.Kill("demo-1-0");  // its slots are not covered now
  for (auto& node : world.observation.nodes) {
    if (node.table) world.Line(node.pod, "demo-1-0").slots = {};
  }
  EXPECT_THAT(world.Actions(), Not(Contains(HasSubstr("delete"))));
  EXPECT_FALSE(world.MakePlan().refusal) << "nor are its slots called lost: " << world.MakePlan().message;
}

TEST(ScaleIn, RefusesToDeleteKeysThatNobodyElseHas) {
  World world = Asked(3, 4);
  world.MoveAllSlots("demo-3-0", "demo-2-0");
  world.Node("demo-3-0").server.keys = 7;
  const Plan plan = world.MakePlan();
  EXPECT_THAT(plan.actions, IsEmpty());
  ASSERT_TRUE(plan.refusal);
  EXPECT_EQ(plan.refusal->reason, "NodesNotEmpty");
  EXPECT_THAT(plan.refusal->message, HasSubstr("demo-3"));
}

TEST(ScaleIn, ForgetsNodesOnlyOnceTheirPodIsGone) {
  World world = Asked(3, 4);
  world.MoveAllSlots("demo-3-0", "demo-2-0");
  std::erase_if(world.observation.nodes, [](const NodeView& node) { return node.shard == 3; });
  for (auto& pod : world.observation.pods) pod.terminating = pod.shard == 3;
  EXPECT_THAT(world.Actions(), Not(Contains(HasSubstr("forget"))));
  std::erase_if(world.observation.pods, [](const PodView& pod) { return pod.shard == 3; });
  EXPECT_THAT(world.Actions(), AllOf(Contains(HasSubstr("forget")), Not(Contains(HasSubstr("delete Pod")))));
}

TEST(ScaleIn, DeletesTheBudgetLast) {
  World world = Asked(3, 4);
  world.MoveAllSlots("demo-3-0", "demo-2-0");
  for (auto& node : world.observation.nodes) {
    std::erase_if(node.table->lines, [](const NodeLine& line) { return line.hostname.starts_with("demo-3"); });
  }
  std::erase_if(world.observation.nodes, [](const NodeView& node) { return node.shard == 3; });
  std::erase_if(world.observation.pods, [](const PodView& pod) { return pod.shard == 3; });
  EXPECT_THAT(world.Actions(), Contains("delete PodDisruptionBudget demo-3"));
  world.observation.objects.erase({"PodDisruptionBudget", "demo-3"});
  EXPECT_EQ(world.observation.ShardCount(), 3);
}

TEST(ScaleIn, DoesNotMakeAnewWhatItTookAwayWhileAnotherShardIsStillLeaving) {
  World world = Asked(3, 5);
  world.MoveAllSlots("demo-3-0", "demo-2-0");
  world.MoveAllSlots("demo-4-0", "demo-1-0");
  for (auto& node : world.observation.nodes) {
    std::erase_if(node.table->lines, [](const NodeLine& line) { return line.hostname.starts_with("demo-3"); });
  }
  std::erase_if(world.observation.nodes, [](const NodeView& node) { return node.shard == 3; });
  std::erase_if(world.observation.pods, [](const PodView& pod) { return pod.shard == 3; });
  world.observation.objects.erase({"PodDisruptionBudget", "demo-3"});
  EXPECT_THAT(world.Actions(), ElementsAre("delete Pod demo-4-0", "delete Pod demo-4-1"));
}

TEST(ScaleIn, RevertedHalfWayIsTheNewGoal) {
  World world = World::Healthy(4, 1);
  // Half of the last shard's slots had been moved away when the specification went back to four.
  SlotSet half;
  half.Add(SlotRange{14336, 16383});
  for (auto& node : world.observation.nodes) {
    auto& left = world.Line(node.pod, "demo-3-0");
    left.slots = left.slots - half;
    auto& got = world.Line(node.pod, "demo-2-0");
    got.slots = got.slots | half;
  }
  const Plan plan = world.MakePlan();
  EXPECT_EQ(plan.reason, "Rebalancing");
  ASSERT_EQ(plan.actions.size(), 1U);
  EXPECT_EQ(std::get<MigrateSlots>(plan.actions[0]).to.pod, "demo-3-0");
}

// masters 3 -> 4 -> 3: until the servers' own migration ends, its target has neither slots nor keys to show.
World WhileTheNewMasterIsATarget() {
  World world = World::Healthy(4, 1);
  for (auto& node : world.observation.nodes) {
    for (auto& line : node.table->lines) {
      if (line.id == IdOf("demo-0-0")) line.slots.Add(InitialSlots(3, 4));
      if (line.id == IdOf("demo-3-0")) line.slots = {};
    }
  }
  world.observation.cluster.spec.masters = 3;
  world.observation.cluster.spec.rebalance.automatic = false;
  return world;
}

TEST(ScaleIn, DeletesNoTargetOfAMigrationOfTheServersOwn) {
  World world = WhileTheNewMasterIsATarget();
  EXPECT_THAT(world.Actions(), Contains("delete Pod demo-3-0"));
  world.Node("demo-3-0").active_migrations = 1;
  EXPECT_THAT(world.Actions(), IsEmpty());
  EXPECT_THAT(world.MakePlan().message, HasSubstr("waiting for its end"));
}

TEST(ScaleIn, DeletesNoTargetThatIsSilentWhileItsSourceGives) {
  World world = WhileTheNewMasterIsATarget();
  world.Node("demo-0-0").active_migrations = 1;
  world.Node("demo-3-0").table.reset();
  world.Node("demo-3-0").error = "no answer in time";
  EXPECT_THAT(world.Actions(), Not(Contains(HasSubstr("delete Pod"))));
}

// How many keys the source still has of it is not known, so that nothing is done about the slot itself.
TEST(ScaleIn, DeletesNoTargetOfAnOpenSlot) {
  World world = WhileTheNewMasterIsATarget();
  world.Line("demo-3-0", "demo-3-0").open_slots.push_back({7, OpenSlot::Direction::kImporting, IdOf("demo-0-0")});
  EXPECT_THAT(world.Actions(), IsEmpty());
}

// The cache may not show yet that its pod goes, and its address is somebody else's soon.
TEST(ScaleIn, IntroducesNoNodeAgainThatLeaves) {
  World world = Asked(3, 4);
  world.MoveAllSlots("demo-3-0", "demo-0-0");
  world.Reincarnate("demo-3-0");
  EXPECT_THAT(world.Actions(), Contains(HasSubstr("introduce")));
  world.Node("demo-3-0").quarantined = false;
  world.Node("demo-3-0").leaving = true;
  EXPECT_THAT(world.Actions(), Not(Contains(HasSubstr("introduce"))));
}

TEST(Roll, WaitsForTheEndOfAMigrationOfTheServersOwn) {
  World world = World::Healthy(3, 1);
  world.observation.cluster.spec.image = "redis:8.4";
  world.Node("demo-1-0").active_migrations = 1;
  EXPECT_THAT(world.Actions(), IsEmpty());
  EXPECT_FALSE(world.MakePlan().settled);
}

// Redis (8.4) tries an import that fails again for ever; a goal that has changed takes nobody back to it.
TEST(Imports, ThatNothingAsksForAnyMoreAreEndedIfTheyDoNotEndByThemselves) {
  World world = WhileTheNewMasterIsATarget();
  world.Node("demo-3-0").active_migrations = 1;
  const Plan wait = world.MakePlan();
  EXPECT_THAT(wait.actions, IsEmpty());
  auto& operation = world.observation.cluster.status["operation"];
  operation = {{"step", wait.reason}, {"reason", wait.message}, {"stepSince", "2026-11-23T05:59:50Z"}};
  EXPECT_THAT(world.Actions(), ElementsAre(HasSubstr("end imports of demo-3-0")));
  world.Node("demo-3-0").server.engine = "valkey";
  EXPECT_THAT(world.Actions(), IsEmpty()) << "its own end by themselves";
}

TEST(ScaleInReplicas, EvictsOneOfEachShard) {
  World world = World::Healthy(3, 2);
  world.observation.cluster.spec.replicas_per_master = 0;
  world.TakeObjectsAsDesired();
  EXPECT_THAT(world.Actions(), ElementsAre("evict Pod demo-0-2", "evict Pod demo-1-2", "evict Pod demo-2-2"));
}

// As after a scale-out that is taken back since nothing more fits (or, simulation, seed 12884, since its claims were
// never made). Nobody waits for such a pod, whether Kubernetes says what is wrong with it or not.
TEST(ScaleInReplicas, TakesAwayPodsThatHaveNotComeToRun) {
  World world = World::Healthy(3, 2);
  for (const char* pod : {"demo-0-2", "demo-1-2"}) {
    world.Kill(pod);
    world.Pod(pod).phase = "Pending";
    world.Pod(pod).ready = false;
    world.Pod(pod).ip.clear();
  }
  std::erase_if(world.observation.nodes, [](const NodeView& node) { return !node.table; });
  EXPECT_THAT(world.Actions(), IsEmpty());
  world.observation.cluster.spec.replicas_per_master = 1;
  world.TakeObjectsAsDesired();
  EXPECT_THAT(world.Actions(), ElementsAre("evict Pod demo-0-2", "evict Pod demo-1-2"));
  // Nobody would grant that one, and everything else would wait for it.
  world.Pod("demo-0-0").terminating = true;
  EXPECT_THAT(world.Actions(), ElementsAre("evict Pod demo-1-2"));
}

// Simulation, seed 412411: the operator died between a shard's new pod and its claim, and the shard is to go by now.
TEST(ScaleIn, TakesAwayAPodWhoseClaimWasNeverMade) {
  World world = World::Healthy(3, 1);
  world.observation.cluster.spec.storage = StorageSpec{.size = "1Gi"};
  world.observation.cluster.spec.replicas_per_master = 2;
  world.TakeObjectsAsDesired();
  world.TakePodsAsDesired();
  world.observation.cluster.spec.masters = 2;
  PodView pod = world.Pod("demo-2-1");
  pod.name = "demo-2-2";
  pod.uid = "demo-2-2";
  pod.index = 2;
  pod.phase = "Pending";
  pod.ip.clear();
  pod.ready = false;
  pod.trouble = "Unschedulable: persistentvolumeclaim \"data-demo-2-2\" not found";
  world.observation.pods.push_back(pod);
  world.observation.objects.erase({"PersistentVolumeClaim", "data-demo-2-2"});
  EXPECT_THAT(world.Actions(), Contains("delete Pod demo-2-2"));
}

TEST(ScaleInReplicas, HandsTheShardOverIfTheMasterIsTheOneTooMany) {
  World world = World::Healthy(3, 1);
  world.SwapRoles("demo-1-0", "demo-1-1");
  ASSERT_TRUE(world.MakePlan().settled) << world.MakePlan().message;
  world.observation.cluster.spec.replicas_per_master = 0;
  world.TakeObjectsAsDesired();
  EXPECT_THAT(world.Actions(),
              ElementsAre(AllOf(HasSubstr("let demo-1-0"), HasSubstr("take over from its master demo-1-1"))));
}

// demo-2-1 is a master, owns no slots, and is one too many.
World WithASlotlessMasterTooMany() {
  World world = World::Healthy(3, 1);
  world.MoveAllSlots("demo-2-0", "demo-1-0");
  world.SwapRoles("demo-2-0", "demo-2-1");
  world.observation.cluster.spec.rebalance.automatic = false;
  world.observation.cluster.spec.replicas_per_master = 0;
  world.TakeObjectsAsDesired();
  return world;
}

// It cannot hand over: nobody is elected in the place of a master without slots.
TEST(ScaleInReplicas, EvictsAMasterWithoutSlotsThatIsTheOneTooMany) {
  World world = WithASlotlessMasterTooMany();
  EXPECT_THAT(world.Actions(), Contains("evict Pod demo-2-1"));
  // It may only hang, and come back with what it has (simulation, seed 1734).
  World hanging = WithASlotlessMasterTooMany();
  hanging.Kill("demo-2-1");
  EXPECT_THAT(hanging.Actions(), Not(Contains(HasSubstr("take over"))));
  // Nobody would ever elect its replica: that is told to take over, as all four engines do without slots.
  world.RemovePod("demo-2-1");
  EXPECT_THAT(world.Actions(), ElementsAre(AllOf(HasSubstr("demo-2-0"), HasSubstr("take over from the lost master"))));
  world.Node("demo-2-0").server.keys = 1;
  EXPECT_THAT(world.Actions(), Not(Contains(HasSubstr("take over"))));
}

TEST(ScaleInReplicas, RefusesToEvictAMasterWithoutSlotsThatHasKeys) {
  World world = WithASlotlessMasterTooMany();
  world.Node("demo-2-1").server.keys = 1;
  EXPECT_EQ(world.MakePlan().refusal.value().reason, "NodesNotEmpty");
}

TEST(ScaleInReplicas, HandsOverToNoReplicaThatIsToBeReplacedItself) {
  World world = World::Healthy(3, 2);
  world.SwapRoles("demo-1-0", "demo-1-2");
  for (auto& node : world.observation.nodes) world.Line(node.pod, "demo-1-1").master = IdOf("demo-1-2");
  world.observation.cluster.spec.replicas_per_master = 1;
  world.observation.cluster.spec.image = "redis:8.2";
  world.TakeObjectsAsDesired();
  EXPECT_THAT(world.Actions(), ElementsAre(HasSubstr("let demo-1-0")));
  world.Pod("demo-1-1").hash = PodHash(world.observation.cluster);
  EXPECT_THAT(world.Actions(), ElementsAre(HasSubstr("let demo-1-1")));
}

// Four masters were wanted, of which the last one owns nothing yet; now three are.
World RevertedWhileItsFirstSlotMoves() {
  World world = Asked(3, 4);
  world.MoveAllSlots("demo-3-0", "demo-2-0");
  world.Line("demo-0-0", "demo-0-0").open_slots = {
      {.slot = 7, .direction = OpenSlot::Direction::kMigrating, .peer = IdOf("demo-3-0")}};
  world.Node("demo-0-0").keys_in_open_slots[7] = 5;
  return world;
}

// The target misses one look.
TEST(ScaleIn, NeverDeletesTheSilentTargetOfAnOpenSlot) {
  World world = RevertedWhileItsFirstSlotMoves();
  world.Node("demo-3-0").table.reset();
  world.Node("demo-3-0").error = "no answer in time";
  EXPECT_THAT(world.Actions(), Not(Contains(HasSubstr("delete Pod"))));
  // Its replica has the same keys.
  world.Line("demo-0-0", "demo-0-0").open_slots.clear();
  world.Node("demo-3-1").server.keys = 3;
  EXPECT_THAT(world.Actions(), Not(Contains(HasSubstr("delete Pod"))));
  world.Node("demo-3-1").server.keys = 0;
  EXPECT_THAT(world.Actions(), Contains("delete Pod demo-3-0"));
}

// The same, and the target is gone for good: nobody would ever end that slot.
TEST(ScaleIn, IsNotHeldUpByAnOpenSlotOfATargetThatIsGone) {
  World world = RevertedWhileItsFirstSlotMoves();
  world.Kill("demo-3-0");
  world.RemovePod("demo-3-0");
  EXPECT_THAT(world.Actions(), Contains("delete Pod demo-3-1"));
  world.Node("demo-3-1").server.keys = 3;
  const Plan plan = world.MakePlan();
  ASSERT_TRUE(plan.refusal) << plan.message;
  EXPECT_EQ(plan.refusal->reason, "NodesNotEmpty");
}

}  // namespace
}  // namespace slotwright::testing
