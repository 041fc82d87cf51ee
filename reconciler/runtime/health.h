// /healthz, /readyz and /metrics as Kubernetes expects them: terse in public, with ?verbose and ?exclude.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "reconciler/http/server.h"

namespace reconciler {

/// `check` returns why not, or an empty string if all is well. It must be quick and thread-safe.
struct HealthCheck {
  std::string name;
  std::function<std::string()> check;
};

/// Serves /healthz, /readyz and /healthz/<check>, /readyz/<check>. The cause of a failure is logged, never served.
[[nodiscard]] ServerHandler HealthHandler(std::vector<HealthCheck> liveness, std::vector<HealthCheck> readiness);
/// Serves /metrics from `text`.
[[nodiscard]] ServerHandler MetricsHandler(std::function<std::string()> text);

}  // namespace reconciler
