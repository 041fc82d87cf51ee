// A node for each pod.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "local/apiserver/cluster_controllers.h"

namespace slotwright::local::apiserver {

using reconciler::StringAt;
using reconciler::ValueAt;

namespace {

bool IsReady(const Json& node) {
  const Json* conditions = ValueAt(node, {"status", "conditions"});
  if (conditions == nullptr || !conditions->is_array()) return false;
  return std::ranges::any_of(*conditions, [](const Json& condition) {
    return StringAt(condition, {"type"}) == "Ready" && StringAt(condition, {"status"}) == "True";
  });
}

bool Tolerates(const Json& pod, const Json& taint) {
  if (StringAt(taint, {"effect"}) == "PreferNoSchedule") return true;
  const Json* tolerations = ValueAt(pod, {"spec", "tolerations"});
  if (tolerations == nullptr || !tolerations->is_array()) return false;
  return std::ranges::any_of(*tolerations, [&taint](const Json& toleration) {
    const std::string key = StringAt(toleration, {"key"});
    const std::string effect = StringAt(toleration, {"effect"});
    if (!effect.empty() && effect != StringAt(taint, {"effect"})) return false;
    if (StringAt(toleration, {"operator"}) == "Exists") return key.empty() || key == StringAt(taint, {"key"});
    return key == StringAt(taint, {"key"}) && StringAt(toleration, {"value"}) == StringAt(taint, {"value"});
  });
}

bool Fits(const Json& pod, const Json& node) {
  const Json* unschedulable = ValueAt(node, {"spec", "unschedulable"});
  if (!IsReady(node) || (unschedulable != nullptr && *unschedulable == true)) return false;
  if (const Json* selector = ValueAt(pod, {"spec", "nodeSelector"}); selector != nullptr && selector->is_object()) {
    for (const auto& [label, value] : selector->items()) {
      if (value != reconciler::LabelOf(node, label)) return false;
    }
  }
  const Json* taints = ValueAt(node, {"spec", "taints"});
  if (taints == nullptr || !taints->is_array()) return true;
  return std::ranges::all_of(*taints, [&pod](const Json& taint) { return Tolerates(pod, taint); });
}

void SetScheduled(Json& pod, bool scheduled, const std::string& message, const std::string& now) {
  Json condition = {{"type", "PodScheduled"},
                    {"status", scheduled ? "True" : "False"},
                    {"lastProbeTime", nullptr},
                    {"lastTransitionTime", now}};
  if (!scheduled) {
    condition["reason"] = "Unschedulable";
    condition["message"] = message;
  }
  Json& conditions = pod["status"]["conditions"];
  if (!conditions.is_array()) conditions = Json::array();
  for (auto& one : conditions) {
    if (StringAt(one, {"type"}) != "PodScheduled") continue;
    const bool same = one["status"] == condition["status"];
    if (same) condition["lastTransitionTime"] = one["lastTransitionTime"];
    one = condition;
    return;
  }
  conditions.push_back(condition);
}

}  // namespace

void SchedulePods(ObjectApi& objects) {
  const auto resource = objects.registry().ForTable("pods");
  std::map<std::string, int> load;
  std::vector<ObjectPtr> waiting;
  for (const auto& [key, pod] : objects.store().All("pods")) {
    const std::string node = StringAt(*pod, {"spec", "nodeName"});
    if (!node.empty()) {
      ++load[node];
    } else if (!reconciler::IsBeingDeleted(*pod)) {
      waiting.push_back(pod);
    }
  }
  const Objects nodes = objects.store().All("nodes");
  for (const auto& pod : waiting) {
    std::string best;
    for (const auto& [key, node] : nodes) {
      if (Fits(*pod, *node) && (best.empty() || load[key.name] < load[best])) best = key.name;
    }
    Json changed = *pod;
    if (!best.empty()) {
      changed["spec"]["nodeName"] = best;
      ++load[best];
    }
    SetScheduled(changed, !best.empty(),
                 fmt::format("0/{} nodes are available: none is ready, schedulable, tolerated and selected by the pod",
                             nodes.size()),
                 reconciler::FormatTime(objects.WallNow()));
    objects.Rewrite(*resource, std::move(changed));
  }
}

ApiResult<void> Bind(ObjectApi& objects, const ObjectKey& key, const Json& binding) {
  const auto resource = objects.registry().ForTable("pods");
  const auto pod = objects.Get(*resource, key);
  if (!pod) return std::unexpected(pod.error());
  const std::string node = StringAt(binding, {"target", "name"});
  if (node.empty()) {
    return std::unexpected(Invalid({"", "pods/binding", "Binding"}, key.name, {RequiredValue("target.name")}));
  }
  const std::string bound = StringAt(**pod, {"spec", "nodeName"});
  if (!bound.empty()) {
    return std::unexpected(Conflict({"", "pods/binding", "Binding"}, key.name,
                                    fmt::format("pod {} is already assigned to node \"{}\"", key.name, bound)));
  }
  Json changed = **pod;
  changed["spec"]["nodeName"] = node;
  SetScheduled(changed, true, "", reconciler::FormatTime(objects.WallNow()));
  objects.Rewrite(*resource, std::move(changed));
  return {};
}

}  // namespace slotwright::local::apiserver
