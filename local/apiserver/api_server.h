// The embedded API server: as much of Kubernetes' API as an operator, a kubelet and kubectl need, in memory.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>

#include "reconciler/base/clock.h"
#include "reconciler/http/server.h"
#include "reconciler/kube/transport.h"
#include "reconciler/kube/types.h"

namespace slotwright::local {

struct LogOptions {
  bool follow = false;
  bool previous = false;
  int tail_lines = -1;  ///< -1: all.
};

/// Answers GET …/pods/NAME/log. `write` returns false when the reader is gone; `done` is called once at the end.
class LogSource {
 public:
  virtual ~LogSource() = default;
  virtual void Read(const reconciler::ObjectKey& pod, const std::string& container, const LogOptions& options,
                    std::function<bool(std::string_view)> write, std::function<void()> done) = 0;
};

/// Thread-safe. For trying and testing only: nothing is stored on disk. Held to a real kube-apiserver by the suite in
/// tests/conformance. Deliberately absent: admission webhooks, RBAC, exec/attach/port-forward, protobuf
/// in answers.
class ApiServer {
 public:
  struct Options {
    reconciler::Clock* clock = &reconciler::SystemClock();
    size_t watch_history = 4096;  ///< Events kept for watches that resume; older resourceVersions get 410.
    reconciler::Duration bookmark_interval = std::chrono::seconds(60);
    std::string token;  ///< Not empty: demanded as bearer token of every request but probes (401 otherwise).
    bool create_default_objects = true;  ///< Namespaces default and kube-system.
    std::uint64_t seed = 0;              ///< Of uids and generated names; 0: a random one.
    bool tracks_owners = true;           ///< Fills metadata.managedFields.
  };
  explicit ApiServer(const Options& options);
  ~ApiServer();

  /// For HttpServer. Never blocks.
  [[nodiscard]] reconciler::ServerHandler Handler();
  /// The same server without sockets, for tests and simulation. Must not outlive the server.
  [[nodiscard]] std::shared_ptr<reconciler::Transport> InProcessTransport();

  /// What is stored, without a request; null if there is none. For simulations, which look at it after every step.
  [[nodiscard]] reconciler::ObjectPtr Stored(const reconciler::ResourceType& type, const reconciler::ObjectKey& key);

  /// Before the first request for a log; may be null.
  void SetLogSource(LogSource* source);

  /// Sends bookmarks to watches that are due and ends those whose timeoutSeconds are over, and expires old Events.
  /// Call it every second or so (a simulation calls it when its clock moves).
  void Tick();
  /// Ends all watches.
  void Shutdown();

  /// For fault injection: every request fails with this status until it is 0 again; watches are cut.
  void SetOutage(int status);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace slotwright::local
