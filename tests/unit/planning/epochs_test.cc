// Whose claim counts: epochs while masters join and slots change hands, and slots that nobody claims.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

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
using ::testing::Pair;
using ::testing::StartsWith;

// The epochs that come with introductions, by pod.
std::map<std::string, std::uint64_t> EpochsGiven(const World& world) {
  std::map<std::string, std::uint64_t> epochs;
  for (const auto& action : world.MakePlan().actions) {
    const auto* meet = std::get_if<Meet>(&action);
    if (meet != nullptr && meet->epoch) epochs[meet->from.pod] = *meet->epoch;
  }
  return epochs;
}

// A formed cluster of two masters, to which two others with their replicas come.
World WithNewcomers() {
  World world = World::Healthy(2, 1);
  const World grown(4, 1);
  for (size_t i = world.observation.pods.size(); i < grown.observation.pods.size(); ++i) {
    world.observation.pods.push_back(grown.observation.pods[i]);
    world.observation.nodes.push_back(grown.observation.nodes[i]);
  }
  world.observation.cluster.spec.masters = 4;
  world.TakeObjectsAsDesired();
  return world;
}

// Replicas to be as well: until they are that, they are masters, and those with the same epoch take new ones. Valkey
// does not believe a replica whose own epoch is higher than its master's.
TEST(Epochs, OfNewNodesAreTheirOwnFromTheStartAndThoseOfReplicasLower) {
  World world = WithNewcomers();
  EXPECT_THAT(EpochsGiven(world), ElementsAre(Pair("demo-2-0", 3), Pair("demo-3-0", 4))) << "no room below";
  world.Node("demo-1-1").info.current_epoch = 8;  // it has voted
  EXPECT_THAT(EpochsGiven(world),
              ElementsAre(Pair("demo-2-0", 9), Pair("demo-2-1", 8), Pair("demo-3-0", 10), Pair("demo-3-1", 7)));
}

TEST(Epochs, OfNewReplicasAreLowerThanThatOfTheirMaster) {
  World world = World::Healthy(3, 1);
  for (auto& node : world.observation.nodes) {
    node.info.current_epoch = 22;
    for (auto& line : node.table->lines) {
      if (!line.flags.master) continue;
      line.config_epoch = line.id == IdOf("demo-0-0") ? 19 : line.id == IdOf("demo-1-0") ? 18 : 22;
    }
  }
  for (const char* pod : {"demo-0-1", "demo-1-1"}) world.Reincarnate(pod);
  EXPECT_THAT(EpochsGiven(world), ElementsAre(Pair("demo-0-1", 17), Pair("demo-1-1", 16)));
}

// CLUSTER SET-CONFIG-EPOCH is refused by who has an epoch or knows somebody.
TEST(Epochs, AreGivenOnce) {
  World world = WithNewcomers();
  for (const char* pod : {"demo-2-0", "demo-2-1"}) world.Line(pod, pod).config_epoch = 3;
  for (const char* pod : {"demo-3-0", "demo-3-1"}) world.Node(pod).info.known_nodes = 2;
  EXPECT_THAT(EpochsGiven(world), IsEmpty());
  EXPECT_THAT(world.Actions(), Contains(HasSubstr("introduce demo-2-0")));
}

// Slots are to move from shards 0 and 1 to shard 2.
class SlotsToMove : public ::testing::Test {
 protected:
  SlotsToMove() {
    for (auto& node : world.observation.nodes) {
      const SlotSet slots = world.Line(node.pod, "demo-2-0").slots;
      world.Line(node.pod, "demo-2-0").slots = {};
      world.Line(node.pod, "demo-1-0").slots = world.Line(node.pod, "demo-1-0").slots | slots;
      world.Line(node.pod, "demo-0-0").config_epoch = 7;
    }
  }
  World world = World::Healthy(3, 1);
};

TEST_F(SlotsToMove, StayWithAMasterThatMayTakeANewEpoch) {
  EXPECT_THAT(world.Actions(), ElementsAre(HasSubstr("from demo-1-0")));
  for (auto& node : world.observation.nodes) world.Line(node.pod, "demo-2-0").config_epoch = 2;
  EXPECT_THAT(world.Actions(), IsEmpty()) << "two have epoch 2, one of them will take another";
  EXPECT_THAT(world.MakePlan().message, HasSubstr("epochs of their own"));
  EXPECT_EQ(world.MakePlan().step, "rebalance");
}

TEST_F(SlotsToMove, StayWithAMasterWhoseEpochSomebodyMightTake) {
  world.Line("demo-2-0", "demo-1-0").config_epoch = 1;
  EXPECT_THAT(world.Actions(), IsEmpty());
  world.Line("demo-2-0", "demo-1-0").config_epoch = 6;  // it would take a higher one
  EXPECT_THAT(world.Actions(), ElementsAre(HasSubstr("from demo-1-0")));
}

TEST_F(SlotsToMove, MoveFromTheOthersMeanwhile) {
  for (auto& node : world.observation.nodes) {
    // Shard 2 is to go, and 1 has more than its share.
    world.Line(node.pod, "demo-2-0").slots.Add(SlotRange{0, 1000});
    world.Line(node.pod, "demo-0-0").slots = world.Line(node.pod, "demo-0-0").slots - SlotSet({SlotRange{0, 1000}});
    world.Line(node.pod, "demo-2-0").config_epoch = 7;
  }
  world.observation.cluster.spec.masters = 2;
  EXPECT_THAT(world.Actions(), AllOf(Not(IsEmpty()), Each(HasSubstr("from demo-1-0"))));
}

TEST_F(SlotsToMove, AreFinishedOnlyFromAMasterThatKeepsItsEpoch) {
  world.observation.cluster.status["operation"] = {{"slotsLeft", 7}};
  world.Line("demo-1-0", "demo-1-0").open_slots.push_back({8000, OpenSlot::Direction::kMigrating, IdOf("demo-2-0")});
  world.Line("demo-2-0", "demo-2-0").open_slots.push_back({8000, OpenSlot::Direction::kImporting, IdOf("demo-1-0")});
  for (const char* pod : {"demo-0-0", "demo-1-0", "demo-2-0"}) world.Node(pod).keys_in_open_slots[8000] = 1;
  EXPECT_THAT(world.Actions(), ElementsAre(HasSubstr("move slots 8000 from demo-1-0")));
  world.Line("demo-0-0", "demo-0-0").config_epoch = 2;
  EXPECT_THAT(world.Actions(), IsEmpty());
}

// A target takes a new epoch with each slot, and would take back with it what it is giving away.
TEST(OpenSlotsOfSeveral, AreFinishedSoThatNoTargetIsASource) {
  World world = World::Healthy(3, 1);
  world.observation.cluster.status["operation"] = {{"slotsLeft", 7}};
  const auto open = [&](Slot slot, const std::string& from, const std::string& to) {
    world.Line(from, from).open_slots.push_back({slot, OpenSlot::Direction::kMigrating, IdOf(to)});
    world.Line(to, to).open_slots.push_back({slot, OpenSlot::Direction::kImporting, IdOf(from)});
    for (const char* pod : {"demo-0-0", "demo-1-0", "demo-2-0"}) world.Node(pod).keys_in_open_slots[slot] = 1;
  };
  open(7, "demo-0-0", "demo-1-0");
  open(8000, "demo-1-0", "demo-2-0");
  open(16000, "demo-2-0", "demo-0-0");
  std::set<std::string> sources;
  std::set<std::string> targets;
  for (const auto& action : world.MakePlan().actions) {
    sources.insert(std::get<MigrateSlots>(action).from.pod);
    targets.insert(std::get<MigrateSlots>(action).to.pod);
  }
  EXPECT_EQ(sources.size(), 1U);
  EXPECT_THAT(targets, Each(Not(*sources.begin())));
}

class DeniedSlots : public ::testing::Test {
 protected:
  DeniedSlots() {
    // demo-1-0 has given slot 7 to demo-0-0 in the end, which had lost it again to a new epoch of demo-1-0 by then.
    for (auto& node : world.observation.nodes) {
      world.Line(node.pod, "demo-1-0").config_epoch = 9;
      if (node.pod == "demo-1-0") continue;
      world.Line(node.pod, "demo-0-0").slots.Remove(7);
      world.Line(node.pod, "demo-1-0").slots.Add(7);
    }
  }
  World world = World::Healthy(3, 1);
};

// A slot that changes hands while one node after the other is asked looks like that, too.
TEST_F(DeniedSlots, GoBackToWhoeverHadThemLastOnceThatIsSure) {
  EXPECT_THAT(world.Actions(), IsEmpty());
  EXPECT_EQ(world.MakePlan().reason, "ReturningSlots");
  auto& operation = world.observation.cluster.status["operation"];
  operation = {{"step", "ReturningSlots"}, {"reason", world.MakePlan().message}, {"stepSince", "2026-11-23T05:59:58Z"}};
  EXPECT_THAT(world.Actions(), IsEmpty());
  operation["stepSince"] = "2026-11-23T05:59:57Z";
  EXPECT_THAT(world.Actions(), ElementsAre(AllOf(HasSubstr("tell demo-1-0"), HasSubstr("owns slots 7"))));
  operation["reason"] = "the same of another slot: somebody moves them, one after the other";
  EXPECT_THAT(world.Actions(), IsEmpty());
  operation["step"] = "Rebalancing";
  EXPECT_THAT(world.Actions(), IsEmpty());
}

TEST_F(DeniedSlots, AreLeftAloneWhileSomebodyIsSilent) {
  world.Kill("demo-2-1");
  EXPECT_NE(world.MakePlan().reason, "ReturningSlots");
  EXPECT_THAT(world.Actions(), Not(Contains(HasSubstr("owns slots"))));
}

TEST_F(DeniedSlots, OfANodeThatIsGoneAreForItsReplica) {
  World gone = World::Healthy(3, 1);
  gone.Reincarnate("demo-1-0");
  EXPECT_NE(gone.MakePlan().reason, "ReturningSlots");
  EXPECT_THAT(gone.Actions(), Not(Contains(HasSubstr("owns slots"))));
}

// demo-2-1 was away while slot 100 went from demo-1-0 to demo-0-0, and demo-1-0 has taken a higher epoch since.
TEST(StaleViews, AreOvercomeByANewEpochOfTheOwner) {
  World world = World::Healthy(3, 1);
  auto& old = world.Line("demo-2-1", "demo-1-0");
  old.slots.Add(100);
  old.config_epoch = 9;
  SlotSet slot;
  slot.Add(100);
  auto& owner = world.Line("demo-2-1", "demo-0-0");
  owner.slots = owner.slots - slot;
  EXPECT_EQ(world.MakePlan().reason, "UpdatingViews");
  EXPECT_THAT(world.Actions(), IsEmpty()) << "gossip may be about to put it right";
  world.observation.cluster.status["operation"] = {
      {"step", "UpdatingViews"}, {"reason", world.MakePlan().message}, {"stepSince", "2026-11-23T05:59:57Z"}};
  EXPECT_THAT(world.Actions(), ElementsAre(StartsWith("give demo-0-0 ")));
  world.Node("demo-1-0").active_migrations = 1;
  EXPECT_THAT(world.Actions(), IsEmpty()) << "it could take back what is moving";
  world.Node("demo-1-0").active_migrations = 0;
  auto& open_slots = world.Line("demo-1-0", "demo-1-0").open_slots;
  open_slots = {{200, OpenSlot::Direction::kImporting, IdOf("demo-0-0")}};
  EXPECT_THAT(world.Actions(), IsEmpty()) << "so it could here";
  open_slots.clear();
  world.Line("demo-0-0", "demo-0-0").config_epoch = 10;
  EXPECT_THAT(world.Actions(), IsEmpty()) << "its claim will be heard";
  world.Line("demo-0-0", "demo-0-0").config_epoch = 1;
  world.Kill("demo-1-1");
  EXPECT_THAT(world.Actions(), Not(Contains(StartsWith("give")))) << "somebody may know of a higher one";
}

// demo-2-1 came back with a table that gives the slots of demo-1 to a node that is gone.
TEST(StaleViews, OfANodeThatIsGoneAreOvercomeToo) {
  World world = World::Healthy(3, 1);
  auto& owner = world.Line("demo-2-1", "demo-1-0");
  NodeLine gone = owner;
  gone.id = IdOf("gone");
  gone.hostname.clear();
  gone.flags.noaddr = true;
  gone.link_connected = false;
  owner.slots = {};
  world.Node("demo-2-1").table->lines.push_back(gone);
  EXPECT_EQ(world.MakePlan().reason, "UpdatingViews");
  world.observation.cluster.status["operation"] = {
      {"step", "UpdatingViews"}, {"reason", world.MakePlan().message}, {"stepSince", "2026-11-23T05:59:57Z"}};
  EXPECT_THAT(world.Actions(), ElementsAre(StartsWith("give demo-1-0 ")));
  // Of the highest epoch that there is BUMPEPOCH gives nobody a higher one.
  for (auto& node : world.observation.nodes) world.Line(node.pod, "demo-1-0").config_epoch = 9;
  world.Node("demo-2-1").table->lines.back().config_epoch = 9;
  EXPECT_THAT(world.Actions(), ElementsAre(StartsWith("give demo-0-1 "))) << "who claims nothing by it";
  world.Node("demo-0-1").info.current_epoch = 10;
  EXPECT_THAT(world.Actions(), ElementsAre(StartsWith("give demo-1-0 ")));
  world.Line("demo-1-0", "demo-1-0").config_epoch += 1;
  EXPECT_THAT(world.Actions(), IsEmpty()) << "its claim will be heard";
}

}  // namespace
}  // namespace slotwright::testing
