// Before a pod is taken down its successor is tried.
#include "controllers/act/executor.h"

#include <gmock/gmock.h>

#include "tests/unit/act/scripted_redis.h"
#include "tests/unit/fakes/fake_clock.h"
#include "tests/unit/fakes/fake_transport.h"

namespace slotwright {
namespace {

using reconciler::HttpRequest;
using reconciler::HttpResponse;
using reconciler::Json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class EvictionTest : public ::testing::Test {
 protected:
  /// The outcome, if that is what the API server says to the trial.
  Outcome Evict(const HttpResponse& trial) {
    api_->on_send = [&](const HttpRequest& request, std::stop_token) {
      if (request.method == "GET") {
        const Json pods = {{"metadata", {{"resourceVersion", "7"}}}, {"items", pods_}};
        return HttpResponse{.status = 200, .body = pods.dump()};
      }
      if (request.target.find("/eviction") != std::string::npos) {
        return HttpResponse{.status = 201, .body = R"({"kind": "Status", "status": "Success"})"};
      }
      EXPECT_THAT(request.target, AllOf(HasSubstr("dryRun=All"), HasSubstr("fieldValidation=Strict")));
      return trial;
    };
    RedisCluster cluster;
    cluster.ns = "default";
    cluster.name = "demo";
    cluster.spec.replicas_per_master = 1;
    const Json successor = {{"metadata", {{"name", "demo-0-1"}, {"namespace", "default"}}}};
    Plan plan;
    plan.actions = {EvictPod{"demo-0-1", "uid", successor, std::nullopt, grace_period_}};
    const reconciler::Client client(api_, {}, clock_);
    NoRedis no_redis;
    return Executor(client, no_redis, clock_, {}).Carry(plan, cluster, "").at(0);
  }
  [[nodiscard]] bool Evicted() const {
    return std::ranges::any_of(api_->Requests(), [](const HttpRequest& request) {
      return request.method == "POST" && request.target.ends_with("/pods/demo-0-1/eviction");
    });
  }

  std::optional<std::chrono::seconds> grace_period_;
  Json pods_ = {{{"metadata", {{"name", "demo-0-0"}}}}, {{"metadata", {{"name", "demo-0-1"}}}}};
  std::shared_ptr<reconciler::FakeTransport> api_ = std::make_shared<reconciler::FakeTransport>();
  reconciler::FakeClock clock_;
};

TEST_F(EvictionTest, GoesAheadIfTheSuccessorWouldBeTaken) {
  const auto outcome = Evict({.status = 201, .body = "{}"});
  EXPECT_THAT(outcome.error, IsEmpty());
  EXPECT_TRUE(Evicted());
}

TEST_F(EvictionTest, DoesNotHappenWhileAnotherPodOfTheShardGoesOrIsGone) {
  pods_[0]["metadata"]["deletionTimestamp"] = "2026-11-23T06:00:00Z";
  EXPECT_THAT(Evict({.status = 201, .body = "{}"}).error, HasSubstr("demo-0-0"));
  pods_.erase(0);
  EXPECT_THAT(Evict({.status = 201, .body = "{}"}).error, HasSubstr("demo-0-0"));
  EXPECT_FALSE(Evicted());
}

TEST_F(EvictionTest, DoesNotHappenIfAPolicyRefusesTheSuccessor) {
  const auto outcome =
      Evict(reconciler::StatusResponse(403, "Forbidden", "violates PodSecurity \"restricted:latest\""));
  EXPECT_EQ(outcome.refusal, "PodRefused");
  EXPECT_THAT(outcome.error, HasSubstr("PodSecurity"));
  EXPECT_FALSE(Evicted());
}

TEST_F(EvictionTest, DoesNotHappenIfTheSuccessorIsInvalid) {
  EXPECT_EQ(Evict(reconciler::StatusResponse(422, "Invalid", "spec.containers[0]")).refusal, "PodRefused");
  EXPECT_FALSE(Evicted());
}

// The trial counts beside the pod that is to make room for it.
TEST_F(EvictionTest, IsNotKeptFromByAQuotaThatCountsBoth) {
  const auto outcome = Evict(reconciler::StatusResponse(
      403, "Forbidden",
      R"(pods "demo-0-1-trial" is forbidden: exceeded quota: small, requested: pods=1, used: pods=6)"));
  EXPECT_THAT(outcome.error, IsEmpty());
  EXPECT_TRUE(Evicted());
}

TEST_F(EvictionTest, IsNotKeptFromByAWebhookThatTakesNoTrials) {
  const auto outcome = Evict(reconciler::StatusResponse(
      400, "BadRequest", R"(admission webhook "audit.example.com" does not support dry run)"));
  EXPECT_THAT(outcome.error, IsEmpty());
  EXPECT_TRUE(Evicted());
}

TEST_F(EvictionTest, WaitsWithoutAVerdictIfTheServerCannotAnswer) {
  const auto outcome = Evict(reconciler::StatusResponse(500, "InternalError", "webhook is away"));
  EXPECT_THAT(outcome.refusal, IsEmpty());
  EXPECT_THAT(outcome.error, HasSubstr("webhook is away"));
  EXPECT_FALSE(Evicted());
}

// As make e2e showed: the operator was killed between the two steps of an eviction, and the next one waited two
// minutes.
TEST_F(EvictionTest, ThatWasGrantedAndNotCarriedOutIsCarriedOut) {
  const auto evict = [&](const Json& disrupted, int healthy, const char* uid) {
    Json deleted;
    api_ = std::make_shared<reconciler::FakeTransport>();
    api_->on_send = [&](const HttpRequest& request, std::stop_token) -> HttpResponse {
      const auto answer = [](const Json& body) { return HttpResponse{.status = 200, .body = body.dump()}; };
      if (request.method == "DELETE") {
        deleted = Json::parse(request.body);
        return answer({{"kind", "Status"}, {"status", "Success"}});
      }
      if (request.method == "POST") {
        return reconciler::StatusResponse(429, "TooManyRequests", "Cannot evict pod: disruption budget");
      }
      if (request.target.find("/poddisruptionbudgets/demo-0") != std::string::npos) {
        if (disrupted.is_null()) return answer({{"metadata", {{"name", "demo-0"}}}});
        return answer({{"metadata", {{"name", "demo-0"}}},
                       {"status", {{"disruptedPods", disrupted}, {"currentHealthy", healthy}, {"desiredHealthy", 1}}}});
      }
      if (request.target.find("/pods/demo-0-1") != std::string::npos) {
        return answer(
            {{"metadata", {{"name", "demo-0-1"}, {"uid", uid}, {"creationTimestamp", "2026-11-23T06:00:00Z"}}}});
      }
      return answer({{"metadata", {{"resourceVersion", "7"}}}, {"items", pods_}});
    };
    RedisCluster cluster;
    cluster.ns = "default";
    cluster.name = "demo";
    cluster.spec.replicas_per_master = 1;
    Plan plan;
    plan.actions = {EvictPod{"demo-0-1", "uid"}};
    const reconciler::Client client(api_, {}, clock_);
    NoRedis no_redis;
    const auto outcome = Executor(client, no_redis, clock_, {}).Carry(plan, cluster, "").at(0);
    EXPECT_EQ(outcome.error.empty(), !deleted.is_null());
    return deleted.is_null() ? "" : deleted["preconditions"]["uid"].get<std::string>();
  };
  const Json granted = {{"demo-0-1", "2026-11-23T06:10:00Z"}};
  EXPECT_EQ(evict(granted, 1, "uid"), "uid");
  EXPECT_EQ(evict(granted, 0, "uid"), "") << "another one is down by now";
  EXPECT_EQ(evict(granted, 1, "another"), "") << "a later pod of that name";
  EXPECT_EQ(evict({{"demo-0-1", "2026-11-23T05:59:59Z"}}, 1, "uid"), "") << "it was an earlier one's";
  EXPECT_EQ(evict({{"demo-0-0", "2026-11-23T06:10:00Z"}}, 1, "uid"), "") << "it was another's";
  EXPECT_EQ(evict(Json::object(), 1, "uid"), "");
  EXPECT_EQ(evict(nullptr, 1, "uid"), "") << "a new budget has no status";
}

// A master that writes all its data as it ends (replicasPerMaster 0).
TEST_F(EvictionTest, GivesAPodTheTimeThatItNeedsToEnd) {
  grace_period_ = std::chrono::hours(1);
  EXPECT_THAT(Evict({.status = 201, .body = "{}"}).error, IsEmpty());
  EXPECT_EQ(Json::parse(api_->Requests().back().body)["deleteOptions"]["gracePeriodSeconds"], 3600);
}

}  // namespace
}  // namespace slotwright
