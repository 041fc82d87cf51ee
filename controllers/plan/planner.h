// The planner: a list of steps in order of urgency; the first that has something to do decides.
#pragma once

#include "controllers/observe/observation.h"
#include "controllers/plan/cluster_view.h"
#include "controllers/plan/plan.h"

namespace slotwright {

/// Pure: the same Observation gives the same Plan. `view` is Merge(observation), which others need as well.
[[nodiscard]] Plan MakePlan(const Observation& observation, const ClusterView& view);

/// One step: nothing if it has nothing to do or to wait for. Each lives in a file of its own.
using Step = std::optional<Plan> (*)(const Observation&, const ClusterView&);

namespace steps {
/// Refuses what cannot be acted on: an invalid specification, an unusable password, names taken by strangers.
[[nodiscard]] std::optional<Plan> Validate(const Observation&, const ClusterView&);
/// ConfigMap, Services, budgets, claims, the password: before the first pod.
[[nodiscard]] std::optional<Plan> EnsureObjects(const Observation&, const ClusterView&);
/// Creates missing pods, all at once.
[[nodiscard]] std::optional<Plan> EnsurePods(const Observation&, const ClusterView&);
/// Says who does not answer, and refuses when a stranger sits at a pod's address or in the node table.
[[nodiscard]] std::optional<Plan> RefuseStrangers(const Observation&, const ClusterView&);
/// Gives slots that nobody ever owned to the masters of a cluster that is being created.
[[nodiscard]] std::optional<Plan> AssignInitialSlots(const Observation&, const ClusterView&);
/// Introduces nodes that do not know each other, and makes those without slots replicas of their shard's master as soon
/// as they know it.
[[nodiscard]] std::optional<Plan> JoinNodes(const Observation&, const ClusterView&);
/// Removes dead nodes without slots from the tables once their pod lives on under a new id.
[[nodiscard]] std::optional<Plan> ForgetGhosts(const Observation&, const ClusterView&);
/// What the specification asks for and this version does not do.
[[nodiscard]] std::optional<Plan> RefuseUnsupported(const Observation&, const ClusterView&);
/// Whatever still keeps the cluster from being Ready, in words.
[[nodiscard]] std::optional<Plan> AwaitHealth(const Observation&, const ClusterView&);
}  // namespace steps

/// What is missing or differs of the objects that EnsureObjects looks after.
[[nodiscard]] std::vector<Action> ObjectRepairs(const Observation& observation);

}  // namespace slotwright
