// What happens to real clusters when processes, pods and majorities die.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <set>

#include "controllers/api/conditions.h"
#include "tests/integration/life.h"
#include "tests/support/engines.h"
#include "tests/support/redis_process.h"

namespace slotwright::testing {
namespace {

using reconciler::Json;
using ::testing::AllOf;
using ::testing::HasSubstr;

const Json kQuickTimeout = {{"config", {{"cluster-node-timeout", "2000"}}}};

TEST(Healing, AReplicasProcessThatDiesLosesNothing) {
  Life life(3, 1, kQuickTimeout);
  life.StartWriters();
  ASSERT_EQ(::kill(life.PidOf("demo-1-1"), SIGKILL), 0);
  ASSERT_TRUE(Harness::Eventually([&] { return life.IsNotReady(); }));
  life.ExpectAllIsWell();
}

// What budgets count: a node that runs and has nothing yet is no second copy.
TEST(Readiness, OfAPodMeansAPlaceInTheCluster) {
  Life life;
  const auto is_ready = [&](const char* status) {
    const auto pod = life.harness.client().Get(reconciler::types::kPods, {"default", "demo-1-1"});
    return pod && FindCondition((*pod)["status"]["conditions"], "Ready").value("status", "") == status;
  };
  ASSERT_TRUE(Harness::Eventually([&] { return is_ready("True"); }));
  const pid_t pid = life.PidOf("demo-1-1");
  const Endpoint endpoint = life.NodeOf("demo-1-1").endpoint;
  life.harness.StopOperator();
  ASSERT_EQ(::kill(pid, SIGKILL), 0);
  EXPECT_TRUE(Harness::Eventually([&] { return is_ready("False"); }));
  ASSERT_TRUE(Harness::Eventually([&] {
    const auto nodes = life.harness.Look().observation.nodes;
    return std::ranges::any_of(nodes,
                               [&](const NodeView& node) { return node.endpoint == endpoint && node.Answers(); });
  }));
  std::this_thread::sleep_for(5s);  // two probes and more
  EXPECT_TRUE(is_ready("False")) << "it answers, alone and empty";
  life.harness.StartOperator();
  EXPECT_TRUE(Harness::Eventually([&] { return is_ready("True"); }));
  life.ExpectAllIsWell();
}

// Who refuses is alive: a container that is killed for it loses what it holds.
TEST(Liveness, IsThatOfAServerWhichTakesNoMoreClients) {
  const Life life(1, 0, Json::object(), TestImage(), 0);
  const Endpoint endpoint = life.NodeOf("demo-0-0").endpoint;
  const auto config = life.harness.client().Get(reconciler::types::kConfigMaps, {"default", "demo-config"});
  ASSERT_TRUE(config);
  const auto is_alive = [&](int port) {
    return std::system(fmt::format("POD_IP={} timeout 2 /bin/sh -s {} << 'END'\n{}\nEND\n", endpoint.host, port,
                                   config->at("data").at("alive.sh").get<std::string>())
                           .c_str()) == 0;
  };
  EXPECT_TRUE(is_alive(endpoint.port));
  EXPECT_FALSE(is_alive(endpoint.port + 1)) << "nobody is there";
  ASSERT_TRUE(life.harness.Ask(endpoint, {"CONFIG", "SET", "maxclients", "1"}).IsOk());
  EXPECT_TRUE(is_alive(endpoint.port));
  const pid_t pid = life.PidOf("demo-0-0");
  ASSERT_EQ(::kill(pid, SIGSTOP), 0);
  EXPECT_FALSE(is_alive(endpoint.port));
  ASSERT_EQ(::kill(pid, SIGCONT), 0);
}

TEST(Healing, AReplicasPodThatIsDeletedLosesNothing) {
  Life life(3, 1, kQuickTimeout);
  life.StartWriters();
  life.DeletePod("demo-1-1");
  ASSERT_TRUE(Harness::Eventually([&] { return life.IsNotReady(); }));
  life.ExpectAllIsWell();
}

struct Engine {
  const char* name;
  const char* image;
  bool storage = false;
};

class KilledMaster : public ::testing::TestWithParam<Engine> {};

// Redis acknowledges before a replica has the write: what was on its way is lost, and nothing else.
TEST_P(KilledMaster, LosesNoMoreThanWasOnItsWay) {
  if (ServerFor(GetParam().image).empty()) GTEST_SKIP() << "no program here for " << GetParam().image;
  Json spec = kQuickTimeout;
  if (GetParam().storage) spec["storage"] = {{"size", "1Gi"}};
  Life life(3, 1, spec, GetParam().image);
  life.StartWriters();
  ASSERT_EQ(::kill(life.PidOf("demo-0-0"), SIGKILL), 0);
  ASSERT_TRUE(Harness::Eventually([&] { return life.IsNotReady(); }));
  ASSERT_TRUE(life.harness.BecomesReady());
  EXPECT_EQ(life.harness.ViolatedPromise(), "");
  EXPECT_TRUE(life.NodeOf("demo-0-1").me().flags.master);
  life.ExpectWritersGoOn();
  EXPECT_LE(life.Verify().lost, Life::kWriters) << "one write on its way each";
  EXPECT_EQ(life.report().first_problem, "");
}

INSTANTIATE_TEST_SUITE_P(Engines, KilledMaster,
                         ::testing::Values(Engine{"Redis70", "redis:7.0", false},
                                           Engine{"Redis70WithStorage", "redis:7.0", true},
                                           Engine{"Redis82WithStorage", "redis:8.2", true},
                                           Engine{"Valkey91", "valkey/valkey:9.1", false}),
                         [](const auto& param_info) { return param_info.param.name; });

// Promise 10 with persistence: the container is back at once under its old name, over a volume of which nothing is
// left.
TEST(LostFiles, OfAMasterThatIsKilledAreCopiedFromItsReplica) {
  Json spec = kQuickTimeout;
  spec["storage"] = {{"size", "1Gi"}};
  Life life(3, 1, spec);
  const Endpoint master = life.NodeOf("demo-0-0").endpoint;
  ASSERT_EQ(life.harness.Ask(master, {"WAIT", "1", "5000"}).integer, 1);
  const std::filesystem::path folder = life.harness.Ask(master, {"CONFIG", "GET", "dir"}).elements.at(1).text;
  ASSERT_TRUE(std::filesystem::exists(folder / "nodes.conf")) << folder;
  ASSERT_EQ(::kill(life.PidOf("demo-0-0"), SIGKILL), 0);
  for (const auto& entry : std::filesystem::directory_iterator(folder)) std::filesystem::remove_all(entry.path());
  ASSERT_TRUE(Harness::Eventually([&] { return life.IsNotReady(); }));
  life.ExpectAllIsWell();
  EXPECT_TRUE(life.NodeOf("demo-0-1").me().flags.master);
  EXPECT_EQ(life.Keys(), 20'000);
  EXPECT_EQ(life.NodeOf("demo-0-0").server.keys, life.NodeOf("demo-0-1").server.keys);
}

class HungMaster : public ::testing::TestWithParam<Engine> {};

// Its container runs and its address is its own: only the other masters can tell that it is away.
TEST_P(HungMaster, IsReplacedByItsReplicaAndComesBackAsThat) {
  if (ServerFor(GetParam().image).empty()) GTEST_SKIP() << "no program here for " << GetParam().image;
  Life life(3, 1, kQuickTimeout, GetParam().image);
  std::map<std::string, std::string> runs;
  for (const auto& node : life.harness.Look().observation.nodes) runs[node.pod] = node.server.run_id;
  life.StartWriters();
  const pid_t hung = life.PidOf("demo-0-0");
  ASSERT_EQ(::kill(hung, SIGSTOP), 0);
  ASSERT_TRUE(Harness::Eventually([&] { return life.NodeOf("demo-0-1").me().flags.master; }));
  EXPECT_TRUE(Harness::Eventually(
      [&] { return life.harness.Condition("Ready").value("message", "").find("demo-0-0") != std::string::npos; }));
  // The writers wait for the hung one most of the time. The old master must not take these back.
  const NodeView leader = life.NodeOf("demo-0-1");
  std::vector<std::string> keys;
  for (int i = 0; keys.size() < 100; ++i) {
    const std::string key = fmt::format("late:{}", i);
    if (!leader.me().slots.Contains(KeySlot(key))) continue;
    ASSERT_TRUE(life.harness.Ask(leader.endpoint, {"SET", key, "v"}).IsOk());
    keys.push_back(key);
  }
  ASSERT_EQ(::kill(hung, SIGCONT), 0);
  ASSERT_TRUE(life.harness.BecomesReady());
  EXPECT_EQ(life.harness.ViolatedPromise(), "");
  life.ExpectWritersGoOn();
  EXPECT_LE(life.Verify().lost, Life::kWriters) << "one write on its way each";
  EXPECT_EQ(life.report().first_problem, "");
  for (const auto& node : life.harness.Look().observation.nodes) {
    EXPECT_EQ(node.server.run_id, runs[node.pod]) << node.pod;
    const bool leads = node.pod == "demo-0-1" || (node.shard != 0 && node.index == 0);
    EXPECT_EQ(node.me().flags.master, leads) << node.pod;
  }
  EXPECT_EQ(life.NodeOf("demo-0-0").me().master, leader.id());
  for (const auto& key : keys) EXPECT_EQ(life.harness.Ask(leader.endpoint, {"GET", key}).text, "v") << key;
}

INSTANTIATE_TEST_SUITE_P(Engines, HungMaster,
                         ::testing::Values(Engine{"Redis70", "redis:7.0"}, Engine{"Redis82", "redis:8.2"},
                                           Engine{"Valkey91", "valkey/valkey:9.1"}),
                         [](const auto& param_info) { return param_info.param.name; });

TEST(Healing, AMastersPodThatIsDeletedKeepsAllReplicatedKeys) {
  Life life(3, 1, kQuickTimeout);
  ASSERT_EQ(life.harness.Ask(life.NodeOf("demo-0-0").endpoint, {"WAIT", "1", "5000"}).integer, 1);
  life.DeletePod("demo-0-0");
  ASSERT_TRUE(Harness::Eventually([&] { return life.IsNotReady(); }));
  life.ExpectAllIsWell();
  EXPECT_EQ(life.Keys(), 20'000);
}

// The node timeout is 5 s: no election can be that quick. Nobody is there to help either.
TEST(HandOver, OfAMasterThatIsToldToEndSparesItsClientsAnElection) {
  for (const char* image : {"redis:7.0", "valkey:9.1"}) {
    Life life(3, 1, Json::object(), image);
    life.harness.StopOperator();
    life.StartWriters();
    std::this_thread::sleep_for(500ms);
    const NodeId before = life.NodeOf("demo-0-1").me().id;
    life.DeletePod("demo-0-0");
    ASSERT_TRUE(Harness::Eventually(
        [&] { return !life.harness.client().Get(reconciler::types::kPods, {"default", "demo-0-0"}); }));
    EXPECT_TRUE(life.NodeOf("demo-0-1").me().flags.master);
    EXPECT_EQ(life.NodeOf("demo-0-1").me().id, before);
    life.harness.StartOperator();
    ASSERT_TRUE(Harness::Eventually([&] { return life.IsNotReady(); }));
    life.ExpectAllIsWell(60s, {.longest_wait = 1000ms});
  }
}

// Of the master whose pod is being deleted while no operator runs: its replica leads once it is gone, with all keys.
void ExpectHandedOver(Life& life) {
  ASSERT_TRUE(Harness::Eventually(
      [&] { return !life.harness.client().Get(reconciler::types::kPods, {"default", "demo-0-0"}); }));
  EXPECT_TRUE(life.NodeOf("demo-0-1").me().flags.master);
  life.harness.StartOperator();
  ASSERT_TRUE(Harness::Eventually([&] { return life.IsNotReady(); }));
  life.ExpectAllIsWell();
  EXPECT_EQ(life.Keys(), 20'000);
}

TEST(HandOver, WaitsForAReplicaThatIsStillCopying) {
  Json spec;
  spec["storage"] = {{"size", "1Gi"}};
  Life life(3, 1, spec);
  life.harness.StopOperator();
  (void)life.harness.Ask(life.NodeOf("demo-0-0").endpoint, {"CONFIG", "SET", "repl-diskless-sync-delay", "4"});
  const pid_t pid = life.PidOf("demo-0-1");
  ASSERT_EQ(::kill(pid, SIGKILL), 0);
  const auto link_is_down = [&] {
    const auto nodes = life.harness.Look().observation.nodes;
    const auto found = std::ranges::find(nodes, "demo-0-1", &NodeView::pod);
    return found != nodes.end() && found->Answers() && !found->server.master_role && !found->server.master_link_up;
  };
  ASSERT_TRUE(Harness::Eventually(link_is_down));
  life.DeletePod("demo-0-0");
  ExpectHandedOver(life);
}

// A question waits 5 s for its answer; that one is lost does not mean that the replica is.
TEST(HandOver, AsksAReplicaAgainThatDidNotAnswerOnce) {
  Life life(3, 1, Json::object());
  life.harness.StopOperator();
  const pid_t pid = life.PidOf("demo-0-1");
  ASSERT_EQ(::kill(pid, SIGSTOP), 0);
  life.DeletePod("demo-0-0");
  std::this_thread::sleep_for(6s);
  ASSERT_EQ(::kill(pid, SIGCONT), 0);
  ExpectHandedOver(life);
}

// It has nobody to hand over to, and does not wait for anybody.
TEST(HandOver, OfAMasterWithoutReplicasIsSkipped) {
  const Life life(3, 0);
  const auto began = std::chrono::steady_clock::now();
  life.DeletePod("demo-0-0");
  const auto uid = [&] {
    const auto pod = life.harness.client().Get(reconciler::types::kPods, {"default", "demo-0-0"});
    return pod ? reconciler::UidOf(*pod) : "";
  };
  const std::string old = uid();
  ASSERT_TRUE(Harness::Eventually([&] { return uid() != old; }));
  EXPECT_LT(std::chrono::steady_clock::now() - began, 5s);
}

class Healing : public ::testing::TestWithParam<Engine> {};

TEST_P(Healing, AllPodsDeletedWithStorageComeBackWithTheirData) {
  if (ServerFor(GetParam().image).empty()) GTEST_SKIP() << "no program here for " << GetParam().image;
  Json spec = kQuickTimeout;
  spec["storage"] = {{"size", "1Gi"}};
  spec["config"]["appendfsync"] = "always";
  Life life(3, 1, spec, GetParam().image);
  life.StartWriters();
  for (const auto& pod : life.harness.Look().observation.pods) life.DeletePod(pod.name);
  ASSERT_TRUE(Harness::Eventually([&] { return life.IsNotReady(); }));
  ASSERT_TRUE(life.harness.BecomesReady("demo", 120s));
  life.ExpectWritersGoOn();
  life.ExpectAllIsWell(120s, {.longest_wait = 20s});  // nobody is there for a while
}

INSTANTIATE_TEST_SUITE_P(Engines, Healing,
                         ::testing::Values(Engine{"Redis70", "redis:7.0"}, Engine{"Redis82", "redis:8.2"},
                                           Engine{"Valkey91", "valkey/valkey:9.1"}),
                         [](const auto& param_info) { return param_info.param.name; });

// A full or read-only volume: here no RDB file can come where a folder lies. Such a master refuses all writes
// (MISCONF).
TEST(FullDisk, OfAMasterHandsItsSlotsOverAndIsSaid) {
  Json spec = kQuickTimeout;
  spec["storage"] = {{"size", "1Gi"}};
  Life life(3, 1, spec);
  const Endpoint endpoint = life.NodeOf("demo-0-0").endpoint;
  const auto ask = [&](const Command& command) { return life.harness.Ask(endpoint, command); };
  const std::filesystem::path file = ask({"CONFIG", "GET", "dir"}).elements.at(1).text + "/dump.rdb";
  std::filesystem::remove(file);
  std::filesystem::create_directory(file);
  ASSERT_FALSE(ask({"BGSAVE"}).IsError());
  EXPECT_TRUE(Harness::Eventually([&] { return life.NodeOf("demo-0-0").server.save_failed; }));
  EXPECT_TRUE(Harness::Eventually([&] { return !life.NodeOf("demo-0-0").server.master_role; }));
  EXPECT_TRUE(Harness::Eventually([&] { return life.harness.ReadyReason() == "DiskTakesNothing"; }))
      << life.harness.Condition("Ready").dump();
  EXPECT_THAT(life.harness.Condition("Ready").value("message", ""), HasSubstr("demo-0-0 could not save"));
  // Before anybody writes: a replica whose disk takes nothing ends itself then.
  std::filesystem::remove(file);
  ASSERT_FALSE(ask({"BGSAVE"}).IsError());
  EXPECT_TRUE(Harness::Eventually([&] { return !life.NodeOf("demo-0-0").server.save_failed; }));
  life.StartWriters();
  life.ExpectAllIsWell();
}

// The append-only files are the data: no server may be started without them.
TEST(Healing, PodsAndConfigMapDeletedWhileNobodyLooksComeBackWithTheirData) {
  Json spec = kQuickTimeout;
  spec["storage"] = {{"size", "1Gi"}};
  spec["config"].update({{"appendonly", "yes"}, {"appendfsync", "always"}, {"save", ""}});
  Life life(3, 0, spec);
  const auto pods = life.harness.Look().observation.pods;
  life.harness.StopOperator();
  for (const auto& pod : pods) life.DeletePod(pod.name);
  const auto& client = life.harness.client();
  ASSERT_TRUE(client.Delete(reconciler::types::kConfigMaps, {"default", "demo-config"}));
  ASSERT_TRUE(Harness::Eventually([&] {
    const auto left = client.ListAll(reconciler::types::kPods, {.ns = "default"});
    return left && left->items.empty();
  }));
  life.harness.StartOperator();
  ASSERT_TRUE(Harness::Eventually([&] { return life.IsNotReady(); }));
  life.ExpectAllIsWell(120s);
  EXPECT_EQ(life.Keys(), 20'000);
}

class KilledMajority : public ::testing::TestWithParam<Engine> {};

// Where nothing is stored its replicas have to take over, without votes, and what was on its way to them is lost. Where
// all is, it comes back as it was, with every write that it has acknowledged, and votes for whomever else is needed.
TEST_P(KilledMajority, OfMastersIsTakenOverOnlyIfItsDataIsNowhereElse) {
  if (ServerFor(GetParam().image).empty()) GTEST_SKIP() << "no program here for " << GetParam().image;
  Json spec = kQuickTimeout;
  if (GetParam().storage) spec["storage"] = {{"size", "1Gi"}};
  Life life(3, 1, spec, GetParam().image);
  const auto nodes = [&] {
    std::map<std::string, NodeId> ids;
    for (const auto& node : life.harness.Look().observation.nodes) ids[node.pod] = node.id();
    return ids;
  };
  const auto before = nodes();
  life.StartWriters();
  ASSERT_NO_FATAL_FAILURE(life.KillServers({"demo-0-0", "demo-1-0"}));
  ASSERT_TRUE(life.harness.BecomesReady("demo", 120s));
  life.ExpectWritersGoOn();
  life.ExpectAllIsWell(120s, {.longest_wait = 20s, .lost = GetParam().storage ? 0 : Life::kWriters});
  const auto taken_over = std::ranges::count_if(life.harness.AskAll({"INFO", "commandstats"}), [](const auto& result) {
    return result->front().text.find("cmdstat_cluster|failover:") != std::string::npos;
  });
  EXPECT_EQ(taken_over > 0, !GetParam().storage);
  EXPECT_EQ(nodes() == before, GetParam().storage);
}

INSTANTIATE_TEST_SUITE_P(Engines, KilledMajority,
                         ::testing::Values(Engine{"Redis70", "redis:7.0", false},
                                           Engine{"Redis70WithStorage", "redis:7.0", true},
                                           Engine{"Redis82", "redis:8.2", false},
                                           Engine{"Redis82WithStorage", "redis:8.2", true},
                                           Engine{"Valkey91", "valkey/valkey:9.1", false},
                                           Engine{"Valkey91WithStorage", "valkey/valkey:9.1", true}),
                         [](const auto& param_info) { return param_info.param.name; });

TEST(Healing, AShardThatIsWhollyGoneIsSaidAndServedAgainOnlyByPolicy) {
  Life life(3, 1, kQuickTimeout);
  const pid_t master = life.PidOf("demo-1-0");
  const pid_t replica = life.PidOf("demo-1-1");
  ASSERT_EQ(::kill(replica, SIGKILL), 0);
  ASSERT_EQ(::kill(master, SIGKILL), 0);
  ASSERT_TRUE(Harness::Eventually([&] { return life.harness.ReadyReason() == "DataLost"; }, 60s))
      << life.harness.Condition("Ready");
  EXPECT_THAT(life.harness.Condition("Ready").value("message", ""), HasSubstr("5461-10922"));
  life.harness.PatchSpec({{"healing", {{"lostShard", "AssignEmpty"}}}});
  life.ExpectAllIsWell(90s);
  EXPECT_LT(life.Keys(), 20'000);
  EXPECT_GT(life.Keys(), 10'000) << "the other shards kept theirs";
}

// Somebody else's node with our password takes over the address of a pod that is gone.
void ExpectAStrangerIsLeftAloneAtTheAddressOf(const std::string& pod) {
  Life life;
  life.StartWriters();
  const auto endpoint = life.NodeOf(pod).endpoint;
  const auto pid = life.PidOf(pod);
  life.DeletePod(pod);
  ASSERT_TRUE(Harness::Eventually([&] { return ::kill(pid, 0) != 0; }));
  const std::string password = life.harness.Password();
  const auto stranger = RedisProcess::Start(
      {.endpoint = endpoint,
       .arguments = {"--cluster-enabled", "yes", "--cluster-announce-hostname", "other-0-0.other-nodes.default.svc",
                     "--requirepass", password, "--masterauth", password}});
  ASSERT_TRUE(stranger) << stranger.error();
  const std::string id = life.harness.Ask(endpoint, {"CLUSTER", "MYID"}).text;
  // An introduction that was under way when the address passed on.
  const auto& ours = life.NodeOf("demo-0-0");
  ASSERT_NE(ours.me().bus_port, endpoint.port + 10000);
  ASSERT_TRUE(life.harness
                  .Ask(ours.endpoint, {"CLUSTER", "MEET", endpoint.host, std::to_string(endpoint.port),
                                       std::to_string(ours.me().bus_port)})
                  .IsOk());
  // Long enough for our nodes to try the address again and again.
  std::this_thread::sleep_for(7s);
  life.ExpectAllIsWell();
  const auto table = ParseClusterNodes(life.harness.Ask(endpoint, {"CLUSTER", "NODES"}).text);
  ASSERT_TRUE(table) << table.error();
  EXPECT_EQ(table->lines.size(), 1U) << "it knows itself alone";
  for (const auto& node : life.harness.Look().observation.nodes) {
    EXPECT_NE(node.endpoint, endpoint);
    EXPECT_EQ(node.table->Find(*NodeId::Parse(id)), nullptr) << node.pod;
  }
}

TEST(Healing, AStrangerAtAReusedAddressIsLeftAloneAndJoinsNothing) {
  ExpectAStrangerIsLeftAloneAtTheAddressOf("demo-1-1");
}

// Its replica has taken over, and the others still know the old one by that address.
TEST(Healing, AStrangerAtTheAddressOfAMasterIsLeftAloneAndJoinsNothing) {
  ExpectAStrangerIsLeftAloneAtTheAddressOf("demo-1-0");
}

// It had no time to hand over, and the stranger speaks on our bus port: the others ask it as if it were the dead one.
TEST(Healing, AMasterThatDiedAndWhoseAddressIsAStrangersIsReplacedByItsReplica) {
  Life life(3, 1, kQuickTimeout);
  const NodeView master = life.NodeOf("demo-1-0");
  ASSERT_EQ(life.harness.Ask(master.endpoint, {"WAIT", "1", "5000"}).integer, 1);
  const pid_t pid = life.PidOf("demo-1-0");
  ASSERT_EQ(::kill(pid, SIGSTOP), 0);
  life.DeletePod("demo-1-0");
  ASSERT_EQ(::kill(pid, SIGKILL), 0);
  ASSERT_TRUE(Harness::Eventually([&] { return ::kill(pid, 0) != 0; }));
  const std::string password = life.harness.Password();
  const auto stranger = RedisProcess::Start(
      {.endpoint = master.endpoint,
       .arguments = {"--cluster-enabled", "yes", "--cluster-port", std::to_string(master.me().bus_port),
                     "--cluster-announce-hostname", "other-0-0.other-nodes.default.svc", "--requirepass", password}});
  ASSERT_TRUE(stranger) << stranger.error();
  ASSERT_TRUE(Harness::Eventually([&] { return life.IsNotReady(); }));
  life.ExpectAllIsWell(90s);
  EXPECT_EQ(life.Keys(), 20'000);
  EXPECT_TRUE(life.NodeOf("demo-1-1").me().flags.master);
  const std::string heard = life.harness.Ask(master.endpoint, {"CLUSTER", "INFO"}).text;
  EXPECT_THAT(heard, HasSubstr("cluster_stats_messages_ping_received:")) << "nobody has asked it";
  const auto table = ParseClusterNodes(life.harness.Ask(master.endpoint, {"CLUSTER", "NODES"}).text);
  ASSERT_TRUE(table) << table.error();
  EXPECT_EQ(table->lines.size(), 1U) << "it knows itself alone";
}

struct Met {
  const char* name;
  const char* image;
  bool ends;
  const char* hostname = "other-0-0.other-nodes.default.svc";  ///< By default Redis announces none.
};

// Who ran CLUSTER MEET with it knew our bus port.
class MetStranger : public ::testing::TestWithParam<Met> {};

TEST_P(MetStranger, IsSaidAndLeftAloneUntilAPersonForgetsIt) {
  const std::string server = ServerFor(GetParam().image);
  if (server.empty()) GTEST_SKIP() << "no program here for " << GetParam().image;
  Life life(3, 1, kQuickTimeout, GetParam().image);
  const NodeView ours = life.NodeOf("demo-0-0");
  const std::string bus_port = std::to_string(ours.me().bus_port);
  const Endpoint endpoint = FreshEndpoint();
  auto stranger = RedisProcess::Start(
      {.binary = server,
       .endpoint = endpoint,
       .arguments = {"--cluster-enabled", "yes", "--cluster-port", bus_port, "--cluster-announce-ip", endpoint.host,
                     "--cluster-announce-hostname", GetParam().hostname, "--requirepass", life.harness.Password()}});
  ASSERT_TRUE(stranger) << stranger.error();
  const std::string_view name = GetParam().hostname;
  const NodeId id = *NodeId::Parse(life.harness.Ask(endpoint, {"CLUSTER", "MYID"}).text);
  const auto known_to_all = [&](const std::function<bool(const NodeLine&)>& as) {
    return std::ranges::all_of(life.harness.Look().observation.nodes, [&](const NodeView& node) {
      const NodeLine* line = node.table->Find(id);
      return line != nullptr && as(*line);
    });
  };
  const auto pods = [&] {
    std::set<std::string> uids;
    for (const auto& pod : life.harness.Look().observation.pods) uids.insert(pod.uid);
    return uids;
  };
  const auto before = pods();
  life.StartWriters();
  const Command meet = {"CLUSTER", "MEET", endpoint.host, std::to_string(endpoint.port), bus_port};
  ASSERT_TRUE(life.harness.Ask(ours.endpoint, meet).IsOk());
  ASSERT_TRUE(Harness::Eventually(
      [&] { return known_to_all([](const NodeLine& line) { return line.link_connected && !line.flags.handshake; }); }));
  EXPECT_TRUE(Harness::Eventually([&] { return life.harness.ReadyReason() == "StrangerInCluster"; }))
      << life.harness.Condition("Ready");
  EXPECT_TRUE(life.IsNotReady());
  EXPECT_THAT(life.harness.Condition("Ready").value("message", ""),
              AllOf(HasSubstr(id.Short()), HasSubstr(name.empty() ? endpoint.ToString() : std::string(name))));
  if (GetParam().ends) {
    (*stranger)->Kill();
    ASSERT_TRUE(
        Harness::Eventually([&] { return known_to_all([](const NodeLine& line) { return line.flags.fail; }); }));
  }
  std::this_thread::sleep_for(3s);
  EXPECT_EQ(life.harness.ReadyReason(), "StrangerInCluster");
  EXPECT_TRUE(known_to_all([](const NodeLine&) { return true; })) << "who is to be forgotten is for a person to say";
  for (const auto& result : life.harness.AskAll({"CLUSTER", "FORGET", id.ToString()})) {
    EXPECT_TRUE(result && result->front().IsOk());
  }
  life.ExpectAllIsWell();
  EXPECT_EQ(pods(), before);
}

INSTANTIATE_TEST_SUITE_P(Engines, MetStranger,
                         ::testing::Values(Met{"Redis70", "redis:7.0", false},
                                           Met{"Redis70ThatEnds", "redis:7.0", true},
                                           Met{"Redis70WithoutAName", "redis:7.0", false, ""},
                                           Met{"Redis82", "redis:8.2", false},
                                           Met{"Valkey91", "valkey/valkey:9.1", false}),
                         [](const auto& param_info) { return param_info.param.name; });

// Views that differ: one node has forgotten another, by hand, and would be told of it by no gossip for a minute.
TEST(Healing, ANodeThatAnotherHasForgottenIsKnownAgain) {
  Life life;
  const auto forgotten = life.NodeOf("demo-2-1").id();
  const auto forgetful = life.NodeOf("demo-0-0").endpoint;
  ASSERT_TRUE(life.harness.Ask(forgetful, {"CLUSTER", "FORGET", forgotten.ToString()}).IsOk());
  ASSERT_TRUE(Harness::Eventually([&] { return life.IsNotReady(); }));
  EXPECT_TRUE(Harness::Eventually([&] { return life.NodeOf("demo-0-0").table->Find(forgotten) != nullptr; }, 20s));
  life.ExpectAllIsWell();
}

TEST(Healing, AReplicaOfAnotherShardIsPutBack) {
  Life life(3, 2);
  const auto wrong = life.NodeOf("demo-0-0").id();
  ASSERT_TRUE(life.harness.Ask(life.NodeOf("demo-1-2").endpoint, {"CLUSTER", "REPLICATE", wrong.ToString()}).IsOk());
  ASSERT_TRUE(Harness::Eventually([&] { return life.IsNotReady(); }));
  life.ExpectAllIsWell();
  EXPECT_EQ(life.NodeOf("demo-1-2").me().master, life.NodeOf("demo-1-0").id());
}

}  // namespace
}  // namespace slotwright::testing
