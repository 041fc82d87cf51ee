// Creation on real processes: every shape, both engines, and nothing left behind.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "controllers/api/names.h"
#include "controllers/plan/cluster_view.h"
#include "tests/integration/harness.h"
#include "tests/support/engines.h"

namespace slotwright::testing {
namespace {

using reconciler::Json;
namespace types = reconciler::types;

struct Shape {
  const char* name;
  int masters;
  int replicas;
  const char* image;
  const char* version;
};

class Creation : public ::testing::TestWithParam<Shape> {};

TEST_P(Creation, EndsInAClusterThatServesEverySlot) {
  const Shape& shape = GetParam();
  if (ServerFor(shape.image).empty()) GTEST_SKIP() << "no program here for " << shape.image;
  Harness harness;
  harness.StartOperator();
  harness.Create(shape.masters, shape.replicas, Json::object(), shape.image);
  ASSERT_TRUE(harness.BecomesReady());
  EXPECT_EQ(harness.ViolatedPromise(), "");

  const auto look = harness.Look();
  EXPECT_TRUE(look.plan.settled) << look.plan.message;
  const ClusterView view = Merge(look.observation);
  for (const NodeView* node : view.answering) {
    EXPECT_TRUE(node->info.state_ok) << node->pod;
    EXPECT_THAT(node->server.engine + " " + node->server.version, ::testing::StartsWith(shape.version));
    EXPECT_EQ(node->me().flags.replica, node->index > 0) << node->pod;
  }
  // A key for each master, written there and read back from there.
  for (int shard = 0; shard < shape.masters; ++shard) {
    const NodeView* master = view.MasterOf(shard);
    ASSERT_NE(master, nullptr);
    for (int i = 0;; ++i) {
      const std::string key = fmt::format("key:{}", i);
      if (!master->me().slots.Contains(KeySlot(key))) continue;
      EXPECT_TRUE(harness.Ask(master->endpoint, {"SET", key, "value"}).IsOk());
      EXPECT_EQ(harness.Ask(master->endpoint, {"GET", key}).text, "value");
      break;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, Creation,
                         ::testing::Values(Shape{"ThreeByOne", 3, 1, "redis:7.0", "redis 7.0."},
                                           Shape{"ThreeByNone", 3, 0, "redis:7.0", "redis 7.0."},
                                           Shape{"OneByOne", 1, 1, "redis:7.0", "redis 7.0."},
                                           Shape{"FiveByTwo", 5, 2, "redis:7.0", "redis 7.0."},
                                           Shape{"ThreeByOneOnRedis8", 3, 1, "redis:8.2", "redis 8.2."},
                                           Shape{"ThreeByOneOnValkey8", 3, 1, "valkey/valkey:8.0", "valkey 8.0."},
                                           Shape{"ThreeByOneOnValkey", 3, 1, "valkey/valkey:9.1", "valkey 9.1."}),
                         [](const auto& param_info) { return param_info.param.name; });

TEST(CreationAndDeletion, LeaveNoProcessAndNoObjectBehind) {
  Harness harness;
  harness.StartOperator();
  harness.Create(3, 1);
  ASSERT_TRUE(harness.BecomesReady());
  EXPECT_EQ(harness.Look().observation.nodes.size(), 6U);
  harness.ExpectDeletionLeaves(0);
}

TEST(CreationAfterDeletion, OfANamesakeTakesNothingOfIts) {
  Harness harness;
  harness.StartOperator();
  harness.Create(1, 1);
  ASSERT_TRUE(harness.BecomesReady());
  const std::string before = harness.Password();
  harness.Delete();
  harness.Create(1, 1);
  ASSERT_TRUE(harness.BecomesReady());
  EXPECT_NE(harness.Password(), before);
  const auto cluster = harness.client().Get(kRedisClusters, {"default", "demo"});
  const auto secret = harness.client().Get(types::kSecrets, {"default", "demo-auth"});
  ASSERT_TRUE(cluster && secret);
  EXPECT_EQ(reconciler::ControllerUidOf(*secret), reconciler::UidOf(*cluster));
  EXPECT_EQ(harness.ViolatedPromise(), "");
}

TEST(CreationWithStorage, PutsEachPodsDataIntoAClaimOfItsOwn) {
  Harness harness;
  harness.StartOperator();
  harness.Create(3, 0, {{"storage", {{"size", "1Gi"}}}});
  ASSERT_TRUE(harness.BecomesReady());
  const auto claims = harness.client().List(types::kPersistentVolumeClaims, {.ns = "default"});
  ASSERT_TRUE(claims);
  EXPECT_EQ(claims->items.size(), 3U);
  for (const auto& result : harness.AskAll({"CONFIG", "GET", "appendonly"})) {
    EXPECT_EQ((*result)[0].elements[1].text, "yes");
  }
}

TEST(Configuration, ReachesEveryNode) {
  Harness harness;
  harness.StartOperator();
  harness.Create(
      3, 1, {{"config", {{"maxmemory-policy", "allkeys-lru"}}}, {"resources", {{"limits", {{"memory", "64Mi"}}}}}});
  ASSERT_TRUE(harness.BecomesReady());
  const std::vector<std::pair<std::string, std::string>> expected = {{"maxmemory-policy", "allkeys-lru"},
                                                                     {"maxmemory", "50331648"}};
  for (const auto& [directive, value] : expected) {
    for (const auto& result : harness.AskAll({"CONFIG", "GET", directive})) {
      EXPECT_EQ((*result)[0].elements[1].text, value) << directive;
    }
  }
}

}  // namespace
}  // namespace slotwright::testing
