// Garbage, namespaces, definitions and Events; scheduling and budgets have files of their own.
#include "local/apiserver/cluster_controllers.h"

#include <fmt/format.h>

#include <algorithm>

namespace slotwright::local::apiserver {

using reconciler::StringAt;
using reconciler::ValueAt;

namespace {

constexpr const char* kDefinitions = "customresourcedefinitions.apiextensions.k8s.io";
constexpr const char* kCleanup = "customresourcecleanup.apiextensions.k8s.io";
constexpr auto kEventLifetime = std::chrono::hours(1);

Json Condition(const std::string& type, const std::string& reason, const std::string& message, const std::string& now) {
  return {{"type", type}, {"status", "True"}, {"reason", reason}, {"message", message}, {"lastTransitionTime", now}};
}

// Of what a user asks for; what is reported of it is no such change.
bool ChangesScale(const Resource& resource, const Change& change) {
  if (!resource.scale) return false;
  if (change.before == nullptr || change.after == nullptr) return true;
  const auto generation = [](const Json& object) { return object["metadata"].value("generation", 0); };
  return generation(*change.before) != generation(*change.after);
}

}  // namespace

ClusterControllers::ClusterControllers(ObjectApi& objects, std::function<void(const Table&)> on_uninstall)
    : objects_(objects), collector_(objects), on_uninstall_(std::move(on_uninstall)) {}

void ClusterControllers::OnChange(const Change& change) {
  collector_.Track(change);
  pending_.push_back(change);
  const bool schedules = change.table == "pods" || change.table == "nodes";
  pods_changed_ = pods_changed_ || schedules || change.table == "poddisruptionbudgets.policy";
  // Pods' budgets depend on the scale of their owners.
  const auto resource = objects_.registry().ForTable(change.table);
  pods_changed_ = pods_changed_ || (resource != nullptr && ChangesScale(*resource, change));
}

void ClusterControllers::Settle() {
  while (!pending_.empty() || pods_changed_) {
    while (!pending_.empty()) {
      const Change change = pending_.front();
      pending_.pop_front();
      if (change.table == kDefinitions) ProcessDefinition(change);
      collector_.Process(change);
      if (pending_.empty()) {
        FinishNamespaces();
        FinishDefinitions();
      }
    }
    if (std::exchange(pods_changed_, false)) {
      SchedulePods(objects_);
      UpdateDisruptionBudgets(objects_);
      // Their own writes change nothing for them.
      pods_changed_ = false;
    }
  }
}

void ClusterControllers::ProcessDefinition(const Change& change) {
  if (change.after == nullptr) return;
  const auto current = objects_.store().Get(kDefinitions, change.key);
  if (current == nullptr) return;
  objects_.registry().Install(*current);
  if (ValueAt(*current, {"status", "conditions"}) != nullptr && !(*current)["status"]["conditions"].empty()) return;
  const std::string now = reconciler::FormatTime(objects_.WallNow());
  Json established = *current;
  established["status"]["conditions"] = {
      Condition("NamesAccepted", "NoConflicts", "no conflicts found", now),
      Condition("Established", "InitialNamesAccepted", "the initial names have been accepted", now)};
  objects_.Rewrite(*objects_.registry().ForTable(kDefinitions), std::move(established));
}

// A namespace in deletion takes its content with it and goes when nothing is left.
void ClusterControllers::FinishNamespaces() {
  std::vector<std::string> terminating;
  for (const auto& [key, ns] : objects_.store().All("namespaces")) {
    if (reconciler::IsBeingDeleted(*ns)) terminating.push_back(key.name);
  }
  for (const auto& ns : terminating) {
    std::vector<std::pair<Table, ObjectKey>> content;
    for (const auto& [table, objects] : objects_.store().Everything()) {
      for (auto at = objects.lower_bound({ns, ""}); at != objects.end() && at->first.ns == ns; ++at) {
        content.emplace_back(table, at->first);
      }
    }
    for (const auto& [table, key] : content) {
      const auto object = objects_.store().Get(table, key);
      const auto resource = objects_.registry().ForTable(table);
      if (object == nullptr || resource == nullptr || reconciler::IsBeingDeleted(*object)) continue;
      (void)objects_.Delete(*resource, key, {.propagation = Propagation::kBackground});
    }
    const auto object = objects_.store().Get("namespaces", {"", ns});
    if (!content.empty() || object == nullptr || !pending_.empty()) continue;
    Json finished = *object;
    finished["spec"].erase("finalizers");
    objects_.Rewrite(*objects_.registry().ForTable("namespaces"), std::move(finished));
  }
}

// The same for a definition and its objects.
void ClusterControllers::FinishDefinitions() {
  std::vector<ObjectPtr> leaving;
  for (const auto& [key, crd] : objects_.store().All(kDefinitions)) {
    if (reconciler::IsBeingDeleted(*crd)) leaving.push_back(crd);
  }
  for (const auto& crd : leaving) {
    const Table table = reconciler::KeyOf(*crd).name;
    const auto resource = objects_.registry().ForTable(table);
    std::vector<ObjectKey> keys;
    for (const auto& [key, object] : objects_.store().All(table)) keys.push_back(key);
    for (const auto& key : keys) {
      const auto object = objects_.store().Get(table, key);
      if (object == nullptr || resource == nullptr || reconciler::IsBeingDeleted(*object)) continue;
      (void)objects_.Delete(*resource, key, {.propagation = Propagation::kBackground});
    }
    if (!keys.empty()) continue;
    on_uninstall_(table);
    objects_.registry().Uninstall(table);
    objects_.store().DropTable(table);
    Json finished = *crd;
    std::erase(finished["metadata"]["finalizers"].get_ref<Json::array_t&>(), Json(kCleanup));
    if (finished["metadata"]["finalizers"].empty()) finished["metadata"].erase("finalizers");
    objects_.Rewrite(*objects_.registry().ForTable(kDefinitions), std::move(finished));
  }
}

void ClusterControllers::ExpireEvents() {
  std::vector<ObjectKey> old;
  for (const auto& [key, event] : objects_.store().All("events")) {
    std::string seen = StringAt(*event, {"lastTimestamp"});
    if (seen.empty()) seen = StringAt(*event, {"metadata", "creationTimestamp"});
    if (reconciler::ParseTime(seen) + kEventLifetime < objects_.WallNow()) old.push_back(key);
  }
  for (const auto& key : old) objects_.store().Remove("events", key);
}

}  // namespace slotwright::local::apiserver
