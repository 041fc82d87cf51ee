// What the planner does about claims when spec.storage changes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/planning/world.h"

namespace slotwright::testing {
namespace {

using reconciler::Json;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

World WithStorage(bool retain = true) {
  World world = World::Healthy(3, 0);
  world.observation.cluster.spec.storage = StorageSpec{.size = "10Gi", .storage_class_name = "fast", .retain = retain};
  world.TakeObjectsAsDesired();
  world.TakePodsAsDesired();
  return world;
}

// What the first action would send for the claim of demo-0-0.
Json Change(const World& world) { return std::get<EnsureObject>(world.MakePlan().actions.at(0)).desired.object; }

TEST(Storage, GrowsWithTheSpecification) {
  World world = WithStorage();
  EXPECT_THAT(world.Actions(), IsEmpty());
  world.observation.cluster.spec.storage->size = "20Gi";
  EXPECT_THAT(world.Actions(), SizeIs(3));
  EXPECT_EQ(Change(world)["spec"], Json::parse(R"({"resources":{"requests":{"storage":"20Gi"}}})"))
      << "nothing else of a claim can be changed";
}

TEST(Storage, IsTheSameSizeInOtherUnits) {
  World world = WithStorage();
  world.observation.cluster.spec.storage->size = "10240Mi";
  EXPECT_TRUE(world.MakePlan().settled) << world.MakePlan().message;
}

TEST(Storage, NeverShrinksAndSaysSoWhenNothingElseIsLeftToDo) {
  World world = WithStorage();
  world.observation.cluster.spec.storage->size = "5Gi";
  const Plan plan = world.MakePlan();
  ASSERT_TRUE(plan.refusal) << plan.message;
  EXPECT_EQ(plan.refusal->reason, "StorageCannotShrink");
  EXPECT_THAT(plan.message, AllOf(HasSubstr("spec.storage.size"), HasSubstr("5Gi"), HasSubstr("10Gi or more")));
  world.RemovePod("demo-1-0");
  EXPECT_EQ(world.MakePlan().reason, "CreatingPods");
}

TEST(Storage, KeepsItsClassAndSaysSo) {
  World world = WithStorage();
  world.observation.cluster.spec.storage->storage_class_name = "slow";
  EXPECT_EQ(world.MakePlan().reason, "StorageClassCannotChange");
  EXPECT_THAT(world.MakePlan().message, AllOf(HasSubstr("slow"), HasSubstr("fast")));
}

TEST(Storage, OfNoClassIsOfTheClassThatTheOthersHave) {
  World world = WithStorage();
  world.observation.cluster.spec.storage->storage_class_name.clear();
  world.observation.objects.erase({"PersistentVolumeClaim", "data-demo-1-0"});
  EXPECT_EQ(Change(world)["spec"].value("storageClassName", ""), "fast");
}

TEST(Storage, ThatHasNotGrownForAMinuteIsSaid) {
  World world = WithStorage();
  auto& claim = world.observation.objects.at({"PersistentVolumeClaim", "data-demo-1-0"});
  reconciler::Json pending = *claim;
  pending["status"]["conditions"] = {{{"type", "FileSystemResizePending"},
                                      {"status", "True"},
                                      {"message", "Waiting for user to (re-)start a pod"},
                                      {"lastTransitionTime", "2026-11-23T05:59:01Z"}}};
  claim = std::make_shared<const reconciler::Json>(pending);
  world.observation.now = reconciler::ParseTime("2026-11-23T06:00:00Z");
  EXPECT_TRUE(world.MakePlan().settled) << "most drivers need some seconds";
  world.observation.now = reconciler::ParseTime("2026-11-23T06:00:01Z");
  const Plan plan = world.MakePlan();
  EXPECT_EQ(plan.reason, "StorageNotGrown");
  EXPECT_THAT(plan.message, AllOf(HasSubstr("(re-)start a pod"), HasSubstr("kubectl delete pod demo-1-0")));
}

TEST(Storage, OfAShardThatIsGoneIsDeletedOnlyIfItIsNotToBeRetained) {
  for (const bool retain : {true, false}) {
    World world = WithStorage(retain);
    world.MoveAllSlots("demo-2-0", "demo-1-0");
    world.observation.cluster.spec.masters = 2;
    world.RemovePod("demo-2-0");
    world.Introduce();
    EXPECT_THAT(world.Actions(), Contains("delete PersistentVolumeClaim data-demo-2-0").Times(retain ? 0 : 1));
  }
}

// Somebody made one that names the cluster as its owner.
TEST(Storage, UnderANameThatNoClaimOfOursHasIsLeftAlone) {
  World world = WithStorage(false);
  auto& objects = world.observation.objects;
  objects[{"PersistentVolumeClaim", "d"}] = objects.at({"PersistentVolumeClaim", "data-demo-1-0"});
  EXPECT_TRUE(world.MakePlan().settled) << world.MakePlan().message;
}

// Found by the simulation: all pods went, and meanwhile replicasPerMaster was edited. The masters of that time, and
// what they wrote last, are on volumes of pods that nobody asks for any more.
TEST(Storage, OfAMasterThatIsOneTooManyIsWantedBackWhileNobodyServesItsSlots) {
  for (const bool succeeded : {false, true}) {
    SCOPED_TRACE(succeeded);
    World world = World::Healthy(3, 1);
    world.observation.cluster.spec.storage = StorageSpec{.size = "10Gi", .storage_class_name = "fast", .retain = false};
    world.TakeObjectsAsDesired();
    world.TakePodsAsDesired();
    if (!succeeded) world.SwapRoles("demo-1-0", "demo-1-1");
    world.observation.cluster.spec.replicas_per_master = 0;
    world.Kill("demo-1-1");
    world.RemovePod("demo-1-1");
    if (succeeded) world.Introduce();
    EXPECT_THAT(world.Actions(), Contains("create Pod demo-1-1").Times(succeeded ? 0 : 1));
    EXPECT_THAT(world.Actions(), Contains("delete PersistentVolumeClaim data-demo-1-1").Times(succeeded ? 1 : 0));
  }
}

// It was master long ago, comes back with its table of then, and answers before it hears of its successor.
TEST(Storage, OfAMasterThatIsOneTooManyIsKeptWhileAnOlderOneCallsItsSlotsItsOwn) {
  World world = World::Healthy(3, 1);
  world.observation.cluster.spec.storage = StorageSpec{.size = "10Gi", .storage_class_name = "fast", .retain = false};
  world.TakeObjectsAsDesired();
  world.TakePodsAsDesired();
  const NodeTable of_then = *world.Node("demo-1-0").table;
  world.SwapRoles("demo-1-0", "demo-1-1");
  for (auto& node : world.observation.nodes) {
    NodeLine& old_master = world.Line(node.pod, "demo-1-0");  // as it has just said itself
    old_master.flags.master = true;
    old_master.flags.replica = false;
    old_master.master.reset();
  }
  world.Node("demo-1-0").table = of_then;
  world.Node("demo-1-0").server.master_role = true;
  world.observation.cluster.spec.replicas_per_master = 0;
  world.RemovePod("demo-1-1");
  world.Kill("demo-0-1");  // else views would be put right first
  EXPECT_EQ(Merge(world.observation).covered.size(), kSlotCount) << "as it seems";
  EXPECT_THAT(world.Actions(), Not(Contains("delete PersistentVolumeClaim data-demo-1-1"))) << world.MakePlan().reason;
}

// As after a cluster was deleted and made anew over its retained volumes, with fewer masters.
TEST(Storage, OfAShardIsWantedBackWhileThatOwnsSlots) {
  for (const bool drained : {true, false}) {
    World world = WithStorage();
    if (drained) world.MoveAllSlots("demo-2-0", "demo-1-0");
    world.observation.cluster.spec.masters = 2;
    world.RemovePod("demo-2-0");
    std::erase_if(world.observation.objects, [](const auto& entry) { return entry.first.second == "demo-2"; });
    EXPECT_THAT(world.Actions(), Contains("create Pod demo-2-0").Times(drained ? 0 : 1));
  }
}

TEST(Storage, BelongsToTheClusterOnlyWhileItIsToBeDeletedWithIt) {
  World kept = WithStorage(true);
  kept.observation.cluster.spec.storage->retain = false;
  EXPECT_THAT(kept.Actions(), SizeIs(3));
  EXPECT_EQ(Change(kept)["metadata"]["ownerReferences"].size(), 1U);
  World deleted = WithStorage(false);
  deleted.observation.cluster.spec.storage->retain = true;
  EXPECT_THAT(deleted.Actions(), SizeIs(3));
  EXPECT_EQ(Change(deleted)["metadata"]["ownerReferences"], nullptr) << "null removes it";
}

TEST(Storage, OfWhichTheClaimIsBeingDeletedKeepsItsPod) {
  World world = WithStorage();
  world.observation.cluster.spec.image = "redis:8.2";
  world.TakeObjectsAsDesired();
  EXPECT_THAT(world.Actions(), ElementsAre(HasSubstr("evict Pod demo-")));
  EXPECT_EQ(std::get<EvictPod>(world.MakePlan().actions.at(0)).grace_period, std::chrono::hours(1))
      << "without append-only files it writes all that it has as it ends";
  for (const std::string pod : {"demo-0-0", "demo-1-0", "demo-2-0"}) {
    auto& claim = world.observation.objects.at({"PersistentVolumeClaim", "data-" + pod});
    auto going = *claim;
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z";
    claim = std::make_shared<const Json>(std::move(going));
  }
  const Plan plan = world.MakePlan();
  ASSERT_TRUE(plan.refusal) << plan.message;
  EXPECT_EQ(plan.refusal->reason, "ClaimBeingDeleted");
  EXPECT_THAT(world.Actions(), IsEmpty());
}

TEST(FullDisk, OfAMasterHandsItsSlotsOverAndOtherwiseIsSaid) {
  World world = World::Healthy();
  world.Node("demo-0-0").server.append_failed = true;
  EXPECT_THAT(world.Actions(), IsEmpty()) << "append-only files are off by now";
  for (auto& node : world.observation.nodes) node.server.aof_enabled = true;
  EXPECT_THAT(world.Actions(), ElementsAre(AllOf(HasSubstr("let demo-0-1"), HasSubstr("take over"))));
  // A slot that cannot come because of it is not waited for.
  World importing = world;
  importing.Line("demo-0-0", "demo-0-0").open_slots = {
      {.slot = 6000, .direction = OpenSlot::Direction::kImporting, .peer = IdOf("demo-1-0")}};
  EXPECT_THAT(importing.Actions(), ElementsAre(HasSubstr("let demo-0-1")));
  // Nor is a replica that is not there yet, where another master can be helped.
  World two = world;
  two.Node("demo-0-1").server.rewrites_aof = true;
  two.Node("demo-1-0").server.append_failed = true;
  EXPECT_THAT(two.Actions(), ElementsAre(HasSubstr("let demo-1-1")));
  world.Node("demo-0-1").server.append_failed = true;
  const Plan plan = world.MakePlan();
  EXPECT_THAT(plan.actions, IsEmpty());
  EXPECT_EQ(plan.reason, "DiskTakesNothing");
  EXPECT_THAT(plan.message, HasSubstr("demo-0-0 refuses writes"));
}

// stop-writes-on-bgsave-error and save points in writeCommandsDeniedByDiskError of Redis' src/server.c.
TEST(FullDisk, IsWhereASaveFailedThatIsAskedFor) {
  World world = World::Healthy();
  NodeView& node = world.Node("demo-0-0");
  node.server.save_failed = true;
  RedisCluster cluster = world.observation.cluster;
  EXPECT_FALSE(RefusesWrites(cluster, node));
  cluster.spec.config["save"] = "60 1";
  EXPECT_TRUE(RefusesWrites(cluster, node));
  cluster.spec.config["stop-writes-on-bgsave-error"] = "no";
  EXPECT_FALSE(RefusesWrites(cluster, node));
  cluster.spec.config.clear();
  cluster.spec.storage = StorageSpec{.size = "10Gi"};
  EXPECT_TRUE(RefusesWrites(cluster, node));
  cluster.spec.config["save"] = "";
  EXPECT_FALSE(RefusesWrites(cluster, node));
}

// Simulation, seed 660063: they had grown, that was not written down yet, and the next edit was refused.
TEST(Storage, OfClaimsThatAreLargerThanTheLastValidSpecificationSaysIsFine) {
  World world = WithStorage();
  auto object = ClusterObject(3, 0);
  object["spec"]["storage"] = {{"size", "10Gi"}, {"storageClassName", "fast"}};
  world.observation.cluster.spec = ParseRedisCluster(object)->spec;
  world.observation.cluster.spec_json = object["spec"];
  world.TakeObjectsAsDesired();
  world.TakePodsAsDesired();
  auto& claim = world.observation.objects.at({"PersistentVolumeClaim", "data-demo-1-0"});
  Json grown = *claim;
  grown["spec"]["resources"]["requests"]["storage"] = "30Gi";
  claim = std::make_shared<const Json>(grown);
  EXPECT_EQ(world.MakePlan().reason, "StorageCannotShrink");
  world.observation.cluster.spec.config["port"] = "1";
  EXPECT_EQ(world.MakePlan().reason, "InvalidSpec");
  EXPECT_THAT(world.MakePlan().message, Not(HasSubstr("meanwhile")));
}

}  // namespace
}  // namespace slotwright::testing
