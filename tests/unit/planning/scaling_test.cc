// Growing, shrinking, evening: what is done in which order, and what is never done.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "controllers/api/names.h"
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

TEST(ScaleInReplicas, EvictsOneOfEachShard) {
  World world = World::Healthy(3, 2);
  world.observation.cluster.spec.replicas_per_master = 0;
  world.TakeObjectsAsDesired();
  EXPECT_THAT(world.Actions(), ElementsAre("evict Pod demo-0-2", "evict Pod demo-1-2", "evict Pod demo-2-2"));
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

TEST(Rebalance, InManualModeLeavesUnevenSlotsAlone) {
  World world = World::Healthy(3, 1);
  world.MoveAllSlots("demo-2-0", "demo-0-0");
  EXPECT_EQ(world.MakePlan().step, "rebalance");
  world.observation.cluster.spec.rebalance.automatic = false;
  EXPECT_TRUE(world.MakePlan().settled);
  EXPECT_THAT(world.MakePlan().message, HasSubstr("uneven"));
}

TEST(Rebalance, InManualModeMovesNoSlotsButThoseOfTheMasterThatLeaves) {
  World world = Asked(3, 4);
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

class OpenSlots : public ::testing::Test {
 protected:
  // The operator's own, or those of one before it.
  OpenSlots() { Operation() = {{"step", "Rebalancing"}, {"slotsLeft", 7}}; }
  reconciler::Json& Operation() { return world.observation.cluster.status["operation"]; }
  // Slot 7 belongs to demo-0-0; keys[i] of it are on shard i's master.
  void Open(const std::string& pod, OpenSlot::Direction direction, const std::string& peer) {
    world.Line(pod, pod).open_slots.push_back({7, direction, IdOf(peer)});
  }
  void Keys(int first, int second, int third) {
    world.Node("demo-0-0").keys_in_open_slots[7] = first;
    world.Node("demo-1-0").keys_in_open_slots[7] = second;
    world.Node("demo-2-0").keys_in_open_slots[7] = third;
  }
  World world = World::Healthy(3, 1);
};

TEST_F(OpenSlots, WithKeysOnBothSidesAreFinished) {
  Open("demo-0-0", OpenSlot::Direction::kMigrating, "demo-1-0");
  Open("demo-1-0", OpenSlot::Direction::kImporting, "demo-0-0");
  Keys(5, 3, 0);
  EXPECT_THAT(world.Actions(), ElementsAre(AllOf(HasSubstr("move slots 7 from demo-0-0"), HasSubstr("to demo-1-0"))));
}

// A client may be writing a new key to the target between our look and what we do (found by the simulation).
TEST_F(OpenSlots, AtBothEndsAreFinishedThoughNothingHasMovedYet) {
  Open("demo-0-0", OpenSlot::Direction::kMigrating, "demo-1-0");
  Open("demo-1-0", OpenSlot::Direction::kImporting, "demo-0-0");
  Keys(5, 0, 0);
  EXPECT_THAT(world.Actions(), ElementsAre(AllOf(HasSubstr("move slots 7 from demo-0-0"), HasSubstr("to demo-1-0"))));
}

TEST_F(OpenSlots, AtOneEndWithNothingMovedAreTakenBack) {
  Keys(5, 0, 0);
  Open("demo-1-0", OpenSlot::Direction::kImporting, "demo-0-0");
  EXPECT_THAT(world.Actions(), ElementsAre(HasSubstr("end the migration of slots 7 on demo-1-0")));
  world.Line("demo-1-0", "demo-1-0").open_slots.clear();
  Open("demo-0-0", OpenSlot::Direction::kMigrating, "demo-1-0");
  EXPECT_THAT(world.Actions(), ElementsAre(HasSubstr("end the migration of slots 7 on demo-0-0")));
}

TEST_F(OpenSlots, WhoseSourceFailedOverAreFinishedFromTheNewOwner) {
  Open("demo-1-0", OpenSlot::Direction::kImporting, "demo-0-1");  // the old source is somebody else now
  Keys(2, 3, 0);
  EXPECT_THAT(world.Actions(), ElementsAre(HasSubstr("move slots 7 from demo-0-0")));
}

TEST_F(OpenSlots, WhoseTargetFailedOverAreFinishedWhereTheKeysAre) {
  Open("demo-0-0", OpenSlot::Direction::kMigrating, "demo-2-1");  // no master any more
  Keys(2, 3, 0);
  EXPECT_THAT(world.Actions(), ElementsAre(AllOf(HasSubstr("move slots 7 from demo-0-0"), HasSubstr("to demo-1-0"))));
}

TEST_F(OpenSlots, OfASourceThatHasNotHeardYetAreCorrected) {
  Open("demo-1-0", OpenSlot::Direction::kMigrating, "demo-0-0");
  Keys(5, 0, 0);
  EXPECT_THAT(world.Actions(), ElementsAre(AllOf(HasSubstr("tell demo-1-0"), HasSubstr("owns slots 7"))));
}

TEST_F(OpenSlots, AreLeftAloneWhileACountIsMissing) {
  Open("demo-0-0", OpenSlot::Direction::kMigrating, "demo-1-0");
  Open("demo-1-0", OpenSlot::Direction::kImporting, "demo-0-0");
  Keys(5, 0, 0);
  world.Node("demo-1-0").keys_in_open_slots.clear();
  EXPECT_THAT(world.Actions(), IsEmpty());
}

// Valkey 8 tells replicas first; here another replica did not answer, and the master refused.
TEST_F(OpenSlots, OfAReplicaAloneAreEndedByItsMaster) {
  Open("demo-1-1", OpenSlot::Direction::kImporting, "demo-0-0");
  EXPECT_THAT(world.Actions(), ElementsAre(HasSubstr("end the migration of slots 7 on demo-1-0")));
  world.Kill("demo-1-0");
  EXPECT_THAT(world.Actions(), Not(Contains(HasSubstr("end the migration")))) << "nobody can tell it";
}

TEST_F(OpenSlots, OfAReplicaAndItsMasterAreTheMasters) {
  Open("demo-1-1", OpenSlot::Direction::kImporting, "demo-0-0");
  Open("demo-1-0", OpenSlot::Direction::kImporting, "demo-0-0");
  Open("demo-0-0", OpenSlot::Direction::kMigrating, "demo-1-0");
  Keys(5, 3, 0);
  EXPECT_THAT(world.Actions(), ElementsAre(AllOf(HasSubstr("move slots 7 from demo-0-0"), HasSubstr("to demo-1-0"))));
}

// redis-cli --cluster reshard, for one.
TEST_F(OpenSlots, ThatSomebodyElseMovesAreLeftToHimWhileTheyMove) {
  world.observation.cluster.status.erase("operation");
  Open("demo-0-0", OpenSlot::Direction::kMigrating, "demo-1-0");
  Open("demo-1-0", OpenSlot::Direction::kImporting, "demo-0-0");
  Keys(5, 3, 0);
  const auto report = [&](const char* since) {
    Operation() = BuildStatus(world.observation, Merge(world.observation), world.MakePlan())["operation"];
    Operation()["stepSince"] = since;
  };
  EXPECT_EQ(world.MakePlan().reason, "AwaitingOpenSlots");
  EXPECT_THAT(world.MakePlan().message, HasSubstr("some 5 keys are left"));
  EXPECT_THAT(world.Actions(), IsEmpty());
  report("2026-11-23T05:59:56Z");
  EXPECT_THAT(world.Actions(), IsEmpty());
  report("2026-11-23T05:59:55Z");
  EXPECT_THAT(world.Actions(), ElementsAre(HasSubstr("move slots 7 from demo-0-0"))) << "he is gone";
  Keys(4, 4, 0);
  EXPECT_THAT(world.Actions(), IsEmpty()) << "a key has moved";
  const auto status = BuildStatus(world.observation, Merge(world.observation), world.MakePlan());
  EXPECT_EQ(status["operation"]["stepSince"], "2026-11-23T06:00:00Z") << "another five seconds from now";
}

// Or clients that write into the slot would keep it open for ever.
TEST_F(OpenSlots, OfWhichKeysComeAndGoAtTheOwnerAloneDoNotMove) {
  world.observation.cluster.status.erase("operation");
  Open("demo-1-0", OpenSlot::Direction::kImporting, "demo-0-0");
  Keys(5, 0, 0);
  const std::string before = world.MakePlan().message;
  Keys(6, 0, 0);
  EXPECT_EQ(world.MakePlan().message, before);
}

// A pod that nobody has room for, for one: that is when people move slots by hand.
TEST_F(OpenSlots, AreNobodysWhileAnOperationGoesOnThatMovesNone) {
  Operation() = {{"type", "ScaleOut"}, {"step", "WaitingForPods"}};
  Open("demo-0-0", OpenSlot::Direction::kMigrating, "demo-1-0");
  Open("demo-1-0", OpenSlot::Direction::kImporting, "demo-0-0");
  Keys(5, 3, 0);
  EXPECT_EQ(world.MakePlan().reason, "AwaitingOpenSlots");
}

TEST_F(OpenSlots, OfWhichClientsDeleteAFewKeysDoNotMove) {
  world.observation.cluster.status.erase("operation");
  Open("demo-0-0", OpenSlot::Direction::kMigrating, "demo-1-0");
  Open("demo-1-0", OpenSlot::Direction::kImporting, "demo-0-0");
  Keys(1'410'879, 3, 0);
  const std::string before = world.MakePlan().message;
  EXPECT_THAT(before, HasSubstr("some 1400000 keys"));
  Keys(1'410'829, 3, 0);
  EXPECT_EQ(world.MakePlan().message, before);
  Keys(1'310'829, 3, 0);
  EXPECT_NE(world.MakePlan().message, before);
}

TEST_F(OpenSlots, AreFinishedAlsoWhileTheSpecificationIsRefused) {
  world.observation.cluster.status.erase("operation");
  Open("demo-0-0", OpenSlot::Direction::kMigrating, "demo-1-0");
  Open("demo-1-0", OpenSlot::Direction::kImporting, "demo-0-0");
  Keys(5, 3, 0);
  world.observation.cluster.spec.config["port"] = "1";
  const Plan plan = world.MakePlan();
  EXPECT_EQ(plan.refusal.value().reason, "InvalidSpec");
  EXPECT_THAT(world.Actions(), IsEmpty());
  Operation() = BuildStatus(world.observation, Merge(world.observation), plan)["operation"];
  Operation()["stepSince"] = "2026-11-23T05:59:55Z";
  EXPECT_THAT(world.Actions(), ElementsAre(HasSubstr("move slots 7 from demo-0-0")));
}

// It may only hang: clients have written new keys there, and were told that they are safe.
TEST_F(OpenSlots, WaitForATargetThatDoesNotAnswerThoughNobodyReplicatesIt) {
  world = World::Healthy(4, 0);
  Operation() = {{"step", "Rebalancing"}, {"slotsLeft", 7}};
  world.MoveAllSlots("demo-3-0", "demo-2-0");
  Open("demo-0-0", OpenSlot::Direction::kMigrating, "demo-3-0");
  Keys(5, 0, 0);
  world.Kill("demo-3-0");
  EXPECT_THAT(world.Actions(), Not(Contains(HasSubstr("end the migration"))));
  // Another process without its files: what was there is gone.
  world.Reincarnate("demo-3-0");
  world.JoinAgain("demo-3-0");
  world.Node("demo-3-0").quarantined = false;
  world.Node("demo-3-0").keys_in_open_slots[7] = 0;
  for (auto& node : world.observation.nodes)
    std::erase_if(node.table->lines, [](const NodeLine& line) { return line.id == IdOf("demo-3-0"); });
  EXPECT_THAT(world.Actions(), ElementsAre(HasSubstr("end the migration of slots 7 on demo-0-0")));
}

// As long as its pod has no place to start nobody can tell whether it comes back, and nobody needs it.
TEST_F(OpenSlots, OfWhomAReplicaHasSucceededWaitForNobody) {
  for (const bool is_source : {true, false}) {
    world = World::Healthy(3, 1);
    Operation() = {{"step", "Rebalancing"}, {"slotsLeft", 7}};
    const std::string dead = is_source ? "demo-0-0" : "demo-1-0";
    const std::string heir = is_source ? "demo-0-1" : "demo-1-1";
    world.SwapRoles(dead, heir);
    world.RemovePod(dead);
    if (is_source) {
      Open("demo-1-0", OpenSlot::Direction::kImporting, dead);
      world.Node("demo-0-1").keys_in_open_slots[7] = 5;
      world.Node("demo-1-0").keys_in_open_slots[7] = 3;
    } else {
      Open("demo-0-0", OpenSlot::Direction::kMigrating, dead);
      world.Node("demo-0-0").keys_in_open_slots[7] = 5;
      world.Node("demo-1-1").keys_in_open_slots[7] = 3;
    }
    world.Node("demo-2-0").keys_in_open_slots[7] = 0;
    PodView pending;
    pending.name = dead;
    pending.shard = is_source ? 0 : 1;
    pending.ours = true;
    world.observation.pods.push_back(pending);
    EXPECT_THAT(world.Actions(),
                Contains(AllOf(HasSubstr(is_source ? "move slots 7 from demo-0-1" : "move slots 7 from demo-0-0"),
                               HasSubstr(is_source ? "to demo-1-0" : "to demo-1-1"))))
        << dead;
  }
}

// Both sides of a partition took some slots: the other owner has nothing of what this one had.
TEST_F(OpenSlots, WaitForATargetThatStillOwnsSlotsThoughItsShardHasAnotherOwner) {
  for (auto& node : world.observation.nodes) {
    NodeLine& giver = world.Line(node.pod, "demo-0-0");
    giver.slots = giver.slots - SlotSet({SlotRange{7, 7}});
    NodeLine& taker = world.Line(node.pod, "demo-1-1");
    taker.flags.master = true;
    taker.flags.replica = false;
    taker.master.reset();
    taker.config_epoch = 9;
    taker.slots = SlotSet({SlotRange{7, 7}});
  }
  Open("demo-1-1", OpenSlot::Direction::kMigrating, "demo-1-0");
  Keys(0, 3, 0);
  world.Node("demo-1-1").keys_in_open_slots[7] = 5;
  world.Kill("demo-1-0");
  EXPECT_THAT(world.Actions(), Not(Contains(HasSubstr("end the migration"))));
}

TEST_F(OpenSlots, WaitForTheReplicaOfADeadTarget) {
  Open("demo-0-0", OpenSlot::Direction::kMigrating, "demo-1-0");
  Keys(5, 3, 0);
  world.Kill("demo-1-0");
  EXPECT_THAT(world.Actions(), IsEmpty());
}

}  // namespace
}  // namespace slotwright::testing
