// See health.h.
#include "reconciler/runtime/health.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <sstream>

#include "reconciler/base/log.h"

namespace reconciler {

namespace {

std::set<std::string> Excluded(const ServerRequest& request) {
  std::set<std::string> names;
  const auto found = request.query.find("exclude");
  if (found == request.query.end()) return names;
  std::istringstream list(found->second);
  for (std::string name; std::getline(list, name, ',');) names.insert(name);
  return names;
}

// Everybody may ask, so that the answer names what failed and never why.
HttpResponse Run(const std::vector<HealthCheck>& checks, const ServerRequest& request, const std::string& endpoint) {
  const auto excluded = Excluded(request);
  std::string lines;
  bool healthy = true;
  for (const auto& check : checks) {
    if (excluded.contains(check.name)) {
      lines += fmt::format("[+]{} excluded: ok\n", check.name);
      continue;
    }
    const std::string problem = check.check();
    if (problem.empty()) {
      lines += fmt::format("[+]{} ok\n", check.name);
      continue;
    }
    healthy = false;
    lines += fmt::format("[-]{} failed: reason withheld\n", check.name);
    Log(LogLevel::kDebug, "health check failed", {{"endpoint", endpoint}, {"check", check.name}, {"reason", problem}});
  }
  if (!healthy) return {.status = 500, .headers = {}, .body = lines + fmt::format("{} check failed\n", endpoint)};
  const bool verbose = request.query.contains("verbose");
  return {.status = 200, .headers = {}, .body = verbose ? lines + fmt::format("{} check passed\n", endpoint) : "ok"};
}

// The checks under "/healthz" or "/healthz/<check>"; nothing if there is no such path.
std::optional<std::vector<HealthCheck>> Select(const std::vector<HealthCheck>& checks, const std::string& path,
                                               const std::string& endpoint) {
  if (path == endpoint || path == endpoint + "/") return checks;
  if (!path.starts_with(endpoint + "/")) return std::nullopt;
  const auto found = std::ranges::find(checks, path.substr(endpoint.size() + 1), &HealthCheck::name);
  if (found == checks.end()) return std::nullopt;
  return std::vector{*found};
}

bool RefusedMethod(const ServerRequest& request, Responder& responder) {
  if (request.method == "GET" || request.method == "HEAD") return false;
  responder.Reply({.status = 405, .headers = {{"allow", "GET, HEAD"}}, .body = "method not allowed\n"});
  return true;
}

}  // namespace

ServerHandler HealthHandler(std::vector<HealthCheck> liveness, std::vector<HealthCheck> readiness) {
  return [liveness = std::move(liveness), readiness = std::move(readiness)](
             const ServerRequest& request, const std::shared_ptr<Responder>& responder) {
    if (RefusedMethod(request, *responder)) return;
    for (const auto& [endpoint, checks] : {std::pair{"/healthz", &liveness}, std::pair{"/readyz", &readiness}}) {
      if (const auto selected = Select(*checks, request.path, endpoint)) {
        responder->Reply(Run(*selected, request, std::string(endpoint).substr(1)));
        return;
      }
    }
    responder->Reply({.status = 404, .headers = {}, .body = "not found\n"});
  };
}

ServerHandler MetricsHandler(std::function<std::string()> text) {
  return [text = std::move(text)](const ServerRequest& request, const std::shared_ptr<Responder>& responder) {
    if (RefusedMethod(request, *responder)) return;
    if (request.path != "/metrics") {
      responder->Reply({.status = 404, .headers = {}, .body = "not found\n"});
      return;
    }
    responder->Reply(
        {.status = 200, .headers = {{"content-type", "text/plain; version=0.0.4; charset=utf-8"}}, .body = text()});
  };
}

}  // namespace reconciler
