// Rolling changes of masters that have neither a replica nor storage: a stand-in copies what is nowhere else.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/planning/world.h"

namespace slotwright::testing {
namespace {

using ::testing::AllOf;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr const char* kOldHash = "of redis:7.0";

// Three masters without replicas, of which the first has a stand-in already. Masters run redis:7.0, the specification
// and the stand-in redis:8.2.
World WithAStandIn() {
  World world(3, 1);
  world.RemovePod("demo-1-1");
  world.RemovePod("demo-2-1");
  world.observation.cluster.spec.replicas_per_master = 0;
  world.observation.cluster.spec.image = "redis:8.2";
  world.TakeObjectsAsDesired();
  world.TakePodsAsDesired();
  for (auto& pod : world.observation.pods) {
    if (pod.index == 0) pod.hash = kOldHash;
  }
  world.Form();
  return world;
}

// The stand-in is master now, and the first its replica.
World AfterTheHandOver() {
  World world = WithAStandIn();
  world.SwapRoles("demo-0-0", "demo-0-1");
  return world;
}

TEST(StandIn, IsMadeForOneMasterAtATime) {
  World world = World::Healthy(3, 0);
  world.observation.cluster.spec.image = "redis:8.2";
  world.TakeObjectsAsDesired();
  EXPECT_THAT(world.Actions(), ElementsAre("create Pod demo-0-1"));
}

TEST(StandIn, IsNotMadeForAMasterThatIsNotReady) {
  World world = World::Healthy(3, 0);
  world.observation.cluster.spec.image = "redis:8.2";
  world.TakeObjectsAsDesired();
  for (auto& pod : world.observation.pods) pod.ready = false;
  EXPECT_THAT(world.Actions(), IsEmpty());
  EXPECT_THAT(world.MakePlan().message, HasSubstr("demo-0-0 ready"));
}

TEST(StandIn, IsNotMadeUnderTheManualStrategyOrWithStorage) {
  World world = World::Healthy(3, 0);
  world.observation.cluster.spec.image = "redis:8.2";
  world.observation.cluster.spec.update = UpdateStrategy::kManual;
  EXPECT_THAT(world.Actions(), IsEmpty());
  world.observation.cluster.spec.update = UpdateStrategy::kRolling;
  world.observation.cluster.spec.storage = StorageSpec{.size = "1Gi"};
  world.TakeObjectsAsDesired();
  EXPECT_THAT(world.Actions(), ElementsAre("evict Pod demo-0-0"));
}

TEST(StandIn, TakesOverOnceItIsInSync) {
  World world = WithAStandIn();
  EXPECT_THAT(world.Actions(), ElementsAre(AllOf(HasSubstr("let demo-0-1"), HasSubstr("take over"))));
  world.Node("demo-0-1").server.master_link_up = false;
  EXPECT_THAT(world.Actions(), IsEmpty());
}

TEST(StandIn, LetsTheFirstBeReplaced) {
  EXPECT_THAT(AfterTheHandOver().Actions(), ElementsAre("evict Pod demo-0-0"));
  World gone = AfterTheHandOver();
  gone.RemovePod("demo-0-0");
  EXPECT_THAT(gone.Actions(), ElementsAre("create Pod demo-0-0"));
}

TEST(StandIn, HandsBackAndGoes) {
  World world = AfterTheHandOver();
  world.TakePodsAsDesired();
  EXPECT_THAT(world.Actions(), ElementsAre(AllOf(HasSubstr("let demo-0-0"), HasSubstr("take over"))));
  World handed_back = WithAStandIn();
  handed_back.TakePodsAsDesired();
  EXPECT_THAT(handed_back.Actions(), ElementsAre("evict Pod demo-0-1"));
}

TEST(StandIn, ThatCannotStartIsDeletedWhenTheSpecificationIsReverted) {
  World world = World::Healthy(3, 0);
  world.observation.pods.insert(world.observation.pods.begin() + 1, {.name = "demo-0-1",
                                                                     .uid = "pod-0-1",
                                                                     .shard = 0,
                                                                     .index = 1,
                                                                     .phase = "Pending",
                                                                     .ours = true,
                                                                     .hash = "of redis:none",
                                                                     .trouble = "ErrImagePull: no such image"});
  EXPECT_THAT(world.Actions(), ElementsAre("delete Pod demo-0-1"));
}

TEST(StandIn, IsForgottenOnlyWhenItIsNotWantedAnyMore) {
  World world = WithAStandIn();
  world.RemovePod("demo-0-1");
  EXPECT_THAT(world.Actions(), ElementsAre("create Pod demo-0-1"));
  EXPECT_FALSE(Merge(world.observation).absent.at(0).LeftOver());
  world.TakePodsAsDesired();
  EXPECT_TRUE(Merge(world.observation).absent.at(0).LeftOver());
  EXPECT_THAT(world.Actions(), AllOf(SizeIs(3), Each(HasSubstr("forget"))));
}

// A new specification before the first one was through.
TEST(StandIn, IsKeptWhileItHasTheOnlyNewCopy) {
  World world = AfterTheHandOver();
  world.observation.cluster.spec.image = "redis:8.4";
  world.TakeObjectsAsDesired();
  EXPECT_THAT(world.Actions(), ElementsAre("evict Pod demo-0-0")) << "the replica, which is outdated too";
}

}  // namespace
}  // namespace slotwright::testing
