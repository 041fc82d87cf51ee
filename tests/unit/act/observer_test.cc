// What becomes of a look that cannot be taken.
#include "controllers/observe/observer.h"

#include <gmock/gmock.h>

#include "controllers/redis/fenced_commander.h"
#include "controllers/resources/resources.h"
#include "reconciler/base/base64.h"
#include "tests/unit/fakes/fake_clock.h"
#include "tests/unit/fakes/fake_transport.h"

namespace slotwright {
namespace {

using reconciler::HttpRequest;
using reconciler::HttpResponse;
using reconciler::Json;

class Nobody final : public Commander {
 public:
  std::vector<NodeResult> Run(const std::vector<NodeRequest>& requests, std::chrono::milliseconds) override {
    return {requests.size(), std::unexpected(RedisError{RedisError::Kind::kDeadline, "no answer in time"})};
  }
};

// Who has lost the lease must not tell of silent nodes what another operator knows better.
TEST(ObserverTest, TakesNoNodeForSilentThatItWasNotAllowedToAsk) {
  RedisCluster cluster;
  cluster.ns = "default";
  cluster.name = "demo";
  cluster.uid = "uid";
  cluster.spec.image = "redis:7.0";
  Json pod = DesiredPod(cluster, 0, 0);
  pod["status"] = {{"podIP", "10.0.0.1"}, {"phase", "Running"}};
  Caches caches;
  caches.pods.Upsert(pod);
  const auto api = std::make_shared<reconciler::FakeTransport>();
  api->on_send = [](const HttpRequest&, std::stop_token) {
    const Json secret = {{"data", {{"password", reconciler::EncodeBase64("sixteen characters")}}}};
    return HttpResponse{.status = 200, .body = secret.dump()};
  };
  reconciler::FakeClock clock;
  const reconciler::Client client(api, {}, clock);
  Nobody nobody;
  bool leads = true;
  FencedCommander commander(nobody, [&] { return leads; });
  Observer observer(client, caches, commander, clock);

  const auto silent = observer.Observe(cluster);
  ASSERT_TRUE(silent);
  ASSERT_EQ(silent->observation.nodes.size(), 1U);
  EXPECT_EQ(silent->observation.nodes[0].error, "no answer in time");
  leads = false;
  const auto none = observer.Observe(cluster);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().kind, reconciler::ErrorKind::kCancelled);
}

// What of them is open has to be closed before they hand over.
TEST(ObserverTest, AsksPodsThatEndWhileSlotsAreBeingMoved) {
  RedisCluster cluster;
  cluster.ns = "default";
  cluster.name = "demo";
  cluster.uid = "uid";
  Caches caches;
  Json pod = DesiredPod(cluster, 0, 0);
  pod["status"] = {{"podIP", "10.0.0.1"}, {"phase", "Running"}};
  pod["metadata"]["deletionTimestamp"] = "2026-11-30T15:00:00Z";
  caches.pods.Upsert(pod);
  const auto api = std::make_shared<reconciler::FakeTransport>();
  api->on_send = [](const HttpRequest&, std::stop_token) {
    const Json secret = {{"data", {{"password", reconciler::EncodeBase64("sixteen characters")}}}};
    return HttpResponse{.status = 200, .body = secret.dump()};
  };
  reconciler::FakeClock clock;
  const reconciler::Client client(api, {}, clock);
  Nobody nobody;
  Observer observer(client, caches, nobody, clock);
  EXPECT_TRUE(observer.Observe(cluster)->observation.ending.empty());
  cluster.status["operation"]["slotsLeft"] = 1;
  const auto look = observer.Observe(cluster);
  EXPECT_TRUE(look->observation.nodes.empty());
  ASSERT_EQ(look->observation.ending.size(), 1U);
  EXPECT_EQ(look->observation.ending[0].pod, "demo-0-0");
}

// Between the two looks no cache showed that the first cluster was gone.
TEST(ObserverTest, TakesNoPasswordOfANamesakeThatWasDeleted) {
  RedisCluster cluster;
  cluster.ns = "default";
  cluster.name = "demo";
  cluster.uid = "first";
  Caches caches;
  const auto api = std::make_shared<reconciler::FakeTransport>();
  api->on_send = [](const HttpRequest&, std::stop_token) {
    const Json owner = {{"uid", "first"}, {"controller", true}};
    const Json secret = {{"metadata", {{"ownerReferences", Json::array({owner})}}},
                         {"data", {{"password", reconciler::EncodeBase64("sixteen characters")}}}};
    return HttpResponse{.status = 200, .body = secret.dump()};
  };
  reconciler::FakeClock clock;
  const reconciler::Client client(api, {}, clock);
  Nobody nobody;
  Observer observer(client, caches, nobody, clock);
  EXPECT_EQ(observer.Observe(cluster)->password, "sixteen characters");
  cluster.uid = "second";
  EXPECT_EQ(observer.Observe(cluster)->password, "");
}

}  // namespace
}  // namespace slotwright
