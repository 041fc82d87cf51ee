// What the executor makes of claims, pods and volumes that are there already, or refused.
#include "controllers/act/executor.h"

#include <gmock/gmock.h>

#include "tests/unit/act/import_model.h"
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

// Of a claim that is there before the operator wants to make it.
class ClaimTest : public ::testing::Test {
 protected:
  Outcome Carry(Action action, const Json& metadata) {
    api_->on_send = [&](const HttpRequest& request, std::stop_token) {
      const bool is_claim = request.target.find("/persistentvolumeclaims") != std::string::npos;
      if (request.method == "POST" && (is_claim || all_exist_))
        return reconciler::StatusResponse(409, "AlreadyExists", "it exists");
      if (request.method == "GET") {
        if (metadata.is_null()) return reconciler::StatusResponse(404, "NotFound", "it is not there");
        return HttpResponse{.status = 200, .body = Json{{"metadata", metadata}}.dump()};
      }
      return HttpResponse{.status = 200, .body = "{}"};
    };
    RedisCluster cluster;
    cluster.ns = "default";
    cluster.name = "demo";
    cluster.uid = "ours";
    cluster.spec.storage = StorageSpec{.size = "1Gi"};
    Plan plan;
    plan.actions = {std::move(action)};
    const reconciler::Client client(api_, {}, clock_);
    NoRedis no_redis;
    return Executor(client, no_redis, clock_, {}).Carry(plan, cluster, "").at(0);
  }
  Outcome Ensure(const Json& metadata) {
    const Json claim = {{"metadata",
                         {{"name", "data-demo-0-0"},
                          {"namespace", "default"},
                          {"labels", {{labels::kManagedBy, "slotwright"}, {labels::kInstance, "demo"}}}}}};
    return Carry(EnsureObject{{reconciler::types::kPersistentVolumeClaims, claim}, false}, metadata);
  }
  Outcome CreateItsPod(const Json& metadata) {
    return Carry(CreatePod{"demo-0-0", {{"metadata", {{"name", "demo-0-0"}, {"namespace", "default"}}}}}, metadata);
  }
  [[nodiscard]] bool Sent(const char* method, const char* what) const {
    return std::ranges::any_of(api_->Requests(), [&](const HttpRequest& request) {
      return request.method == method && request.target.find(what) != std::string::npos;
    });
  }
  static Json Named(const Json& more) {
    Json metadata = {{"name", "data-demo-0-0"}, {"namespace", "default"}};
    metadata.update(more);
    return metadata;
  }

  bool all_exist_ = false;
  const Json somebody_elses_ = Named({{"labels", {{labels::kInstance, "shop"}}}});
  std::shared_ptr<reconciler::FakeTransport> api_ = std::make_shared<reconciler::FakeTransport>();
  reconciler::FakeClock clock_;
};

// As one that a snapshot was restored into. Without our labels no cache would ever show it.
TEST_F(ClaimTest, OfNobodyIsTaken) {
  EXPECT_THAT(Ensure(Named(Json::object())).error, IsEmpty());
  EXPECT_TRUE(Sent("PATCH", "/persistentvolumeclaims/data-demo-0-0"));
  EXPECT_THAT(CreateItsPod(Named(Json::object())).error, IsEmpty());
  EXPECT_TRUE(Sent("POST", "/pods"));
}

TEST_F(ClaimTest, OfOursThatTheCacheDoesNotShowYetIsLeftAsItIs) {
  EXPECT_THAT(Ensure(Named({{"labels", {{labels::kManagedBy, "slotwright"}, {labels::kInstance, "demo"}}}})).error,
              IsEmpty());
  EXPECT_FALSE(Sent("PATCH", "/persistentvolumeclaims"));
}

// Where somebody took a label away no cache shows it, and it would be made again and again.
TEST_F(ClaimTest, OrPodOfOursWithoutItsLabelsGetsThemBack) {
  const Json pod = {
      {"metadata", {{"name", "demo-0-0"}, {"namespace", "default"}, {"labels", {{labels::kShard, "0"}}}}}};
  Json existing = {
      {"name", "demo-0-0"},
      {"ownerReferences", {{{"uid", "ours"}, {"kind", "RedisCluster"}, {"controller", true}}}},
      {"labels", {{labels::kInstance, "demo"}, {labels::kManagedBy, "slotwright"}, {labels::kShard, "0"}}}};
  all_exist_ = true;
  EXPECT_THAT(Carry(CreatePod{"demo-0-0", pod}, existing).error, IsEmpty());
  EXPECT_FALSE(Sent("PATCH", "/pods"));
  existing["labels"][labels::kShard] = "1";
  EXPECT_THAT(Carry(CreatePod{"demo-0-0", pod}, existing).error, IsEmpty());
  EXPECT_TRUE(Sent("PATCH", "/pods/demo-0-0"));
}

TEST_F(ClaimTest, OfSomebodyElseIsNeitherTouchedNorMounted) {
  const Json owned =
      Named({{"ownerReferences", {{{"uid", "theirs"}, {"kind", "Shop"}, {"name", "x"}, {"controller", true}}}}});
  for (const Json& metadata : {somebody_elses_, Named({{"labels", {{labels::kManagedBy, "Helm"}}}}), owned}) {
    EXPECT_EQ(Ensure(metadata).refusal, "NameTaken") << metadata;
    const auto outcome = CreateItsPod(metadata);
    EXPECT_EQ(outcome.refusal, "NameTaken") << metadata;
    EXPECT_THAT(outcome.error, HasSubstr("PersistentVolumeClaim data-demo-0-0"));
  }
  EXPECT_FALSE(Sent("PATCH", "/"));
  EXPECT_FALSE(Sent("POST", "/pods"));
}

TEST_F(ClaimTest, OfOursWithoutLabelsIsOursByItsOwner) {
  const Json ours = Named({{"ownerReferences", {{{"uid", "ours"}, {"kind", "RedisCluster"}, {"controller", true}}}},
                           {"labels", {{labels::kInstance, "demo"}}}});
  EXPECT_THAT(Ensure(ours).error, IsEmpty());
  EXPECT_TRUE(Sent("PATCH", "/persistentvolumeclaims/data-demo-0-0"));
  EXPECT_THAT(CreateItsPod(ours).error, IsEmpty());
}

TEST_F(ClaimTest, ThatIsNotThereYetHoldsUpNoPod) {
  EXPECT_THAT(CreateItsPod(nullptr).error, IsEmpty());
  EXPECT_TRUE(Sent("POST", "/pods"));
}

// One for each claim of a large cluster, at each look, would be hundreds in a second.
TEST(GrowthTest, OfAClaimThatCannotGrowIsNotAskedToAgainForHalfAMinute) {
  const auto api = std::make_shared<reconciler::FakeTransport>();
  api->on_send = [](const HttpRequest&, std::stop_token) {
    return reconciler::StatusResponse(403, "Forbidden", "only dynamically provisioned pvc can be resized");
  };
  SteppingClock clock;
  const reconciler::Client client(api, {}, clock);
  OneAnswer redis("");
  Executor executor(client, redis, clock, {});
  const Json claim = {{"metadata", {{"name", "data-demo-0-0"}, {"namespace", "default"}}}, {"spec", Json::object()}};
  Plan plan;
  plan.actions = {EnsureObject{{reconciler::types::kPersistentVolumeClaims, claim}, true}};
  RedisCluster cluster;
  cluster.spec.storage = StorageSpec{.size = "2Gi"};
  for (int i = 0; i < 3; ++i) {
    const auto outcome = executor.Carry(plan, cluster, "").at(0);
    EXPECT_EQ(outcome.refusal, "StorageCannotGrow");
    EXPECT_THAT(outcome.error, AllOf(HasSubstr("\"2Gi\""), HasSubstr("can be resized")));
    EXPECT_EQ(api->Requests().size(), 1U);
  }
  cluster.spec.storage->size = "3Gi";
  EXPECT_THAT(executor.Carry(plan, cluster, "").at(0).error, HasSubstr("\"3Gi\""));
  EXPECT_EQ(api->Requests().size(), 2U) << "that is another question";
}

// Nor are pods for which there is no room.
TEST(RefusedPodTest, IsAskedForAgainAfterFiveSecondsOrWhenItIsAnotherOne) {
  const auto api = std::make_shared<reconciler::FakeTransport>();
  std::string answer = "exceeded quota: pods";
  api->on_send = [&](const HttpRequest&, std::stop_token) {
    return reconciler::StatusResponse(403, "Forbidden", answer);
  };
  SteppingClock clock;
  const reconciler::Client client(api, {}, clock);
  OneAnswer redis("");
  Executor executor(client, redis, clock, {});
  Json pod = {{"metadata", {{"name", "demo-0-0"}, {"namespace", "default"}}}};
  const auto create = [&] {
    Plan plan;
    plan.actions = {CreatePod{"demo-0-0", pod}};
    return executor.Carry(plan, {}, "").at(0);
  };
  for (const char* refusal : {"", "PodRefused"}) {
    if (*refusal != '\0') answer = "violates PodSecurity";
    pod["spec"]["why"] = answer;
    const auto before = api->Requests().size();
    for (int i = 0; i < 3; ++i) {
      const auto outcome = create();
      EXPECT_EQ(outcome.refusal, refusal);
      EXPECT_THAT(outcome.error, HasSubstr(answer));
      EXPECT_EQ(api->Requests().size(), before + 1);
    }
  }
  clock.RunFor(std::chrono::seconds(5));
  const auto before = api->Requests().size();
  (void)create();
  EXPECT_EQ(api->Requests().size(), before + 1);
}

}  // namespace
}  // namespace slotwright
