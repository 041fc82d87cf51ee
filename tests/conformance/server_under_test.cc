// See server_under_test.h.
#include "tests/conformance/server_under_test.h"

#include <cstdlib>
#include <random>

#include "local/apiserver/api_server.h"
#include "reconciler/kube/http_transport.h"
#include "reconciler/kube/kube_config.h"

namespace slotwright::conformance {

using reconciler::Client;
using reconciler::Transport;
using reconciler::WatchEvent;
using reconciler::WatchEventType;
namespace types = reconciler::types;

namespace {

const Json& WidgetDefinition() {
  static const Json kDefinition = Json::parse(R"json({
    "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
    "metadata": {"name": "widgets.conformance.slotwright.dev"},
    "spec": {
      "group": "conformance.slotwright.dev", "scope": "Namespaced",
      "names": {"kind": "Widget", "plural": "widgets", "shortNames": ["wdg"], "categories": ["all"]},
      "versions": [{
        "name": "v1", "served": true, "storage": true,
        "subresources": {"status": {}, "scale": {"specReplicasPath": ".spec.size",
          "statusReplicasPath": ".status.size", "labelSelectorPath": ".status.selector"}},
        "additionalPrinterColumns": [
          {"name": "Size", "type": "integer", "jsonPath": ".spec.size"},
          {"name": "Ready", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Ready\")].status"},
          {"name": "Color", "type": "string", "jsonPath": ".spec.color", "priority": 1},
          {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}],
        "schema": {"openAPIV3Schema": {
          "type": "object", "required": ["spec"], "description": "A Widget for tests.",
          "properties": {
            "spec": {
              "type": "object", "required": ["size"],
              "x-kubernetes-validations": [
                {"rule": "self.shape == oldSelf.shape", "message": "shape cannot be changed"},
                {"rule": "!has(self.upper) || self.upper >= self.size", "message": "upper must not be below size"}],
              "properties": {
                "size": {"type": "integer", "format": "int32", "minimum": 1, "maximum": 10},
                "color": {"type": "string", "enum": ["Red", "Green"], "default": "Red"},
                "shape": {"type": "string", "default": "round", "maxLength": 8, "pattern": "^[a-z]*$"},
                "upper": {"type": "integer"},
                "options": {"type": "object", "maxProperties": 2, "additionalProperties": {"type": "string"}},
                "limit": {"x-kubernetes-int-or-string": true},
                "nested": {"type": "object", "default": {}, "properties": {"mode": {"type": "string", "default": "auto"}}},
                "tags": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
                "parts": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
                  "items": {"type": "object", "required": ["name"],
                    "properties": {"name": {"type": "string"}, "weight": {"type": "integer"}}}},
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}},
            "status": {"type": "object", "properties": {
              "size": {"type": "integer"}, "selector": {"type": "string"},
              "conditions": {"type": "array", "items": {"type": "object", "properties": {
                "type": {"type": "string"}, "status": {"type": "string"}}}}}}}}}
      }]}})json");
  return kDefinition;
}

/// The embedded server with the clockwork that local mode gives it.
struct Embedded {
  local::ApiServer server{{.watch_history = 64}};
  std::jthread ticker{[this](std::stop_token stop) {
    while (reconciler::SystemClock().SleepFor(std::chrono::milliseconds(50), stop)) server.Tick();
  }};
};

std::shared_ptr<Transport> MakeTransport() {
  const char* kubeconfig = std::getenv("CONFORMANCE_KUBECONFIG");
  if (kubeconfig == nullptr) {
    static Embedded embedded;
    return embedded.server.InProcessTransport();
  }
  auto access = reconciler::LoadKubeConfig(kubeconfig);
  if (!access) throw std::runtime_error(access.error().message);
  reconciler::InitializeHttp();
  auto made = reconciler::MakeHttpTransport(*access, "slotwright-conformance");
  if (!made) throw std::runtime_error(made.error().message);
  return std::move(*made);
}

const std::shared_ptr<Transport>& SharedTransport() {
  static const std::shared_ptr<Transport> kTransport = MakeTransport();
  return kTransport;
}

}  // namespace

bool ConformanceTest::IsReal() { return std::getenv("CONFORMANCE_KUBECONFIG") != nullptr; }

Transport& ConformanceTest::transport() { return *SharedTransport(); }

const Client& ConformanceTest::client() {
  static const Client kClient(SharedTransport(), {.field_manager = "conformance"});
  return kClient;
}

void ConformanceTest::SetUp() {
  std::random_device random;
  ns_ = "conformance-" + std::to_string(random());
  const Json ns_object = {{"apiVersion", "v1"}, {"kind", "Namespace"}, {"metadata", {{"name", ns_}}}};
  const auto made = client().Create(types::kNamespaces, ns_object);
  ASSERT_TRUE(made) << made.error().message;
  (void)client().Create(types::kCustomResourceDefinitions, WidgetDefinition());
  ASSERT_TRUE(Eventually([] { return Send("GET", "/apis/conformance.slotwright.dev/v1/widgets").status == 200; }));
}

void ConformanceTest::TearDown() { (void)client().Delete(types::kNamespaces, {"", ns_}); }

std::string ConformanceTest::Path(const ResourceType& type, const std::string& name,
                                  const std::string& subresource) const {
  return reconciler::PathOf(type, {type.namespaced ? ns_ : "", name}, subresource);
}

Reply ConformanceTest::Send(const std::string& method, const std::string& target, const Json& body,
                            const std::string& content_type, const std::string& accept) {
  reconciler::HttpRequest request{.method = method, .target = target};
  request.headers["Accept"] = accept;
  if (!body.is_null()) {
    request.headers["Content-Type"] = content_type;
    request.body = body.dump();
  }
  const auto response = transport().Send(request, {});
  if (!response) {
    ADD_FAILURE() << response.error().message;
    return {};
  }
  return {response->status, Json::parse(response->body, nullptr, false), response->headers};
}

Json ConformanceTest::Create(const ResourceType& type, const Json& object) {
  Reply reply = Send("POST", Path(type), object);
  EXPECT_EQ(reply.status, 201) << reply.message();
  return reply.body;
}

Json ConformanceTest::Get(const ResourceType& type, const std::string& name) {
  Reply reply = Send("GET", Path(type, name));
  EXPECT_EQ(reply.status, 200) << reply.message();
  return reply.body;
}

Reply ConformanceTest::MergePatch(const ResourceType& type, const std::string& name, const Json& patch,
                                  const std::string& subresource) {
  return Send("PATCH", Path(type, name, subresource), patch, "application/merge-patch+json");
}

Reply ConformanceTest::Apply(const ResourceType& type, const Json& object, const std::string& query) {
  const std::string target = Path(type, object["metadata"]["name"]) + "?" + query;
  return Send("PATCH", target, object, "application/apply-patch+yaml");
}

Json ConformanceTest::ConfigMap(const std::string& name, const Json& data) const {
  return {
      {"apiVersion", "v1"}, {"kind", "ConfigMap"}, {"metadata", {{"name", name}, {"namespace", ns_}}}, {"data", data}};
}

Json ConformanceTest::Widget(const std::string& name, const Json& spec) const {
  return {{"apiVersion", kWidgets.ApiVersion()},
          {"kind", kWidgets.kind},
          {"metadata", {{"name", name}, {"namespace", ns_}}},
          {"spec", spec}};
}

Json ConformanceTest::HomelessPod(const std::string& name, const Json& labels) const {
  Json pod = {{"apiVersion", "v1"},
              {"kind", "Pod"},
              {"metadata", {{"name", name}, {"namespace", ns_}}},
              {"spec",
               {{"nodeSelector", {{"conformance.slotwright.dev/nowhere", "true"}}},
                {"containers", Json::array({{{"name", "main"}, {"image", "none:1"}}})}}}};
  if (!labels.empty()) pod["metadata"]["labels"] = labels;
  return pod;
}

bool ConformanceTest::Eventually(const std::function<bool()>& holds, std::chrono::seconds patience) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (!holds()) {
    if (std::chrono::steady_clock::now() >= deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return true;
}

bool ConformanceTest::Disappears(const ResourceType& type, const std::string& name) {
  // A real garbage collector looks for new kinds, such as ours, every 30 s.
  return Eventually([&] { return Send("GET", Path(type, name)).status == 404; }, std::chrono::seconds(70));
}

Watcher::Watcher(const Client& client, const ResourceType& type, reconciler::WatchOptions options)
    : thread_([this, &client, type, options](std::stop_token stop) {
        const auto ended = client.Watch(
            type, options,
            [this](WatchEvent event) {
              const std::scoped_lock lock(mutex_);
              events_.push_back(std::move(event));
              changed_.notify_all();
            },
            stop);
        const std::scoped_lock lock(mutex_);
        ended_ = true;
        if (!ended) error_ = ToString(ended.error().kind);
        changed_.notify_all();
      }) {}

bool Watcher::WaitFor(std::unique_lock<std::mutex>& lock, const std::function<bool()>& holds) {
  return changed_.wait_for(lock, std::chrono::seconds(20), holds);
}

std::string Watcher::Event(size_t n) {
  static const std::map<WatchEventType, std::string> kNames = {{WatchEventType::kAdded, "ADDED"},
                                                               {WatchEventType::kModified, "MODIFIED"},
                                                               {WatchEventType::kDeleted, "DELETED"},
                                                               {WatchEventType::kBookmark, "BOOKMARK"}};
  std::unique_lock lock(mutex_);
  if (!WaitFor(lock, [&] { return events_.size() > n; })) return "";
  return kNames.at(events_[n].type) + " " + reconciler::KeyOf(events_[n].object).name;
}

Json Watcher::Object(size_t n) {
  std::unique_lock lock(mutex_);
  return WaitFor(lock, [&] { return events_.size() > n; }) ? events_[n].object : Json();
}

std::string Watcher::End() {
  std::unique_lock lock(mutex_);
  return WaitFor(lock, [this] { return ended_; }) ? error_ : "still open";
}

}  // namespace slotwright::conformance
