// The operator is killed: after its k-th effect of a creation, for every k, and while it moves a million keys. Its
// successor finishes.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <atomic>

#include "tests/integration/child_operator.h"
#include "tests/integration/life.h"

namespace slotwright::testing {
namespace {

// Effects of creating 3x1: 1 password, 6 objects, 6 pods, 3 masters' slots, 1 record, 6 introductions, 3 replicas, 6
// quarantines.
constexpr int kEffects = 32;

// Runs an operator that dies after `effects`; false if it was still alive when the cluster was ready.
bool RunUntilItDies(Harness& harness, int effects) {
  ChildOperator child(harness.cluster().kubeconfig(), effects, ChildOperator::Effects::kInOrder);
  const auto is_over = [&] { return child.IsDead() || harness.Condition("Ready").value("status", "") == "True"; };
  EXPECT_TRUE(Harness::Eventually(is_over, 60s)) << "neither dead nor done";
  return child.IsDead();
}

class Crash : public ::testing::TestWithParam<int> {};

TEST_P(Crash, InTheMiddleOfCreationIsFinishedByTheNextOperator) {
  Harness harness;
  harness.Create(3, 1);
  ASSERT_TRUE(RunUntilItDies(harness, GetParam()));
  harness.StartOperator();
  ASSERT_TRUE(harness.BecomesReady());
  EXPECT_EQ(harness.ViolatedPromise(), "");
}

INSTANTIATE_TEST_SUITE_P(AfterEffect, Crash, ::testing::Range(1, kEffects + 1));

// Not the operator dies, but a server: it comes back at the same address under a new id, while others know of the slots
// of the old one, or do not yet.
class ServerCrash : public ::testing::TestWithParam<std::pair<int, const char*>> {};

TEST_P(ServerCrash, InTheMiddleOfCreationIsOvercome) {
  const auto& [effects, pod] = GetParam();
  Harness harness;
  std::atomic<int> done = 0;
  harness.options().executor.after_effect = [&](const std::string&) { ++done; };
  harness.StartOperator();
  harness.Create(3, 1);
  ASSERT_TRUE(Harness::Eventually([&] { return done >= effects; }));
  const auto nodes = harness.Look().observation.nodes;
  const auto victim = std::ranges::find(nodes, pod, &NodeView::pod);
  ASSERT_NE(victim, nodes.end());
  std::string info;
  ASSERT_TRUE(Harness::Eventually([&] {
    info = harness.Ask(victim->endpoint, {"INFO", "server"}).text;
    return info.find("process_id:") != std::string::npos;
  }));
  ASSERT_EQ(::kill(std::stoi(info.substr(info.find("process_id:") + 11)), SIGKILL), 0);
  EXPECT_TRUE(harness.BecomesReady("demo", 60s)) << harness.Condition("Ready").dump();
  EXPECT_EQ(harness.ViolatedPromise(), "");
  harness.StopOperator();
}

INSTANTIATE_TEST_SUITE_P(AfterEffects, ServerCrash,
                         ::testing::Values(std::pair(16, "demo-1-0"), std::pair(17, "demo-1-0"),
                                           std::pair(23, "demo-1-0"), std::pair(26, "demo-1-0"),
                                           std::pair(29, "demo-1-0"), std::pair(26, "demo-2-1")),
                         [](const auto& tested) {
                           std::string name = fmt::format("{}_{}", tested.param.first, tested.param.second);
                           std::erase(name, '-');
                           return name;
                         });

TEST(CrashTable, HoldsEveryEffectOfACreation) {
  Harness harness;
  harness.Create(3, 1);
  EXPECT_FALSE(RunUntilItDies(harness, kEffects + 8)) << "a creation has more effects than this table knows";
}

// 250,000 keys have to move, from three masters at once. Each operator gets a little further before it is killed, until
// one of them has left slots of two masters open, that is until it died in the middle of two batches.
TEST(CrashInARebalance, OfAMillionKeysLosesNothing) {
  Life life(3, 1, {{"rebalance", {{"method", "Keys"}}}}, TestImage(), 1'000'000);
  life.harness.StopOperator();
  life.StartWriters();
  life.harness.PatchSpec({{"masters", 4}});
  const auto sources_with_open_slots = [&life] {
    return std::ranges::count_if(life.harness.Look().observation.nodes, [](const NodeView& node) {
      return node.pod != "demo-3-0" && !node.me().open_slots.empty();
    });
  };
  int deaths = 0;
  std::ptrdiff_t left_open = 0;
  while (deaths < 3 || left_open < 2) {
    ASSERT_LT(deaths, 10) << "nobody died in the middle of two batches";
    ChildOperator child(life.harness.cluster().kubeconfig(), 40 + 7 * deaths++);
    ASSERT_TRUE(Harness::Eventually([&] { return child.IsDead(); }));
    left_open = std::max(left_open, sources_with_open_slots());
  }
  const auto slots = life.NodeOf("demo-3-0").me().slots.size();
  fmt::print("{} operators died, {} of 4096 slots had moved, slots of {} masters were left open\n", deaths, slots,
             left_open);
  EXPECT_LT(slots, 4000) << "there is nothing left for the successor";
  life.harness.StartOperator();
  life.ExpectAllIsWell();
}

// What the servers were asked to move goes on without the operator that asked.
TEST(CrashInARebalance, WhileServersMoveSlotsByThemselvesLosesNothing) {
  const char* image = "valkey/valkey:9.1";
  if (ServerFor(image).empty()) GTEST_SKIP() << "no program here for " << image;
  Life life(3, 1, reconciler::Json::object(), image, 1'000'000);
  life.harness.StopOperator();
  life.StartWriters();
  life.harness.PatchSpec({{"masters", 4}});
  const auto sources = [&life] {
    return std::ranges::count_if(life.harness.Look().observation.nodes, [](const NodeView& node) {
      return node.pod != "demo-3-0" && node.active_migrations > 0;
    });
  };
  {
    ChildOperator child(life.harness.cluster().kubeconfig());
    ASSERT_TRUE(Harness::Eventually([&] { return sources() > 0; }));
    child.Kill();
  }
  EXPECT_GT(sources(), 0) << "there is nothing left for the successor";
  life.harness.StartOperator();
  life.ExpectAllIsWell();
}

}  // namespace
}  // namespace slotwright::testing
