// The commands that look at a cluster, as their own processes: what they print, how they end, and that they change
// nothing.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdio>
#include <fstream>

#include "controllers/api/names.h"
#include "reconciler/base/yaml.h"
#include "tests/integration/harness.h"
#include "tests/support/temporary_folder.h"

namespace slotwright::testing {
namespace {

using reconciler::Json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
namespace types = reconciler::types;

constexpr const char* kExample = SLOTWRIGHT_SOURCE_DIR "/examples/rediscluster.yaml";

struct Outcome {
  int code = -1;
  std::string text;  // of both streams
};

class Commands : public ::testing::Test {
 protected:
  Outcome Slotwright(const std::string& arguments) {
    const auto command =
        fmt::format("KUBECONFIG='{}' " SLOTWRIGHT " {} 2>&1", harness_.cluster().kubeconfig(), arguments);
    Outcome outcome;
    FILE* stream = ::popen(command.c_str(), "r");
    std::array<char, 4096> buffer{};
    while (const size_t size = std::fread(buffer.data(), 1, buffer.size(), stream)) {
      outcome.text.append(buffer.data(), size);
    }
    const int status = ::pclose(stream);
    outcome.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    return outcome;
  }

  std::string File(const std::string& name, const std::string& content) {
    std::string path = folder_.path() + "/" + name;
    std::ofstream(path) << content;
    return path;
  }

  // Of all that there is of it, and the cluster itself.
  std::map<std::string, std::string> Versions() {
    std::map<std::string, std::string> versions;
    for (const auto& type : {kRedisClusters, types::kPods, types::kServices, types::kConfigMaps, types::kSecrets,
                             types::kPodDisruptionBudgets, types::kPersistentVolumeClaims}) {
      const auto list = harness_.client().ListAll(type, {.ns = "default"});
      EXPECT_TRUE(list) << type.plural;
      for (const auto& object : list ? list->items : std::vector<Json>()) {
        versions[type.kind + " " + reconciler::KeyOf(object).name] =
            reconciler::StringAt(object, {"metadata", "resourceVersion"});
      }
    }
    return versions;
  }

  /// Ready, as Kubernetes sees it too, and nobody there to change anything.
  void BringUpTheExample() {
    harness_.StartOperator();
    Json object = (*reconciler::ReadYamlFile(kExample)).front();
    object["metadata"]["namespace"] = "default";
    ASSERT_TRUE(harness_.client().Create(kRedisClusters, object));
    ASSERT_TRUE(harness_.BecomesReady());
    ASSERT_TRUE(Harness::Eventually([&] {
      return std::ranges::all_of(harness_.Look().observation.pods, [](const PodView& pod) { return pod.ready; });
    }));
    harness_.StopOperator();
  }

  Harness harness_;
  TemporaryFolder folder_;
};

TEST_F(Commands, PlanOfAFileSaysWhatWouldBeMadeOfItAndMakesNothing) {
  const auto plan = Slotwright(fmt::format("plan -f {}", kExample));
  EXPECT_EQ(plan.code, 0) << plan.text;
  EXPECT_THAT(plan.text, AllOf(StartsWith("CreatingObjects: "), HasSubstr("  - generate a password\n"),
                               HasSubstr("what follows depends on")));
  EXPECT_THAT(Versions(), ::testing::IsEmpty());
}

TEST_F(Commands, LookAtAClusterWithoutTouchingIt) {
  ASSERT_NO_FATAL_FAILURE(BringUpTheExample());
  auto before = Versions();
  for (const std::string which : {"--name demo", "demo", "-n default demo", kExample}) {
    const auto plan = Slotwright(fmt::format("plan {}{}", which == kExample ? "-f " : "", which));
    EXPECT_EQ(plan.code, 0) << which;
    EXPECT_THAT(plan.text, HasSubstr("Nothing to do.\n")) << which;
  }
  auto check = Slotwright("check demo");
  EXPECT_EQ(check.code, 0);
  EXPECT_THAT(check.text,
              AllOf(HasSubstr("[OK]   all 6 nodes answer\n"), HasSubstr("demo-2-1"), Not(HasSubstr("[FAIL]"))));
  auto status = Slotwright("status demo");
  EXPECT_EQ(status.code, 0);
  EXPECT_THAT(status.text,
              AllOf(StartsWith("RedisCluster default/demo: 3 masters, 1 replica each"), HasSubstr("demo-2-1")));
  EXPECT_EQ(Versions(), before);

  const std::string wider = File("wider.yaml", R"(
apiVersion: slotwright.dev/v1alpha1
kind: RedisCluster
metadata: {name: demo}
spec: {masters: 4, replicasPerMaster: 1, image: "redis:7.0"}
)");
  auto plan = Slotwright("plan -f " + wider);
  EXPECT_EQ(plan.code, 0) << plan.text;
  EXPECT_THAT(plan.text, AllOf(StartsWith("CreatingPods: "), HasSubstr("  - create Pod demo-3-0\n")));
  EXPECT_THAT(Slotwright("plan --name demo").text, HasSubstr("Nothing to do.\n")) << "nobody has applied it";
  EXPECT_EQ(Versions(), before);

  harness_.PatchSpec({{"masters", 4}});
  before = Versions();
  plan = Slotwright("plan --name demo");
  EXPECT_EQ(plan.code, 0);
  EXPECT_THAT(plan.text, AllOf(StartsWith("CreatingPods: "), HasSubstr("  - create Pod demo-3-0\n")));
  check = Slotwright("check demo");
  EXPECT_EQ(check.code, 1);
  EXPECT_THAT(check.text, HasSubstr("[FAIL] 6 of 8 nodes answer\n"));
  EXPECT_THAT(Slotwright("status demo").text, HasSubstr("The operator has not seen the newest specification yet.\n"));

  harness_.PatchSpec({{"config", {{"port", "7000"}}}});
  plan = Slotwright("plan demo");
  EXPECT_EQ(plan.code, 1);
  EXPECT_THAT(plan.text, AllOf(StartsWith("InvalidSpec: "), HasSubstr("spec.config.port"),
                               HasSubstr("Refused: this needs a person.\n")));
  before["RedisCluster demo"] = Versions()["RedisCluster demo"];
  EXPECT_EQ(Versions(), before);
}

TEST_F(Commands, SayWhatIsWrongWithTheirArgumentsAndFail) {
  const std::string head = "apiVersion: slotwright.dev/v1alpha1\nkind: RedisCluster\nmetadata: {name: demo}\n";
  const std::string bad_field = File("bad-field.yaml", head + "spec: {image: redis:7.0, masters: many}\n");
  const std::string no_spec = File("no-spec.yaml", head);
  const std::string two = File("two.yaml", head + "spec: {}\n---\n" + head + "spec: {}\n");
  const std::string no_object = File("no-object.yaml", head + "spec: {}\n---\nkind: Service\n");
  const std::string no_yaml = File("no-yaml.yaml", "spec: {\n");
  const std::string empty = File("empty.yaml", "");
  const std::vector<std::pair<std::string, std::vector<std::string>>> table = {
      {"plan -f " + bad_field, {bad_field, "spec.masters", "integer"}},
      {"plan -f " + no_spec, {no_spec, "needs a spec"}},
      {"plan -f " + two, {two, "holds 2 RedisClusters; give a file with one"}},
      {"plan -f " + no_object, {no_object, "document 2 ", "it needs apiVersion, kind and metadata"}},
      {"plan -f " + no_yaml, {no_yaml, "line "}},
      {"plan -f " + empty, {empty, "describes no object"}},
      {"plan -f " + folder_.path() + "/none.yaml", {"none.yaml", "does not exist"}},
      {"plan", {"-f"}},
      {"plan demo -f " + two, {"-f"}},
      {"plan --name ''", {"it is empty"}},
      {"plan other", {"there is no RedisCluster other in the namespace default", "kubectl get rdc -A"}},
      {"check other", {"there is no RedisCluster other in the namespace default", "kubectl get rdc -A"}},
      {"status other -n ns", {"there is no RedisCluster other in the namespace ns", "kubectl get rdc -A"}},
  };
  for (const auto& [arguments, words] : table) {
    const auto outcome = Slotwright(arguments);
    EXPECT_EQ(outcome.code, 2) << arguments;
    for (const auto& word : words) EXPECT_THAT(outcome.text, HasSubstr(word)) << arguments;
  }
}

}  // namespace
}  // namespace slotwright::testing
