// Growing, shrinking and evening of real clusters while clients write: nothing acknowledged is lost.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <cstdlib>
#include <future>
#include <regex>
#include <set>

#include "controllers/api/names.h"
#include "controllers/plan/cluster_view.h"
#include "reconciler/kube/http_transport.h"
#include "tests/integration/life.h"
#include "tests/support/engines.h"

namespace slotwright::testing {
namespace {

using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;

struct Engine {
  const char* name;
  const char* image;
};

class Scaling : public ::testing::TestWithParam<Engine> {};

// Whether the servers moved slots by themselves: all that were ever asked to are here.
bool WereAskedToMigrate(const Life& life) {
  return std::ranges::any_of(life.harness.AskAll({"INFO", "commandstats"}), [](const NodeResult& result) {
    return result && result->front().text.find("cmdstat_cluster|migrateslots:") != std::string::npos;
  });
}

// How many of the first three masters move slots by themselves at this moment.
std::ptrdiff_t SourcesAtWork(const Life& life) {
  return std::ranges::count_if(life.harness.Look().observation.nodes, [](const NodeView& node) {
    return node.shard < 3 && node.index == 0 && node.active_migrations > 0;
  });
}

TEST_P(Scaling, OutAndInAgainLosesNothing) {
  if (ServerFor(GetParam().image).empty()) GTEST_SKIP() << "no program here for " << GetParam().image;
  const bool by_themselves = std::string_view(GetParam().name) == "Valkey91";
  Life life(3, 1, reconciler::Json::object(), GetParam().image, by_themselves ? 300'000 : 20'000);
  for (const char* pod : {"demo-0-0", "demo-1-0", "demo-2-0"}) {
    const std::string library = "#!lua name=lib\nredis.register_function('f', function() return 1 end)";
    EXPECT_EQ(life.harness.Ask(life.NodeOf(pod).endpoint, {"FUNCTION", "LOAD", library}).text, "lib");
  }
  life.StartWriters();
  life.harness.PatchSpec({{"masters", 5}});
  if (by_themselves) {
    EXPECT_TRUE(Harness::Eventually([&] { return SourcesAtWork(life) > 1; })) << "one after another";
  }
  life.ExpectAllIsWell();
  EXPECT_EQ(Merge(life.harness.Look().observation).owned.size(), 5U);
  EXPECT_EQ(WereAskedToMigrate(life), by_themselves) << "Auto takes the better way";
  EXPECT_EQ(life.harness.Ask(life.NodeOf("demo-4-0").endpoint, {"FUNCTION", "LIST"}).elements.size(), 1U)
      << "functions are no keys, and are wanted all the same";
  life.StartWriters();
  life.harness.PatchSpec({{"masters", 3}});
  life.ExpectAllIsWell();
  EXPECT_EQ(life.harness.Look().observation.pods.size(), 6U);
  EXPECT_EQ(life.harness.Look().observation.ShardCount(), 3);
}

INSTANTIATE_TEST_SUITE_P(Engines, Scaling,
                         ::testing::Values(Engine{"Redis70", "redis:7.0"}, Engine{"Redis82", "redis:8.2"},
                                           Engine{"Valkey80", "valkey/valkey:8.0"},
                                           Engine{"Valkey91", "valkey/valkey:9.1"}),
                         [](const auto& param_info) { return param_info.param.name; });

struct Method {
  const char* name;
  bool by_themselves;
};

class RebalanceMethod : public ::testing::TestWithParam<Method> {};

// Both ways are open on such servers; OutAndInAgain… has what Auto makes of that.
TEST_P(RebalanceMethod, IsTheOneThatWasAskedFor) {
  const char* image = "valkey/valkey:9.1";
  if (ServerFor(image).empty()) GTEST_SKIP() << "no program here for " << image;
  Life life(3, 0, {{"rebalance", {{"method", GetParam().name}}}}, image);
  life.StartWriters();
  life.harness.PatchSpec({{"masters", 4}});
  life.ExpectAllIsWell();
  EXPECT_EQ(Merge(life.harness.Look().observation).owned.size(), 4U);
  EXPECT_EQ(WereAskedToMigrate(life), GetParam().by_themselves);
}

INSTANTIATE_TEST_SUITE_P(Valkey91, RebalanceMethod, ::testing::Values(Method{"Keys", false}, Method{"Atomic", true}),
                         [](const auto& param_info) { return param_info.param.name; });

TEST(ScaleReplicas, UpAndDownToNone) {
  Life life;
  life.StartWriters();
  life.harness.PatchSpec({{"replicasPerMaster", 2}});
  life.ExpectAllIsWell();
  EXPECT_EQ(life.harness.Look().observation.pods.size(), 9U);
  life.StartWriters();
  life.harness.PatchSpec({{"replicasPerMaster", 0}});
  life.ExpectAllIsWell();
  EXPECT_EQ(life.harness.Look().observation.pods.size(), 3U);
}

TEST(ScaleReplicas, HandsOverWhenTheMasterIsTheOneTooMany) {
  Life life;
  ASSERT_TRUE(life.harness.Ask(life.NodeOf("demo-1-1").endpoint, {"CLUSTER", "FAILOVER"}).IsOk());
  ASSERT_TRUE(Harness::Eventually([&] { return life.NodeOf("demo-1-1").me().flags.master; }));
  life.StartWriters();
  life.harness.PatchSpec({{"replicasPerMaster", 0}});
  life.ExpectAllIsWell();
}

TEST(ScaleIn, RevertedHalfWayBecomesTheNewGoal) {
  Life life(4, 1, reconciler::Json::object(), TestImage(), 100'000);
  life.StartWriters();
  life.harness.PatchSpec({{"masters", 3}});
  ASSERT_TRUE(Harness::Eventually([&] {
    const auto look = life.harness.Look();
    const auto slots = look.observation.nodes[6].me().slots.size();
    return slots > 0 && slots < 4000;
  }));
  life.harness.PatchSpec({{"masters", 4}});
  life.ExpectAllIsWell();
  EXPECT_EQ(Merge(life.harness.Look().observation).owned.size(), 4U);
}

// A target that hangs has what clients were sent there to write: taken back, the slot would be without it.
TEST(OpenSlots, OfATargetThatHangsAreNotTakenBack) {
  Life life(2, 0, {{"config", {{"cluster-require-full-coverage", "no"}}}}, TestImage(), 100);
  life.harness.StopOperator();
  const NodeView from = life.NodeOf("demo-0-0");
  const NodeView to = life.NodeOf("demo-1-0");
  const Slot slot = from.me().slots.Ranges().front().first;
  const auto set_slot = [&](const NodeView& node, const char* state, const NodeView& peer) {
    return life.harness.Ask(node.endpoint, {"CLUSTER", "SETSLOT", std::to_string(slot), state, peer.id().ToString()})
        .IsOk();
  };
  ASSERT_TRUE(set_slot(to, "IMPORTING", from) && set_slot(from, "MIGRATING", to));
  ClusterClient client(life.harness.Password(), {from.endpoint});
  const std::string key = "{" + TagOf(slot) + "}new";
  const auto written = client.Execute({"SET", key, "acknowledged"}, 5s);
  ASSERT_TRUE(written) << written.error().message;

  const pid_t target = life.PidOf("demo-1-0");
  ASSERT_EQ(::kill(target, SIGSTOP), 0);
  life.harness.StartOperator();
  std::this_thread::sleep_for(12s);  // it is seen, called failed, and what nobody moves is nobody's
  EXPECT_TRUE(life.IsNotReady());
  EXPECT_EQ(life.NodeOf("demo-0-0").me().open_slots.size(), 1U);
  ASSERT_EQ(::kill(target, SIGCONT), 0);
  life.ExpectAllIsWell();
  const auto read = client.Execute({"GET", key}, 5s);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->text, "acknowledged");
}

// For a minute servers do not suffer a node that one of them was told to forget: who comes back with a retained volume
// must be another one.
class ScaleInWithVolumes : public ::testing::TestWithParam<const char*> {};

TEST_P(ScaleInWithVolumes, FollowedByScaleOutTakesNoNodeThatWasForgotten) {
  Life life(3, 1, {{"storage", {{"size", "1Gi"}}}}, GetParam());
  const auto settled_with = [&](size_t nodes) {
    const auto look = life.harness.Look();
    return look.observation.nodes.size() == nodes && std::ranges::all_of(look.observation.nodes, [&](const auto& node) {
             return node.Answers() && node.info.state_ok && node.table->lines.size() == nodes;
           });
  };
  const auto claims = [&] {
    std::vector<std::string> names;
    const auto list = life.harness.client().ListAll(reconciler::types::kPersistentVolumeClaims, {.ns = "default"});
    for (const auto& claim : list ? list->items : std::vector<reconciler::Json>()) {
      names.push_back(reconciler::KeyOf(claim).name + " " + reconciler::UidOf(claim));
    }
    return names;
  };
  const auto all = claims();
  EXPECT_EQ(all.size(), 6U);
  life.StartWriters();
  life.harness.PatchSpec({{"masters", 2}});
  ASSERT_TRUE(Harness::Eventually([&] { return settled_with(4); }, 60s));
  EXPECT_EQ(claims(), all) << "they are retained";
  life.harness.PatchSpec({{"replicasPerMaster", 0}});
  ASSERT_TRUE(Harness::Eventually([&] { return settled_with(2); }, 60s));
  EXPECT_EQ(claims(), all);
  life.harness.PatchSpec({{"masters", 3}, {"replicasPerMaster", 1}});
  ASSERT_TRUE(life.harness.BecomesReady());
  for (int i = 0; i < 40; ++i) {
    ASSERT_TRUE(settled_with(6)) << "a node is thrown out again and again";
    std::this_thread::sleep_for(250ms);
  }
  life.ExpectAllIsWell();
  EXPECT_EQ(claims(), all);
}

INSTANTIATE_TEST_SUITE_P(Engines, ScaleInWithVolumes, ::testing::Values("redis:8.2", "valkey/valkey:9.1"),
                         [](const auto& engine) { return std::string(engine.index == 0 ? "Redis82" : "Valkey91"); });

TEST(ScaleIn, ByMakingTheClusterAnewOverItsRetainedVolumesLosesNothing) {
  const reconciler::Json storage = {{"storage", {{"size", "1Gi"}}}};
  Life life(3, 1, storage);
  life.harness.Delete();
  ASSERT_TRUE(Harness::Eventually([&] {
    const auto pods = life.harness.client().ListAll(reconciler::types::kPods, {.ns = "default"});
    return pods && pods->items.empty();
  }));
  life.harness.Create(2, 1, storage);
  life.ExpectAllIsWell(120s);
  EXPECT_EQ(Merge(life.harness.Look().observation).owned.size(), 2U);
  EXPECT_EQ(life.Keys(), 20'000);
}

// Valkey's own migration goes on after the goal has changed, to a target that has nothing to show yet.
TEST(ScaleOut, RevertedInTheMiddleOfAMigrationOfTheServersOwnLosesNothing) {
  Life life(3, 1, reconciler::Json::object(), "valkey/valkey:9.1", 300'000);
  life.StartWriters();
  life.harness.PatchSpec({{"masters", 4}});
  ASSERT_TRUE(Harness::Eventually([&] {
    const auto look = life.harness.Look();
    return std::ranges::any_of(look.observation.nodes, [](const NodeView& node) { return node.active_migrations > 0; });
  }));
  life.harness.PatchSpec({{"masters", 3}});
  life.ExpectAllIsWell();
  EXPECT_EQ(life.harness.Look().observation.pods.size(), 6U);
}

// Since Valkey 8 a SETSLOT waits two seconds for each replica and is refused (NOREPLICAS) if one does not answer.
// Whether the replica hangs just then is a matter of luck, which is tried four times.
TEST(ScaleOut, IsFinishedAlsoIfAReplicaHangsMeanwhile) {
  const char* image = "valkey/valkey:8.0";
  if (ServerFor(image).empty()) GTEST_SKIP() << "no program here for " << image;
  Life life(3, 1, reconciler::Json::object(), image, 100'000);
  const auto refused = [&] {
    const Reply errors = life.harness.Ask(life.NodeOf("demo-3-0").endpoint, {"INFO", "errorstats"});
    return errors.text.find("errorstat_NOREPLICAS") != std::string::npos;
  };
  life.StartWriters();
  life.harness.PatchSpec({{"masters", 4}});
  ASSERT_TRUE(Harness::Eventually([&] { return life.harness.ReadyReason() == "Rebalancing"; }));
  const pid_t pid = life.PidOf("demo-3-1");  // what all slots that move wait for
  for (int attempt = 1; attempt <= 4 && !refused(); ++attempt) {
    ASSERT_TRUE(Harness::Eventually([&] { return life.NodeOf("demo-3-0").me().slots.size() > attempt * 500; }));
    ASSERT_EQ(::kill(pid, SIGSTOP), 0);
    (void)Harness::Eventually(refused, 4s);
    ASSERT_EQ(::kill(pid, SIGCONT), 0);
  }
  EXPECT_TRUE(refused()) << "no SETSLOT was, so nothing was seen of what follows then";
  life.ExpectAllIsWell();
  EXPECT_EQ(Merge(life.harness.Look().observation).owned.size(), 4U);
}

// As a person does it: with keys, and nothing is asked of the operator.
std::future<int> Reshard(const Life& life, const NodeView& from, const NodeView& to, int slots, int keys_at_once) {
  const auto command = fmt::format(
      "REDISCLI_AUTH={} redis-cli --cluster reshard {} --cluster-from {} --cluster-to {} --cluster-slots {} "
      "--cluster-pipeline {} --cluster-yes > /dev/null",
      life.harness.Password(), to.endpoint.ToString(), from.id().ToString(), to.id().ToString(), slots, keys_at_once);
  return std::async(std::launch::async, [command] { return std::system(command.c_str()); });
}

class Rebalancing : public ::testing::TestWithParam<Engine> {};

TEST_P(Rebalancing, EvensWhatWasMadeUnevenByHand) {
  if (ServerFor(GetParam().image).empty()) GTEST_SKIP() << "no program here for " << GetParam().image;
  Life life(3, 1, {{"rebalance", {{"mode", "Manual"}}}}, GetParam().image);
  const auto source = life.NodeOf("demo-2-0");
  const auto target = life.NodeOf("demo-0-0");
  ASSERT_EQ(Reshard(life, source, target, 400, 10).get(), 0);
  ASSERT_TRUE(Harness::Eventually([&] {
    return life.harness.Condition("Ready").value("message", "").find("uneven") != std::string::npos;
  })) << "Manual mode only reports";
  const auto uneven = life.NodeOf("demo-0-0");
  EXPECT_EQ(uneven.me().slots.size(), target.me().slots.size() + 400);
  EXPECT_GT(uneven.server.keys, target.server.keys + 200);
  life.StartWriters();
  life.harness.PatchSpec({{"rebalance", {{"mode", "Automatic"}}}});
  life.ExpectAllIsWell();
}

INSTANTIATE_TEST_SUITE_P(Engines, Rebalancing,
                         ::testing::Values(Engine{"Redis70", "redis:7.0"}, Engine{"Redis82", "redis:8.2"},
                                           Engine{"Valkey91", "valkey/valkey:9.1"}),
                         [](const auto& param_info) { return param_info.param.name; });

TEST(Rebalancing, InManualModeLeavesAReshardByRedisCliAlone) {
  constexpr int kKeys = 10'000;
  Life life(3, 1, {{"rebalance", {{"mode", "Manual"}}}});
  const auto source = life.NodeOf("demo-2-0");
  const auto target = life.NodeOf("demo-0-0");
  // So many that the operator sees it in the middle.
  const Slot first = source.me().slots.Ranges().front().first;
  const Reply filled = life.harness.Ask(
      source.endpoint, {"EVAL", fmt::format("for i = 1, {} do redis.call('SET', KEYS[1] .. i, i) end", kKeys), "1",
                        fmt::format("{{{}}}", TagOf(first))});
  ASSERT_FALSE(filled.IsError()) << filled.text;
  auto reshard = Reshard(life, source, target, 100, 1);
  std::set<std::string> reasons;
  for (int look = 0; reshard.wait_for(20ms) != std::future_status::ready; ++look) {
    reasons.insert(life.harness.ReadyReason());
    // An edit makes the operator look.
    if (look % 10 == 0) life.harness.PatchSpec({{"rebalance", {{"thresholdPercent", look % 20 == 0 ? 3 : 4}}}});
  }
  EXPECT_EQ(reshard.get(), 0);
  EXPECT_THAT(reasons, AllOf(Contains("AwaitingOpenSlots"), Not(Contains("ClosingOpenSlots"))));
  EXPECT_EQ(life.NodeOf("demo-0-0").me().slots.size(), target.me().slots.size() + 100);
  EXPECT_GT(life.harness.Ask(target.endpoint, {"CLUSTER", "COUNTKEYSINSLOT", std::to_string(first)}).integer,
            kKeys - 1);
  EXPECT_TRUE(Harness::Eventually([&] { return life.harness.Look().plan.settled; }));
  life.ExpectAllIsWell();
}

TEST(OpenSlots, LeftByADeadMigrationAreFinishedOrTakenBack) {
  Life life;
  const auto source = life.NodeOf("demo-0-0");
  const auto target = life.NodeOf("demo-1-0");
  life.harness.StopOperator();
  // Two slots with keys: one is open at the target only, of the other one a key has gone already.
  std::vector<std::string> slots;
  for (int i = 0; slots.size() < 2; ++i) {
    const std::string key = fmt::format("key:{}", i);
    const Slot slot = KeySlot(key);
    if (!source.me().slots.Contains(slot) || std::ranges::count(slots, std::to_string(slot)) > 0) continue;
    slots.push_back(std::to_string(slot));
    const auto set = [&](const NodeView& node, const char* state, const NodeView& peer) {
      return life.harness.Ask(node.endpoint, {"CLUSTER", "SETSLOT", slots.back(), state, peer.id().ToString()}).IsOk();
    };
    ASSERT_TRUE(set(target, "IMPORTING", source));
    if (slots.size() == 2) {
      ASSERT_TRUE(set(source, "MIGRATING", target));
      const Reply gone = life.harness.Ask(source.endpoint, {"MIGRATE", target.endpoint.host, "6379", "", "0", "1000",
                                                            "AUTH", life.harness.Password(), "KEYS", key});
      ASSERT_TRUE(gone.IsOk()) << gone.text;
    }
  }
  life.StartWriters();
  life.harness.StartOperator();
  ASSERT_TRUE(Harness::Eventually(
      [&] { return life.NodeOf("demo-1-0").me().slots.Contains(static_cast<Slot>(std::stoi(slots[1]))); }));
  life.ExpectAllIsWell();
  EXPECT_TRUE(life.NodeOf("demo-0-0").me().slots.Contains(static_cast<Slot>(std::stoi(slots[0]))))
      << "nothing had moved";
}

// Given away at one end only, by somebody who then stopped: the new owner knows nothing of it.
TEST(DeniedSlots, HaveAnOwnerAgain) {
  Life life(3, 1, reconciler::Json::object(), TestImage(), 0);
  const auto first = life.NodeOf("demo-0-0");
  const auto second = life.NodeOf("demo-1-0");
  life.harness.StopOperator();
  for (const auto& [from, to] : {std::pair(first, second), std::pair(second, first)}) {
    const std::string slot = std::to_string(from.me().slots.Ranges().front().first);
    ASSERT_TRUE(life.harness.Ask(from.endpoint, {"CLUSTER", "SETSLOT", slot, "NODE", to.id().ToString()}).IsOk());
  }
  const auto all_claimed = [&] { return Merge(life.harness.Look().observation).covered.size() == kSlotCount; };
  EXPECT_FALSE(all_claimed());
  life.harness.StartOperator();
  ASSERT_TRUE(Harness::Eventually(all_claimed));
  life.StartWriters();
  life.ExpectAllIsWell();
}

TEST(Deletion, InTheMiddleOfARebalanceLeavesNothing) {
  Life life(3, 1, reconciler::Json::object(), TestImage(), 100'000);
  life.harness.PatchSpec({{"masters", 5}});
  ASSERT_TRUE(Harness::Eventually([&] { return life.harness.ReadyReason() == "Rebalancing"; }));
  life.harness.ExpectDeletionLeaves(0);
}

TEST(Deletion, WhilePausedLeavesNothingButTheClaimsThatShallStay) {
  Life life(1, 1, {{"storage", {{"size", "1Gi"}}}}, TestImage(), 0);
  life.harness.SetPaused(true);
  life.harness.PatchSpec({{"masters", 2}});
  ASSERT_TRUE(Harness::Eventually([&] { return life.harness.ReadyReason() == "Paused"; }));
  life.harness.ExpectDeletionLeaves(2);
}

TEST(Deletion, WhileTheSpecificationIsRefusedLeavesNothing) {
  Life life(1, 1, {{"storage", {{"size", "1Gi"}, {"retain", "Delete"}}}}, TestImage(), 0);
  life.harness.PatchSpec({{"config", {{"port", "7000"}}}});
  ASSERT_TRUE(Harness::Eventually([&] { return life.harness.ReadyReason() == "InvalidSpec"; }));
  life.harness.ExpectDeletionLeaves(0);
}

TEST(Progress, OfAMigrationIsInTheStatusAndInTheMetrics) {
  Life life(3, 1, {{"rebalance", {{"method", "Keys"}}}}, TestImage(), 400'000);
  life.harness.StopOperator();
  life.harness.options().executor.migration_slice = 20ms;
  life.harness.StartOperator();
  ASSERT_TRUE(Harness::Eventually([&] { return life.harness.PortOf("metrics") != 0; }));
  const auto metrics = reconciler::MakeHttpTransport(
      {.server = fmt::format("http://127.0.0.1:{}", life.harness.PortOf("metrics"))}, "test");
  ASSERT_TRUE(metrics);
  const auto metric_is_positive = [&] {
    const auto response = (*metrics)->Send({.target = "/metrics"}, {});
    static const std::regex kLine(R"(slotwright_cluster_migration_keys_per_second\{[^}]*\} [1-9])");
    return response && std::regex_search(response->body, kLine);
  };
  const auto status = [&](const char* field) {
    const auto object = life.harness.client().Get(kRedisClusters, {"default", "demo"});
    return object ? object->value(reconciler::Json::json_pointer(std::string("/status/operation/") + field), -1) : -1;
  };
  life.harness.PatchSpec({{"masters", 4}});
  bool in_status = false;
  bool in_metrics = false;
  EXPECT_TRUE(Harness::Eventually([&] {
    in_status = in_status || (status("keysPerSecond") > 0 && status("estimatedSecondsLeft") >= 0);
    in_metrics = in_metrics || metric_is_positive();
    return in_status && in_metrics;
  })) << "status: "
      << in_status << ", metrics: " << in_metrics;
  life.ExpectAllIsWell(150s);  // Valkey tells its replicas first, in each of so short slices
  EXPECT_EQ(status("slotsLeft"), -1);
  EXPECT_FALSE(metric_is_positive());
}

TEST(Pause, StopsARebalanceBetweenTwoSlices) {
  Life life(3, 1, {{"rebalance", {{"method", "Keys"}}}}, TestImage(), 400'000);
  life.harness.StopOperator();
  life.harness.options().executor.migration_slice = 100ms;  // a fast machine moves the 100,000 keys in half a second
  life.harness.StartOperator();
  life.StartWriters();
  life.harness.PatchSpec({{"masters", 4}});
  ASSERT_TRUE(Harness::Eventually([&] { return life.harness.ReadyReason() == "Rebalancing"; }));
  life.harness.SetPaused(true);
  ASSERT_TRUE(Harness::Eventually([&] { return life.harness.ReadyReason() == "Paused"; }));
  const auto slots = life.NodeOf("demo-3-0").me().slots.size();
  std::this_thread::sleep_for(500ms);
  EXPECT_EQ(life.NodeOf("demo-3-0").me().slots.size(), slots);
  EXPECT_LT(slots, 4096);
  life.harness.SetPaused(false);
  life.ExpectAllIsWell();
}

// How often each command was given to each pod's server, but for those that only ask, and what replicas do by
// themselves.
std::map<std::string, std::string> CommandsThatChange(const Life& life) {
  static const std::regex kHarmless(R"(auth|ping|info|role|select|replconf|psync|config\|get|)"
                                    R"(cluster\|(nodes|info|myid|countkeysinslot|getslotmigrations))");
  static const std::regex kLine(R"(cmdstat_([^:]+):calls=(\d+))");
  std::map<std::string, std::string> calls;
  for (const auto& node : life.harness.Look().observation.nodes) {
    if (!node.Answers()) continue;
    const std::string text = life.harness.Ask(node.endpoint, {"INFO", "commandstats"}).text;
    for (std::sregex_iterator match(text.begin(), text.end(), kLine), end; match != end; ++match) {
      if (!std::regex_match(match->str(1), kHarmless)) calls[node.pod + " " + match->str(1)] = match->str(2);
    }
  }
  return calls;
}

// The status, and the Event that tells of it.
TEST(Pause, SendsNothingButTheStatusWhateverIsWrong) {
  Life life;
  const auto says = [&](const std::string& words) {
    return life.harness.Condition("Ready").value("message", "").find(words) != std::string::npos;
  };
  life.harness.SetPaused(true);
  ASSERT_TRUE(Harness::Eventually([&] { return says("paused by annotation"); }));
  size_t changes = life.harness.Changes().size();
  std::map<std::string, std::string> commands = CommandsThatChange(life);
  // From the moment on that the operator knows, and at one look more.
  const auto expect_nothing_but = [&](const std::string& next_action) {
    EXPECT_TRUE(Harness::Eventually([&] { return says("the next action would be: " + next_action); }))
        << life.harness.Condition("Ready");
    std::this_thread::sleep_for(6s);
    const auto all = life.harness.Changes();
    for (size_t i = changes; i < all.size(); ++i) {
      EXPECT_THAT(all[i], AnyOf(MatchesRegex("(PUT|PATCH) /apis/slotwright.dev/.*/redisclusters/demo/status[?].*"),
                                MatchesRegex("(POST|PATCH) /api/v1/namespaces/default/events.*")));
    }
    EXPECT_GT(all.size(), changes) << "what is said about it was heard somewhere else";
    for (const auto& [command, calls] : CommandsThatChange(life)) EXPECT_EQ(calls, commands[command]) << command;
    changes = all.size();
  };

  life.harness.PatchSpec({{"config", {{"hz", "25"}}}});
  expect_nothing_but("set hz on demo-");
  life.harness.PatchSpec({{"config", nullptr}});
  ASSERT_TRUE(Harness::Eventually([&] { return life.harness.ReadyReason() == "Healthy"; }));

  ASSERT_EQ(Reshard(life, life.NodeOf("demo-2-0"), life.NodeOf("demo-0-0"), 400, 10).get(), 0);
  commands = CommandsThatChange(life);
  expect_nothing_but("move slots ");

  const std::string gone = "demo-1-1";
  life.DeletePod(gone);
  std::erase_if(commands, [&](const auto& one) { return one.first.starts_with(gone); });
  expect_nothing_but("create Pod " + gone);

  life.harness.PatchSpec({{"config", {{"hz", "25"}}}});
  life.harness.SetPaused(false);
  life.ExpectAllIsWell();
  EXPECT_EQ(life.harness.Look().observation.pods.size(), 6U);
  EXPECT_EQ(life.harness.Ask(life.NodeOf(gone).endpoint, {"CONFIG", "GET", "hz"}).elements.at(1).text, "25");
}

}  // namespace
}  // namespace slotwright::testing
