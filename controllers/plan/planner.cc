// The order of the steps: this list is the operator's judgement of what is most urgent.
#include "controllers/plan/planner.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>

#include "controllers/api/names.h"
#include "controllers/plan/waiting.h"

namespace slotwright {

namespace {

constexpr auto kSteps = std::to_array<Step>({
    steps::Validate,
    steps::EnsureObjects,
    steps::EnsurePods,
    steps::RefuseStrangers,
    steps::AssignInitialSlots,
    steps::JoinNodes,
    steps::ForgetGhosts,
    steps::AwaitHealth,
    steps::RefuseUnsupported,
});

Plan Decide(const Observation& observation, const ClusterView& view) {
  for (const Step step : kSteps) {
    if (auto plan = step(observation, view)) return *std::move(plan);
  }
  const auto& spec = observation.cluster.spec;
  return {.step = "settled",
          .reason = "Healthy",
          .message = fmt::format("16384 slots on {} masters, {} replicas in sync, all {} nodes agree", spec.masters,
                                 spec.masters * spec.replicas_per_master, spec.pods()),
          .settled = true};
}

// A paused cluster is observed and reported on, and left alone.
Plan Hold(Plan plan) {
  if (plan.actions.empty()) return plan;
  plan.message = fmt::format("paused by annotation; otherwise the next action would be: {}", ToString(plan.actions[0]));
  plan.reason = "Paused";
  plan.actions.clear();
  plan.look_again = kHealthPoll;
  return plan;
}

// The number of shards that exist, if the specification asks for more of an existing cluster: this version does not
// move slots yet, so it goes on caring for what is there and says so.
std::optional<int> ShardsToKeep(const Observation& observation) {
  if (observation.cluster.formed_at.empty() || observation.pods.empty()) return std::nullopt;
  if (!Validate(observation.cluster).empty()) return std::nullopt;
  int shards = 0;
  for (const auto& pod : observation.pods) shards = std::max(shards, pod.shard + 1);
  // A shard may have lost all its pods; its budget still says that it is one of ours.
  for (int shard = shards; shard < observation.cluster.spec.masters; ++shard) {
    const auto budget =
        std::pair(reconciler::types::kPodDisruptionBudgets.kind, ShardNameOf(observation.cluster.name, shard));
    if (observation.objects.contains(budget)) shards = shard + 1;
  }
  if (observation.cluster.spec.masters <= shards) return std::nullopt;
  return shards;
}

// Objects of a cluster that lives are repaired beside what was decided.
void AddRepairs(const Observation& observation, Plan& plan) {
  if (observation.cluster.formed_at.empty() || plan.step == "validate") return;
  auto repairs = ObjectRepairs(observation);
  if (repairs.empty()) return;
  if (plan.settled) {
    plan.step = "objects";
    plan.reason = "UpdatingObjects";
    plan.message = fmt::format("{} objects are missing or differ: {}", repairs.size(), ToString(repairs[0]));
    plan.settled = false;
    plan.look_again = std::chrono::milliseconds(10);
  }
  std::move(repairs.begin(), repairs.end(), std::back_inserter(plan.actions));
}

Plan PlanForAll(const Observation& observation, const ClusterView& view) {
  Plan plan = Decide(observation, view);
  AddRepairs(observation, plan);
  return plan;
}

Plan PlanForExistingShards(Observation observation, const ClusterView& view, int shards) {
  const int wanted = observation.cluster.spec.masters;
  observation.cluster.spec.masters = shards;
  Plan plan = PlanForAll(observation, view);
  if (!plan.settled) return plan;
  return Refuse("unsupported", "ScaleOutNotSupported",
                fmt::format("spec.masters: {}: this version does not move slots to new masters yet; the {} shards that "
                            "exist are cared for. Set it back to {}",
                            wanted, shards, shards));
}

}  // namespace

Plan MakePlan(const Observation& observation, const ClusterView& view) {
  if (observation.cluster.being_deleted) {
    return {.step = "deleting", .reason = "Deleting", .message = "its objects are deleted with it by Kubernetes"};
  }
  const auto shards = ShardsToKeep(observation);
  Plan plan = shards ? PlanForExistingShards(observation, view, *shards) : PlanForAll(observation, view);
  return observation.cluster.paused ? Hold(std::move(plan)) : plan;
}

}  // namespace slotwright
