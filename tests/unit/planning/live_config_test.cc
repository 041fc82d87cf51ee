// Directives that servers take without a restart.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "controllers/api/names.h"
#include "controllers/plan/outdated.h"
#include "controllers/resources/resources.h"
#include "tests/unit/planning/world.h"

namespace slotwright::testing {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

// As if all servers but `refuses` had taken what they are to be given.
void TakeLiveChanges(World& world, const std::string& refuses) {
  const Plan plan = world.MakePlan();
  for (const auto& action : plan.actions) {
    const auto* change = std::get_if<SetConfig>(&action);
    if (change != nullptr && change->node.pod != refuses) world.Pod(change->node.pod).live_notes = change->change.after;
  }
}

void TakeNotes(World& world) {
  const Plan plan = world.MakePlan();
  for (const auto& action : plan.actions) {
    if (const auto* note = std::get_if<NotePod>(&action)) world.Pod(note->name).live_notes = note->notes;
  }
}

LiveNotes NotesOfTheNewPod(const Plan& plan) {
  for (const auto& action : plan.actions) {
    const auto* creation = std::get_if<CreatePod>(&action);
    if (creation == nullptr) continue;
    return ParseLiveNotes(reconciler::AnnotationOf(creation->pod, annotations::kLiveConfig));
  }
  ADD_FAILURE() << "no pod is made";
  return {};
}

TEST(LiveNotes, AreReadBackAsTheyWereWritten) {
  const LiveNotes notes{.directives = {{"hz", "10"}, {"save", ""}},
                        .unknown = {"loglevel"},
                        .run_id = "9e3e",
                        .refused = {{"maxmemory-policy", "x"}}};
  const std::string text = ToString(notes);
  EXPECT_EQ(text, R"({"@refused":{"maxmemory-policy":"x"},"@run":"9e3e","hz":"10","loglevel":null,"save":""})");
  EXPECT_EQ(ToString(ParseLiveNotes(text)), text);
  for (const char* unreadable : {"", "x", "[1]", R"({"@run":1,"@refused":[],"@later":"x"})"}) {
    EXPECT_EQ(ToString(ParseLiveNotes(unreadable)), "{}") << unreadable;
  }
}

TEST(LiveNotes, OfAServerThatSaysNoUtf8AreWrittenNevertheless) {
  EXPECT_EQ(ToString(LiveNotes{.run_id = "9e\xff"}), "{\"@run\":\"9e\uFFFD\"}");
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
    EXPECT_TRUE(change->change.after.Has("maxmemory-policy", "allkeys-lru"));
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

// The first pod of the roll does not start, perhaps for quite another reason: all others may start again at any time.
TEST(LiveConfig, DoesNotReachTheFileWhileARollIsStuck) {
  World world = World::Healthy(3, 1);
  world.EditConfig("databases", "banana");
  world.EditConfig("maxmemory-policy", "nonsense");
  EXPECT_THAT(world.FileToBe(), AllOf(Not(HasSubstr("databases")), Not(HasSubstr("nonsense"))));
  auto& first = world.Pod("demo-0-1");
  first.hash = PodHash(world.observation.cluster);
  first.live_notes = {};
  world.Kill("demo-0-1");
  first.trouble = "CrashLoopBackOff";
  TakeNotes(world);
  EXPECT_THAT(world.FileToBe(), Not(HasSubstr("nonsense")));
}

// An old pod has no such limit, and may start again before it is replaced.
TEST(LiveConfig, OfMemoryWaitsForTheNewLimitAlsoInTheFile) {
  World world = World::Healthy(3, 1);
  world.observation.cluster.spec.resources = {{"limits", {{"memory", "1Gi"}}}};
  EXPECT_THAT(world.FileToBe(), Not(HasSubstr("maxmemory ")));
  for (auto& pod : world.observation.pods) pod.hash = PodHash(world.observation.cluster);
  TakeLiveChanges(world, "");
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

// It may start before the file is written, or after, and the operator may die in between.
TEST(LiveConfig, OfANewPodIsNotKnownWhileTheFileIsAboutToChange) {
  World world = World::Healthy(3, 1);
  world.EditConfig("maxmemory-policy", "allkeys-lru");
  TakeLiveChanges(world, "");
  world.RemovePod("demo-2-1");
  const auto note = [&] { return NotesOfTheNewPod(world.MakePlan()); };
  EXPECT_TRUE(note().unknown.contains("maxmemory-policy"));
  EXPECT_EQ(note().directives.at("loglevel"), "notice");
  world.TakeObjectsAsDesired();
  EXPECT_EQ(note().directives.at("maxmemory-policy"), "allkeys-lru");
  world.observation.cluster.spec.config.clear();
  EXPECT_TRUE(note().unknown.contains("maxmemory-policy")) << "only a restart takes it away, if it has it";
}

// It is about to start from one of the two, and the value may be taken back before anybody sees it.
TEST(LiveConfig, OfAPodThatIsStillToStartIsNotKnownOnceTheFileChanges) {
  World world = World::Healthy(3, 1);
  world.EditConfig("maxmemory-policy", "allkeys-lru");
  world.Kill("demo-2-1");
  TakeLiveChanges(world, "");
  EXPECT_THAT(world.Actions(), Contains("note that the configuration of Pod demo-2-1 is not known"));
  EXPECT_THAT(world.FileToBe(), Not(HasSubstr("allkeys-lru"))) << "the note comes first";
  TakeNotes(world);
  EXPECT_THAT(world.Pod("demo-2-1").live_notes.unknown, ElementsAre("maxmemory-policy"));
  EXPECT_THAT(world.Actions(), Not(Contains(HasSubstr("is not known")))) << "once";
  EXPECT_THAT(world.FileToBe(), HasSubstr("allkeys-lru"));
}

TEST(LiveConfig, BeforeTheClusterWasMadeIsNotKnownOfAnyPodOnceTheFileChanges) {
  World world(3, 1);
  world.EditConfig("maxmemory-policy", "allkeys-lru");
  EXPECT_THAT(world.Actions(), Contains("note that the configuration of Pod demo-0-0 is not known"));
  TakeNotes(world);
  EXPECT_THAT(world.FileToBe(), HasSubstr("allkeys-lru"));
  world.TakeObjectsAsDesired();
  world.observation.cluster.spec.config.clear();
  world.TakeObjectsAsDesired();
  world.Form();
  EXPECT_EQ(world.MakePlan().reason, "UpdatingPods") << "if one has it, only a restart takes it away";
}

// Edited while the cluster was being made: the file has it, no note does.
TEST(LiveConfig, ThatIsInTheFileAndWasRefusedIsTakenOutOfIt) {
  World world = World::Healthy(3, 1);
  world.EditConfig("maxmemory-policy", "nonsense");
  world.TakeObjectsAsDesired();
  for (auto& pod : world.observation.pods) pod.live_notes.unknown.insert("maxmemory-policy");
  EXPECT_THAT(world.FileToBe(), HasSubstr("nonsense")) << "nobody was asked yet";
  world.Pod("demo-0-0").live_notes.refused = {{"maxmemory-policy", "nonsense"}};
  EXPECT_THAT(world.FileToBe(), Not(HasSubstr("nonsense")));
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
  back.Pod(change.node.pod).live_notes = *change.change.before;
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
  world.Pod(change.node.pod).live_notes = *change.change.if_refused;
  const auto again = FirstChange(world.MakePlan()).change;
  EXPECT_THAT(again.directives, ElementsAre(std::pair("maxmemory-policy", "nonsense"))) << "it is tried again";
  EXPECT_FALSE(again.before || again.if_refused) << "without notes each time";
  World back = World::Healthy(3, 1);
  back.Pod(change.node.pod).live_notes = *change.change.if_refused;
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

// A new image that does not exist must not keep the others from what they can have.
TEST(LiveConfig, IsSetOnOutdatedPodsWhereTheRollStands) {
  World world = World::Healthy(3, 1);
  world.observation.cluster.spec.image = "redis:7.9";
  world.EditConfig("maxmemory-policy", "allkeys-lru");
  auto& first = world.Pod("demo-0-1");
  first.hash = PodHash(world.observation.cluster);
  first.ready = false;
  first.trouble = "ErrImagePull: there is none";
  world.Kill("demo-0-1");
  const auto changes = [&](const char* since) {
    world.observation.cluster.status["operation"] = {{"step", "WaitingForPods"}, {"stepSince", since}};
    return std::ranges::count_if(world.MakePlan().actions,
                                 [](const Action& action) { return std::holds_alternative<SetConfig>(action); });
  };
  EXPECT_EQ(changes("2026-11-23T05:59:01Z"), 0) << "they may be replaced at once";
  EXPECT_EQ(changes("2026-11-23T05:59:00Z"), 5);
}

TEST(LiveConfig, GoesBackToADefaultByARestart) {
  World world = World::Healthy(3, 1);
  for (auto& pod : world.observation.pods) pod.live_notes.directives = {{"maxmemory-policy", "allkeys-lru"}};
  EXPECT_THAT(world.Actions(), Contains(HasSubstr("evict Pod")));
}

}  // namespace
}  // namespace slotwright::testing
