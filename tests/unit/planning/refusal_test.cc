// What is refused, and whether the refusal helps: it names the field, the value and the way out.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "controllers/api/names.h"
#include "tests/unit/planning/world.h"

namespace slotwright::testing {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

struct RefusalCase {
  const char* name;
  void (*spoil)(World&);
  const char* reason;
  std::vector<std::string> says;
};

void PrintTo(const RefusalCase& c, std::ostream* out) { *out << c.name; }

class Refusal : public ::testing::TestWithParam<RefusalCase> {};

TEST_P(Refusal, HarmsNothingAndSaysWhy) {
  World world = World::Healthy();
  GetParam().spoil(world);
  const Plan plan = world.MakePlan();
  EXPECT_THAT(plan.actions, IsEmpty());
  ASSERT_TRUE(plan.refusal);
  EXPECT_EQ(plan.refusal->reason, GetParam().reason);
  for (const auto& text : GetParam().says) EXPECT_THAT(plan.refusal->message, HasSubstr(text));
}

INSTANTIATE_TEST_SUITE_P(
    All, Refusal,
    ::testing::Values(
        RefusalCase{"OwnedDirective",
                    [](World& w) { w.observation.cluster.spec.config["port"] = "7000"; },
                    "InvalidSpec",
                    {"spec.config.port", "7000", "set spec.port"}},
        RefusalCase{"KeysAmongSeveralDatabases",
                    [](World& w) {
                      w.observation.cluster.spec.config["cluster-databases"] = "4";
                      w.observation.cluster.spec.rebalance.method = MigrationMethod::kKeys;
                    },
                    "InvalidSpec",
                    {"spec.rebalance.method", "Keys", "cluster-databases", "use Atomic or Auto"}},
        RefusalCase{"MaxMemoryAboveTheLimit",
                    [](World& w) {
                      w.observation.cluster.spec.resources = {{"limits", {{"memory", "1Gi"}}}};
                      w.observation.cluster.spec.config["maxmemory"] = "1GB";
                    },
                    "InvalidSpec",
                    {"spec.config.maxmemory", "1GB", "spec.resources.limits.memory (1Gi)", "remove it"}},
        RefusalCase{"NoMaxMemoryWithinALimit",
                    [](World& w) {
                      w.observation.cluster.spec.resources = {{"limits", {{"memory", "1Gi"}}}};
                      w.observation.cluster.spec.config["maxmemory"] = "0";
                    },
                    "InvalidSpec",
                    {"spec.config.maxmemory", "spec.resources.limits.memory (1Gi)"}},
        RefusalCase{"OwnedDirectiveInCapitals",
                    [](World& w) { w.observation.cluster.spec.config["DIR"] = "/x"; },
                    "InvalidSpec",
                    {"spec.config.DIR", "remove it"}},
        RefusalCase{"OwnedFamily",
                    [](World& w) { w.observation.cluster.spec.config["cluster-announce-ip"] = "1.2.3.4"; },
                    "InvalidSpec",
                    {"spec.config.cluster-announce-ip", "1.2.3.4", "remove it"}},
        RefusalCase{"NameOfTheDataThatTheStartScriptLooksFor",
                    [](World& w) { w.observation.cluster.spec.config["appenddirname"] = "aof"; },
                    "InvalidSpec",
                    {"spec.config.appenddirname", "aof", "remove it"}},
        RefusalCase{"NameOfAFileThatTheStartScriptLooksFor",
                    [](World& w) { w.observation.cluster.spec.config["appendfilename"] = "temp-x.aof"; },
                    "InvalidSpec",
                    {"spec.config.appendfilename", "temp-x.aof", "remove it"}},
        RefusalCase{"VolumesOfTheOnlyCopyOnWhichNothingIsSaved",
                    [](World& w) {
                      w.observation.cluster.spec.storage = StorageSpec{.size = "1Gi"};
                      w.observation.cluster.spec.replicas_per_master = 0;
                      w.observation.cluster.spec.config = {{"appendonly", "No"}, {"save", ""}};
                    },
                    "InvalidSpec",
                    {"spec.config.save", "spec.replicasPerMaster 0", "remove it"}},
        RefusalCase{"InjectedLine",
                    [](World& w) { w.observation.cluster.spec.config["save"] = "1 1\nport 1"; },
                    "InvalidSpec",
                    {"spec.config.save", "line break"}},
        RefusalCase{"DirectiveNameWithBlank",
                    [](World& w) { w.observation.cluster.spec.config["save 1 1"] = ""; },
                    "InvalidSpec",
                    {"spec.config.save 1 1"}},
        RefusalCase{"TooManyMasters",
                    [](World& w) { w.observation.cluster.spec.masters = 1001; },
                    "InvalidSpec",
                    {"spec.masters", "1001", "1 to 1000"}},
        RefusalCase{"NoImage", [](World& w) { w.observation.cluster.spec.image = ""; }, "InvalidSpec", {"spec.image"}},
        RefusalCase{"StorageSize",
                    [](World& w) { w.observation.cluster.spec.storage = StorageSpec{.size = "0"}; },
                    "InvalidSpec",
                    {"spec.storage.size", "10Gi"}},
        RefusalCase{"LittleMemory",
                    [](World& w) { w.observation.cluster.spec.resources = {{"limits", {{"memory", "1Mi"}}}}; },
                    "InvalidSpec",
                    {"spec.resources.limits.memory", "1Mi"}},
        RefusalCase{"LabelOfOurs",
                    [](World& w) { w.observation.cluster.spec.pod_labels["app.kubernetes.io/instance"] = "x"; },
                    "InvalidSpec",
                    {"spec.podTemplate.metadata.labels.app.kubernetes.io/instance", "remove it"}},
        RefusalCase{"AnnotationOfOurs",
                    [](World& w) { w.observation.cluster.spec.pod_annotations["slotwright.dev/pod-hash"] = "x"; },
                    "InvalidSpec",
                    {"spec.podTemplate.metadata.annotations.slotwright.dev/pod-hash", "remove it"}},
        RefusalCase{"MissingSecret",
                    [](World& w) {
                      w.observation.cluster.spec.auth.secret_name = "mine";
                      w.observation.password.state = PasswordView::State::kMissingSecret;
                    },
                    "SecretNotFound",
                    {"spec.auth.secretName", "mine", "create it"}},
        RefusalCase{"GeneratedSecretDeleted",
                    [](World& w) { w.observation.password.state = PasswordView::State::kMissingSecret; },
                    "SecretNotFound",
                    {"demo-auth", "bring it back"}},
        RefusalCase{"MissingKey",
                    [](World& w) {
                      w.observation.cluster.spec.auth = {"mine", "pw"};
                      w.observation.password.state = PasswordView::State::kMissingKey;
                    },
                    "SecretKeyNotFound",
                    {"spec.auth.key", "pw", "mine"}},
        RefusalCase{
            "ShortPassword",
            [](World& w) { w.observation.password = {PasswordView::State::kRefused, *PasswordProblem("short")}; },
            "PasswordRefused",
            {"demo-auth", "5 characters", "at least 16"}},
        RefusalCase{"NameTaken",
                    [](World& w) {
                      auto other = *w.observation.objects[{"Service", "demo"}];
                      other["metadata"].erase("ownerReferences");
                      w.observation.objects[{"Service", "demo"}] = std::make_shared<const reconciler::Json>(other);
                    },
                    "NameTaken",
                    {"Service demo", "another name"}},
        RefusalCase{"PodNameTaken", [](World& w) { w.Pod("demo-1-0").ours = false; }, "NameTaken", {"Pod demo-1-0"}},
        RefusalCase{"WrongPassword",
                    [](World& w) {
                      for (const char* pod : {"demo-1-0", "demo-1-1", "demo-2-1"}) w.RefusePassword(pod);
                    },
                    "PasswordNotAccepted",
                    {"demo-1-0", "put back the password"}},
        RefusalCase{"Stranger",
                    [](World& w) {
                      NodeLine line;
                      line.id = IdOf("stranger");
                      line.hostname = "other-0-0.other-nodes.default.svc";
                      line.flags.master = true;
                      w.Node("demo-0-0").table->lines.push_back(line);
                    },
                    "StrangerInCluster",
                    {"other-0-0.other-nodes", "CLUSTER FORGET", "demo-0-0"}},
        RefusalCase{"StrangerWithoutAName",
                    [](World& w) {
                      w = World::Healthy();
                      NodeLine line;
                      line.id = IdOf("stranger");
                      line.endpoint = {"10.9.9.9", 6379};
                      line.flags.master = true;
                      line.link_connected = true;
                      for (auto& node : w.observation.nodes) node.table->lines.push_back(line);
                    },
                    "StrangerInCluster",
                    {"10.9.9.9:6379", "CLUSTER FORGET", "demo-0-0"}}),
    [](const auto& param_info) { return param_info.param.name; });

TEST(Refusal, NeverShowsAPasswordThatSomebodyPutIntoTheConfiguration) {
  for (const char* directive :
       {"requirepass", "masterauth", "primaryauth", "tls-key-file-pass", "RequirePass ", "masterauth "}) {
    World world;
    world.observation.cluster.spec.config[directive] = "hunter2\nhunter2hunter2";
    const Plan plan = world.MakePlan();
    ASSERT_TRUE(plan.refusal) << directive;
    EXPECT_THAT(plan.message, Not(HasSubstr("hunter2"))) << directive;
    EXPECT_THAT(plan.message, HasSubstr(directive));
  }
}

// It is set when a quarantine ends, and one that servers refuse would let none end.
TEST(Refusal, IsSaidOfADelayThatNoServerTakes) {
  for (const char* value : {"5s", "-1", "3601", ""}) {
    World world;
    world.observation.cluster.spec.config = {{"repl-diskless-sync-delay", value}};
    EXPECT_THAT(world.MakePlan().message, HasSubstr("spec.config.repl-diskless-sync-delay")) << value;
  }
  World world;
  world.observation.cluster.spec.config = {{"repl-diskless-sync-delay", "0"}};
  EXPECT_FALSE(world.MakePlan().refusal);
}

TEST(Refusal, OfTheSpecificationHidesNoPasswordThatCannotBeRead) {
  World world = World::Healthy();
  world.observation.cluster.spec.config = {{"port", "1"}};
  world.observation.password = {PasswordView::State::kUnreadable, "forbidden"};
  const Plan plan = world.MakePlan();
  EXPECT_EQ(plan.reason, "InvalidSpec");
  EXPECT_THAT(plan.message, HasSubstr("; meanwhile SecretUnreadable: "));
  EXPECT_THAT(plan.actions, IsEmpty());
}

TEST(Refusal, ReportsEveryWrongFieldAtOnce) {
  World world;
  world.observation.cluster.spec.config = {{"port", "1"}, {"dir", "/x"}};
  world.observation.cluster.spec.masters = 0;
  const std::string message = world.MakePlan().message;
  EXPECT_THAT(message, HasSubstr("spec.config.port"));
  EXPECT_THAT(message, HasSubstr("spec.config.dir"));
  EXPECT_THAT(message, HasSubstr("spec.masters"));
}

TEST(Refusal, KnowsTheSameBoundsAsTheSchema) {
  World world = World::Healthy();
  world.observation.cluster.spec.port = 65535;
  EXPECT_FALSE(world.MakePlan().refusal);
  world.observation.cluster.spec.port = 65536;
  ASSERT_TRUE(world.MakePlan().refusal);
  EXPECT_THAT(world.MakePlan().message, HasSubstr("spec.port: \"65536\": use a value from 1 to 65535"));
}

struct Trouble {
  const char* name;
  void (*make)(World&);
};

void PrintTo(const Trouble& trouble, std::ostream* out) { *out << trouble.name; }

class Invalid : public ::testing::TestWithParam<Trouble> {};

// Whatever heals a cluster is done as if the last edit, which is refused, had not been made.
TEST_P(Invalid, SpecificationKeepsNoClusterFromBeingHealed) {
  World world = World::Healthy();
  GetParam().make(world);
  const auto healing = world.Actions();
  ASSERT_THAT(healing, Not(IsEmpty()));
  world.observation.cluster.spec.config["dir"] = "/x";
  world.observation.cluster.spec.masters = 5;
  world.observation.cluster.spec.image = "redis:8.0";
  EXPECT_EQ(world.Actions(), healing);
  const Plan plan = world.MakePlan();
  ASSERT_TRUE(plan.refusal);
  EXPECT_EQ(plan.reason, "InvalidSpec");
  EXPECT_THAT(plan.message, HasSubstr("spec.config.dir"));
  EXPECT_THAT(plan.message, HasSubstr("; meanwhile "));
  ASSERT_TRUE(plan.last_valid) << "what else the actions ask of the shard is by that one";
  EXPECT_TRUE(Validate(*plan.last_valid).empty());
  EXPECT_THAT(plan.refusal->message, Not(HasSubstr("meanwhile"))) << "it would be an event for each step";
}

INSTANTIATE_TEST_SUITE_P(All, Invalid,
                         ::testing::Values(Trouble{"PodGone", [](World& w) { w.RemovePod("demo-1-1"); }},
                                           Trouble{"AllPodsOfAShardGone",
                                                   [](World& w) {
                                                     w.RemovePod("demo-1-0");
                                                     w.RemovePod("demo-1-1");
                                                   }},
                                           Trouble{"NodeReborn",
                                                   [](World& w) {
                                                     w.Reincarnate("demo-1-1");
                                                     w.JoinAgain("demo-1-1");
                                                   }},
                                           Trouble{"NobodyIntroduced", [](World& w) { w.Reincarnate("demo-2-1"); }},
                                           Trouble{"SlotLeftOpen",
                                                   [](World& w) {
                                                     w.observation.cluster.status["operation"] = {{"slotsLeft", 7}};
                                                     w.Line("demo-0-0", "demo-0-0").open_slots = {
                                                         {.slot = 7,
                                                          .direction = OpenSlot::Direction::kMigrating,
                                                          .peer = IdOf("demo-1-0")}};
                                                     for (const char* master : {"demo-0-0", "demo-1-0", "demo-2-0"}) {
                                                       w.Node(master).keys_in_open_slots[7] = 0;
                                                     }
                                                   }},
                                           Trouble{"ServiceGone",
                                                   [](World& w) { w.observation.objects.erase({"Service", "demo"}); }}),
                         [](const auto& param_info) { return param_info.param.name; });

// kubectl expose copies the pod's labels.
TEST(NameTaken, IsNotSaidOfAnObjectThatOnlyHasOurLabels) {
  World world = World::Healthy();
  auto service = *world.observation.objects.at({"Service", "demo"});
  service["metadata"].erase("ownerReferences");
  service["metadata"]["name"] = "demo-0-0";
  world.observation.objects[{"Service", "demo-0-0"}] = std::make_shared<const reconciler::Json>(service);
  EXPECT_TRUE(world.MakePlan().settled);
}

TEST(InvalidSpecification, IsNeverBuiltFrom) {
  World world = World::Healthy();
  const std::string hash = world.Pod("demo-1-1").hash;
  world.RemovePod("demo-1-1");
  world.observation.cluster.spec.config["dir"] = "/x";
  world.observation.cluster.spec.config["maxmemory"] = "1gb";
  const Plan plan = world.MakePlan();
  ASSERT_EQ(plan.actions.size(), 1U);
  const auto& pod = std::get<CreatePod>(plan.actions[0]).pod;
  EXPECT_EQ(reconciler::AnnotationOf(pod, annotations::kPodHash), hash);
  EXPECT_THAT(reconciler::AnnotationOf(pod, annotations::kLiveConfig), Not(HasSubstr("1gb")));
}

TEST(InvalidSpecification, OfAClusterWhoseLastValidOneIsNotKnownIsWaitedOut) {
  for (const bool noted : {true, false}) {
    World world = World::Healthy();
    world.RemovePod("demo-1-1");
    world.observation.cluster.spec.config["dir"] = "/x";
    auto& map = world.observation.objects[{"ConfigMap", "demo-config"}];
    auto without = *map;
    if (!noted) without["metadata"].erase("annotations");
    map = std::make_shared<const reconciler::Json>(without);
    EXPECT_EQ(world.Actions().empty(), !noted);
    EXPECT_TRUE(world.MakePlan().refusal);
  }
}

// Somebody else's server may have the address of a pod whose machine died: the others do not reach that pod's node.
TEST(WrongPassword, OfWhomNobodyReachesHoldsUpNothing) {
  World world = World::Healthy(3, 1);
  world.Kill("demo-1-0");
  world.RefusePassword("demo-1-0");
  const Plan waiting = world.MakePlan();
  EXPECT_FALSE(waiting.refusal);
  EXPECT_THAT(waiting.message, AllOf(HasSubstr("demo-1-0"), HasSubstr("does not accept the password")));
  world.RemovePod("demo-2-1");
  EXPECT_THAT(world.Actions(), Contains("create Pod demo-2-1"));
}

// One that started anew after the Secret was changed has the new one, and knows nobody.
TEST(WrongPassword, IsToldThoughWhoAcceptsItKnowsNobody) {
  World world = World::Healthy(3, 1);
  world.Reincarnate("demo-1-1");
  for (const auto& node : std::vector(world.observation.nodes)) {
    if (node.pod != "demo-1-1") world.RefusePassword(node.pod);
  }
  ASSERT_TRUE(world.MakePlan().refusal) << world.MakePlan().message;
  EXPECT_EQ(world.MakePlan().refusal->reason, "PasswordNotAccepted");
}

// Put right, and one has the changed one still.
TEST(WrongPassword, OfOneOfOursHoldsUpNothingButItself) {
  World world = World::Healthy(3, 1);
  world.RefusePassword("demo-1-1");
  EXPECT_FALSE(world.MakePlan().refusal);
  EXPECT_THAT(world.MakePlan().message, AllOf(HasSubstr("demo-1-1"), HasSubstr("put that back")));
  world.RemovePod("demo-2-1");
  EXPECT_THAT(world.Actions(), Contains("create Pod demo-2-1"));
}

TEST(InvalidSpecification, OfAClusterThatIsNotFormedIsNotActedUpon) {
  World world;
  world.RemovePod("demo-1-1");
  world.observation.cluster.spec.config["dir"] = "/x";
  EXPECT_THAT(world.Actions(), IsEmpty());
}

TEST(InvalidSpecification, BesideAnotherRefusalSaysBothOnce) {
  World world = World::Healthy();
  for (const char* pod : {"demo-1-0", "demo-1-1", "demo-2-1"}) world.RefusePassword(pod);
  world.observation.cluster.spec.config["dir"] = "/x";
  const Plan plan = world.MakePlan();
  ASSERT_TRUE(plan.refusal);
  EXPECT_EQ(plan.refusal->reason, "InvalidSpec");
  EXPECT_THAT(plan.refusal->message, HasSubstr("spec.config.dir"));
  EXPECT_THAT(plan.refusal->message, HasSubstr("PasswordNotAccepted: demo-1-0"));
}

TEST(TakenName, OfAnObjectKeepsNoClusterFromBeingHealed) {
  World world = World::Healthy();
  auto& service = world.observation.objects[{"Service", "demo"}];
  auto other = *service;
  other["metadata"]["ownerReferences"][0]["uid"] = "somebody-else";
  other["spec"]["ports"][0]["port"] = 80;
  service = std::make_shared<const reconciler::Json>(other);
  world.RemovePod("demo-1-1");
  EXPECT_THAT(world.Actions(), ElementsAre("create Pod demo-1-1"));
  EXPECT_EQ(world.MakePlan().reason, "NameTaken");
}

TEST(TakenName, OfAPodStopsEverything) {
  World world = World::Healthy();
  world.Pod("demo-1-0").ours = false;
  world.RemovePod("demo-2-1");
  EXPECT_THAT(world.Actions(), IsEmpty());
}

TEST(Paused, TouchesNothingAndSaysWhatItWouldDo) {
  World world = World::Healthy();
  world.observation.cluster.paused = true;
  world.RemovePod("demo-1-1");
  const Plan plan = world.MakePlan();
  EXPECT_THAT(plan.actions, IsEmpty());
  EXPECT_THAT(plan.message, HasSubstr("create Pod demo-1-1"));
  EXPECT_FALSE(plan.settled);
}

TEST(Paused, StillSaysReadyIfNothingIsWrong) {
  World world = World::Healthy();
  world.observation.cluster.paused = true;
  EXPECT_TRUE(world.MakePlan().settled);
}

TEST(Deleting, IsLeftToKubernetes) {
  World world = World::Healthy();
  world.observation.cluster.being_deleted = true;
  world.RemovePod("demo-1-1");
  EXPECT_THAT(world.MakePlan().actions, IsEmpty());
}

// An operator that refuses what an earlier one took.
TEST(StricterOperator, LeavesNoClusterAloneThatItWouldRefuse) {
  World world = World::Healthy();
  world.observation.cluster.spec.config["cluster-databases"] = "4";
  world.observation.cluster.spec.rebalance.method = MigrationMethod::kKeys;
  world.TakeObjectsAsDesired();
  world.RemovePod("demo-1-1");
  EXPECT_THAT(world.Actions(), ElementsAre("create Pod demo-1-1"));
}

}  // namespace
}  // namespace slotwright::testing
