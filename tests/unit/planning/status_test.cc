// What people read in the resource's status.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "controllers/api/conditions.h"
#include "controllers/plan/waiting.h"
#include "controllers/status/last_written.h"
#include "controllers/status/status.h"
#include "tests/unit/planning/world.h"

namespace slotwright::testing {
namespace {

using reconciler::Json;
using ::testing::HasSubstr;

Json StatusOf(const World& world) { return BuildStatus(world.observation, Merge(world.observation), world.MakePlan()); }
std::string ConditionIn(const Json& status, const char* type) {
  return FindCondition(status["conditions"], type).value("status", "");
}

TEST(Status, OfAHealthyClusterNamesEveryNodeAndItsPlace) {
  const Json status = StatusOf(World::Healthy());
  EXPECT_EQ(status["masters"], 3);
  EXPECT_EQ(status["readyMasters"], 3);
  EXPECT_EQ(status["replicas"], 3);
  EXPECT_EQ(status["version"], "redis 7.0.15");
  EXPECT_EQ(status["selector"], "app.kubernetes.io/instance=demo,app.kubernetes.io/name=redis,slotwright.dev/index=0")
      << "as many pods as masters are counted, or an autoscaler multiplies";
  EXPECT_FALSE(status.contains("operation"));
  ASSERT_EQ(status["shards"].size(), 3U);
  EXPECT_EQ(status["shards"][1]["slots"], "5461-10922");
  EXPECT_EQ(status["shards"][1]["master"]["pod"], "demo-1-0");
  EXPECT_EQ(status["shards"][1]["replicas"][0]["pod"], "demo-1-1");
  EXPECT_EQ(status["shards"][1]["replicas"][0]["inSync"], true);
  EXPECT_EQ(ConditionIn(status, "Ready"), "True");
  EXPECT_EQ(ConditionIn(status, "Progressing"), "False");
  EXPECT_EQ(ConditionIn(status, "Degraded"), "False");
  EXPECT_EQ(ConditionIn(status, "SlotsCovered"), "True");
}

TEST(Status, OfACreationIsProgressingAndNotDegraded) {
  World world;
  world.AssignSlots();
  const Json status = StatusOf(world);
  EXPECT_EQ(ConditionIn(status, "Ready"), "False");
  EXPECT_EQ(ConditionIn(status, "Progressing"), "True");
  EXPECT_EQ(ConditionIn(status, "Degraded"), "False");
  EXPECT_EQ(status["operation"]["type"], "Create");
}

TEST(Status, OfARefusalIsDegradedAndNotProgressing) {
  World world = World::Healthy();
  world.observation.cluster.spec.config["port"] = "1";
  const Json status = StatusOf(world);
  EXPECT_EQ(ConditionIn(status, "Ready"), "False");
  EXPECT_EQ(ConditionIn(status, "Progressing"), "False");
  EXPECT_EQ(ConditionIn(status, "Degraded"), "True");
  EXPECT_THAT(FindCondition(status["conditions"], "Degraded")["message"].get<std::string>(),
              HasSubstr("spec.config.port"));
}

TEST(Status, DoesNotKnowTheSlotsWithoutThePassword) {
  World world = World::Healthy();
  world.observation.password.state = PasswordView::State::kMissingSecret;
  for (auto& node : world.observation.nodes) node.table.reset();
  EXPECT_EQ(ConditionIn(StatusOf(world), "SlotsCovered"), "Unknown");
}

TEST(Status, DoesNotKnowTheSlotsWithoutAPasswordThatIsAccepted) {
  World world = World::Healthy();
  for (const auto& node : std::vector(world.observation.nodes)) world.RefusePassword(node.pod);
  EXPECT_EQ(ConditionIn(StatusOf(world), "SlotsCovered"), "Unknown");
}

TEST(Status, OfAClusterThatLostANodeIsDegraded) {
  World world = World::Healthy();
  world.Kill("demo-2-1");
  const Json status = StatusOf(world);
  EXPECT_EQ(ConditionIn(status, "Degraded"), "True");
  EXPECT_EQ(status["replicas"], 2);
}

// Whatever is done about it, or fails.
TEST(Status, OfAClusterThatDoesNotServeAllSlotsIsDegraded) {
  World world = World::Healthy();
  world.Kill("demo-2-0");
  Plan plan = world.MakePlan();
  for (const char* reason : {"AwaitingReplica", "ActionFailed"}) {
    plan.step = "takeover";
    plan.reason = reason;
    plan.message = "why";
    const Json status = BuildStatus(world.observation, Merge(world.observation), plan);
    const Json degraded = FindCondition(status["conditions"], "Degraded");
    EXPECT_EQ(degraded["status"], "True");
    EXPECT_EQ(degraded["reason"], reason);
    EXPECT_EQ(degraded["message"], "5461 slots are not served; why");
  }
}

TEST(Status, ClipsAReasonThatIsTooLongForPeopleAndForKubernetes) {
  World world = World::Healthy();
  world.Kill("demo-2-1");
  Plan plan = world.MakePlan();
  plan.message = std::string(40000, 'x');
  plan.until_it_stands = true;
  for (int look = 0; look < 2; ++look) {
    world.observation.cluster.status = BuildStatus(world.observation, Merge(world.observation), plan);
    world.observation.now += std::chrono::minutes(1);
  }
  const Json& status = world.observation.cluster.status;
  EXPECT_EQ(status["operation"]["reason"], std::string(4093, 'x') + "…");
  EXPECT_EQ(FindCondition(status["conditions"], "Ready")["message"], std::string(4093, 'x') + "…");
  EXPECT_TRUE(Stands(world.observation, plan, std::chrono::minutes(2))) << "the same words, cut";
}

TEST(Status, SaysHowFastAMigrationIsOnceThatIsKnown) {
  World world = World::Healthy(3, 1);
  world.MoveAllSlots("demo-2-0", "demo-0-0");
  Plan plan = world.MakePlan();
  const auto operation = [&] { return BuildStatus(world.observation, Merge(world.observation), plan)["operation"]; };
  EXPECT_EQ(operation()["slotsLeft"], 5461);
  EXPECT_FALSE(operation().contains("keysPerSecond"));
  EXPECT_FALSE(operation().contains("estimatedSecondsLeft"));
  plan.migration->keys_per_second = 0;  // all were empty
  plan.migration->seconds_left = 7;
  EXPECT_EQ(operation()["keysPerSecond"], 0);
  EXPECT_EQ(operation()["estimatedSecondsLeft"], 7);
}

TEST(Status, OfAPausedClusterSaysSoAlsoWhenThereIsNothingToDo) {
  const auto ready = [](World world) {
    world.observation.cluster.paused = true;
    return FindCondition(StatusOf(world)["conditions"], "Ready");
  };
  EXPECT_EQ(ready(World::Healthy())["status"], "True");
  EXPECT_THAT(ready(World::Healthy())["message"].get<std::string>(), HasSubstr("nodes agree; paused by annotation"));
  World waiting = World::Healthy();
  waiting.Pod("demo-1-1").trouble = "ErrImagePull: no";
  EXPECT_EQ(ready(waiting)["reason"], "WaitingForPods");
  EXPECT_THAT(ready(waiting)["message"].get<std::string>(), HasSubstr("; paused by annotation"));
}

// Whoever led before may have had a clock that was ahead. Waiting until ours gets there would hold up what heals.
TEST(Status, OfAStepThatBeginsInTheFutureBeginsNow) {
  World world = World::Healthy();
  world.Kill("demo-2-1");
  world.observation.cluster.status = StatusOf(world);
  const auto since = [&](std::chrono::seconds ahead) {
    world.observation.cluster.status["operation"]["stepSince"] = reconciler::FormatTime(world.observation.now + ahead);
    return reconciler::ParseTime(StatusOf(world)["operation"]["stepSince"].get<std::string>()) - world.observation.now;
  };
  EXPECT_EQ(since(std::chrono::seconds(-60)), std::chrono::seconds(-60));
  EXPECT_EQ(since(std::chrono::seconds(300)), std::chrono::seconds(0));
}

TEST(Status, IsTheSameAgainWhenNothingHappened) {
  World world = World::Healthy();
  const Json first = StatusOf(world);
  world.observation.cluster.status = first;
  world.observation.cluster.formed_at = first["formedAt"];
  world.observation.now += std::chrono::hours(1);
  world.Node("demo-0-0").server.keys = 1000;
  world.Node("demo-0-0").server.master_repl_offset = 99999;
  EXPECT_EQ(StatusOf(world), first);
}

TEST(Status, HoldsNoPasswordState) {
  World world = World::Healthy();
  EXPECT_EQ(StatusOf(world).dump().find("password"), std::string::npos);
}

reconciler::ObjectPtr Version(const std::string& version, const std::string& status, const std::string& uid = "u") {
  return std::make_shared<const Json>(
      Json{{"metadata", {{"namespace", "default"}, {"name", "demo"}, {"uid", uid}, {"resourceVersion", version}}},
           {"spec", version},
           {"status", status}});
}

// Its specification too: where the cache is late somebody may have paused it, or taken an edit back, since.
TEST(LastWritten, IsTheObjectUntilTheCacheHasSeenIt) {
  LastWritten statuses;
  EXPECT_EQ(*statuses.Newest(Version("9", "cached")), *Version("9", "cached"));
  statuses.Remember(*Version("10", "written"));
  EXPECT_EQ(*statuses.Newest(Version("9", "cached")), *Version("10", "written"));
  EXPECT_EQ((*statuses.Newest(Version("10", "cached")))["status"], "cached");
  EXPECT_EQ((*statuses.Newest(Version("11", "cached")))["status"], "cached");
}

TEST(LastWritten, IsOfOneLifeOfAName) {
  LastWritten statuses;
  statuses.Remember(*Version("10", "written"));
  EXPECT_EQ((*statuses.Newest(Version("9", "cached", "another")))["status"], "cached");
  statuses.Forget({"default", "demo"});
  EXPECT_EQ((*statuses.Newest(Version("9", "cached")))["status"], "cached");
}

TEST(LastWritten, IsNotTrustedWhereVersionsAreNoNumbers) {
  LastWritten statuses;
  statuses.Remember(*Version("10", "written"));
  EXPECT_EQ((*statuses.Newest(Version("a9", "cached")))["status"], "cached");
}

}  // namespace
}  // namespace slotwright::testing
