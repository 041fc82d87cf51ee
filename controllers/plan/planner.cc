// The order of the steps: this list is the operator's judgement of what is most urgent.
#include "controllers/plan/planner.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>

#include "controllers/plan/slot_moves.h"
#include "controllers/plan/waiting.h"

namespace slotwright {

namespace {

constexpr auto kSteps = std::to_array<Step>({
    steps::Validate,
    steps::EnsureObjects,
    steps::EnsurePods,
    steps::RefuseStrangers,
    steps::AssignInitialSlots,
    steps::TakeOver,
    steps::JoinNodes,
    steps::ReportLostShards,
    steps::ForgetGhosts,
    steps::CloseOpenSlots,
    steps::RemoveRetiredShards,
    steps::ReplaceStuckPods,
    steps::AwaitHealth,  // what follows touches only a cluster that is well
    steps::Rebalance,
    steps::AwaitMigrations,
    steps::RemoveSurplusReplicas,
    steps::ApplyLiveConfig,
    steps::RollPods,
    steps::SpreadMasters,
    steps::RefuseStorageChange,
});

Plan Decide(const Observation& observation, const ClusterView& view) {
  for (const Step step : kSteps) {
    if (auto plan = step(observation, view)) return *std::move(plan);
  }
  const auto& spec = observation.cluster.spec;
  const bool uneven = !IsEven(view.owned, spec.rebalance.threshold_percent);
  return {.step = "settled",
          .reason = "Healthy",
          .message = fmt::format("16384 slots on {} masters, {} replicas in sync, all {} nodes agree{}", spec.masters,
                                 spec.masters * spec.replicas_per_master, spec.pods(),
                                 uneven ? "; slots are uneven and spec.rebalance.mode is Manual" : ""),
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

}  // namespace

Plan MakePlan(const Observation& observation, const ClusterView& view) {
  if (observation.cluster.being_deleted) {
    return {.step = "deleting", .reason = "Deleting", .message = "its objects are deleted with it by Kubernetes"};
  }
  Plan plan = Decide(observation, view);
  AddRepairs(observation, plan);
  return observation.cluster.paused ? Hold(std::move(plan)) : plan;
}

}  // namespace slotwright
