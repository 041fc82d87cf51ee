// Rolling and live changes of real clusters while clients write.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>

#include "controllers/resources/resources.h"
#include "tests/integration/life.h"
#include "tests/support/engines.h"

namespace slotwright::testing {
namespace {

using reconciler::Json;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

struct Upgrade {
  const char* name;
  const char* from;
  const char* to;
  const char* version;
};

class Rolling : public ::testing::TestWithParam<Upgrade> {};

TEST_P(Rolling, ChangeOfTheImageLosesNothing) {
  if (ServerFor(GetParam().from).empty()) GTEST_SKIP() << "no program here for " << GetParam().from;
  Life life(3, 1, Json::object(), GetParam().from);
  life.StartWriters();
  life.harness.PatchSpec({{"image", GetParam().to}});
  life.ExpectAllIsWell(90s);
  for (const auto& node : life.harness.Look().observation.nodes) {
    EXPECT_THAT(node.server.engine + " " + node.server.version, StartsWith(GetParam().version)) << node.pod;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Upgrades, Rolling,
    ::testing::Values(Upgrade{"Redis70To82", "redis:7.0", "redis:8.2", "redis 8.2."},
                      Upgrade{"Redis70ToValkey91", "redis:7.0", "valkey/valkey:9.1", "valkey 9.1."},
                      Upgrade{"Valkey80To91", "valkey/valkey:8.0", "valkey/valkey:9.1", "valkey 9.1."}),
    [](const auto& param_info) { return param_info.param.name; });

TEST(Rolling, OfMastersThatHoldTheOnlyCopyLosesNothing) {
  if (ServerFor("redis:8.2").empty()) GTEST_SKIP() << "no program here for redis:8.2";
  Life life(3, 0, Json::object(), "redis:7.0");
  life.StartWriters();
  life.harness.PatchSpec({{"image", "redis:8.2"}});
  life.ExpectAllIsWell(90s);
  const auto look = life.harness.Look();
  EXPECT_EQ(look.observation.pods.size(), 3U);
  for (const auto& node : look.observation.nodes) EXPECT_THAT(node.server.version, StartsWith("8.2."));
}

// Three quarters of the limit are for keys, and a limit is nothing that a pod can be given later.
TEST(Rolling, ChangeOfTheMemoryLimitLosesNothingAndMovesMaxmemory) {
  Life life(3, 1, {{"resources", {{"limits", {{"memory", "256Mi"}}}}}});
  const auto expect_everywhere = [&](const char* bytes) {
    for (const auto& node : life.harness.Look().observation.nodes) {
      EXPECT_EQ(life.harness.Ask(node.endpoint, {"CONFIG", "GET", "maxmemory"}).elements.at(1).text, bytes) << node.pod;
    }
  };
  expect_everywhere("201326592");
  life.StartWriters();
  life.harness.PatchSpec({{"resources", {{"limits", {{"memory", "512Mi"}}}}}});
  life.ExpectAllIsWell(90s);
  expect_everywhere("402653184");
}

TEST(Rolling, WithStorageAndWithoutReplicasBringsEachMasterBackWithItsData) {
  Life life(3, 0, {{"storage", {{"size", "1Gi"}}}});
  life.StartWriters();
  life.harness.PatchSpec({{"config", {{"io-threads", "2"}}}});
  life.ExpectAllIsWell(60s, {.longest_wait = 10s});  // nobody serves a master's slots until it is back
  EXPECT_EQ(life.harness.Ask(life.NodeOf("demo-1-0").endpoint, {"CONFIG", "GET", "io-threads"}).elements.at(1).text,
            "2");
}

// Each pod is replaced right after its server was told to keep its data in other files than before.
TEST(Rolling, InTheMomentThatAppendOnlyFilesAreTurnedOffAndOnLosesNothing) {
  Life life(1, 0, {{"storage", {{"size", "1Gi"}}}});
  const auto turn = [&](const std::string& value, int backlog) {
    life.harness.PatchSpec({{"config", {{"appendonly", value}}}});
    ASSERT_TRUE(Harness::Eventually([&] {
      const Reply now = life.harness.Ask(life.NodeOf("demo-0-0").endpoint, {"CONFIG", "GET", "appendonly"});
      return now.elements.size() == 2 && now.elements[1].text == value;
    }));
    for (int i = 0; i < 30; ++i) {
      const std::string key = fmt::format("{}{}", value, i);
      ASSERT_FALSE(life.harness.Ask(life.NodeOf("demo-0-0").endpoint, {"SET", key, "x"}).IsError());
    }
    life.harness.PatchSpec({{"config", {{"tcp-backlog", std::to_string(backlog)}}}});
    life.ExpectAllIsWell(90s);
  };
  turn("no", 400);
  EXPECT_EQ(life.Keys(), 20'030);
  ASSERT_TRUE(
      life.harness.Ask(life.NodeOf("demo-0-0").endpoint, {"CONFIG", "SET", "rdb-key-save-delay", "300"}).IsOk());
  turn("yes", 401);
  EXPECT_EQ(life.Keys(), 20'060);
  EXPECT_EQ(life.harness.Ask(life.NodeOf("demo-0-0").endpoint, {"CONFIG", "GET", "appendonly"}).elements[1].text,
            "yes");
}

TEST(Rolling, ThatCannotStartStopsAtOncePodAndRecoversWhenReverted) {
  Life life;
  life.StartWriters();
  life.harness.PatchSpec({{"image", "redis:0.0"}});
  ASSERT_TRUE(Harness::Eventually([&] { return life.harness.ReadyReason() == "WaitingForPods"; }));
  std::this_thread::sleep_for(1s);
  int running = 0;
  for (const auto& pod : life.harness.Look().observation.pods) running += pod.phase == "Running" ? 1 : 0;
  EXPECT_EQ(running, 5) << "one pod was tried, no other was touched";
  EXPECT_THAT(life.harness.Condition("Ready").value("message", ""), HasSubstr("redis:0.0"));
  life.harness.PatchSpec({{"image", TestImage()}});
  life.ExpectAllIsWell();
}

TEST(Rolling, DoesNotBeginIfTheNewPodsWouldBeRefused) {
  Life life;
  life.StartWriters();
  const auto uids = [&] {
    std::set<std::string> all;
    for (const auto& pod : life.harness.Look().observation.pods) all.insert(pod.uid);
    return all;
  };
  const auto before = uids();
  life.harness.PatchSpec({{"podTemplate", {{"metadata", {{"labels", {{"team", "not a label!"}}}}}}}});
  ASSERT_TRUE(Harness::Eventually([&] { return life.harness.ReadyReason() == "PodRefused"; }));
  EXPECT_THAT(life.harness.Condition("Ready").value("message", ""), HasSubstr("metadata.labels"));
  std::this_thread::sleep_for(3s);
  EXPECT_EQ(uids(), before);
  life.harness.PatchSpec({{"podTemplate", nullptr}});
  life.ExpectAllIsWell();
  EXPECT_EQ(uids(), before);
}

// Redis 7.0 cannot read what 8.2 writes for its replicas.
TEST(Rolling, GoesOnThoughAnOlderServerHasToCopyFromANewerOne) {
  if (ServerFor("redis:8.2").empty()) GTEST_SKIP() << "no program here for redis:8.2";
  Life life(3, 1, {{"config", {{"cluster-node-timeout", "2000"}}}}, "redis:7.0");
  life.harness.PatchSpec({{"image", "redis:8.2"}});
  const auto new_replica = [&]() -> std::string {
    for (const auto& node : life.harness.Look().observation.nodes) {
      if (node.Answers() && node.server.version.starts_with("8.2") && node.InSync()) return node.pod;
    }
    return "";
  };
  std::string replica;
  ASSERT_TRUE(Harness::Eventually([&] { return !(replica = new_replica()).empty(); }));
  const std::string master = replica.substr(0, replica.size() - 1) + "0";
  ASSERT_EQ(::kill(life.PidOf(master), SIGKILL), 0);
  ASSERT_TRUE(Harness::Eventually([&] { return life.NodeOf(replica).me().flags.master; }, 60s));
  life.ExpectAllIsWell(120s);
  for (const auto& node : life.harness.Look().observation.nodes) EXPECT_THAT(node.server.version, StartsWith("8.2."));
  EXPECT_EQ(life.Keys(), 20'000);
}

TEST(Rolling, BackToAnOlderVersionStopsAtItsFirstPodSaysWhyAndCanBeTakenBack) {
  if (ServerFor("redis:8.2").empty()) GTEST_SKIP() << "no program here for redis:8.2";
  Life life(3, 1, Json::object(), "redis:8.2");
  life.harness.PatchSpec({{"image", "redis:7.0"}});
  ASSERT_TRUE(Harness::Eventually([&] {
    return life.harness.Condition("Ready").value("message", "").find("has to name the newer one") != std::string::npos;
  })) << life.harness.Condition("Ready");
  life.harness.PatchSpec({{"image", "redis:8.2"}});
  life.ExpectAllIsWell();
  EXPECT_EQ(life.Keys(), 20'000);
}

// More memory, pod by pod as the condition asks for it: replicas first, then their masters.
TEST(Rolling, ByHandWithTheManualStrategyLosesNothing) {
  Life life(3, 1, {{"update", {{"strategy", "Manual"}}}});
  life.StartWriters();
  life.harness.PatchSpec({{"resources", {{"limits", {{"memory", "512Mi"}}}}}});
  ASSERT_TRUE(Harness::Eventually([&] { return life.harness.ReadyReason() == "UpdatePending"; }));
  std::this_thread::sleep_for(1s);
  int ready = 0;
  for (const auto& pod : life.harness.Look().observation.pods) ready += pod.ready ? 1 : 0;
  EXPECT_EQ(ready, 6) << "no pod is touched";
  for (const char* index : {"1", "0"}) {
    for (const char* shard : {"demo-0-", "demo-1-", "demo-2-"}) {
      const std::string pod = std::string(shard) + index;
      const NodeId before = life.NodeOf(pod).id();
      life.DeletePod(pod);
      ASSERT_TRUE(Harness::Eventually(
          [&] {
            const auto look = life.harness.Look();
            const auto& nodes = look.observation.nodes;
            const auto node = std::ranges::find(nodes, pod, &NodeView::pod);
            return node != nodes.end() && node->Answers() && node->id() != before && node->InSync() &&
                   look.observation.FindPod(pod)->ready;
          },
          30s))
          << pod;
    }
  }
  life.ExpectAllIsWell();
  for (const auto& node : life.harness.Look().observation.nodes) {
    EXPECT_EQ(life.harness.Ask(node.endpoint, {"CONFIG", "GET", "maxmemory"}).elements.at(1).text, "402653184")
        << node.pod;
  }
}

// A pod that is not rolled yet and whose server dies meanwhile starts as it was made; so does one that was, after a
// revert.
TEST(Rolling, ToADirectiveThatNoServerStartsWithKeepsNoOtherPodFromStarting) {
  Life life;
  const auto databases = [&](const Endpoint& endpoint) {
    return life.harness.Ask(endpoint, {"CONFIG", "GET", "databases"}).elements.at(1).text;
  };
  const std::string usual = databases(life.NodeOf("demo-0-0").endpoint);
  const std::string replica = life.NodeOf("demo-2-1").server.run_id;
  const std::string master = life.NodeOf("demo-2-0").server.run_id;
  life.harness.PatchSpec({{"config", {{"databases", "abc"}, {"maxmemory-policy", "no-such-policy"}}}});
  const auto one_was_tried = [&] {
    return std::ranges::any_of(life.harness.Look().observation.pods, [](const PodView& pod) {
      return pod.trouble.find("CrashLoopBackOff") != std::string::npos;
    });
  };
  ASSERT_TRUE(Harness::Eventually(one_was_tried, 60s));
  EXPECT_TRUE(Harness::Eventually([&] {
    const std::string said = life.harness.Condition("Ready").value("message", "");
    return said.find("(kubectl logs demo-0-1 says why, perhaps a value of spec.config)") != std::string::npos;
  }));
  ASSERT_TRUE(life.harness.Look().observation.FindPod("demo-2-1")->ready) << "the first shard's replica is the one";
  const auto is_back = [&](const std::string& pod, const std::string& before) {
    const auto nodes = life.harness.Look().observation.nodes;
    const auto node = std::ranges::find(nodes, pod, &NodeView::pod);
    return node != nodes.end() && node->Answers() && node->server.run_id != before;
  };
  ASSERT_EQ(::kill(life.PidOf("demo-2-1"), SIGKILL), 0);
  EXPECT_TRUE(Harness::Eventually([&] { return is_back("demo-2-1", replica); }));
  ASSERT_TRUE(Harness::Eventually([&] { return life.NodeOf("demo-2-1").InSync(); }));
  ASSERT_EQ(::kill(life.PidOf("demo-2-0"), SIGKILL), 0);
  EXPECT_TRUE(Harness::Eventually([&] { return is_back("demo-2-0", master); }, 60s));
  life.harness.PatchSpec({{"config", {{"databases", nullptr}, {"maxmemory-policy", nullptr}}}});
  life.ExpectAllIsWell(60s);
  EXPECT_EQ(life.Keys(), 20'000);
  for (const auto& node : life.harness.Look().observation.nodes) {
    EXPECT_EQ(databases(node.endpoint), usual) << node.pod;
  }
}

TEST(LiveConfig, ChangesEverywhereWithoutARestart) {
  Life life;
  std::map<std::string, std::string> runs;
  for (const auto& node : life.harness.Look().observation.nodes) runs[node.pod] = node.server.run_id;
  life.StartWriters();
  life.harness.PatchSpec({{"config", {{"maxmemory-policy", "allkeys-lru"}, {"hz", "25"}}}});
  life.ExpectAllIsWell();
  for (const auto& node : life.harness.Look().observation.nodes) {
    EXPECT_EQ(node.server.run_id, runs[node.pod]) << node.pod;
    EXPECT_EQ(life.harness.Ask(node.endpoint, {"CONFIG", "GET", "hz"}).elements.at(1).text, "25") << node.pod;
  }
}

// Not by another live change: its file has them.
TEST(LiveConfig, OfBeforeIsWhatAnotherPodStartsWith) {
  Life life;
  life.harness.PatchSpec({{"config", {{"maxmemory-policy", "allkeys-lru"}, {"hz", "25"}}}});
  life.ExpectAllIsWell();
  life.harness.StopOperator();
  std::atomic<int> sets = 0;
  life.harness.options().executor.after_effect = [&](const std::string& action) {
    if (action.find("hz") != std::string::npos || action.find("maxmemory-policy") != std::string::npos) ++sets;
  };
  life.harness.StartOperator();
  const NodeId deleted = life.NodeOf("demo-1-1").id();
  life.StartWriters();
  life.DeletePod("demo-1-1");
  ASSERT_TRUE(Harness::Eventually([&] { return life.IsNotReady(); }));
  life.ExpectAllIsWell();
  const NodeView made = life.NodeOf("demo-1-1");
  EXPECT_NE(made.id(), deleted);
  for (const auto& [name, value] : {std::pair("hz", "25"), {"maxmemory-policy", "allkeys-lru"}}) {
    EXPECT_EQ(life.harness.Ask(made.endpoint, {"CONFIG", "GET", name}).elements.at(1).text, value);
  }
  life.harness.StopOperator();
  EXPECT_EQ(sets, 0);
}

// Whether the kubelet has given a redis.conf with that text to the pod.
bool IsMounted(Life& life, const std::string& pod, const std::string& text) {
  std::error_code vanished;  // folders come and go meanwhile
  std::filesystem::recursive_directory_iterator entry(life.harness.cluster().state_dir(), vanished);
  for (; entry != std::filesystem::recursive_directory_iterator(); entry.increment(vanished)) {
    const auto& path = entry->path();
    if (path.filename() != "redis.conf" || path.string().find(pod) == std::string::npos) continue;
    std::ifstream file(path);
    const std::string content{std::istreambuf_iterator<char>(file), {}};
    if (content.find(text) != std::string::npos) return true;
  }
  return false;
}

// No live change has noted its process yet: that its container was started again is what tells.
TEST(LiveConfig, IsCorrectOnAServerThatStartedAgainFromAnotherFile) {
  Life life;
  life.harness.StopOperator();
  const auto& client = life.harness.client();
  const auto file = client.Get(reconciler::types::kConfigMaps, {"default", "demo-config"});
  ASSERT_TRUE(file);
  const std::string other = file->at("data").at("redis.conf").get<std::string>() + "loglevel verbose\n";
  ASSERT_TRUE(client.Patch(reconciler::types::kConfigMaps, {"default", "demo-config"}, reconciler::PatchType::kMerge,
                           {{"data", {{"redis.conf", other}}}}));
  const Endpoint endpoint = life.NodeOf("demo-1-1").endpoint;
  const std::string before = life.NodeOf("demo-1-1").server.run_id;
  ASSERT_TRUE(Harness::Eventually([&] { return IsMounted(life, "demo-1-1", "loglevel verbose"); }));
  ASSERT_EQ(::kill(life.PidOf("demo-1-1"), SIGKILL), 0);
  ASSERT_TRUE(Harness::Eventually([&] {
    const auto nodes = life.harness.Look().observation.nodes;
    const auto node = std::ranges::find(nodes, "demo-1-1", &NodeView::pod);
    return node != nodes.end() && node->Answers() && node->server.run_id != before;
  }));
  EXPECT_EQ(life.harness.Ask(endpoint, {"CONFIG", "GET", "loglevel"}).elements.at(1).text, "verbose");
  life.harness.StartOperator();
  EXPECT_TRUE(Harness::Eventually(
      [&] { return life.harness.Ask(endpoint, {"CONFIG", "GET", "loglevel"}).elements.at(1).text == "notice"; }));
  life.ExpectAllIsWell();
}

TEST(LiveConfig, ThatRedisRefusesIsSaidAndTheRestGoesOn) {
  Life life;
  life.harness.PatchSpec({{"config", {{"maxmemory-policy", "no-such-policy"}}}});
  ASSERT_TRUE(Harness::Eventually([&] {
    return life.harness.Condition("Ready").value("message", "").find("maxmemory-policy") != std::string::npos;
  }));
  EXPECT_EQ(life.harness.ReadyReason(), "ActionFailed");
  EXPECT_THAT(life.harness.Condition("Ready").value("message", ""),
              HasSubstr("spec.config.maxmemory-policy: \"no-such-policy\": the server does not take it"));
  // Who starts meanwhile reads a file that it can start with.
  const std::string killed = life.NodeOf("demo-1-1").server.run_id;
  const NodeId deleted = life.NodeOf("demo-2-1").id();
  ASSERT_EQ(::kill(life.PidOf("demo-1-1"), SIGKILL), 0);
  life.DeletePod("demo-2-1");
  const auto is_back = [&](const std::string& pod) {
    const auto nodes = life.harness.Look().observation.nodes;
    const auto node = std::ranges::find(nodes, pod, &NodeView::pod);
    return node != nodes.end() && node->Answers() && node->InSync() && node->id() != deleted &&
           node->server.run_id != killed;
  };
  EXPECT_TRUE(Harness::Eventually([&] { return is_back("demo-1-1") && is_back("demo-2-1"); }));
  EXPECT_TRUE(Harness::Eventually([&] { return life.harness.ReadyReason() == "ActionFailed"; }));
  life.harness.PatchSpec({{"config", {{"maxmemory-policy", "noeviction"}}}});
  life.ExpectAllIsWell();
}

TEST(LiveConfig, ThatRedisRefusesKeepsNoPodOfARollFromStarting) {
  Life life;
  life.StartWriters();
  life.harness.PatchSpec({{"config", {{"maxmemory-policy", "no-such-policy"}, {"tcp-backlog", "400"}}}});
  const auto are_new = [&] {
    const auto look = life.harness.Look().observation;
    return look.pods.size() == 6 && std::ranges::all_of(look.pods, [hash = PodHash(look.cluster)](const PodView& pod) {
             return pod.ready && !pod.terminating && pod.hash == hash;
           });
  };
  ASSERT_TRUE(Harness::Eventually(are_new, 60s));
  const auto backlog = life.harness.Ask(life.NodeOf("demo-1-1").endpoint, {"CONFIG", "GET", "tcp-backlog"});
  EXPECT_EQ(backlog.elements.at(1).text, "400");
  EXPECT_TRUE(Harness::Eventually([&] { return life.harness.ReadyReason() == "ActionFailed"; }));
  const auto file = life.harness.client().Get(reconciler::types::kConfigMaps, {"default", "demo-config"});
  ASSERT_TRUE(file);
  EXPECT_THAT(file->at("data").at("redis.conf").get<std::string>(), Not(HasSubstr("no-such-policy")));
  life.harness.PatchSpec({{"config", {{"maxmemory-policy", "noeviction"}}}});
  life.ExpectAllIsWell();
}

}  // namespace
}  // namespace slotwright::testing
