// The whole operator for some namespaces, on an API server that gives it no more than Roles in them.
#include "operator/operator_process.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <regex>
#include <set>
#include <thread>

#include "controllers/api/names.h"
#include "local/apiserver/api_server.h"
#include "operator/crd.h"
#include "reconciler/base/yaml.h"
#include "reconciler/http/server.h"
#include "reconciler/kube/client.h"
#include "reconciler/kube/http_transport.h"

namespace slotwright {
namespace {

using namespace std::chrono_literals;
using reconciler::HttpRequest;
using reconciler::HttpResponse;
using reconciler::Json;
using reconciler::Result;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
namespace types = reconciler::types;

/// Forbids everything outside some namespaces, as RBAC does for a service account with Roles alone.
class RolesOnly : public reconciler::Transport {
 public:
  RolesOnly(std::shared_ptr<Transport> server, std::set<std::string> namespaces)
      : server_(std::move(server)), namespaces_(std::move(namespaces)) {}

  Result<HttpResponse> Send(const HttpRequest& request, std::stop_token stop) override {
    return Allows(request) ? server_->Send(request, stop) : Forbidden();
  }
  Result<HttpResponse> Stream(const HttpRequest& request, const LineHandler& on_line, std::stop_token stop) override {
    return Allows(request) ? server_->Stream(request, on_line, stop) : Forbidden();
  }
  std::string Host() const override { return server_->Host(); }

  std::vector<std::string> Refused() const {
    const std::lock_guard lock(mutex_);
    return refused_;
  }

 private:
  bool Allows(const HttpRequest& request) {
    const std::string path = request.target.substr(0, request.target.find('?'));
    const bool allowed = std::ranges::any_of(namespaces_, [&path](const std::string& ns) {
      return path.find("/namespaces/" + ns + "/") != std::string::npos;
    });
    const std::lock_guard lock(mutex_);
    if (!allowed) refused_.push_back(request.method + " " + request.target);
    return allowed;
  }
  static HttpResponse Forbidden() {
    return {.status = 403, .headers = {}, .body = R"({"kind":"Status","code":403,"reason":"Forbidden"})"};
  }

  const std::shared_ptr<Transport> server_;
  const std::set<std::string> namespaces_;
  mutable std::mutex mutex_;
  std::vector<std::string> refused_;
};

/// Remembers what was listed and watched, as "pods?labelSelector=…".
class Overheard : public reconciler::Transport {
 public:
  explicit Overheard(std::shared_ptr<Transport> server) : server_(std::move(server)) {}

  Result<HttpResponse> Send(const HttpRequest& request, std::stop_token stop) override {
    Note(request);
    return server_->Send(request, stop);
  }
  Result<HttpResponse> Stream(const HttpRequest& request, const LineHandler& on_line, std::stop_token stop) override {
    Note(request);
    return server_->Stream(request, on_line, stop);
  }
  std::string Host() const override { return server_->Host(); }

  std::set<std::string> Collections() const {
    const std::lock_guard lock(mutex_);
    return collections_;
  }

 private:
  void Note(const HttpRequest& request) {
    // A collection's path ends in the plural of its kind: /api/v1/pods, /api/v1/namespaces/one/pods.
    static const std::regex kCollection("/(?:api/v1|apis/[^/?]+/[^/?]+)(?:/namespaces/[^/?]+)?/([^/?]+[?]?[^/]*)");
    std::smatch match;
    if (request.method != "GET" || !std::regex_match(request.target, match, kCollection)) return;
    const std::lock_guard lock(mutex_);
    collections_.insert(match[1]);
  }

  const std::shared_ptr<Transport> server_;
  mutable std::mutex mutex_;
  std::set<std::string> collections_;
};

/// An API server that can go away, loudly or silently.
class Fading : public reconciler::Transport {
 public:
  enum class Mode { kThere, kRefuses, kSilent };

  explicit Fading(std::shared_ptr<Transport> server) : server_(std::move(server)) {}

  Result<HttpResponse> Send(const HttpRequest& request, std::stop_token stop) override {
    return mode_ == Mode::kThere ? server_->Send(request, stop) : Fail(request, stop);
  }
  Result<HttpResponse> Stream(const HttpRequest& request, const LineHandler& on_line, std::stop_token stop) override {
    return mode_ == Mode::kThere ? server_->Stream(request, on_line, stop) : Fail(request, stop);
  }
  std::string Host() const override { return server_->Host(); }
  void Become(Mode mode) { mode_ = mode; }

 private:
  Result<HttpResponse> Fail(const HttpRequest& request, const std::stop_token& stop) const {
    if (mode_ == Mode::kSilent) (void)reconciler::SystemClock().SleepFor(request.timeout, stop);
    return reconciler::Fail(reconciler::ErrorKind::kUnavailable, "nobody is there");
  }

  const std::shared_ptr<Transport> server_;
  std::atomic<Mode> mode_ = Mode::kThere;
};

class OperatorProcess : public ::testing::Test {
 protected:
  OperatorProcess() {
    const auto definitions = reconciler::ParseYaml(std::string(kCrdYaml));
    EXPECT_TRUE(client_.Create(types::kCustomResourceDefinitions, definitions->at(0)));
    for (const char* ns : {"one", "two", "three", "ops"}) {
      EXPECT_TRUE(client_.Create(types::kNamespaces, {{"metadata", {{"name", ns}}}}));
    }
  }
  ~OperatorProcess() override { server_.Shutdown(); }

  // With a health server, whose port is port_, and a Lease that is soon over.
  OperatorOptions ProbedOptions(std::chrono::milliseconds renew_deadline) {
    auto options = Options({"one"});
    options.health_address = "127.0.0.1:0";
    options.lease_duration = renew_deadline * 3 / 2;
    options.renew_deadline = renew_deadline;
    options.retry_period = 200ms;
    options.contact_life = 500ms;
    options.on_listen = [this](const std::string&, int listens) { port_ = listens; };
    return options;
  }
  int Ready() const {
    const auto health =
        reconciler::MakeHttpTransport({.server = fmt::format("http://127.0.0.1:{}", port_.load())}, "test");
    const auto response = (*health)->Send({.target = "/readyz", .timeout = 1s}, {});
    return response ? response->status : 0;
  }

  void CreateCluster(const std::string& ns) {
    const auto created =
        client_.Create(kRedisClusters, {{"apiVersion", kRedisClusters.ApiVersion()},
                                        {"kind", kRedisClusters.kind},
                                        {"metadata", {{"namespace", ns}, {"name", "demo"}}},
                                        {"spec", {{"masters", 3}, {"replicasPerMaster", 0}, {"image", "redis:7.0"}}}});
    ASSERT_TRUE(created) << created.error().message;
  }
  [[nodiscard]] size_t Pods(const std::string& ns) const {
    const auto pods = client_.ListAll(types::kPods, {.ns = ns});
    return pods ? pods->items.size() : 0;
  }
  [[nodiscard]] bool HasStatus(const std::string& ns) const {
    const auto cluster = client_.Get(kRedisClusters, {ns, "demo"});
    return cluster && cluster->contains("status");
  }
  template <typename Condition>
  static bool Eventually(Condition condition) {
    const auto give_up = std::chrono::steady_clock::now() + 30s;
    while (!condition()) {
      if (std::chrono::steady_clock::now() > give_up) return false;
      std::this_thread::sleep_for(5ms);
    }
    return true;
  }

  static OperatorOptions Options(std::vector<std::string> namespaces) {
    OperatorOptions options;
    options.namespaces = std::move(namespaces);
    options.metrics_address = "0";
    options.health_address = "0";
    options.lease_namespace = "ops";
    options.identity = "me";
    return options;
  }

  local::ApiServer server_{local::ApiServer::Options{}};
  reconciler::Client client_{server_.InProcessTransport(), {}};
  std::atomic<int> port_ = 0;
};

TEST_F(OperatorProcess, TakesCareOfItsNamespacesAndNeedsNoClusterRole) {
  const auto transport =
      std::make_shared<RolesOnly>(server_.InProcessTransport(), std::set<std::string>{"one", "two", "ops"});
  const OperatorOptions options = Options({"two", "one", "two"});
  Result<void> ended;
  CreateCluster("one");
  CreateCluster("three");
  {
    const std::jthread runner([&](const std::stop_token& stop) { ended = RunOperator(transport, options, stop); });
    EXPECT_TRUE(Eventually([&] { return Pods("one") == 3 && HasStatus("one"); }));
    CreateCluster("two");
    EXPECT_TRUE(Eventually([&] { return Pods("two") == 3 && HasStatus("two"); }));
  }
  EXPECT_TRUE(ended) << ended.error().message;
  EXPECT_EQ(Pods("three"), 0U);
  EXPECT_FALSE(HasStatus("three"));
  EXPECT_THAT(transport->Refused(), IsEmpty());
}

// Other people's objects are many, and none of them may take memory of ours; clusters are everybody's.
class Selection : public OperatorProcess, public ::testing::WithParamInterface<std::vector<std::string>> {};

TEST_P(Selection, ListsAndWatchesNothingButItsOwnObjectsAndClusters) {
  const auto transport = std::make_shared<Overheard>(server_.InProcessTransport());
  const OperatorOptions options = Options(GetParam());
  const auto plural_of = [](const std::string& collection) { return collection.substr(0, collection.find('?')); };
  const auto seen = [&](bool watched) {
    std::set<std::string> plurals;
    for (const auto& collection : transport->Collections()) {
      if (collection.contains("watch=") == watched) plurals.insert(plural_of(collection));
    }
    return plurals;
  };
  std::set<std::string> kinds;
  for (const auto& type : {kRedisClusters, types::kPods, types::kServices, types::kConfigMaps,
                           types::kPodDisruptionBudgets, types::kPersistentVolumeClaims}) {
    kinds.insert(type.plural);
  }
  {
    const std::jthread runner([&](const std::stop_token& stop) { (void)RunOperator(transport, options, stop); });
    CreateCluster("one");
    EXPECT_TRUE(Eventually([&] { return Pods("one") == 3 && HasStatus("one"); }));
    EXPECT_TRUE(Eventually([&] { return std::ranges::includes(seen(true), kinds); }));
  }
  EXPECT_TRUE(std::ranges::includes(seen(false), kinds));
  for (const auto& collection : transport->Collections()) {
    if (plural_of(collection) == kRedisClusters.plural) continue;
    EXPECT_THAT(collection, HasSubstr("labelSelector=app.kubernetes.io%2Fmanaged-by%3Dslotwright"));
  }
}

INSTANTIATE_TEST_SUITE_P(OfNamespaces, Selection,
                         ::testing::Values(std::vector<std::string>{}, std::vector<std::string>{"one", "two"}),
                         [](const auto& tested) { return tested.param.empty() ? "All" : "Some"; });

TEST_F(OperatorProcess, SaysOnItsLeaseThatItLeads) {
  const OperatorOptions options = Options({"one"});
  const auto leads = [&] {
    const auto events = client_.ListAll(types::kEvents, {.ns = "ops"});
    return events && std::ranges::any_of(events->items, [](const Json& event) {
             return event.value("reason", "") == "LeaderElection" && event.value("message", "") == "me became leader" &&
                    event["involvedObject"].value("kind", "") == "Lease";
           });
  };
  const std::jthread runner(
      [&](const std::stop_token& stop) { (void)RunOperator(server_.InProcessTransport(), options, stop); });
  EXPECT_TRUE(Eventually(leads));
}

class Outage : public OperatorProcess, public ::testing::WithParamInterface<Fading::Mode> {};

TEST_P(Outage, IsSaidByReadyzAndWaitedOutAlsoByALeader) {
  const auto options = ProbedOptions(1000ms);
  const auto transport = std::make_shared<Fading>(server_.InProcessTransport());
  Result<void> ended;
  {
    const std::jthread runner([&](const std::stop_token& stop) { ended = RunOperator(transport, options, stop); });
    CreateCluster("one");
    EXPECT_TRUE(Eventually([&] { return Pods("one") == 3 && port_ > 0 && Ready() == 200; }));
    const int before = port_;
    transport->Become(GetParam());
    EXPECT_TRUE(Eventually([&] { return Ready() == 500; }));
    EXPECT_TRUE(Eventually([&] { return port_ != before && Ready() == 500; })) << "it lost the lease and stands by";
    transport->Become(Fading::Mode::kThere);
    const auto pod = client_.ListAll(types::kPods, {.ns = "one"})->items.at(0);
    EXPECT_TRUE(client_.Delete(types::kPods, reconciler::KeyOf(pod), {.grace_period = 0s}));
    EXPECT_TRUE(Eventually([&] { return Pods("one") == 3 && Ready() == 200; }));
  }
  EXPECT_TRUE(ended) << ended.error().message;
}

INSTANTIATE_TEST_SUITE_P(OfTheApiServer, Outage, ::testing::Values(Fading::Mode::kRefuses, Fading::Mode::kSilent),
                         [](const auto& tested) {
                           return tested.param == Fading::Mode::kSilent ? "Silent" : "Refuses";
                         });

// As through a machine that is paused: connections are taken, and nothing is said. Probes of the kubelet come
// meanwhile, several at once.
TEST_F(OperatorProcess, AnswersProbesWhileTheApiServerSaysNothing) {
  reconciler::InitializeHttp();
  std::atomic<bool> silent = false;
  std::mutex mutex;
  std::vector<std::shared_ptr<reconciler::Responder>> unanswered;
  const auto handler = server_.Handler();
  const auto http = reconciler::StartHttpServer(
      {.host = "127.0.0.1", .port = 0},
      [&](const reconciler::ServerRequest& request, const std::shared_ptr<reconciler::Responder>& responder) {
        if (!silent) return handler(request, responder);
        const std::lock_guard lock(mutex);
        unanswered.push_back(responder);
      });
  ASSERT_TRUE(http);
  const std::shared_ptr<reconciler::Transport> transport =
      *reconciler::MakeHttpTransport({.server = fmt::format("http://127.0.0.1:{}", (*http)->port())}, "test");
  const auto options = ProbedOptions(2000ms);
  {
    const std::jthread runner([&](const std::stop_token& stop) { (void)RunOperator(transport, options, stop); });
    ASSERT_TRUE(Eventually([&] { return port_ > 0 && Ready() == 200; }));
    silent = true;
    std::vector<std::jthread> probes;
    for (int i = 0; i < 10; ++i) {
      probes.emplace_back([&](const std::stop_token& stop) {
        while (!stop.stop_requested()) (void)Ready();
      });
    }
    EXPECT_TRUE(Eventually([&] { return Ready() == 500; }));
    std::this_thread::sleep_for(4s);  // the lease is over
    EXPECT_TRUE(Eventually([&] { return Ready() == 500; })) << "it is still there";
    probes.clear();
    silent = false;
    {
      const std::lock_guard lock(mutex);
      unanswered.clear();
    }
    EXPECT_TRUE(Eventually([&] { return Ready() == 200; }));
  }
}

TEST_F(OperatorProcess, RefusesNamesThatAreNone) {
  for (const char* ns : {"", "*", "a/b", "Upper", "-a", "a_b", "a,b"}) {
    const auto ended = RunOperator(server_.InProcessTransport(), Options({"one", ns}), {});
    ASSERT_FALSE(ended) << ns;
    EXPECT_EQ(ended.error().kind, reconciler::ErrorKind::kInvalid);
    EXPECT_THAT(ended.error().message, HasSubstr("--namespace"));
  }
}

}  // namespace
}  // namespace slotwright
