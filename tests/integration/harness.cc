// See harness.h.
#include "tests/integration/harness.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>

#include "controllers/api/conditions.h"
#include "controllers/api/names.h"
#include "controllers/plan/cluster_view.h"
#include "operator/crd.h"
#include "reconciler/base/base64.h"
#include "reconciler/base/log.h"
#include "reconciler/base/yaml.h"
#include "reconciler/http/server.h"

namespace slotwright::testing {

using reconciler::Json;
namespace types = reconciler::types;

namespace {

// Once for the whole program: the HTTP library wants it before anything else.
const bool kInitialized = [] {
  reconciler::InitializeHttp();
  // What was decided, and when: CTest shows it after a failure and keeps it in LastTest.log.
  reconciler::ConfigureLog(reconciler::LogLevel::kInfo, reconciler::LogFormat::kText);
  return true;
}();

std::string MakeStateDir() {
  std::string path = (std::filesystem::temp_directory_path() / "slotwright-test-XXXXXX").string();
  if (::mkdtemp(path.data()) == nullptr) throw std::runtime_error("no temporary folder");
  return path;
}

// Tells of each request before it is sent.
class Overheard : public reconciler::Transport {
 public:
  Overheard(std::shared_ptr<Transport> server, std::function<void(const reconciler::HttpRequest&)> tell)
      : server_(std::move(server)), tell_(std::move(tell)) {}

  reconciler::Result<reconciler::HttpResponse> Send(const reconciler::HttpRequest& request,
                                                    std::stop_token stop) override {
    tell_(request);
    return server_->Send(request, std::move(stop));
  }
  reconciler::Result<reconciler::HttpResponse> Stream(const reconciler::HttpRequest& request,
                                                      const LineHandler& on_line, std::stop_token stop) override {
    tell_(request);
    return server_->Stream(request, on_line, std::move(stop));
  }
  std::string Host() const override { return server_->Host(); }

 private:
  const std::shared_ptr<Transport> server_;
  const std::function<void(const reconciler::HttpRequest&)> tell_;
};

}  // namespace

Harness::Harness() : state_dir_(MakeStateDir()), commander_(MakeTcpCommander()) {
  local::LocalCluster::Options options{.state_dir = state_dir_, .crds = *reconciler::ParseYaml(std::string(kCrdYaml))};
  auto started = local::LocalCluster::Start(std::move(options));
  if (!started) throw std::runtime_error(started.error().message);
  cluster_ = std::move(*started);
  client_ = std::make_unique<reconciler::Client>(cluster_->transport(), reconciler::Client::Options{});
  options_.leader_elect = false;
  options_.metrics_address = "127.0.0.1:0";
  options_.health_address = "127.0.0.1:0";
  options_.on_listen = [this](const std::string& what, int port) {
    const std::lock_guard lock(mutex_);
    ports_[what] = port;
  };
}

Harness::~Harness() {
  StopOperator();
  cluster_->Stop();
  std::error_code ignored;
  std::filesystem::remove_all(state_dir_, ignored);
}

void Harness::StartOperator() {
  const auto transport =
      std::make_shared<Overheard>(cluster_->transport(), [this](const reconciler::HttpRequest& request) {
        if (request.method == "GET") return;
        const std::lock_guard lock(mutex_);
        changes_.push_back(request.method + " " + request.target);
      });
  operator_ = std::jthread([this, transport](std::stop_token stop) {
    const auto result = RunOperator(transport, options_, stop);
    EXPECT_TRUE(result) << (result ? "" : result.error().message);
  });
}

void Harness::StopOperator() {
  operator_ = {};
  const std::lock_guard lock(mutex_);
  ports_.clear();
}

std::vector<std::string> Harness::Changes() const {
  const std::lock_guard lock(mutex_);
  return changes_;
}

int Harness::PortOf(const std::string& what) const {
  const std::lock_guard lock(mutex_);
  const auto found = ports_.find(what);
  return found == ports_.end() ? 0 : found->second;
}

void Harness::Create(int masters, int replicas, const Json& spec, const std::string& image, const std::string& name) {
  Json object = {{"apiVersion", kRedisClusters.ApiVersion()},
                 {"kind", kRedisClusters.kind},
                 {"metadata", {{"name", name}, {"namespace", "default"}}},
                 {"spec", {{"masters", masters}, {"replicasPerMaster", replicas}, {"image", image}}}};
  object["spec"].merge_patch(spec);
  const auto created = client_->Create(kRedisClusters, object);
  ASSERT_TRUE(created) << created.error().message;
}

void Harness::PatchSpec(const Json& spec, const std::string& name) {
  const auto patched =
      client_->Patch(kRedisClusters, {"default", name}, reconciler::PatchType::kMerge, {{"spec", spec}});
  ASSERT_TRUE(patched) << patched.error().message;
}

void Harness::Delete(const std::string& name) {
  const auto deleted = client_->Delete(kRedisClusters, {"default", name});
  ASSERT_TRUE(deleted) << deleted.error().message;
}

void Harness::SetPaused(bool paused, const std::string& name) {
  const Json value = paused ? Json("true") : Json();
  const auto patched = client_->Patch(kRedisClusters, {"default", name}, reconciler::PatchType::kMerge,
                                      {{"metadata", {{"annotations", {{annotations::kPaused, value}}}}}});
  ASSERT_TRUE(patched) << patched.error().message;
}

void Harness::ExpectDeletionLeaves(size_t claims, const std::string& name) {
  std::vector<NodeRequest> pings;
  const std::string password = Password(name);
  for (const auto& node : Look(name).observation.nodes) pings.push_back({node.endpoint, password, {{"PING"}}});
  ASSERT_FALSE(pings.empty());
  Delete(name);
  const auto left = [&](const reconciler::ResourceType& type) {
    const auto list =
        client_->List(type, {.ns = "default", .label_selector = fmt::format("{}={}", labels::kInstance, name)});
    return list ? list->items.size() : 999;
  };
  EXPECT_TRUE(Eventually([&] { return !client_->Get(kRedisClusters, {"default", name}); }));
  for (const auto& type : {types::kPods, types::kServices, types::kConfigMaps, types::kSecrets,
                           types::kPodDisruptionBudgets, types::kPersistentVolumeClaims}) {
    const size_t wanted = type.kind == types::kPersistentVolumeClaims.kind ? claims : 0;
    EXPECT_TRUE(Eventually([&] { return left(type) == wanted; })) << left(type) << " " << type.plural;
  }
  for (const auto& result : commander_->Run(pings, 1s)) {
    EXPECT_TRUE(!result && result.error().kind == RedisError::Kind::kConnect) << "a server still runs";
  }
}

Json Harness::Condition(const std::string& type, const std::string& name) const {
  const auto object = client_->Get(kRedisClusters, {"default", name});
  if (!object) return Json::object();
  const Json condition = FindCondition(object->value(Json::json_pointer("/status/conditions"), Json::array()), type);
  return condition.is_object() ? condition : Json::object();
}

std::string Harness::ReadyReason(const std::string& name) const { return Condition("Ready", name).value("reason", ""); }

bool Harness::Eventually(const std::function<bool()>& holds, std::chrono::milliseconds patience) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (!holds()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(10ms);
  }
  return true;
}

bool Harness::BecomesReady(const std::string& name, std::chrono::milliseconds patience) const {
  const bool ready = Eventually(
      [&] {
        const auto object = client_->Get(kRedisClusters, {"default", name});
        if (!object) return false;
        const Json condition =
            FindCondition(object->value(Json::json_pointer("/status/conditions"), Json::array()), "Ready");
        return condition.is_object() && condition.value("status", "") == "True" &&
               condition.value("observedGeneration", 0) ==
                   object->value(Json::json_pointer("/metadata/generation"), -1);
      },
      patience);
  if (!ready) ADD_FAILURE() << name << " is not ready: " << Condition("Ready", name).dump();
  return ready;
}

Inspection Harness::Look(const std::string& name) const {
  auto inspection = Inspect(*client_, {"default", name});
  if (!inspection) throw std::runtime_error(inspection.error().message);
  return *std::move(inspection);
}

std::string Harness::Password(const std::string& name) const {
  const auto secret = client_->Get(reconciler::types::kSecrets, {"default", name + "-auth"});
  if (!secret) throw std::runtime_error(secret.error().message);
  return reconciler::DecodeBase64(reconciler::StringAt(*secret, {"data", "password"})).value();
}

std::vector<NodeResult> Harness::AskAll(const Command& command, const std::string& name) const {
  std::vector<NodeRequest> requests;
  const std::string password = Password(name);
  for (const auto& node : Look(name).observation.nodes) requests.push_back({node.endpoint, password, {command}});
  return commander_->Run(requests, 3s);
}

Reply Harness::Ask(const Endpoint& endpoint, const Command& command, const std::string& name) const {
  const auto results = commander_->Run({{endpoint, Password(name), {command}}}, 3s);
  if (!results[0]) throw std::runtime_error(results[0].error().message);
  return (*results[0])[0];
}

std::string Harness::ViolatedPromise(const std::string& name) const {
  const Inspection look = Look(name);
  const ClusterView view = Merge(look.observation);
  SlotSet seen;
  for (const auto* node : view.answering) {
    if (!(seen & node->me().slots).empty()) return node->pod + " owns slots that another master owns too";
    seen = seen | node->me().slots;
  }
  if (seen.size() != kSlotCount) return fmt::format("{} slots have an owner", seen.size());
  if (!view.disagreement.empty()) return view.disagreement;
  if (!view.absent.empty()) return "a table lists " + view.absent[0].id.ToString();
  if (static_cast<int>(view.answering.size()) != look.observation.cluster.spec.pods()) return "a node is missing";
  for (const auto& result : AskAll({"INFO", "commandstats"}, name)) {
    if (!result) return result.error().message;
    for (const char* command : {"cmdstat_flushall:", "cmdstat_flushdb:", "cmdstat_cluster|reset:"}) {
      if ((*result)[0].text.find(command) != std::string::npos) return std::string("somebody ran ") + command;
    }
  }
  return "";
}

}  // namespace slotwright::testing
