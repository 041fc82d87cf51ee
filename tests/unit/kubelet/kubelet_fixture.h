// A whole kubelet against the embedded API server, with shells as containers.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <mutex>
#include <thread>

#include "local/apiserver/api_server.h"
#include "local/kubelet/kubelet.h"
#include "tests/support/temporary_folder.h"
#include "tests/unit/kubelet/loop_runner.h"

namespace slotwright::local {

using reconciler::ErrorKind;
using reconciler::Json;
using reconciler::StringAt;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;
using testing::StartsWith;
namespace types = reconciler::types;
namespace fs = std::filesystem;

[[nodiscard]] inline bool Eventually(const std::function<bool()>& holds, milliseconds patience = seconds(20)) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (!holds()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(milliseconds(2));
  }
  return true;
}

// Remembers what was deleted.
class DeleteRecorder : public reconciler::Transport {
 public:
  explicit DeleteRecorder(std::shared_ptr<Transport> transport) : transport_(std::move(transport)) {}
  reconciler::Result<reconciler::HttpResponse> Send(const reconciler::HttpRequest& request,
                                                    std::stop_token stop) override {
    if (request.method == "DELETE") {
      const std::lock_guard lock(mutex_);
      bodies_.push_back(Json::parse(request.body));
    }
    return transport_->Send(request, std::move(stop));
  }
  reconciler::Result<reconciler::HttpResponse> Stream(const reconciler::HttpRequest& request,
                                                      const LineHandler& on_line, std::stop_token stop) override {
    return transport_->Stream(request, on_line, std::move(stop));
  }
  std::string Host() const override { return transport_->Host(); }
  std::vector<Json> bodies() const {
    const std::lock_guard lock(mutex_);
    return bodies_;
  }

 private:
  const std::shared_ptr<Transport> transport_;
  mutable std::mutex mutex_;
  std::vector<Json> bodies_;
};

class KubeletTest : public testing::Test {
 protected:
  KubeletTest() {
    options_.state_dir = File("state");
    options_.pod_cidr = "127.79.0.0/16";
  }
  ~KubeletTest() override { StopKubelet(); }

  void StartKubelet() {
    options_.images.insert({{"tools:1", ""}, {"tools:2", ""}});
    options_.restart_backoff = milliseconds(50);
    kubelet_ = Kubelet::Make(kubelets_client_, options_);
    thread_ = std::jthread([this](std::stop_token stop) { ran_ = kubelet_->Run(stop); });
  }
  void StopKubelet() { thread_ = {}; }

  static Json Pod(const std::string& name, const std::string& script, const Json& container = Json::object(),
                  const Json& spec = Json::object()) {
    Json main = {{"name", "main"}, {"image", "tools:1"}, {"command", {"/bin/sh", "-c", script}}};
    main.update(container);
    Json pod = {{"apiVersion", "v1"},
                {"kind", "Pod"},
                {"metadata", {{"name", name}, {"namespace", "default"}, {"labels", {{"app", name}}}}},
                {"spec", {{"containers", Json::array({main})}}}};
    pod["spec"].update(spec);
    return pod;
  }
  void Create(const reconciler::ResourceType& type, const Json& object) {
    const auto created = client_.Create(type, object);
    ASSERT_TRUE(created) << created.error().message;
  }
  void CreatePod(const Json& pod) { Create(types::kPods, pod); }
  void CreateData(const reconciler::ResourceType& type, const std::string& name, const Json& data) {
    Create(type, {{"apiVersion", "v1"},
                  {"kind", type.kind},
                  {"metadata", {{"name", name}, {"namespace", "default"}}},
                  {"data", data}});
  }
  void CreateClaim(const std::string& name) {
    Create(types::kPersistentVolumeClaims,
           {{"apiVersion", "v1"},
            {"kind", "PersistentVolumeClaim"},
            {"metadata", {{"name", name}, {"namespace", "default"}}},
            {"spec", {{"accessModes", {"ReadWriteOnce"}}, {"resources", {{"requests", {{"storage", "1Gi"}}}}}}}});
  }
  Json GetPod(const std::string& name) const {
    return client_.Get(types::kPods, {"default", name}).value_or(Json::object());
  }
  static std::string ConditionOf(const Json& object, const std::string& type) {
    const Json* conditions = reconciler::ValueAt(object, {"status", "conditions"});
    if (conditions == nullptr) return "";
    for (const auto& condition : *conditions) {
      if (condition["type"] == type) return condition["status"];
    }
    return "";
  }
  static Json ContainerOf(const Json& pod) {
    const Json* statuses = reconciler::ValueAt(pod, {"status", "containerStatuses"});
    return statuses == nullptr || statuses->empty() ? Json::object() : (*statuses)[0];
  }
  [[nodiscard]] bool UntilPod(const std::string& name, const std::function<bool(const Json&)>& condition) const {
    const bool held = Eventually([&] { return condition(GetPod(name)); });
    if (!held) ADD_FAILURE() << GetPod(name).value("status", Json()).dump(1);
    return held;
  }
  [[nodiscard]] bool UntilReady(const std::string& name) const {
    return UntilPod(name, [](const Json& pod) { return ConditionOf(pod, "Ready") == "True"; });
  }
  [[nodiscard]] bool UntilPhase(const std::string& name, const std::string& phase) const {
    return UntilPod(name, [&](const Json& pod) { return StringAt(pod, {"status", "phase"}) == phase; });
  }
  [[nodiscard]] bool UntilGone(const std::string& name) const {
    return Eventually([&] { return GetPod(name).empty(); });
  }
  [[nodiscard]] bool UntilEvent(const std::string& reason) const {
    return Eventually([&] {
      const auto events = client_.List(types::kEvents, {.ns = "default"});
      return events && std::ranges::any_of(events->items, [&](const Json& e) { return e["reason"] == reason; });
    });
  }
  void DeletePod(const std::string& name, std::optional<seconds> grace = std::nullopt) {
    const auto deleted = client_.Delete(types::kPods, {"default", name}, {.grace_period = grace});
    EXPECT_TRUE(deleted) << deleted.error().message;
  }
  std::string File(const std::string& name) const { return folder_.path() + "/" + name; }
  // Of the pod as it is now.
  std::string PodFile(const std::string& name, const std::string& file) const {
    return File("state/pods/default_" + name + "_" + reconciler::UidOf(GetPod(name)) + "/" + file);
  }
  int PidOf(const std::string& name) const { return NumberIn(PodFile(name, "main/main.pid")); }
  std::string LogOf(const std::string& name, int run = 0) const {
    return TextOf(PodFile(name, "main/" + std::to_string(run) + ".log"));
  }

  const TemporaryFolder folder_;
  ApiServer server_{{}};
  const reconciler::Client client_{server_.InProcessTransport(), {}};
  const std::shared_ptr<DeleteRecorder> deletes_ = std::make_shared<DeleteRecorder>(server_.InProcessTransport());
  const reconciler::Client kubelets_client_{deletes_, {}};
  KubeletOptions options_;
  std::unique_ptr<Kubelet> kubelet_;
  reconciler::Result<void> ran_;
  std::jthread thread_;
};

}  // namespace slotwright::local
