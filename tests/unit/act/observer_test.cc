// What becomes of a look that cannot be taken.
#include "controllers/observe/observer.h"

#include <gmock/gmock.h>

#include <future>

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

class ObserverTest : public ::testing::Test {
 protected:
  ObserverTest() {
    cluster_.ns = "default";
    cluster_.name = "demo";
    cluster_.uid = "uid";
    cluster_.spec.image = "redis:7.0";
    pod_ = DesiredPod(cluster_, 0, 0);
    pod_["status"] = {{"podIP", "10.0.0.1"}, {"phase", "Running"}};
    api_->on_send = [this](const HttpRequest&, std::stop_token) {
      return HttpResponse{.status = 200, .body = secret_.dump()};
    };
  }

  RedisCluster cluster_;
  Json pod_;
  Json secret_ = {{"data", {{"password", reconciler::EncodeBase64("sixteen characters")}}}};
  Caches caches_;
  std::shared_ptr<reconciler::FakeTransport> api_ = std::make_shared<reconciler::FakeTransport>();
  reconciler::FakeClock clock_;
  reconciler::Client client_{api_, {}, clock_};
  Nobody nobody_;
};

// Who has lost the lease must not tell of silent nodes what another operator knows better.
TEST_F(ObserverTest, TakesNoNodeForSilentThatItWasNotAllowedToAsk) {
  caches_.pods.Upsert(pod_);
  bool leads = true;
  FencedCommander commander(nobody_, [&] { return leads; });
  Observer observer(client_, caches_, commander, clock_);
  const auto silent = observer.Observe(cluster_);
  ASSERT_TRUE(silent);
  ASSERT_EQ(silent->observation.nodes.size(), 1U);
  EXPECT_EQ(silent->observation.nodes[0].error, "no answer in time");
  leads = false;
  const auto none = observer.Observe(cluster_);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().kind, reconciler::ErrorKind::kCancelled);
}

TEST_F(ObserverTest, SaysWhenAContainerLastStartedOrEnded) {
  pod_["metadata"]["creationTimestamp"] = "2026-11-30T15:00:00Z";
  Observer observer(client_, caches_, nobody_, clock_);
  const auto changed = [&](const Json& statuses) {
    pod_["status"]["containerStatuses"] = statuses;
    caches_.pods.Upsert(pod_);
    const auto look = observer.Observe(cluster_);
    return look ? reconciler::FormatTime(look->observation.pods.at(0).container_changed) : "";
  };
  EXPECT_EQ(changed(Json::array()), "2026-11-30T15:00:00Z");
  const Json ended = {{"terminated", {{"startedAt", "2026-11-30T15:00:05Z"}, {"finishedAt", "2026-11-30T15:01:00Z"}}}};
  EXPECT_EQ(changed({{{"state", ended}}}), "2026-11-30T15:01:00Z");
  const Json waits = {{"waiting", {{"reason", "CrashLoopBackOff"}}}};
  EXPECT_EQ(changed({{{"state", waits}, {"lastState", ended}}}), "2026-11-30T15:01:00Z");
  const Json runs = {{"running", {{"startedAt", "2026-11-30T15:01:03Z"}}}};
  EXPECT_EQ(changed({{{"state", runs}, {"lastState", ended}}}), "2026-11-30T15:01:03Z");
}

// What of them is open has to be closed before they hand over.
TEST_F(ObserverTest, AsksPodsThatEndWhileSlotsAreBeingMoved) {
  pod_["metadata"]["deletionTimestamp"] = "2026-11-30T15:00:00Z";
  caches_.pods.Upsert(pod_);
  Observer observer(client_, caches_, nobody_, clock_);
  EXPECT_TRUE(observer.Observe(cluster_)->observation.ending.empty());
  cluster_.status["operation"]["slotsLeft"] = 1;
  const auto look = observer.Observe(cluster_);
  EXPECT_TRUE(look->observation.nodes.empty());
  ASSERT_EQ(look->observation.ending.size(), 1U);
  EXPECT_EQ(look->observation.ending[0].pod, "demo-0-0");
}

// Between the two looks no cache showed that the first cluster was gone.
TEST_F(ObserverTest, TakesNoPasswordOfANamesakeThatWasDeleted) {
  const Json owner = {{"uid", "uid"}, {"controller", true}};
  secret_["metadata"]["ownerReferences"] = Json::array({owner});
  Observer observer(client_, caches_, nobody_, clock_);
  EXPECT_EQ(observer.Observe(cluster_)->password, "sixteen characters");
  cluster_.uid = "second";
  EXPECT_EQ(observer.Observe(cluster_)->password, "");
}

// Encrypted at rest with a key that is away, or forbidden by now: whoever is to be healed must not wait for that.
TEST_F(ObserverTest, GoesOnWithThePasswordThatItKnowsWhileSecretsCannotBeRead) {
  const auto is_usable = [](const auto& look) {
    return look->observation.password.state == PasswordView::State::kUsable && look->password == "sixteen characters";
  };
  bool readable = true;
  api_->on_send = [&](const HttpRequest&, std::stop_token) {
    return readable ? HttpResponse{.status = 200, .body = secret_.dump()}
                    : reconciler::StatusResponse(403, "Forbidden", "secrets \"demo-auth\" is forbidden");
  };
  Observer observer(client_, caches_, nobody_, clock_);
  EXPECT_TRUE(is_usable(observer.Observe(cluster_)));
  readable = false;
  clock_.Advance(std::chrono::minutes(5));
  EXPECT_TRUE(is_usable(observer.Observe(cluster_)));
  cluster_.uid = "second";
  const auto look = observer.Observe(cluster_);
  EXPECT_EQ(look->observation.password.state, PasswordView::State::kUnreadable);
  EXPECT_NE(look->observation.password.problem.find("forbidden"), std::string::npos);
}

// The next one of that name may hold another password.
TEST_F(ObserverTest, ForgetsThePasswordOfASecretThatIsGone) {
  HttpResponse answer{.status = 200, .body = secret_.dump()};
  api_->on_send = [&](const HttpRequest&, std::stop_token) { return answer; };
  Observer observer(client_, caches_, nobody_, clock_);
  EXPECT_EQ(observer.Observe(cluster_)->password, "sixteen characters");
  clock_.Advance(std::chrono::minutes(5));
  answer = reconciler::StatusResponse(404, "NotFound", "secrets \"demo-auth\" not found");
  EXPECT_EQ(observer.Observe(cluster_)->password, "");
  answer = reconciler::StatusResponse(403, "Forbidden", "secrets \"demo-auth\" is forbidden");
  EXPECT_EQ(observer.Observe(cluster_)->password, "") << "it is not the one that was known before";
}

// A slow API server would take up all workers, each with another cluster.
TEST_F(ObserverTest, ReadsOneSecretAtATimeThatItKnows) {
  Observer observer(client_, caches_, nobody_, clock_);
  RedisCluster other = cluster_;
  other.name = "other";
  EXPECT_TRUE(observer.Observe(cluster_) && observer.Observe(other));
  clock_.Advance(std::chrono::seconds(31));
  int asked = 0;
  api_->on_send = [&](const HttpRequest&, std::stop_token) {
    ++asked;
    auto beside = std::async(std::launch::async, [&] { return observer.Observe(other)->password; });
    EXPECT_EQ(beside.get(), "sixteen characters");
    return HttpResponse{.status = 200, .body = secret_.dump()};
  };
  EXPECT_TRUE(observer.Observe(cluster_));
  EXPECT_EQ(asked, 1);
  api_->on_send = [&](const HttpRequest&, std::stop_token) {
    ++asked;
    return HttpResponse{.status = 200, .body = secret_.dump()};
  };
  EXPECT_TRUE(observer.Observe(other));
  EXPECT_EQ(asked, 2);
}

}  // namespace
}  // namespace slotwright
