// What people are told of a round: what it did changes what its plan said, and what is only repeated is no news.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "controllers/status/account.h"
#include "controllers/status/news.h"
#include "controllers/status/status.h"
#include "tests/unit/planning/world.h"

namespace slotwright::testing {
namespace {

using reconciler::EventType;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;

Plan Moving() {
  Plan plan;
  plan.step = "rebalance";
  plan.reason = "MovingSlots";
  plan.message = "moving 10 slots";
  plan.actions.resize(2);
  plan.look_again = std::chrono::milliseconds(10);
  return plan;
}

Outcome Done() { return {.action = "move slots 0-9"}; }
Outcome Failed() { return {.action = "create pod demo-0-1", .error = "exceeded quota"}; }
Outcome Refused() { return {.action = "create pod demo-0-1", .error = "no such pod", .refusal = "PodRefused"}; }

TEST(AccountForFailure, LeavesAPlanAloneOfWhichAllWasDone) {
  Plan plan = Moving();
  EXPECT_EQ(AccountForFailure({Done(), Done()}, plan), "");
  EXPECT_EQ(plan.reason, "MovingSlots");
  EXPECT_EQ(plan.look_again, std::chrono::milliseconds(10));
}

TEST(AccountForFailure, IsTheNewsInsteadOfWhatWasPlanned) {
  Plan plan = Moving();
  plan.settled = true;
  EXPECT_EQ(AccountForFailure({Done(), Failed()}, plan), "could not create pod demo-0-1: exceeded quota");
  EXPECT_EQ(plan.reason, "ActionFailed");
  EXPECT_EQ(plan.message, "could not create pod demo-0-1: exceeded quota");
  EXPECT_FALSE(plan.settled);
  EXPECT_FALSE(plan.refusal);
  EXPECT_EQ(plan.look_again, std::chrono::milliseconds(500)) << "neither at once nor with a growing delay";
}

TEST(AccountForFailure, OfWhatTryingAgainWillNotHelpIsARefusal) {
  Plan plan = Moving();
  EXPECT_EQ(AccountForFailure({Refused(), Done()}, plan), "no such pod");
  EXPECT_EQ(plan.refusal, (Refusal{"PodRefused", "no such pod"}));
  EXPECT_EQ(plan.look_again, std::chrono::seconds(2));
  EXPECT_FALSE(plan.meanwhile);
}

TEST(AccountForFailure, KeepsTheOperationWhoseSlotsAreOpen) {
  Plan plan = Moving();
  plan.migration = MigrationProgress{.slots_left = 10};
  (void)AccountForFailure({Refused(), Done()}, plan);
  EXPECT_EQ(plan.meanwhile, (std::pair<std::string, std::string>("MovingSlots", "moving 10 slots")));
}

// Otherwise it would be another wait each time, and never over.
TEST(AccountForFailure, OfWhatIsDoneBesideIsToldBesideAndLeavesTheWaitTheSame) {
  for (const Outcome& failed : {Failed(), Refused()}) {
    Plan plan = Moving();
    plan.beside = 1;
    const std::string failure = AccountForFailure({Done(), failed}, plan);
    EXPECT_EQ(plan.reason, "MovingSlots");
    EXPECT_EQ(plan.message, "moving 10 slots; besides, " + failure);
    EXPECT_EQ(plan.meanwhile, (std::pair<std::string, std::string>("MovingSlots", "moving 10 slots")));
    EXPECT_FALSE(plan.refusal);
    EXPECT_EQ(plan.look_again, std::chrono::milliseconds(500));
  }
}

// A status holds 4096 bytes of it: what is cut off there must not be news at each look.
TEST(AccountForFailure, BesideALongMessageIsToldOnceHoweverLongItIs) {
  World world = World::Healthy(3, 1);
  world.Kill("demo-1-1");
  Plan plan = world.MakePlan();
  plan.message = std::string(5000, 'w');
  plan.beside = 1;
  const Plan planned = plan;
  const Outcome failed{.action = "create pod demo-0-1", .error = std::string(5000, 'e')};
  const std::string failure = AccountForFailure({Done(), failed}, plan);
  EXPECT_THAT(NewsOf(world.observation, plan, failure), Not(IsEmpty()));
  world.observation.cluster.status = BuildStatus(world.observation, Merge(world.observation), plan);
  plan = planned;
  const std::string again = AccountForFailure({Done(), failed}, plan);
  EXPECT_THAT(NewsOf(world.observation, plan, again), IsEmpty());
}

TEST(AccountForFailure, BesideARefusalLeavesItTheRefusal) {
  Plan plan = Moving();
  plan.beside = 1;
  plan.refusal = Refusal{"InvalidSpec", "spec.masters: 2"};
  (void)AccountForFailure({Done(), Failed()}, plan);
  EXPECT_EQ(plan.refusal, (Refusal{"InvalidSpec", "spec.masters: 2"}));
  EXPECT_FALSE(plan.meanwhile);
}

TEST(AccountForMigration, SaysHowFastTheSliceWasAndHowLongTheRestTakes) {
  Plan plan = Moving();
  plan.migration = MigrationProgress{.slots_left = 100};
  Outcome slice = Done();
  slice.moved = {.slots = 20, .keys = 5000};
  AccountForMigration({slice, Done()}, std::chrono::milliseconds(500), plan);
  EXPECT_EQ(plan.migration->slots_left, 80);
  EXPECT_EQ(plan.migration->keys_per_second, 10000);
  EXPECT_EQ(plan.migration->seconds_left, 2);
}

// A server's own job tells what it has done when it is done, also with what it did in slices before.
TEST(AccountForMigration, CountsTheTimeOfAJobThatBeganBeforeTheSlice) {
  Plan plan = Moving();
  plan.migration = MigrationProgress{.slots_left = 100};
  Outcome slice = Done();
  slice.moved = {.slots = 20, .keys = 5000, .took = std::chrono::seconds(10)};
  AccountForMigration({slice}, std::chrono::milliseconds(500), plan);
  EXPECT_EQ(plan.migration->keys_per_second, 500);
  EXPECT_EQ(plan.migration->seconds_left, 40);
}

TEST(AccountForMigration, DoesNotGuessFromASliceThatMovedNothing) {
  Plan plan = Moving();
  plan.migration = MigrationProgress{.slots_left = 100};
  AccountForMigration({Done()}, std::chrono::milliseconds(500), plan);
  EXPECT_EQ(plan.migration->slots_left, 100);
  EXPECT_FALSE(plan.migration->keys_per_second);
}

// The status that this plan leaves behind is what the next round compares with.
class NewsTest : public ::testing::Test {
 protected:
  void Write(const Plan& plan) {
    world_.observation.cluster.status = BuildStatus(world_.observation, Merge(world_.observation), plan);
  }
  [[nodiscard]] std::vector<News> Of(const Plan& plan, const std::string& failure = "") const {
    return NewsOf(world_.observation, plan, failure);
  }
  static Plan Settled() {
    Plan plan;
    plan.settled = true;
    plan.reason = "Ready";
    plan.message = "3 masters serve all slots";
    return plan;
  }

  World world_ = World::Healthy();
};

TEST_F(NewsTest, OfADecisionIsToldOnce) {
  EXPECT_THAT(Of(Moving()), ElementsAre(News{EventType::kNormal, "MovingSlots", "moving 10 slots"}));
  Write(Moving());
  Plan goes_on = Moving();
  goes_on.message = "moving 5 slots";
  EXPECT_THAT(Of(goes_on), IsEmpty());
}

TEST_F(NewsTest, ThatTheClusterIsReadyIsToldOnce) {
  Write(Moving());
  EXPECT_THAT(Of(Settled()), ElementsAre(News{EventType::kNormal, "Ready", "3 masters serve all slots"}));
  Write(Settled());
  EXPECT_THAT(Of(Settled()), IsEmpty());
}

TEST_F(NewsTest, ThatItIsNoLongerIsAWarning) {
  Write(Settled());
  Plan waiting;
  waiting.reason = "NodesSilent";
  waiting.message = "demo-0-0 does not answer";
  EXPECT_THAT(Of(waiting), ElementsAre(News{EventType::kWarning, "NodesSilent", "demo-0-0 does not answer"}));
  Write(waiting);
  EXPECT_THAT(Of(waiting), IsEmpty());
}

TEST_F(NewsTest, OfAFailureIsToldOnceAlsoIfOtherWordsAreAroundIt) {
  Plan plan = Moving();
  plan.beside = 1;
  const std::string failure = AccountForFailure({Done(), Failed()}, plan);
  EXPECT_THAT(Of(plan, failure), ElementsAre(News{EventType::kWarning, "ActionFailed", failure}));
  Write(plan);
  Plan next = Moving();
  next.beside = 1;
  next.message = "moving 5 slots";
  EXPECT_THAT(Of(next, AccountForFailure({Done(), Failed()}, next)), IsEmpty());
}

TEST_F(NewsTest, OfARefusalIsToldOnceWhateverIsDoneMeanwhile) {
  Plan plan = Moving();
  plan.refusal = Refusal{"InvalidSpec", "spec.masters: 2"};
  EXPECT_THAT(Of(plan), ElementsAre(News{EventType::kWarning, "InvalidSpec", "spec.masters: 2"}));
  Write(plan);
  plan.message = "spec.masters: 2; meanwhile MovingSlots: moving 5 slots";
  EXPECT_THAT(Of(plan), IsEmpty());
}

// The status has no more of it than what fits.
TEST_F(NewsTest, OfWhatTheStatusClipsIsToldOnce) {
  const std::string words(40000, 'x');
  Plan refused = Moving();
  refused.refusal = Refusal{"InvalidSpec", words};
  Write(refused);
  EXPECT_THAT(Of(refused), IsEmpty());

  Plan failed = Moving();
  failed.message = words;
  Write(failed);
  EXPECT_THAT(Of(failed, words), IsEmpty());
}

// An action that is refused is one event, not two; one that fails beside another refusal is its own.
TEST_F(NewsTest, OfARefusalAndAFailureAreTwoIfTheyAreTwo) {
  Plan refused = Moving();
  const std::string same = AccountForFailure({Refused(), Done()}, refused);
  EXPECT_THAT(Of(refused, same), ElementsAre(News{EventType::kWarning, "PodRefused", "no such pod"}));

  Plan invalid = Moving();
  invalid.beside = 1;
  invalid.refusal = Refusal{"InvalidSpec", "spec.masters: 2"};
  const std::string other = AccountForFailure({Done(), Failed()}, invalid);
  EXPECT_THAT(Of(invalid, other), ElementsAre(News{EventType::kWarning, "InvalidSpec", "spec.masters: 2"},
                                              News{EventType::kWarning, "ActionFailed", other}));
}

}  // namespace
}  // namespace slotwright::testing
