// Refuses what cannot be acted on, before anything is touched.
#include <fmt/format.h>

#include "controllers/api/names.h"
#include "controllers/plan/planner.h"
#include "controllers/plan/waiting.h"
#include "controllers/resources/resources.h"

namespace slotwright::steps {

namespace {

constexpr const char* kStep = "validate";

std::optional<Plan> RefuseTakenNames(const Observation& observation) {
  const auto& cluster = observation.cluster;
  const auto refuse = [&](const std::string& kind, const std::string& name) {
    return Refuse(kStep, "NameTaken",
                  fmt::format("{} {} exists already and does not belong to this RedisCluster; delete it if it is a "
                              "left-over, or choose another name for the RedisCluster",
                              kind, name));
  };
  for (const auto& [type, name] : NamesOfDesiredObjects(cluster)) {
    const auto found = observation.objects.find({type.kind, name});
    if (found != observation.objects.end() && IsTaken(cluster, type.kind, *found->second))
      return refuse(type.kind, name);
  }
  for (const auto& pod : observation.pods) {
    if (!pod.ours && !pod.terminating) return refuse("Pod", pod.name);
  }
  return std::nullopt;
}

}  // namespace

std::optional<Plan> RefusePassword(const Observation& observation, const ClusterView&) {
  const auto& cluster = observation.cluster;
  const auto& auth = cluster.spec.auth;
  const auto refuse = [&](const char* reason, const std::string& message) { return Refuse(kStep, reason, message); };
  switch (observation.password.state) {
    case PasswordView::State::kUsable:
      return std::nullopt;
    case PasswordView::State::kMissingSecret:
      if (cluster.generates_password() && cluster.formed_at.empty()) return std::nullopt;
      if (cluster.generates_password()) {
        return refuse(
            "SecretNotFound",
            fmt::format("Secret {} with the generated password is gone, and another password would lock the "
                        "operator out; bring it back (every pod has the password in /run/slotwright/private.conf)",
                        cluster.password_secret()));
      }
      return refuse(
          "SecretNotFound",
          fmt::format("spec.auth.secretName: \"{}\": there is no such Secret in namespace {}; create it with a "
                      "password of at least 16 characters under the key \"{}\"",
                      auth.secret_name, cluster.ns, auth.key));
    case PasswordView::State::kMissingKey:
      return refuse("SecretKeyNotFound",
                    fmt::format("spec.auth.key: \"{}\": Secret {} has no such key; add it or name one that it has",
                                auth.key, cluster.password_secret()));
    case PasswordView::State::kUnreadable:
      return refuse("SecretUnreadable", fmt::format("Secret {} with the password cannot be read: {}",
                                                    cluster.password_secret(), observation.password.problem));
    case PasswordView::State::kRefused:
      break;
  }
  return refuse("PasswordRefused",
                fmt::format("spec.auth.secretName: \"{}\": the password in it (key \"{}\") cannot be used: {}",
                            cluster.password_secret(), auth.key, observation.password.problem));
}

std::optional<Plan> Validate(const Observation& observation, const ClusterView& view) {
  const auto errors = slotwright::Validate(observation.cluster);
  if (!errors.empty()) {
    std::string all;
    for (const auto& error : errors) all += (all.empty() ? "" : "; ") + error.ToString();
    return Refuse(kStep, "InvalidSpec", all);
  }
  if (auto plan = RefusePassword(observation, view)) return plan;
  return RefuseTakenNames(observation);
}

}  // namespace slotwright::steps
