// Rolling and live changes, and losses that need a decision.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "controllers/api/names.h"
#include "controllers/resources/resources.h"
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

TEST(Roll, ReplacesReplicasFirstAndOfAThirdOfTheShardsAtATime) {
  World world = World::Healthy(6, 1);
  world.observation.cluster.spec.image = "redis:8.2";
  EXPECT_THAT(world.Actions(), ElementsAre("evict Pod demo-0-1", "evict Pod demo-1-1"));
}

TEST(Roll, TakesOnePodOfAShardAtATime) {
  World world = World::Healthy(1, 3);
  world.observation.cluster.spec.image = "redis:8.2";
  EXPECT_THAT(world.Actions(), ElementsAre("evict Pod demo-0-1"));
}

// Its disruption budget would spare it anyway.
TEST(Roll, WaitsUntilKubernetesCallsTheOthersOfTheShardReady) {
  World world = World::Healthy(1, 1);
  world.observation.cluster.spec.image = "redis:8.2";
  world.Pod("demo-0-0").ready = false;
  EXPECT_THAT(world.Actions(), IsEmpty());
  EXPECT_THAT(world.MakePlan().message, HasSubstr("demo-0-0 ready"));
}

TEST(Roll, WaitsUntilEverythingIsWellAgain) {
  World world = World::Healthy(3, 1);
  world.observation.cluster.spec.image = "redis:8.2";
  world.Kill("demo-2-1");
  EXPECT_THAT(world.Actions(), IsEmpty());
  EXPECT_EQ(world.MakePlan().step, "health");
}

// Each replica runs the new image already.
World WithNewReplicas() {
  World world = World::Healthy(3, 1);
  world.observation.cluster.spec.image = "redis:8.2";
  for (auto& pod : world.observation.pods) {
    if (pod.index == 0) continue;
    pod.hash = reconciler::AnnotationOf(DesiredPod(world.observation.cluster, pod.shard, pod.index),
                                        "slotwright.dev/pod-hash");
  }
  return world;
}

TEST(Roll, HandsOneMasterOverAtATime) {
  EXPECT_THAT(WithNewReplicas().Actions(), ElementsAre(AllOf(HasSubstr("let demo-0-1"), HasSubstr("take over"))));
}

TEST(Roll, NeverHandsOverToAReplicaThatIsNotInSync) {
  World world = WithNewReplicas();
  world.Node("demo-0-1").server.master_link_up = false;
  EXPECT_THAT(world.Actions(), IsEmpty());
}

TEST(Roll, IsHeldBackByTheManualStrategy) {
  World world = World::Healthy(3, 1);
  world.observation.cluster.spec.image = "redis:8.2";
  world.observation.cluster.spec.update = UpdateStrategy::kManual;
  EXPECT_THAT(world.Actions(), IsEmpty());
  EXPECT_FALSE(world.MakePlan().settled);
  EXPECT_EQ(world.MakePlan().reason, "UpdatePending");
}

TEST(Roll, ReplacesAStuckPodAtOnceWhenTheSpecificationChangesAgain) {
  World world = World::Healthy(3, 1);
  world.Pod("demo-0-1").hash = "of an image that does not exist";
  world.Pod("demo-0-1").trouble = "ErrImagePull: no such image";
  world.Pod("demo-0-1").ready = false;
  world.Kill("demo-0-1");
  EXPECT_THAT(world.Actions(), ElementsAre("delete Pod demo-0-1"));
}

// Creation waits for all nodes: those that can never answer go first.
TEST(Roll, ReplacesPodsThatNeverRanAlsoBeforeTheClusterIsMade) {
  World world(3, 0);
  for (auto& pod : world.observation.pods) {
    pod.trouble = "ImagePullBackOff: no such image";
    pod.ready = false;
    pod.ip.clear();
  }
  world.observation.nodes.clear();
  EXPECT_THAT(world.Actions(), IsEmpty()) << "they are as the specification wants them";
  world.observation.cluster.spec.image = "redis:8.2";
  world.TakeObjectsAsDesired();
  EXPECT_THAT(world.Actions(), ElementsAre("delete Pod demo-0-0", "delete Pod demo-1-0", "delete Pod demo-2-0"));
}

// As after replicasPerMaster 1 -> 2 -> 1 where no machine has room for the second ones.
World WithAPodThatNeverRan() {
  World world = World::Healthy(3, 2);
  world.observation.cluster.spec.replicas_per_master = 1;
  world.TakeObjectsAsDesired();
  world.RemovePod("demo-1-2");
  world.RemovePod("demo-2-2");
  auto pod = world.Pod("demo-0-2");
  world.RemovePod("demo-0-2");
  world.Introduce();
  pod.ready = false;
  pod.ip.clear();
  pod.trouble = "Unschedulable: 0/3 nodes are available";
  world.observation.pods.push_back(pod);
  return world;
}

TEST(Roll, DeletesAPodThatNeverRanAndIsNotWantedAnyMore) {
  EXPECT_THAT(WithAPodThatNeverRan().Actions(), ElementsAre("delete Pod demo-0-2"));
}

TEST(Roll, KeepsAPodThatDoesNotRunWhileItsShardHasNoMaster) {
  World world = WithAPodThatNeverRan();
  world.Kill("demo-0-0");
  EXPECT_THAT(world.Actions(), Not(Contains(HasSubstr("demo-0-2")))) << "it may have the last copy";
}

// As if all servers but `refuses` had taken what they are to be given.
void TakeLiveChanges(World& world, const std::string& refuses) {
  const Plan plan = world.MakePlan();
  for (const auto& action : plan.actions) {
    const auto* change = std::get_if<SetConfig>(&action);
    if (change != nullptr && change->node.pod != refuses) world.Pod(change->node.pod).live_config = change->change.note;
  }
}

TEST(LiveConfig, IsSetOnAllNodesWithoutARestart) {
  World world = World::Healthy(3, 1);
  world.EditConfig("maxmemory-policy", "allkeys-lru");
  const Plan plan = world.MakePlan();
  int changes = 0;
  for (const auto& action : plan.actions) {
    const auto* change = std::get_if<SetConfig>(&action);
    if (change == nullptr) continue;
    ++changes;
    EXPECT_THAT(change->change.directives, ElementsAre(std::pair("maxmemory-policy", "allkeys-lru")));
    EXPECT_THAT(change->change.note, HasSubstr("allkeys-lru"));
  }
  EXPECT_EQ(changes, 6);
  EXPECT_THAT(world.FileToBe(), Not(HasSubstr("allkeys-lru"))) << "the file waits";
}

TEST(LiveConfig, IsDoneWhenThePodsNoteSaysSo) {
  World world = World::Healthy(3, 1);
  world.EditConfig("maxmemory-policy", "allkeys-lru");
  TakeLiveChanges(world, "");
  EXPECT_THAT(world.Actions(), ElementsAre(HasSubstr("ConfigMap demo-config")));
  EXPECT_THAT(world.FileToBe(), HasSubstr("maxmemory-policy allkeys-lru"));
  world.TakeObjectsAsDesired();
  EXPECT_TRUE(world.MakePlan().settled);
  world.Node("demo-1-1").server.run_id = "a later process, which may have read the older file";
  EXPECT_THAT(world.Actions(), ElementsAre(HasSubstr("on demo-1-1")));
}

TEST(LiveConfig, ThatOneServerRefusesDoesNotReachTheFile) {
  World world = World::Healthy(3, 1);
  world.EditConfig("maxmemory-policy", "nonsense");
  TakeLiveChanges(world, "demo-2-0");
  EXPECT_THAT(world.Actions(), Contains(HasSubstr("on demo-2-0")));
  EXPECT_THAT(world.FileToBe(), Not(HasSubstr("nonsense")));
  world.EditConfig("maxmemory-policy", "noeviction");
  TakeLiveChanges(world, "");
  EXPECT_THAT(world.FileToBe(), HasSubstr("maxmemory-policy noeviction"));
}

// Scaled out meanwhile: an invalid edit must not make the older number of masters the last valid one again.
TEST(LiveConfig, ThatIsRefusedDoesNotHideTheRestOfTheSpecification) {
  World world = World::Healthy(3, 1);
  world.EditConfig("maxmemory-policy", "nonsense");
  world.observation.cluster.spec_json["masters"] = 5;
  EXPECT_THAT(reconciler::AnnotationOf(world.ConfigMapToBe(), annotations::kSpec), HasSubstr("\"masters\":5"));
  EXPECT_THAT(world.FileToBe(), Not(HasSubstr("nonsense")));
}

// With a directive that needs a restart: who restarts first shows whether servers take the others.
TEST(LiveConfig, ReachesTheFileOfARollOnceThatOneOfTheNewPodsHasTakenIt) {
  World world = World::Healthy(3, 1);
  world.EditConfig("databases", "21");
  world.EditConfig("maxmemory-policy", "nonsense");
  EXPECT_THAT(world.FileToBe(), AllOf(Not(HasSubstr("databases")), Not(HasSubstr("nonsense"))));
  auto& first = world.Pod("demo-0-1");
  first.hash = PodHash(world.observation.cluster);
  first.live_config = "{}";
  EXPECT_THAT(world.FileToBe(), Not(HasSubstr("nonsense"))) << "it runs without";
  world.Kill("demo-0-1");
  EXPECT_THAT(world.FileToBe(), Not(HasSubstr("nonsense"))) << "it may be starting";
  first.trouble = "CrashLoopBackOff";
  EXPECT_THAT(world.FileToBe(), HasSubstr("nonsense")) << "perhaps the older value is at fault";
  first.live_config = R"({"@refused":{"maxmemory-policy":"nonsense"}})";
  EXPECT_THAT(world.FileToBe(), Not(HasSubstr("nonsense"))) << "it is not: this one was refused";
}

TEST(LiveConfig, OfTheOperatorsOwnIsInTheFileAtOnce) {
  World world = World::Healthy(3, 1);
  world.observation.cluster.spec.resources = {{"limits", {{"memory", "1Gi"}}}};
  EXPECT_THAT(world.FileToBe(), HasSubstr("maxmemory 805306368"));
}

TEST(LiveConfig, OfAPodThatIsMadeMeanwhileIsThatOfTheFileThatItReads) {
  World world = World::Healthy(3, 1);
  world.EditConfig("maxmemory-policy", "nonsense");
  world.EditConfig("hz", "25");
  world.RemovePod("demo-1-1");
  const Plan plan = world.MakePlan();
  const auto created =
      std::ranges::find_if(plan.actions, [](const Action& a) { return std::holds_alternative<CreatePod>(a); });
  ASSERT_NE(created, plan.actions.end());
  const auto note = reconciler::AnnotationOf(std::get<CreatePod>(*created).pod, annotations::kLiveConfig);
  EXPECT_THAT(note, AllOf(Not(HasSubstr("nonsense")), Not(HasSubstr("hz")), HasSubstr("loglevel")));
}

// A larger buffer may be what lets a replica come into sync; and a shard is not lost for a directive.
TEST(LiveConfig, NeitherWaitsForHealthNorHoldsUpHealing) {
  World world = World::Healthy(3, 1);
  world.EditConfig("client-output-buffer-limit", "replica 1gb 1gb 0");
  world.Node("demo-1-1").server.master_link_up = false;
  EXPECT_EQ(world.MakePlan().reason, "ReplicaSyncing");
  EXPECT_THAT(world.Actions(), SizeIs(7)) << "and the ConfigMap, which notes the specification";
  world.RemovePod("demo-1-1");
  EXPECT_THAT(world.Actions(), Contains("create Pod demo-1-1"));
}

// Of a failure among these actions the decision stays the news.
TEST(LiveConfig, IsCountedAsBesideWhatWasDecided) {
  World world = World::Healthy(3, 1);
  world.EditConfig("maxmemory-policy", "allkeys-lru");
  EXPECT_EQ(world.MakePlan().beside, 0U) << "there is nothing else";
  world.RemovePod("demo-1-1");
  const Plan healing = world.MakePlan();
  EXPECT_EQ(healing.step, "pods");
  EXPECT_EQ(healing.beside, healing.actions.size() - 1);
  world.TakeObjectsAsDesired();
  world.EditConfig("port", "1");
  const Plan refused = world.MakePlan();
  EXPECT_EQ(refused.reason, "InvalidSpec");
  EXPECT_EQ(refused.beside, refused.actions.size());
}

TEST(LiveConfig, LeavesANodeInQuarantineAlone) {
  World world = World::Healthy(3, 1);
  world.EditConfig("repl-diskless-sync-delay", "1");
  world.Node("demo-1-1").quarantined = true;
  const Plan plan = world.MakePlan();
  for (const auto& action : plan.actions) {
    const auto* change = std::get_if<SetConfig>(&action);
    EXPECT_TRUE(change == nullptr || change->node.pod != "demo-1-1");
  }
}

// Pods and ConfigMap deleted while nobody could make them again: the append-only file is the data.
TEST(LiveConfig, OfANewBeginningIsAsSpecified) {
  World world = World::Healthy(3, 0);
  world.observation.cluster.spec.storage = StorageSpec{.size = "1Gi"};
  world.EditConfig("appendonly", "yes");
  world.EditConfig("hz", "25");
  world.TakeObjectsAsDesired();
  for (const char* pod : {"demo-0-0", "demo-1-0", "demo-2-0"}) world.RemovePod(pod);
  EXPECT_THAT(world.FileToBe(), AllOf(HasSubstr("appendonly yes"), HasSubstr("hz 25")));
  world.observation.objects.erase({"ConfigMap", "demo-config"});
  EXPECT_THAT(world.FileToBe(), AllOf(HasSubstr("appendonly yes"), HasSubstr("hz 25")));
}

TEST(LiveConfig, IsNotReadFromAFileThatSomebodyEdited) {
  World world = World::Healthy(3, 1);
  world.EditConfig("loglevel", "warning");
  TakeLiveChanges(world, "");
  world.TakeObjectsAsDesired();
  world.EditConfig("maxmemory-policy", "nonsense");
  auto& map = world.observation.objects[{"ConfigMap", "demo-config"}];
  auto edited = *map;
  edited["data"]["redis.conf"] = "loglevel debug\nmaxmemory-policy nonsense\n";
  map = std::make_shared<const reconciler::Json>(edited);
  EXPECT_THAT(world.FileToBe(), AllOf(HasSubstr("loglevel warning"), Not(HasSubstr("nonsense"))));
}

TEST(LiveConfig, IsSetAgainOnAServerThatRestartedBeforeItsFirstChange) {
  World world = World::Healthy(3, 1);
  world.Pod("demo-1-1").restarts = 1;
  EXPECT_THAT(world.Actions(), ElementsAre(HasSubstr("on demo-1-1")));
}

TEST(LiveConfig, WaitsWithTheMemoryUntilThePodsHaveTheirNewLimit) {
  World world = World::Healthy(3, 1);
  world.observation.cluster.spec.resources = {{"limits", {{"memory", "1Gi"}}}};
  world.TakeObjectsAsDesired();
  world.TakePodsAsDesired();
  world.observation.cluster.spec.resources = {{"limits", {{"memory", "4Gi"}}}};
  EXPECT_THAT(world.FileToBe(), HasSubstr("maxmemory 805306368"));
  world.TakePodsAsDesired();
  EXPECT_THAT(world.FileToBe(), HasSubstr("maxmemory 3221225472"));
}

const SetConfig& FirstChange(const Plan& plan) {
  return std::get<SetConfig>(
      *std::ranges::find_if(plan.actions, [](const Action& a) { return std::holds_alternative<SetConfig>(a); }));
}

// The operator dies between CONFIG SET and its note, and the edit is taken back meanwhile.
TEST(LiveConfig, OfWhichNobodyKnowsWhetherItWasTakenIsSetAgainOrRestarted) {
  World world = World::Healthy(3, 1);
  world.EditConfig("loglevel", "verbose");
  world.EditConfig("hz", "25");
  const Plan plan = world.MakePlan();
  World back = World::Healthy(3, 1);
  const auto& change = FirstChange(plan);
  back.Pod(change.node.pod).live_config = change.change.note_before;
  EXPECT_EQ(back.MakePlan().reason, "UpdatingPods") << "only a restart brings the default of hz back";
  back.EditConfig("hz", "10");
  EXPECT_THAT(FirstChange(back.MakePlan()).change.directives,
              ElementsAre(std::pair("hz", "10"), std::pair("loglevel", "notice")));
}

TEST(LiveConfig, ThatWasRefusedChangedNothing) {
  World world = World::Healthy(3, 1);
  world.EditConfig("maxmemory-policy", "nonsense");
  const Plan plan = world.MakePlan();
  const auto& change = FirstChange(plan);
  world.Pod(change.node.pod).live_config = change.change.note_if_refused;
  const auto again = FirstChange(world.MakePlan()).change;
  EXPECT_THAT(again.directives, ElementsAre(std::pair("maxmemory-policy", "nonsense"))) << "it is tried again";
  EXPECT_EQ(again.note_before + again.note_if_refused, "") << "without notes each time";
  World back = World::Healthy(3, 1);
  back.Pod(change.node.pod).live_config = change.change.note_if_refused;
  EXPECT_TRUE(back.MakePlan().settled) << "and taken back without a restart";
}

TEST(LiveConfig, IsSetOnOutdatedPodsThatAPersonIsToReplace) {
  World world = World::Healthy(3, 1);
  world.observation.cluster.spec.update = UpdateStrategy::kManual;
  world.observation.cluster.spec.resources = {{"limits", {{"memory", "8Gi"}}}};
  world.EditConfig("maxmemory-policy", "allkeys-lru");
  const Plan plan = world.MakePlan();
  EXPECT_EQ(plan.reason, "UpdatePending");
  EXPECT_THAT(FirstChange(plan).change.directives, ElementsAre(std::pair("maxmemory-policy", "allkeys-lru")))
      << "maxmemory would not fit the older limit";
}

TEST(LiveConfig, GoesBackToADefaultByARestart) {
  World world = World::Healthy(3, 1);
  for (auto& pod : world.observation.pods) pod.live_config = R"({"maxmemory-policy":"allkeys-lru"})";
  EXPECT_THAT(world.Actions(), Contains(HasSubstr("evict Pod")));
}

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
}

TEST(MajorityLost, IsNotAssumedWhileTheOthersCanElect) {
  World world = World::Healthy(3, 1);
  world.Reincarnate("demo-0-0");
  world.JoinAgain("demo-0-0");
  EXPECT_THAT(world.Actions(), Each(Not(HasSubstr("without votes"))));
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

}  // namespace
}  // namespace slotwright::testing
