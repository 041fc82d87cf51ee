// The API server that the suite asks: the embedded one, or the real one that CONFORMANCE_KUBECONFIG names.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "reconciler/kube/client.h"
#include "reconciler/kube/transport.h"

namespace slotwright::conformance {

using reconciler::Json;
using reconciler::ObjectKey;
using reconciler::ResourceType;

inline const ResourceType kWidgets{"conformance.slotwright.dev", "v1", "widgets", "Widget"};

struct Reply {
  int status = 0;
  Json body;
  std::map<std::string, std::string> headers;

  [[nodiscard]] std::string message() const { return body.is_object() ? body.value("message", "") : ""; }
  [[nodiscard]] std::string reason() const { return body.is_object() ? body.value("reason", "") : ""; }
};

/// A fresh namespace and the definition of Widgets for each test; the namespace is deleted with it.
class ConformanceTest : public ::testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  [[nodiscard]] static bool IsReal();
  [[nodiscard]] static reconciler::Transport& transport();
  [[nodiscard]] static const reconciler::Client& client();
  [[nodiscard]] const std::string& ns() const { return ns_; }
  [[nodiscard]] ObjectKey Key(const std::string& name) const { return {ns_, name}; }
  /// "/api/v1/namespaces/NS/configmaps" or, with a name, an object's path.
  [[nodiscard]] std::string Path(const ResourceType& type, const std::string& name = "",
                                 const std::string& subresource = "") const;

  static Reply Send(const std::string& method, const std::string& target, const Json& body = Json(),
                    const std::string& content_type = "application/json",
                    const std::string& accept = "application/json");
  /// POST; fails the test unless it was created.
  Json Create(const ResourceType& type, const Json& object);
  Json Get(const ResourceType& type, const std::string& name);
  Reply MergePatch(const ResourceType& type, const std::string& name, const Json& patch,
                   const std::string& subresource = "");
  /// With the query's fieldManager and perhaps force.
  Reply Apply(const ResourceType& type, const Json& object, const std::string& query);

  [[nodiscard]] Json ConfigMap(const std::string& name, const Json& data = {{"key", "value"}}) const;
  [[nodiscard]] Json Widget(const std::string& name, const Json& spec = {{"size", 3}}) const;
  /// A pod that no scheduler can place.
  [[nodiscard]] Json HomelessPod(const std::string& name, const Json& labels = Json::object()) const;

  static bool Eventually(const std::function<bool()>& holds, std::chrono::seconds patience = std::chrono::seconds(20));
  bool Disappears(const ResourceType& type, const std::string& name);

 private:
  std::string ns_;
};

/// A watch in the background; its events in order.
class Watcher {
 public:
  Watcher(const reconciler::Client& client, const ResourceType& type, reconciler::WatchOptions options);

  /// Waits for the n-th event (from 0), then gives "TYPE name"; "" if it does not come.
  [[nodiscard]] std::string Event(size_t n);
  [[nodiscard]] Json Object(size_t n);
  /// Waits for the end of the watch and says how it ended: "" or the name of the error's kind.
  [[nodiscard]] std::string End();

 private:
  bool WaitFor(std::unique_lock<std::mutex>& lock, const std::function<bool()>& holds);

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<reconciler::WatchEvent> events_;
  bool ended_ = false;
  std::string error_;
  std::jthread thread_;
};

}  // namespace slotwright::conformance
