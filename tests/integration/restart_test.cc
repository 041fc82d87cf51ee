// What a server that starts again reads: nothing that is older than what others have.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <fstream>
#include <iterator>

#include "tests/integration/life.h"

namespace slotwright::testing {
namespace {

using reconciler::Json;

// An RDB file with the keys of this moment, whoever asked for it.
void SaveOnDisk(const Life& life, const std::string& pod) {
  const Endpoint endpoint = life.NodeOf(pod).endpoint;
  ASSERT_FALSE(life.harness.Ask(endpoint, {"BGSAVE"}).IsError());
  ASSERT_TRUE(Harness::Eventually([&] {
    return life.harness.Ask(endpoint, {"INFO", "persistence"}).text.find("rdb_bgsave_in_progress:0") !=
           std::string::npos;
  }));
}

// Hundred keys more, all in one slot of that master.
void Write(const Life& life, const std::string& pod) {
  const NodeView node = life.NodeOf(pod);
  const std::string tag = TagOf(node.me().slots.Ranges().front().first);
  const Reply written = life.harness.Ask(
      node.endpoint, {"EVAL", "for i = 1, 100 do redis.call('SET', KEYS[1] .. i, i) end", "1", "{" + tag + "}"});
  ASSERT_FALSE(written.IsError()) << written.text;
}

// … and in its replica as well.
void WriteMore(const Life& life, const std::string& pod) {
  ASSERT_NO_FATAL_FAILURE(Write(life, pod));
  ASSERT_EQ(life.harness.Ask(life.NodeOf(pod).endpoint, {"WAIT", "1", "5000"}).integer, 1);
}

// A replica that cannot follow its master any more, until MendLink.
void BreakLink(const Life& life, const Endpoint& replica) {
  ASSERT_TRUE(life.harness.Ask(replica, {"CONFIG", "SET", "masterauth", "another-than-it-is"}).IsOk());
  ASSERT_FALSE(life.harness.Ask(replica, {"CLIENT", "KILL", "TYPE", "master"}).IsError());
}
void MendLink(const Life& life, const Endpoint& replica) {
  ASSERT_TRUE(life.harness.Ask(replica, {"CONFIG", "SET", "masterauth", life.harness.Password()}).IsOk());
}

// A file of BGSAVE, or of an earlier configuration, is not what a master was: its replicas have more.
TEST(Restart, OfMastersThatDieTogetherTakesNothingFromAFileThatLiesThere) {
  Life life(3, 1, {{"config", {{"cluster-node-timeout", "2000"}}}});
  for (const char* pod : {"demo-0-0", "demo-1-0"}) {
    SaveOnDisk(life, pod);
    WriteMore(life, pod);
  }
  ASSERT_NO_FATAL_FAILURE(life.KillServers({"demo-0-0", "demo-1-0"}));
  life.ExpectAllIsWell(120s);
  EXPECT_EQ(life.Keys(), 20'200);
}

Json SavedNowAndThen() {
  return {{"storage", {{"size", "1Gi"}}}, {"config", {{"cluster-node-timeout", "2000"}, {"appendonly", "no"}}}};
}

TEST(Restart, OfAMasterWithOlderFilesTakesWhatItsReplicaHas) {
  Life life(1, 1, SavedNowAndThen());
  SaveOnDisk(life, "demo-0-0");
  // How long the replica has been there does not matter.
  ASSERT_NO_FATAL_FAILURE(life.KillServers({"demo-0-1"}));
  life.ExpectAllIsWell();
  WriteMore(life, "demo-0-0");
  ASSERT_NO_FATAL_FAILURE(life.KillServers({"demo-0-0"}));
  life.ExpectAllIsWell(120s);
  EXPECT_EQ(life.Keys(), 20'100);
}

TEST(Restart, OfAMasterWithOlderFilesAndANewPodTakesWhatItsReplicaHas) {
  Life life(3, 1, SavedNowAndThen());
  SaveOnDisk(life, "demo-0-0");
  WriteMore(life, "demo-0-0");
  ASSERT_EQ(::kill(life.PidOf("demo-0-0"), SIGKILL), 0);
  ASSERT_TRUE(life.harness.client().Delete(reconciler::types::kPods, {"default", "demo-0-0"}, {.grace_period = 0s}));
  ASSERT_TRUE(Harness::Eventually([&] { return life.IsNotReady(); }));
  life.ExpectAllIsWell(120s);
  EXPECT_EQ(life.Keys(), 20'100);
}

TEST(Restart, OfAMasterWithOlderFilesWaitsForAReplicaThatHangs) {
  Life life(1, 1, SavedNowAndThen());
  SaveOnDisk(life, "demo-0-0");
  WriteMore(life, "demo-0-0");
  const pid_t replica = life.PidOf("demo-0-1");
  ASSERT_EQ(::kill(replica, SIGSTOP), 0);
  ASSERT_EQ(::kill(life.PidOf("demo-0-0"), SIGKILL), 0);
  std::this_thread::sleep_for(14s);  // longer than for an election
  ASSERT_EQ(::kill(replica, SIGCONT), 0);
  life.ExpectAllIsWell(120s);
  EXPECT_EQ(life.Keys(), 20'100);
}

// What a replica has read from its own file is no more than the master's.
TEST(Restart, OfAShardThatDiesAsAWholeTakesTheMastersFile) {
  Life life(1, 1, SavedNowAndThen());
  SaveOnDisk(life, "demo-0-1");
  WriteMore(life, "demo-0-0");
  SaveOnDisk(life, "demo-0-0");
  ASSERT_NO_FATAL_FAILURE(life.KillServers({"demo-0-0", "demo-0-1"}));
  life.ExpectAllIsWell(120s);
  EXPECT_EQ(life.Keys(), 20'100);
}

// A file that was saved when a master was told to end has what a replica without a link has missed.
TEST(Restart, OfAMasterThatWasToldToEndTakesItsFileIfItsReplicaIsBehind) {
  Life life(3, 1, {{"storage", {{"size", "1Gi"}}}, {"config", {{"appendonly", "no"}}}});
  const Endpoint replica = life.NodeOf("demo-0-1").endpoint;
  ASSERT_NO_FATAL_FAILURE(BreakLink(life, replica));
  std::this_thread::sleep_for(4s);
  ASSERT_NO_FATAL_FAILURE(Write(life, "demo-0-0"));
  life.DeletePod("demo-0-0");
  ASSERT_TRUE(Harness::Eventually([&] { return life.IsNotReady(); }));
  ASSERT_TRUE(Harness::Eventually([&] { return life.Keys() == 20'100; }, 60s));
  ASSERT_NO_FATAL_FAILURE(MendLink(life, replica));
  life.ExpectAllIsWell();
  EXPECT_EQ(life.Keys(), 20'100);
}

TEST(Restart, OfAMasterWithAppendOnlyFilesDoesNotWaitForAReplicaThatIsBehind) {
  Life life(3, 1, {{"storage", {{"size", "1Gi"}}}});
  const Endpoint replica = life.NodeOf("demo-0-1").endpoint;
  std::this_thread::sleep_for(3s);  // readiness has been probed
  ASSERT_NO_FATAL_FAILURE(BreakLink(life, replica));
  std::this_thread::sleep_for(4s);
  ASSERT_NO_FATAL_FAILURE(Write(life, "demo-0-0"));
  ASSERT_NO_FATAL_FAILURE(life.KillServers({"demo-0-0"}));
  ASSERT_TRUE(Harness::Eventually([&] { return life.Keys() == 20'100; }, 60s));
  ASSERT_NO_FATAL_FAILURE(MendLink(life, replica));
  life.ExpectAllIsWell();
  EXPECT_EQ(life.Keys(), 20'100);
}

// While a server reads its append-only files it appends to none, and they have everything all the same.
TEST(Restart, OfAServerThatDiesWhileItLoadsTakesTheSameFilesAgain) {
  Life life(1, 0,
            {{"storage", {{"size", "1Gi"}}},
             {"config", {{"key-load-delay", "500"}, {"loading-process-events-interval-bytes", "1024"}}}});
  SaveOnDisk(life, "demo-0-0");
  ASSERT_NO_FATAL_FAILURE(Write(life, "demo-0-0"));
  const Endpoint endpoint = life.NodeOf("demo-0-0").endpoint;
  ASSERT_FALSE(life.harness.Ask(endpoint, {"BGREWRITEAOF"}).IsError());
  ASSERT_TRUE(Harness::Eventually([&] {
    const std::string said = life.harness.Ask(endpoint, {"INFO", "persistence"}).text;
    return said.find("aof_rewrite_in_progress:0") != std::string::npos &&
           said.find("aof_rewrites:1") != std::string::npos;
  }));
  std::this_thread::sleep_for(3s);  // readiness has been probed
  ASSERT_NO_FATAL_FAILURE(life.KillServers({"demo-0-0"}));
  const auto loads = [&] { return life.harness.Look().observation.nodes.at(0).loading; };
  ASSERT_TRUE(Harness::Eventually(loads));
  std::this_thread::sleep_for(4s);  // readiness is probed
  ASSERT_TRUE(loads());
  ASSERT_NO_FATAL_FAILURE(life.KillServers({"demo-0-0"}));
  life.ExpectAllIsWell(120s);
  EXPECT_EQ(life.Keys(), 20'100);
}

// Until their first rewrite is over append-only files hold nothing, or what was so an earlier time.
TEST(Restart, OfAServerThatDiesWhileAppendOnlyFilesAreTurnedOnTakesTheSavedFile) {
  Life life(1, 0, SavedNowAndThen());
  const auto endpoint = life.NodeOf("demo-0-0").endpoint;
  const auto persistence = [&] { return life.harness.Ask(endpoint, {"INFO", "persistence"}).text; };
  SaveOnDisk(life, "demo-0-0");
  ASSERT_TRUE(life.harness.Ask(endpoint, {"CONFIG", "SET", "rdb-key-save-delay", "5000"}).IsOk());
  life.harness.PatchSpec({{"config", {{"appendonly", "yes"}}}});
  ASSERT_TRUE(
      Harness::Eventually([&] { return persistence().find("aof_rewrite_in_progress:1") != std::string::npos; }));
  std::this_thread::sleep_for(3s);  // readiness has been probed
  ASSERT_NO_FATAL_FAILURE(life.KillServers({"demo-0-0"}));
  life.ExpectAllIsWell();
  EXPECT_EQ(life.Keys(), 20'000);
  EXPECT_TRUE(Harness::Eventually([&] {
    const std::string said = persistence();
    return said.find("aof_enabled:1") != std::string::npos &&
           said.find("aof_rewrite_in_progress:0") != std::string::npos;
  }));
  // And from then on they are what counts.
  ASSERT_FALSE(life.harness.Ask(endpoint, {"SET", "one", "more"}).IsError());
  std::this_thread::sleep_for(3s);
  ASSERT_NO_FATAL_FAILURE(life.KillServers({"demo-0-0"}));
  life.ExpectAllIsWell();
  EXPECT_EQ(life.Keys(), 20'001);
}

// The children of a process: of a server, what writes a file.
std::vector<pid_t> ChildrenOf(pid_t pid) {
  std::ifstream list(fmt::format("/proc/{0}/task/{0}/children", pid));
  return {std::istream_iterator<pid_t>(list), {}};
}

// What lies there of an earlier time is not read when the first rewrite fails, as for lack of memory.
TEST(Restart, OfAServerWhoseAppendOnlyFilesCouldNotBeWrittenTakesTheSavedFile) {
  Json spec = SavedNowAndThen();
  spec["config"]["appendonly"] = "yes";
  Life life(1, 0, spec, TestImage(), 1000);
  const auto endpoint = life.NodeOf("demo-0-0").endpoint;
  life.harness.PatchSpec({{"config", {{"appendonly", "no"}}}});
  life.ExpectAllIsWell();
  std::this_thread::sleep_for(3s);  // readiness has been probed
  ASSERT_FALSE(life.harness.Ask(endpoint, {"SET", "one", "more"}).IsError());
  SaveOnDisk(life, "demo-0-0");
  ASSERT_TRUE(life.harness.Ask(endpoint, {"CONFIG", "SET", "rdb-key-save-delay", "10000"}).IsOk());
  life.harness.PatchSpec({{"config", {{"appendonly", "yes"}}}});
  const pid_t server = life.PidOf("demo-0-0");
  std::this_thread::sleep_for(3s);  // readiness has been probed while the first rewrite went on
  int killed = 0;
  for (int i = 0; i < 400; ++i) {
    for (const pid_t child : ChildrenOf(server)) killed += ::kill(child, SIGKILL) == 0 ? 1 : 0;
    std::this_thread::sleep_for(10ms);
  }
  ASSERT_GT(killed, 2);
  std::this_thread::sleep_for(3s);
  ASSERT_NO_FATAL_FAILURE(life.KillServers({"demo-0-0"}));
  life.ExpectAllIsWell();
  EXPECT_EQ(life.Keys(), 1001);
}

// The same while the first rewrite has to wait for its turn; this end is a planned one.
TEST(Restart, OfAPodThatEndsBeforeItsAppendOnlyFilesAreWrittenTakesWhatTheServerSaved) {
  Json spec = SavedNowAndThen();
  spec["config"]["appendonly"] = "yes";
  Life life(1, 0, spec, TestImage(), 1000);
  const auto endpoint = life.NodeOf("demo-0-0").endpoint;
  std::this_thread::sleep_for(3s);  // readiness has been probed
  const auto ask = [&](const Command& command) { ASSERT_FALSE(life.harness.Ask(endpoint, command).IsError()); };
  ask({"CONFIG", "SET", "rdb-key-save-delay", "10000"});
  ask({"BGSAVE"});
  ask({"CONFIG", "SET", "appendonly", "no"});
  ask({"CONFIG", "SET", "appendonly", "yes"});
  ask({"SET", "one", "more"});
  std::this_thread::sleep_for(3s);
  ask({"CONFIG", "SET", "rdb-key-save-delay", "0"});
  life.DeletePod("demo-0-0");
  ASSERT_TRUE(Harness::Eventually([&] { return life.IsNotReady(); }));
  life.ExpectAllIsWell();
  EXPECT_EQ(life.Keys(), 1001);
}

TEST(Restart, SaysThatTheOnlyCopyIsLostThoughOlderFilesLieThere) {
  Life life(3, 0, {{"config", {{"appendonly", "yes"}}}});
  life.harness.PatchSpec({{"config", nullptr}});
  life.ExpectAllIsWell();
  std::this_thread::sleep_for(3s);  // readiness has been probed
  ASSERT_EQ(::kill(life.PidOf("demo-1-0"), SIGKILL), 0);
  EXPECT_TRUE(Harness::Eventually([&] { return life.harness.ReadyReason() == "DataLost"; }, 60s))
      << life.harness.Condition("Ready");
}

}  // namespace
}  // namespace slotwright::testing
