// The planner from an empty namespace to a Ready cluster.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "controllers/api/names.h"
#include "tests/unit/planning/world.h"

namespace slotwright::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST(Creation, StartsWithPasswordAndObjectsAllAtOnce) {
  World world;
  world.observation.objects.clear();
  world.observation.pods.clear();
  world.observation.nodes.clear();
  world.observation.password.state = PasswordView::State::kMissingSecret;
  EXPECT_THAT(world.Actions(), ElementsAre("create ConfigMap demo-config", "create PodDisruptionBudget demo-0",
                                           "create PodDisruptionBudget demo-1", "create PodDisruptionBudget demo-2",
                                           "create Service demo", "create Service demo-nodes", "generate a password"));
}

TEST(Creation, CreatesAllPodsAtOnce) {
  World world(3, 1);
  world.observation.pods.clear();
  world.observation.nodes.clear();
  EXPECT_THAT(world.Actions(), ElementsAre("create Pod demo-0-0", "create Pod demo-0-1", "create Pod demo-1-0",
                                           "create Pod demo-1-1", "create Pod demo-2-0", "create Pod demo-2-1"));
}

TEST(Creation, WaitsUntilEveryNodeAnswersBeforeItGivesSlotsAway) {
  World world;
  world.Kill("demo-2-1");
  const Plan plan = world.MakePlan();
  EXPECT_THAT(plan.actions, IsEmpty());
  EXPECT_EQ(plan.message, "5 of 6 nodes answer");
}

TEST(Creation, AssignsTheSlotsOfRedisCliToIndexZeroOfEachShardWithEpochsOfTheirOwn) {
  const World world;
  const Plan plan = world.MakePlan();
  ASSERT_THAT(plan.actions, SizeIs(3));
  const char* const expected[] = {"0-5460", "5461-10922", "10923-16383"};
  for (size_t i = 0; i < 3; ++i) {
    const auto& assign = std::get<AssignSlots>(plan.actions[i]);
    EXPECT_EQ(assign.node.pod, PodNameOf("demo", static_cast<int>(i), 0));
    EXPECT_EQ(assign.slots.ToString(), expected[i]);
    EXPECT_EQ(assign.epoch, 101 + i) << "replicas take lower ones";
  }
}

TEST(Creation, GoesOnWhereACrashLeftTheAssignment) {
  World world;
  world.AssignSlots();
  auto& lost = world.Node("demo-1-0").table->lines[0];
  lost.slots = {};
  lost.config_epoch = 0;
  EXPECT_THAT(world.Actions(), ElementsAre(HasSubstr("assign slots 5461-10922 to demo-1-0")));
}

TEST(Creation, DoesNotSetAnEpochTwice) {
  World world;
  world.Node("demo-0-0").table->lines[0].config_epoch = 1;  // the crash came between the epoch and the slots
  EXPECT_FALSE(std::get<AssignSlots>(world.MakePlan().actions[0]).epoch.has_value());
}

TEST(Creation, NeverGivesASlotToTwoMastersWhenTheNumberOfMastersChangesHalfWay) {
  World world(3, 0);
  world.AssignSlots();
  World grown(5, 0);
  for (int shard = 0; shard < 3; ++shard) {
    const auto pod = PodNameOf("demo", shard, 0);
    grown.Node(pod).table = world.Node(pod).table;
  }
  // All slots are owned already: nothing is assigned again, the cluster is recorded as it is.
  EXPECT_THAT(grown.Actions(), ElementsAre("record that all slots have been assigned"));

  grown.Node("demo-1-0").table->lines[0].slots = {};
  SlotSet assigned;
  for (const auto& action : grown.MakePlan().actions) {
    const auto& slots = std::get<AssignSlots>(action).slots;
    EXPECT_TRUE((assigned & slots).empty());
    assigned = assigned | slots;
  }
  EXPECT_EQ(assigned.ToString(), "5461-10922");
}

TEST(Creation, GivesSlotsToNoMasterThatHoldsKeys) {
  World world;
  world.Node("demo-0-0").server.keys = 3;
  const Plan plan = world.MakePlan();
  EXPECT_THAT(plan.actions, IsEmpty());
  ASSERT_TRUE(plan.refusal);
  EXPECT_EQ(plan.refusal->reason, "NodesNotEmpty");
}

TEST(Creation, RecordsThatSlotsWereAssignedBeforeAnyNodeMeetsAnother) {
  World world;
  world.AssignSlots();
  EXPECT_THAT(world.Actions(), ElementsAre("record that all slots have been assigned"));
}

TEST(Creation, IntroducesAllPairsInBothDirections) {
  World world(3, 1);
  world.AssignSlots();
  world.observation.cluster.formed_at = "2026-11-23T05:59:00Z";
  world.TakeObjectsAsDesired();
  const Plan plan = world.MakePlan();
  ASSERT_THAT(plan.actions, SizeIs(6 + 3));
  for (int i = 0; i < 6; ++i) {
    const auto& peers = std::get<Meet>(plan.actions[i]).peers;
    EXPECT_THAT(peers, SizeIs(5));
    for (const auto& peer : peers) EXPECT_EQ(peer.bus_port, 16379);
  }
  for (int i = 6; i < 9; ++i) EXPECT_EQ(std::get<EndQuarantine>(plan.actions[i]).node.pod, PodNameOf("demo", i - 6, 0));
}

TEST(Creation, DoesNotRepeatAnIntroductionThatIsUnderWay) {
  World world(2, 0);
  world.AssignSlots();
  world.observation.cluster.formed_at = "2026-11-23T05:59:00Z";
  world.TakeObjectsAsDesired();
  NodeLine handshake;
  handshake.id = *NodeId::Parse(std::string(40, 'a'));  // random until the pong comes
  handshake.flags.handshake = true;
  handshake.endpoint = world.Node("demo-1-0").endpoint;
  world.Node("demo-0-0").table->lines.push_back(handshake);
  const Plan plan = world.MakePlan();
  EXPECT_EQ(std::ranges::count_if(plan.actions, [](const Action& a) { return std::holds_alternative<Meet>(a); }), 1);
  EXPECT_EQ(std::get<Meet>(plan.actions[0]).from.pod, "demo-1-0");
}

TEST(Creation, AttachesAReplicaAsSoonAsItKnowsItsMasterWhateverTheOthersDo) {
  World world(3, 1);
  world.AssignSlots();
  world.observation.cluster.formed_at = "2026-11-23T05:59:00Z";
  world.TakeObjectsAsDesired();
  NodeLine known = world.Node("demo-2-0").me();
  known.flags.myself = false;
  world.Node("demo-2-1").table->lines.push_back(known);
  const auto actions = world.Actions();
  EXPECT_THAT(actions, ::testing::Contains(HasSubstr("make demo-2-1")));
  EXPECT_THAT(actions, ::testing::Not(::testing::Contains(HasSubstr("make demo-1-1"))));
}

struct NotReadyCase {
  const char* name;
  void (*spoil)(World&);
  const char* reason;
};

class NotReady : public ::testing::TestWithParam<NotReadyCase> {};

TEST_P(NotReady, IsNeverCalledReady) {
  World world = World::Healthy();
  ASSERT_TRUE(world.MakePlan().settled);
  GetParam().spoil(world);
  const Plan plan = world.MakePlan();
  EXPECT_FALSE(plan.settled);
  EXPECT_EQ(plan.reason, GetParam().reason) << plan.message;
  EXPECT_THAT(plan.actions, IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(
    All, NotReady,
    ::testing::Values(
        NotReadyCase{"StateFail", [](World& w) { w.Node("demo-1-1").info.state_ok = false; }, "ClusterStateFail"},
        NotReadyCase{"LinkDown", [](World& w) { w.Node("demo-1-1").server.master_link_up = false; }, "ReplicaSyncing"},
        NotReadyCase{"Syncing", [](World& w) { w.Node("demo-1-1").server.master_sync_in_progress = true; },
                     "ReplicaSyncing"},
        NotReadyCase{"RoleInInfoDiffers", [](World& w) { w.Node("demo-1-1").server.master_role = true; },
                     "RoleChanging"},
        NotReadyCase{"Loading",
                     [](World& w) {
                       w.Node("demo-1-1").loading = true;
                       w.Node("demo-1-1").table.reset();
                     },
                     "WaitingForNodes"},
        NotReadyCase{"Silent", [](World& w) { w.Kill("demo-2-0"); }, "WaitingForNodes"},
        NotReadyCase{"AddressReused", [](World& w) { w.Node("demo-2-0").foreign = true; }, "WaitingForNodes"},
        NotReadyCase{"PodTerminating", [](World& w) { w.Pod("demo-0-0").terminating = true; }, "WaitingForPods"},
        NotReadyCase{"PodInTrouble", [](World& w) { w.Pod("demo-0-0").trouble = "ErrImagePull: no"; },
                     "WaitingForPods"},
        NotReadyCase{"Pfail", [](World& w) { w.Line("demo-0-0", "demo-1-0").flags.pfail = true; }, "NodeUnreachable"},
        NotReadyCase{"Handshake",
                     [](World& w) {
                       NodeLine line;
                       line.flags.handshake = true;
                       w.Node("demo-0-0").table->lines.push_back(line);
                     },
                     "JoiningNodes"},
        NotReadyCase{"OpenSlot",
                     [](World& w) {
                       w.Line("demo-0-0", "demo-0-0").open_slots = {{7, OpenSlot::Direction::kMigrating, IdOf("x")}};
                     },
                     "OpenSlots"},
        NotReadyCase{"ViewsDiffer", [](World& w) { w.Line("demo-2-1", "demo-0-0").slots.Remove(5); }, "NodesDisagree"}),
    [](const auto& param_info) { return param_info.param.name; });

TEST(Ready, MeansNothingPlannedAndSaysSo) {
  const Plan plan = World::Healthy().MakePlan();
  EXPECT_TRUE(plan.settled);
  EXPECT_EQ(plan.message, "16384 slots on 3 masters, 3 replicas in sync, all 6 nodes agree");
  EXPECT_EQ(plan.look_again, std::chrono::seconds(5));
}

TEST(Ready, IsReachedByEveryShape) {
  for (const auto& [masters, replicas] : std::vector<std::pair<int, int>>{{1, 0}, {1, 1}, {3, 0}, {3, 1}, {5, 2}}) {
    const Plan plan = World::Healthy(masters, replicas).MakePlan();
    EXPECT_TRUE(plan.settled) << masters << "x" << replicas << ": " << plan.message;
  }
}

}  // namespace
}  // namespace slotwright::testing
