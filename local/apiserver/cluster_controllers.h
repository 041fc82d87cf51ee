// The controllers that a real control plane runs beside its API server: garbage collection, namespaces, definitions,
// scheduling, disruption budgets.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <string>

#include "local/apiserver/garbage_collector.h"
#include "local/apiserver/objects.h"

namespace slotwright::local::apiserver {

/// Not thread-safe, without threads of its own: Settle after each request brings everything to rest, in a fixed order.
class ClusterControllers {
 public:
  /// `on_uninstall` is called when a custom resource is no longer served.
  ClusterControllers(ObjectApi& objects, std::function<void(const Table&)> on_uninstall);

  /// Must see each change exactly once and in order; does nothing yet.
  void OnChange(const Change& change);
  void Settle();
  /// Removes Events older than an hour, as a real server's lease on them does.
  void ExpireEvents();

 private:
  void ProcessDefinition(const Change& change);
  void FinishNamespaces();
  void FinishDefinitions();

  ObjectApi& objects_;
  GarbageCollector collector_;
  const std::function<void(const Table&)> on_uninstall_;
  std::deque<Change> pending_;
  bool pods_changed_ = false;
};

/// Gives pods without a node one: the least loaded of those that are ready, schedulable, tolerated and match the pod's
/// nodeSelector; affinity is not looked at. A pod that fits nowhere says so in its condition PodScheduled.
void SchedulePods(ObjectApi& objects);

/// Brings the status of each PodDisruptionBudget up to date. As on a real cluster, maxUnavailable counts from the scale
/// subresource of the pods' controller, and without one no disruption is allowed.
void UpdateDisruptionBudgets(ObjectApi& objects);

/// POST pods/NAME/eviction: deletes the pod unless a budget forbids it (429 with the budget's numbers).
[[nodiscard]] ApiResult<void> Evict(ObjectApi& objects, const ObjectKey& pod, const Json& eviction);
/// POST pods/NAME/binding.
[[nodiscard]] ApiResult<void> Bind(ObjectApi& objects, const ObjectKey& pod, const Json& binding);

}  // namespace slotwright::local::apiserver
