// What happens to real clusters when processes, pods and majorities die.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include "tests/integration/life.h"

namespace slotwright::testing {
namespace {

using reconciler::Json;
using ::testing::HasSubstr;

const Json kQuickTimeout = {{"config", {{"cluster-node-timeout", "2000"}}}};

bool IsNotReady(const Life& life) { return life.harness.Condition("Ready").value("status", "") == "False"; }

TEST(Healing, AReplicasProcessThatDiesLosesNothing) {
  Life life(3, 1, kQuickTimeout);
  life.StartWriters();
  ASSERT_EQ(::kill(life.PidOf("demo-1-1"), SIGKILL), 0);
  ASSERT_TRUE(Harness::Eventually([&] { return IsNotReady(life); }));
  life.ExpectAllIsWell();
}

TEST(Healing, AReplicasPodThatIsDeletedLosesNothing) {
  Life life(3, 1, kQuickTimeout);
  life.StartWriters();
  life.DeletePod("demo-1-1");
  ASSERT_TRUE(Harness::Eventually([&] { return IsNotReady(life); }));
  life.ExpectAllIsWell();
}

// Asynchronous replication: what the master acknowledged and had not sent yet may be lost. All older keys must be
// there.
TEST(Healing, AMastersPodThatIsDeletedKeepsAllReplicatedKeys) {
  Life life(3, 1, kQuickTimeout);
  ASSERT_EQ(life.harness.Ask(life.NodeOf("demo-0-0").endpoint, {"WAIT", "1", "5000"}).integer, 1);
  life.DeletePod("demo-0-0");
  ASSERT_TRUE(Harness::Eventually([&] { return IsNotReady(life); }));
  life.ExpectAllIsWell();
  EXPECT_EQ(life.Keys(), 20'000);
}

TEST(Healing, AllPodsDeletedWithStorageComeBackWithTheirData) {
  Json spec = kQuickTimeout;
  spec["storage"] = {{"size", "1Gi"}};
  spec["config"]["appendfsync"] = "always";
  Life life(3, 1, spec);
  for (const auto& pod : life.harness.Look().observation.pods) life.DeletePod(pod.name);
  ASSERT_TRUE(Harness::Eventually([&] { return IsNotReady(life); }));
  life.ExpectAllIsWell(120s);
  EXPECT_EQ(life.Keys(), 20'000);
}

TEST(Healing, TheMajorityOfMastersWithoutStorageIsTakenOverByItsReplicas) {
  Life life(3, 1, kQuickTimeout);
  for (const char* pod : {"demo-0-0", "demo-1-0"}) {
    ASSERT_EQ(life.harness.Ask(life.NodeOf(pod).endpoint, {"WAIT", "1", "5000"}).integer, 1);
  }
  const pid_t first = life.PidOf("demo-0-0");
  const pid_t second = life.PidOf("demo-1-0");
  ASSERT_EQ(::kill(first, SIGKILL), 0);
  ASSERT_EQ(::kill(second, SIGKILL), 0);
  ASSERT_TRUE(Harness::Eventually([&] { return IsNotReady(life); }));
  life.ExpectAllIsWell(120s);
  EXPECT_EQ(life.Keys(), 20'000);
}

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

TEST(Healing, AReplicaOfAnotherShardIsPutBack) {
  Life life(3, 2);
  const auto wrong = life.NodeOf("demo-0-0").id();
  ASSERT_TRUE(life.harness.Ask(life.NodeOf("demo-1-2").endpoint, {"CLUSTER", "REPLICATE", wrong.ToString()}).IsOk());
  ASSERT_TRUE(Harness::Eventually([&] { return IsNotReady(life); }));
  life.ExpectAllIsWell();
  EXPECT_EQ(life.NodeOf("demo-1-2").me().master, life.NodeOf("demo-1-0").id());
}

}  // namespace
}  // namespace slotwright::testing
