// What is refused, and whether the refusal helps: it names the field, the value and the way out.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/planning/world.h"

namespace slotwright::testing {
namespace {

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
                      w.Node("demo-1-0").table.reset();
                      w.Node("demo-1-0").unauthorized = true;
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
                    {"other-0-0.other-nodes", "CLUSTER FORGET", "demo-0-0"}}),
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

}  // namespace
}  // namespace slotwright::testing
