// What a probe asks for, and what its results add up to: the pure half of probing.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "reconciler/base/error.h"
#include "reconciler/kube/types.h"

namespace slotwright::local {

struct ExecAction {
  std::vector<std::string> command;
};

struct TcpAction {
  std::string host;  ///< Empty: the pod's address.
  int port = 0;
};

struct HttpAction {
  std::string scheme = "HTTP";
  std::string host;  ///< Empty: the pod's address.
  int port = 0;
  std::string path = "/";
  std::vector<std::pair<std::string, std::string>> headers;
};

/// Also of lifecycle hooks.
using Action = std::variant<ExecAction, TcpAction, HttpAction>;

enum class ProbeKind { kStartup, kReadiness, kLiveness };
/// "Startup", "Readiness", "Liveness", as the kubelet's events say.
[[nodiscard]] std::string_view ToString(ProbeKind kind);

struct Probe {
  Action action;
  std::chrono::seconds initial_delay{0};
  std::chrono::seconds period{10};
  std::chrono::seconds timeout{1};
  int success_threshold = 1;
  int failure_threshold = 3;
  std::optional<std::chrono::seconds> termination_grace;
};

/// exec, tcpSocket or httpGet of `object`, with named ports looked up in the container's. kInvalid for anything else
/// (grpc) and for ports that the container does not name.
[[nodiscard]] reconciler::Result<Action> ParseAction(const reconciler::Json& object, const reconciler::Json& container);

/// The container's startupProbe, readinessProbe and livenessProbe. kInvalid as ParseAction.
[[nodiscard]] reconciler::Result<std::map<ProbeKind, Probe>> ParseProbes(const reconciler::Json& container);

/// Results in a row against the two thresholds (Kubernetes: pkg/kubelet/prober/worker.go).
class ProbeTracker {
 public:
  ProbeTracker(int success_threshold, int failure_threshold)
      : success_threshold_(success_threshold), failure_threshold_(failure_threshold) {}

  /// The verdict if this result reaches its threshold; nothing before.
  [[nodiscard]] std::optional<bool> Add(bool success);

 private:
  int success_threshold_;
  int failure_threshold_;
  std::optional<bool> last_;
  int in_a_row_ = 0;
};

}  // namespace slotwright::local
