// Masters that nobody can vote for are taken over, once they cannot come back.
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

// It had just taken a new epoch (its claims met another one's) and its replica missed that: every other master denies
// it the vote, for ever, also when it is told to by force.
TEST(MajorityLost, IsThatOfAReplicaToWhichTheOthersDenyTheirVotes) {
  World world = World::Healthy(3, 1);
  world.Reincarnate("demo-0-0");
  world.JoinAgain("demo-0-0");
  const auto actions_with = [&](std::uint64_t others) {
    for (const char* master : {"demo-1-0", "demo-2-0"}) world.Line(master, "demo-0-0").config_epoch = others;
    return world.Actions();
  };
  const std::uint64_t known = world.Line("demo-0-1", "demo-0-0").config_epoch;
  EXPECT_THAT(actions_with(known), Contains(AllOf(HasSubstr("demo-0-1"), HasSubstr("from its dead master"))));
  EXPECT_THAT(actions_with(known + 1), Contains(AllOf(HasSubstr("demo-0-1"), HasSubstr("without votes"))));
}

}  // namespace
}  // namespace slotwright::testing
