// Probes as values.
#include "local/kubelet/probe.h"

#include <fmt/format.h>

#include <algorithm>

namespace slotwright::local {

using reconciler::ErrorKind;
using reconciler::Fail;
using reconciler::Json;
using reconciler::Result;
using reconciler::StringAt;

namespace {

Result<int> PortOf(const Json& object, const Json& container) {
  const Json port = object.value("port", Json());
  if (port.is_number_integer()) return port.get<int>();
  for (const auto& named : container.value("ports", Json::array())) {
    if (port.is_string() && named.value("name", Json()) == port) return named.value("containerPort", 0);
  }
  return Fail(ErrorKind::kInvalid,
              fmt::format("container \"{}\" has no port named {}", StringAt(container, {"name"}), port.dump()));
}

Result<Action> ParseHttp(const Json& object, const Json& container) {
  const auto port = PortOf(object, container);
  if (!port) return std::unexpected(port.error());
  HttpAction action;
  action.scheme = object.value("scheme", "HTTP");
  action.host = object.value("host", "");
  action.port = *port;
  action.path = object.value("path", "/");
  if (!action.path.starts_with('/')) action.path.insert(0, "/");
  for (const auto& header : object.value("httpHeaders", Json::array())) {
    action.headers.emplace_back(StringAt(header, {"name"}), StringAt(header, {"value"}));
  }
  return action;
}

Result<Probe> ParseProbe(const Json& object, const Json& container) {
  auto action = ParseAction(object, container);
  if (!action) return std::unexpected(action.error());
  Probe probe{std::move(*action)};
  // An API server fills in the defaults of Kubernetes; 0 means the default, too.
  const auto number = [&](const char* field, int fallback) {
    const int value = object.value(field, 0);
    return value > 0 ? value : fallback;
  };
  probe.initial_delay = std::chrono::seconds(number("initialDelaySeconds", 0));
  probe.period = std::chrono::seconds(number("periodSeconds", 10));
  probe.timeout = std::chrono::seconds(number("timeoutSeconds", 1));
  probe.success_threshold = number("successThreshold", 1);
  probe.failure_threshold = number("failureThreshold", 3);
  if (object.contains("terminationGracePeriodSeconds")) {
    probe.termination_grace = std::chrono::seconds(object.value("terminationGracePeriodSeconds", 0));
  }
  return probe;
}

}  // namespace

std::string_view ToString(ProbeKind kind) {
  switch (kind) {
    case ProbeKind::kStartup:
      return "Startup";
    case ProbeKind::kReadiness:
      return "Readiness";
    case ProbeKind::kLiveness:
      return "Liveness";
  }
  return "";
}

Result<Action> ParseAction(const Json& object, const Json& container) {
  if (const auto exec = object.find("exec"); exec != object.end()) {
    return ExecAction{exec->value("command", std::vector<std::string>())};
  }
  if (const auto tcp = object.find("tcpSocket"); tcp != object.end()) {
    const auto port = PortOf(*tcp, container);
    if (!port) return std::unexpected(port.error());
    return TcpAction{tcp->value("host", ""), *port};
  }
  if (const auto http = object.find("httpGet"); http != object.end()) return ParseHttp(*http, container);
  return Fail(ErrorKind::kInvalid,
              fmt::format("{} is not known to the local kubelet; use exec, tcpSocket or httpGet", object.dump()));
}

Result<std::map<ProbeKind, Probe>> ParseProbes(const Json& container) {
  std::map<ProbeKind, Probe> probes;
  for (const auto& [kind, field] : {std::pair{ProbeKind::kStartup, "startupProbe"},
                                    {ProbeKind::kReadiness, "readinessProbe"},
                                    {ProbeKind::kLiveness, "livenessProbe"}}) {
    const auto object = container.find(field);
    if (object == container.end() || object->is_null()) continue;
    auto probe = ParseProbe(*object, container);
    if (!probe) return std::unexpected(probe.error().Within(field));
    probes.emplace(kind, std::move(*probe));
  }
  return probes;
}

std::optional<bool> ProbeTracker::Add(bool success) {
  in_a_row_ = last_ == success ? in_a_row_ + 1 : 1;
  last_ = success;
  if (in_a_row_ < (success ? success_threshold_ : failure_threshold_)) return std::nullopt;
  return success;
}

}  // namespace slotwright::local
