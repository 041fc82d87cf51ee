// Slots that are open between two masters: who ends what, and who is waited for. What somebody else moves is his.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "controllers/status/status.h"
#include "tests/unit/planning/world.h"

namespace slotwright::testing {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

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

// Its hook waits for that before it hands over: a successor would know of no open slot (simulation, seed 712822).
TEST_F(OpenSlots, OfAPodThatEndsAreFinishedFirst) {
  for (const char* pod : {"demo-0-0", "demo-1-0"}) {
    SCOPED_TRACE(pod);
    world = World::Healthy();
    world.observation.cluster.status["operation"]["slotsLeft"] = 1;
    Open("demo-0-0", OpenSlot::Direction::kMigrating, "demo-1-0");
    Open("demo-1-0", OpenSlot::Direction::kImporting, "demo-0-0");
    Keys(5, 2, 0);
    auto& nodes = world.observation.nodes;
    const auto ends = std::ranges::find(nodes, pod, &NodeView::pod);
    world.observation.ending.push_back(*ends);
    nodes.erase(ends);
    world.Pod(pod).terminating = true;
    const Plan plan = world.MakePlan();
    ASSERT_EQ(plan.actions.size(), 1U) << plan.message;
    const auto* move = std::get_if<MigrateSlots>(&plan.actions[0]);
    ASSERT_NE(move, nullptr) << plan.message;
    EXPECT_EQ(move->from.pod, "demo-0-0");
    EXPECT_EQ(move->to.pod, "demo-1-0");
    EXPECT_EQ(move->to_ending_pod, pod == std::string("demo-1-0"));
    EXPECT_TRUE(plan.migration) << "they stay the operator's";
    for (auto& node : nodes) node.server.master_link_up = false;
    EXPECT_EQ(world.MakePlan().step == "open-slots", pod == std::string("demo-0-0"))
        << "nobody takes over from a target";
  }
}

// Those are neither counted nor moved so, and would go with the slot (Valkey 9, documentation).
TEST_F(OpenSlots, OfServersWithKeysInSeveralDatabasesAreLeftToAPerson) {
  Keys(5, 0, 0);
  Open("demo-1-0", OpenSlot::Direction::kImporting, "demo-0-0");
  world.Node("demo-0-0").server.several_databases = true;
  EXPECT_THAT(world.Actions(), IsEmpty());
  const Plan plan = world.MakePlan();
  ASSERT_TRUE(plan.refusal);
  EXPECT_EQ(plan.refusal->reason, "OpenSlotsOfSeveralDatabases");
  EXPECT_THAT(plan.message, HasSubstr("demo-0-0 has keys in other databases"));
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

// Whoever forgets the dead one forgets the open slot too, and nobody would ask for its keys any more.
TEST_F(OpenSlots, WhoseTargetWasReplacedAreFinishedBeforeItIsForgotten) {
  world.SwapRoles("demo-2-0", "demo-2-1");
  world.Reincarnate("demo-2-0");
  world.JoinAgain("demo-2-0");
  const NodeId again = world.Node("demo-2-0").id();
  for (auto& node : world.observation.nodes) {
    auto& line = *std::ranges::find(node.table->lines, again, &NodeLine::id);
    line.flags.master = false;
    line.flags.replica = true;
    line.master = world.Node("demo-2-1").id();
  }
  world.Node("demo-2-0").server.master_role = false;
  world.Node("demo-2-0").server.master_link_up = true;
  world.Node("demo-2-0").quarantined = false;
  EXPECT_THAT(world.Actions(), Contains(HasSubstr("forget")));
  Open("demo-0-0", OpenSlot::Direction::kMigrating, "demo-2-0");
  for (auto& node : world.observation.nodes) node.keys_in_open_slots[7] = node.pod == "demo-2-1" ? 3 : 0;
  EXPECT_THAT(world.Actions(), Not(Contains(HasSubstr("forget"))));
  EXPECT_THAT(world.Actions(), Contains(AllOf(HasSubstr("move slots 7 from demo-0-0"), HasSubstr("to demo-2-1"))));
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

// Found by make e2e: a master was evicted and the operators were killed in the middle of a scale-in; its new pod was
// more urgent, and what its own had left open counted as somebody else's then, for another five seconds without these
// slots.
TEST_F(OpenSlots, StayTheOperatorsWhileSomethingElseIsMoreUrgent) {
  Open("demo-0-0", OpenSlot::Direction::kMigrating, "demo-1-0");
  Open("demo-1-0", OpenSlot::Direction::kImporting, "demo-0-0");
  Keys(5, 3, 0);
  const World before = world;
  world.Reincarnate("demo-2-1");
  const Plan urgent = world.MakePlan();
  EXPECT_EQ(urgent.reason, "JoiningNodes");
  const auto status = BuildStatus(world.observation, Merge(world.observation), urgent);
  world = before;
  Operation() = status["operation"];
  EXPECT_EQ(Operation()["slotsLeft"], 7);
  EXPECT_THAT(world.Actions(), ElementsAre(HasSubstr("move slots 7 from demo-0-0")));
  // Once none is open and everybody answers it is over.
  world.Line("demo-0-0", "demo-0-0").open_slots.clear();
  world.Line("demo-1-0", "demo-1-0").open_slots.clear();
  world.observation.cluster.spec.image = "redis:8.2";
  world.TakeObjectsAsDesired();
  const Plan roll = world.MakePlan();
  EXPECT_EQ(roll.reason, "UpdatingPods");
  EXPECT_FALSE(BuildStatus(world.observation, Merge(world.observation), roll)["operation"].contains("slotsLeft"));
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

// Who imports a slot learns of no other owner of it; who heard of the election in two parts follows the dead master
// still. Each of the two waited for the other (simulation, seed 103951 of an earlier version).
TEST_F(OpenSlots, OfADeadSourceWhoseSlotsAllHaveAnOwnerWaitForNoReplicaOfIt) {
  world = World::Healthy(3, 2);
  Operation() = {{"step", "Rebalancing"}, {"slotsLeft", 1}};
  world.SwapRoles("demo-0-0", "demo-0-1");
  world.Kill("demo-0-0");
  for (auto& node : world.observation.nodes) {
    if (!node.table) continue;
    NodeLine& follower = world.Line(node.pod, "demo-0-2");
    follower.master = IdOf("demo-0-0");
    NodeLine& dead = world.Line(node.pod, "demo-0-0");
    dead.flags.master = true;
    dead.flags.replica = false;
    dead.master.reset();
  }
  Open("demo-1-0", OpenSlot::Direction::kImporting, "demo-0-0");
  world.Line("demo-1-0", "demo-0-0").slots = SlotSet({SlotRange{7, 7}});
  NodeLine& heir = world.Line("demo-1-0", "demo-0-1");
  heir.slots = heir.slots - SlotSet({SlotRange{7, 7}});
  world.Node("demo-0-1").keys_in_open_slots[7] = 5;
  world.Node("demo-1-0").keys_in_open_slots[7] = 3;
  world.Node("demo-2-0").keys_in_open_slots[7] = 0;
  EXPECT_THAT(world.Actions(), Contains(AllOf(HasSubstr("move slots 7 from demo-0-1"), HasSubstr("to demo-1-0"))));
}

TEST_F(OpenSlots, WaitForTheReplicaOfADeadTarget) {
  Open("demo-0-0", OpenSlot::Direction::kMigrating, "demo-1-0");
  Keys(5, 3, 0);
  world.Kill("demo-1-0");
  EXPECT_THAT(world.Actions(), IsEmpty());
}

}  // namespace
}  // namespace slotwright::testing
