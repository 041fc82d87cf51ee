// The Kubernetes objects and the configuration that a specification gives.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "controllers/resources/configuration.h"
#include "controllers/resources/resources.h"
#include "tests/unit/planning/world.h"

namespace slotwright::testing {
namespace {

using reconciler::Json;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

RedisCluster Cluster() { return *ParseRedisCluster(ClusterObject()); }

// One word each, as for CONFIG SET; tried on Redis 7.0 and 8.2, Valkey 8.0 and 9.1.
TEST(RedisConf, IsReadBackAsItWasWritten) {
  auto cluster = *ParseRedisCluster(ClusterObject());
  cluster.spec.config = {{"save", "3600 1 300 100"},
                         {"proc-title-template", "{title} {listen-addr} x"},
                         {"unixsocket", "a \"b\" \\c"},
                         {"bind-source-addr", ""}};
  const Json map = ConfigMap(cluster);
  const std::string file = map["data"]["redis.conf"];
  EXPECT_THAT(file, HasSubstr("\nsave \"3600 1 300 100\"\n"));
  const auto read = DirectivesIn(map);
  for (const auto& [name, value] : cluster.spec.config) EXPECT_EQ(read.at(name), value) << name;
}

TEST(RedisConf, HoldsNoPassword) {
  EXPECT_THAT(RedisConf(Cluster()), Not(HasSubstr("requirepass ")));
  EXPECT_THAT(RedisConf(Cluster()), Not(HasSubstr("masterauth ")));
}

TEST(RedisConf, TakesUserDirectivesOverOurDefaultsButNotOverWhatWeOwn) {
  auto cluster = Cluster();
  cluster.spec.config = {{"repl-diskless-sync-delay", "5"}, {"cluster-allow-replica-migration", "yes"}};
  EXPECT_THAT(RedisConf(cluster), HasSubstr("\nrepl-diskless-sync-delay 5\n"));
  EXPECT_THAT(RedisConf(cluster), HasSubstr("\ncluster-allow-replica-migration no\n"));
}

TEST(RedisConf, LeavesAQuarterOfTheMemoryLimitForEverythingButData) {
  auto cluster = Cluster();
  EXPECT_THAT(RedisConf(cluster), Not(HasSubstr("maxmemory")));
  cluster.spec.resources = {{"limits", {{"memory", "1Gi"}}}};
  EXPECT_THAT(RedisConf(cluster), HasSubstr("\nmaxmemory 805306368\n"));
  cluster.spec.config["maxmemory"] = "5mb";
  EXPECT_THAT(RedisConf(cluster), HasSubstr("\nmaxmemory 5mb\n"));
}

TEST(RedisConf, PersistsOnlyWithStorage) {
  auto cluster = Cluster();
  EXPECT_THAT(RedisConf(cluster), HasSubstr("appendonly no\n"));
  EXPECT_THAT(RedisConf(cluster), HasSubstr("save \"\"\n"));
  cluster.spec.storage = StorageSpec{.size = "1Gi"};
  EXPECT_THAT(RedisConf(cluster), HasSubstr("appendonly yes\n"));
  EXPECT_THAT(RedisConf(cluster), Not(HasSubstr("save \"\"")));
}

TEST(FailoverWait, FollowsTheNodeTimeout) {
  auto cluster = Cluster();
  EXPECT_EQ(FailoverWaitSeconds(cluster), 11);
  cluster.spec.config["cluster-node-timeout"] = "15000";
  EXPECT_EQ(FailoverWaitSeconds(cluster), 21);
  for (const char* refused : {"5s", "abc", "-1", "99999999999999999999"}) {
    cluster.spec.config["cluster-node-timeout"] = refused;
    EXPECT_EQ(FailoverWaitSeconds(cluster), 11) << refused;
  }
}

TEST(Pod, MeetsTheRestrictedPodSecurityStandard) {
  const Json pod = DesiredPod(Cluster(), 0, 0);
  const Json& spec = pod["spec"];
  const Json& container = spec["containers"][0];
  EXPECT_EQ(spec["securityContext"]["runAsNonRoot"], true);
  EXPECT_EQ(spec["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
  EXPECT_EQ(container["securityContext"]["allowPrivilegeEscalation"], false);
  EXPECT_EQ(container["securityContext"]["capabilities"]["drop"], Json::array({"ALL"}));
  EXPECT_EQ(container["securityContext"]["readOnlyRootFilesystem"], true);
  EXPECT_EQ(spec["automountServiceAccountToken"], false);
  for (const auto& volume : spec["volumes"]) EXPECT_FALSE(volume.contains("hostPath"));
}

TEST(Pod, ShowsThePasswordNeitherInEnvironmentNorInCommandLine) {
  const Json pod = DesiredPod(Cluster(), 0, 0);
  for (const auto& variable : pod["spec"]["containers"][0]["env"]) {
    EXPECT_FALSE(variable.value("valueFrom", Json::object()).contains("secretKeyRef"));
  }
}

// A new operator's scripts are mounted into pods that an older one made, whose arguments stay as they were. Change this
// only together with scripts that take both.
TEST(Pod, CallsItsScriptsAsEarlierVersionsDid) {
  const Json container = DesiredPod(Cluster(), 0, 0)["spec"]["containers"][0];
  EXPECT_EQ(container["command"], Json::array({"/bin/sh", "/etc/slotwright/config/start.sh"}));
  const Json& args = container["args"];
  ASSERT_GE(args.size(), 5U);
  EXPECT_EQ(Json(args.begin(), args.begin() + 5),
            Json::array({"/etc/slotwright/config/redis.conf", "/etc/slotwright/auth/password", "/run/slotwright",
                         "/data", "11"}));
  const auto asks = [](const char* script) {
    return Json::array(
        {"/bin/sh", std::string("/etc/slotwright/config/") + script, "6379", "/run/slotwright", "/data"});
  };
  EXPECT_EQ(container["startupProbe"]["exec"]["command"], asks("started.sh"));
  EXPECT_EQ(container["readinessProbe"]["exec"]["command"], asks("ready.sh"));
  EXPECT_EQ(container["livenessProbe"]["exec"]["command"],
            Json::array({"/bin/sh", "/etc/slotwright/config/alive.sh", "6379"}));
  Json stop = asks("stop.sh");
  stop.insert(stop.begin(), "20");
  stop.insert(stop.begin(), "timeout");
  EXPECT_EQ(container["lifecycle"]["preStop"]["exec"]["command"], stop);
}

// All pods share the file, and those that are not rolled yet may start again at any time.
TEST(Pod, HasWhatNeedsARestartInItsOwnArguments) {
  auto cluster = Cluster();
  cluster.spec.config = {{"cluster-node-timeout", "2000"},
                         {"port", "1"},
                         {"syslog-ident", "a \"b\" $(POD_IP)"},
                         {"loadmodule", "/m.so a b"}};
  const Json pod = DesiredPod(cluster, 0, 0);
  const Json& arguments = pod["spec"]["containers"][0]["args"];
  for (const char* option : {"--cluster-node-timeout 2000", "--port 6379", "--cluster-enabled yes",
                             "--loadmodule /m.so a b", R"x(--syslog-ident "a \"b\" $$(POD_IP)")x"}) {
    EXPECT_THAT(arguments, Contains(option));
  }
  for (const auto& [name, value] : RestartDirectives(cluster)) {
    EXPECT_THAT(RedisConf(cluster), Not(HasSubstr("\n" + name + " ")));
  }
}

TEST(Pod, HashChangesWithEverythingItIsBuiltFromAndWithNothingElse) {
  auto cluster = Cluster();
  const auto hash = [&] {
    return DesiredPod(cluster, 1, 0)["metadata"]["annotations"]["slotwright.dev/pod-hash"].get<std::string>();
  };
  const std::string before = hash();
  cluster.generation = 7;
  cluster.spec.masters = 9;
  cluster.spec.lost_shard = LostShardPolicy::kAssignEmpty;
  EXPECT_EQ(hash(), before);
  cluster.spec.image = "redis:8.2";
  const std::string other_image = hash();
  EXPECT_NE(other_image, before);
  cluster.spec.config["hz"] = "20";
  EXPECT_EQ(hash(), other_image) << "a directive that Redis changes live needs no new pod";
  cluster.spec.config["io-threads"] = "2";
  EXPECT_NE(hash(), other_image);
}

TEST(Pod, KeepsItsShardApartFirstAndTheWholeClusterSecond) {
  const Json pod = DesiredPod(Cluster(), 2, 1);
  const Json& terms = pod["spec"]["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"];
  ASSERT_EQ(terms.size(), 2U);
  EXPECT_EQ(terms[0]["podAffinityTerm"]["labelSelector"]["matchLabels"]["slotwright.dev/shard"], "2");
  EXPECT_GT(terms[0]["weight"], terms[1]["weight"]);
}

TEST(Pod, KeepsItsShardApartByEachTopologyKeyMostImportantFirst) {
  auto cluster = Cluster();
  cluster.spec.placement.topology_keys = {"topology.kubernetes.io/zone", "kubernetes.io/hostname"};
  const Json pod = DesiredPod(cluster, 2, 1);
  const Json& terms = pod["spec"]["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"];
  ASSERT_EQ(terms.size(), 4U);
  for (size_t i = 0; i < 4; ++i) {
    const Json& term = terms[i]["podAffinityTerm"];
    EXPECT_EQ(term["topologyKey"], cluster.spec.placement.topology_keys[i % 2]);
    EXPECT_EQ(term["labelSelector"]["matchLabels"].contains("slotwright.dev/shard"), i < 2) << "then the whole cluster";
  }
  EXPECT_GT(terms[0]["weight"], terms[1]["weight"]);
  EXPECT_GT(terms[1]["weight"], terms[2]["weight"]);
}

// Which machines are good for it says nothing about which of its pods may share one.
TEST(Pod, KeepsItsShardApartBesideAnAffinityToMachines) {
  auto cluster = Cluster();
  const auto affinity = [&] { return DesiredPod(cluster, 2, 1)["spec"]["affinity"]; };
  const Json by_default = affinity()["podAntiAffinity"];
  cluster.spec.placement.affinity = {{"nodeAffinity", {{"of", "a pool"}}}};
  EXPECT_EQ(affinity()["podAntiAffinity"], by_default);
  EXPECT_EQ(affinity()["nodeAffinity"]["of"], "a pool");
  cluster.spec.placement.affinity["podAntiAffinity"] = {{"as", "the user says"}};
  EXPECT_EQ(affinity(), cluster.spec.placement.affinity);
}

TEST(Pod, LabelsOfTheUserCannotReplaceOurs) {
  auto cluster = Cluster();
  cluster.spec.pod_labels = {{"app.kubernetes.io/instance", "evil"}, {"team", "x"}};
  const Json labels = DesiredPod(cluster, 0, 0)["metadata"]["labels"];
  EXPECT_EQ(labels["app.kubernetes.io/instance"], "demo");
  EXPECT_EQ(labels["team"], "x");
}

TEST(DisruptionBudget, IsOnePerShardAndNeverSelectsByRole) {
  int budgets = 0;
  for (const auto& [type, object] : DesiredObjects(Cluster())) {
    if (type.kind != "PodDisruptionBudget") continue;
    ++budgets;
    EXPECT_EQ(object["spec"]["minAvailable"], 1);
    EXPECT_TRUE(object["spec"]["maxUnavailable"].is_null()) << "Kubernetes would read the scale subresource for it";
    EXPECT_TRUE(object["spec"]["selector"]["matchLabels"].contains("slotwright.dev/shard"));
    EXPECT_EQ(object["spec"]["selector"]["matchLabels"].size(), 3U);
  }
  EXPECT_EQ(budgets, 3);
}

TEST(DisruptionBudget, ForbidsEvictingTheOnlyCopyOfTheData) {
  auto cluster = Cluster();
  cluster.spec.replicas_per_master = 0;
  for (const auto& [type, object] : DesiredObjects(cluster)) {
    if (type.kind == "PodDisruptionBudget") {
      EXPECT_EQ(object["spec"]["minAvailable"], 1);
    }
  }
}

TEST(DisruptionBudget, LetsPodsGoThatNeverCameUp) {
  auto cluster = Cluster();
  for (const bool formed : {false, true}) {
    cluster.formed_at = formed ? "2026-01-01T00:00:00Z" : "";
    for (const auto& [type, object] : DesiredObjects(cluster)) {
      if (type.kind != "PodDisruptionBudget") continue;
      EXPECT_EQ(object["spec"]["unhealthyPodEvictionPolicy"], formed ? Json() : Json("AlwaysAllow"));
    }
  }
}

TEST(Claims, OutliveTheClusterOnlyIfRetained) {
  auto cluster = Cluster();
  for (const bool retain : {true, false}) {
    cluster.spec.storage = StorageSpec{.size = "1Gi", .storage_class_name = "", .retain = retain};
    int claims = 0;
    for (const auto& [type, object] : DesiredObjects(cluster)) {
      if (type.kind != "PersistentVolumeClaim") continue;
      ++claims;
      EXPECT_EQ(object["metadata"].contains("ownerReferences"), !retain);
    }
    EXPECT_EQ(claims, 6);
  }
}

TEST(Claims, TellWhosePodTheyAre) {
  EXPECT_EQ(PodOfClaim(ClaimNameOf("demo", 2, 10)), "demo-2-10");
  for (const char* other : {"", "d", "data", "redis-demo-2-0"}) EXPECT_EQ(PodOfClaim(other), std::nullopt) << other;
}

TEST(Covers, IgnoresWhatTheServerAddedAndSeesWhatDiffers) {
  const Json desired = {{"a", 1}, {"list", {{{"x", 1}}, {{"x", 2}}}}};
  Json actual = desired;
  actual["added"] = true;
  actual["list"][0]["protocol"] = "TCP";
  EXPECT_TRUE(Covers(actual, desired));
  actual["list"][1]["x"] = 3;
  EXPECT_FALSE(Covers(actual, desired));
  EXPECT_FALSE(Covers({{"a", 1}}, desired));
  EXPECT_TRUE(Covers({{"a", 1}}, {{"b", nullptr}}));
  EXPECT_FALSE(Covers({{"b", 1}}, {{"b", nullptr}}));
  EXPECT_FALSE(Covers({{"a", 1}, {"list", {{{"x", 1}}}}}, desired));
}

}  // namespace
}  // namespace slotwright::testing
