// PodDisruptionBudgets and evictions (k8s.io/kubernetes/pkg/controller/disruption, registry/core/pod/rest/eviction.go).
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "local/apiserver/cluster_controllers.h"
#include "local/apiserver/selectors.h"

namespace slotwright::local::apiserver {

using reconciler::StringAt;
using reconciler::ValueAt;

namespace {

constexpr const char* kBudgets = "poddisruptionbudgets.policy";

bool IsReady(const Json& pod) {
  const Json* conditions = ValueAt(pod, {"status", "conditions"});
  if (conditions == nullptr || !conditions->is_array()) return false;
  return std::ranges::any_of(*conditions, [](const Json& condition) {
    return StringAt(condition, {"type"}) == "Ready" && StringAt(condition, {"status"}) == "True";
  });
}

bool Selects(const Json& budget, const Json& pod) {
  const Json* selector = ValueAt(budget, {"spec", "selector"});
  if (selector == nullptr || reconciler::KeyOf(budget).ns != reconciler::KeyOf(pod).ns) return false;
  const auto parsed = LabelSelector::FromObject(*selector);
  return parsed && parsed->Matches(pod);
}

std::vector<ObjectPtr> PodsOf(ObjectApi& objects, const Json& budget) {
  std::vector<ObjectPtr> pods;
  for (const auto& [key, pod] : objects.store().All("pods")) {
    const std::string phase = StringAt(*pod, {"status", "phase"});
    if (phase != "Succeeded" && phase != "Failed" && Selects(budget, *pod)) pods.push_back(pod);
  }
  return pods;
}

int IntegerAt(const Json& object, const std::vector<std::string>& path) {
  const Json* value = &object;
  for (const auto& name : path) {
    if (!value->is_object() || !value->contains(name)) return 0;
    value = &(*value)[name];
  }
  return value->is_number_integer() ? value->get<int>() : 0;
}

// The sum of the scales of the pods' controllers; nothing if one of them has none.
std::optional<int> ExpectedScale(ObjectApi& objects, const std::vector<ObjectPtr>& pods) {
  std::set<std::string> seen;
  int expected = 0;
  for (const auto& pod : pods) {
    const std::string uid = reconciler::ControllerUidOf(*pod);
    if (uid.empty() || !seen.insert(uid).second) continue;
    for (const auto& owner : (*pod)["metadata"]["ownerReferences"]) {
      if (StringAt(owner, {"uid"}) != uid) continue;
      const auto resource = objects.registry().ForKind(StringAt(owner, {"apiVersion"}), StringAt(owner, {"kind"}));
      if (resource == nullptr || !resource->scale) return std::nullopt;
      const auto object =
          objects.store().Get(resource->table(), {reconciler::KeyOf(*pod).ns, StringAt(owner, {"name"})});
      if (object == nullptr) return std::nullopt;
      expected += IntegerAt(*object, resource->scale->spec_replicas);
    }
  }
  return expected;
}

// An integer, or a percentage of `total` rounded up.
int Scaled(const Json& value, int total) {
  if (value.is_number_integer()) return value.get<int>();
  const int percent = value.is_string() ? std::atoi(value.get<std::string>().c_str()) : 0;
  return static_cast<int>(std::ceil(percent * total / 100.0));
}

struct Numbers {
  int expected = 0;
  int desired = 0;
};

std::optional<Numbers> Count(ObjectApi& objects, const Json& budget, const std::vector<ObjectPtr>& pods) {
  const Json& spec = budget["spec"];
  if (spec.contains("maxUnavailable")) {
    const auto expected = ExpectedScale(objects, pods);
    if (!expected) return std::nullopt;
    return Numbers{*expected, std::max(0, *expected - Scaled(spec["maxUnavailable"], *expected))};
  }
  const Json least = spec.value("minAvailable", Json(1));
  if (least.is_number_integer()) return Numbers{static_cast<int>(pods.size()), least.get<int>()};
  const auto expected = ExpectedScale(objects, pods);
  if (!expected) return std::nullopt;
  return Numbers{*expected, Scaled(least, *expected)};
}

void SetCondition(Json& status, bool allowed, const std::string& reason, const std::string& message,
                  const Json& generation, const std::string& now) {
  Json condition = {{"type", "DisruptionAllowed"}, {"status", allowed ? "True" : "False"}, {"reason", reason},
                    {"message", message},          {"observedGeneration", generation},     {"lastTransitionTime", now}};
  const Json* old = ValueAt(status, {"conditions"});
  if (old != nullptr && !old->empty() && (*old)[0]["status"] == condition["status"]) {
    condition["lastTransitionTime"] = (*old)[0]["lastTransitionTime"];
  }
  status["conditions"] = Json::array({condition});
}

void UpdateBudget(ObjectApi& objects, const Json& budget) {
  const auto pods = PodsOf(objects, budget);
  const auto numbers = Count(objects, budget, pods);
  const Json generation = budget["metadata"].value("generation", 1);
  const std::string now = reconciler::FormatTime(objects.WallNow());
  Json changed = budget;
  Json& status = changed["status"];
  status["observedGeneration"] = generation;
  if (!numbers) {
    status["disruptionsAllowed"] = 0;
    SetCondition(status, false, "SyncFailed", "the pods' controller does not implement the scale subresource",
                 generation, now);
  } else {
    // A pod whose eviction was allowed is on its way out, even before its deletion shows.
    Json disrupted = Json::object();
    int healthy = 0;
    for (const auto& pod : pods) {
      const std::string name = reconciler::KeyOf(*pod).name;
      if (reconciler::IsBeingDeleted(*pod)) continue;
      if (ValueAt(status, {"disruptedPods", name.c_str()}) != nullptr) {
        disrupted[name] = status["disruptedPods"][name];
      } else if (IsReady(*pod)) {
        ++healthy;
      }
    }
    if (disrupted.empty()) {
      status.erase("disruptedPods");
    } else {
      status["disruptedPods"] = disrupted;
    }
    const int allowed = numbers->expected > 0 ? std::max(0, healthy - numbers->desired) : 0;
    status["expectedPods"] = numbers->expected;
    status["desiredHealthy"] = numbers->desired;
    status["currentHealthy"] = healthy;
    status["disruptionsAllowed"] = allowed;
    SetCondition(status, allowed > 0, allowed > 0 ? "SufficientPods" : "InsufficientPods", "", generation, now);
  }
  objects.Rewrite(*objects.registry().ForTable(kBudgets), std::move(changed));
}

ApiError TooManyDisruptions(const Json& budget) {
  const std::string name = reconciler::KeyOf(budget).name;
  const Json& status = budget["status"];
  Json causes =
      Json::array({{{"reason", "DisruptionBudget"},
                    {"message", fmt::format("The disruption budget {} needs {} healthy pods and has {} currently", name,
                                            status.value("desiredHealthy", 0), status.value("currentHealthy", 0))}}});
  return MakeError(429, "TooManyRequests", "Cannot evict pod as it would violate the pod's disruption budget.",
                   {{"causes", causes}});
}

// 0 if the budget forbids it; else takes one disruption from the budget if the pod counts as healthy.
bool TakeDisruption(ObjectApi& objects, const Json& budget, const Json& pod, bool dry_run) {
  const Json& status = budget["status"];
  if (!IsReady(pod)) {
    const bool always = StringAt(budget, {"spec", "unhealthyPodEvictionPolicy"}) == "AlwaysAllow";
    const int healthy = status.value("currentHealthy", 0);
    const int desired = status.value("desiredHealthy", 0);
    if (always || (healthy >= desired && desired > 0)) return true;
  }
  const int allowed = status.value("disruptionsAllowed", 0);
  if (allowed <= 0) return false;
  if (dry_run) return true;
  Json changed = budget;
  changed["status"]["disruptionsAllowed"] = allowed - 1;
  changed["status"]["disruptedPods"][reconciler::KeyOf(pod).name] = reconciler::FormatTime(objects.WallNow());
  objects.Rewrite(*objects.registry().ForTable(kBudgets), std::move(changed));
  return true;
}

}  // namespace

void UpdateDisruptionBudgets(ObjectApi& objects) {
  const Objects budgets = objects.store().All(kBudgets);
  for (const auto& [key, budget] : budgets) UpdateBudget(objects, *budget);
}

ApiResult<void> Evict(ObjectApi& objects, const ObjectKey& key, const Json& eviction) {
  const auto resource = objects.registry().ForTable("pods");
  const auto pod = objects.Get(*resource, key);
  if (!pod) return std::unexpected(pod.error());
  DeletionOptions options{.uid = StringAt(eviction, {"deleteOptions", "preconditions", "uid"})};
  if (const Json* grace = ValueAt(eviction, {"deleteOptions", "gracePeriodSeconds"});
      grace != nullptr && grace->is_number_integer()) {
    options.grace_period_seconds = grace->get<int>();
  }
  if (const Json* dry = ValueAt(eviction, {"deleteOptions", "dryRun"})) options.dry_run = !dry->empty();
  std::vector<ObjectPtr> budgets;
  for (const auto& [budget_key, budget] : objects.store().All(kBudgets)) {
    if (Selects(*budget, **pod)) budgets.push_back(budget);
  }
  const std::string phase = StringAt(**pod, {"status", "phase"});
  const bool counts = phase == "Running" && !reconciler::IsBeingDeleted(**pod);
  if (counts && budgets.size() > 1) {
    return std::unexpected(
        MakeError(500, "InternalError",
                  "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."));
  }
  if (counts && !budgets.empty() && !TakeDisruption(objects, *budgets[0], **pod, options.dry_run)) {
    return std::unexpected(TooManyDisruptions(*budgets[0]));
  }
  const auto deleted = objects.Delete(*resource, key, options);
  if (!deleted) return std::unexpected(deleted.error());
  return {};
}

}  // namespace slotwright::local::apiserver
