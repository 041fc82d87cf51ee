// The order of the steps: this list is the operator's judgement of what is most urgent.
#include "controllers/plan/planner.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>

#include "controllers/api/names.h"
#include "controllers/plan/slot_moves.h"
#include "controllers/plan/waiting.h"
#include "controllers/resources/configuration.h"
#include "controllers/topology/text.h"

namespace slotwright {

using text::Counted;

namespace {

struct Urgency {
  Step step;
  bool waits_for_pods = true;  // until there is each that should be
};

// Nobody knows how long it takes to make a pod (a quota, a webhook): what keeps slots served does not wait for it.
constexpr bool kAtOnce = false;
constexpr auto kSteps = std::to_array<Urgency>({
    {steps::RefuseStrangers, kAtOnce},
    {steps::CloseSlotsOfEndingPods, kAtOnce},
    {steps::ReplaceStuckPods, kAtOnce},
    {steps::AssignInitialSlots},
    {steps::TakeOver, kAtOnce},
    {steps::AwaitBetterReplicas, kAtOnce},
    {steps::JoinNodes, kAtOnce},
    {steps::ReportLostShards},
    {steps::ForgetGhosts},
    {steps::ReturnDeniedSlots},
    {steps::LeaveFullDisks, kAtOnce},
    {steps::CloseOpenSlots, kAtOnce},
    {steps::UpdateStaleViews, kAtOnce},
    {steps::RemoveRetiredShards},
    {steps::ReplaceUnsyncedPods},
    {steps::RestartStaleReplicas},
    {steps::AwaitHealth},  // what follows touches only a cluster that is well
    {steps::Rebalance},
    {steps::AwaitMigrations},
    {steps::RemoveSurplusReplicas},
    {steps::RollPods},
    {steps::SpreadMasters},
    {steps::RefuseStorageChange},
    {steps::AwaitForgetting},
});

// A master that is wanted and owns nothing yet is one of them.
bool AreUneven(const Observation& observation, const ClusterView& view) {
  const auto& spec = observation.cluster.spec;
  std::map<NodeId, SlotSet> owned = view.owned;
  for (int shard = 0; shard < spec.masters; ++shard) {
    if (const NodeView* head = view.HeadOf(shard)) owned.try_emplace(head->id());
  }
  return !IsEven(owned, spec.rebalance.threshold_percent);
}

std::string Owners(const RedisClusterSpec& spec, const ClusterView& view) {
  const auto wanted = Counted(spec.masters, "master", "masters");
  const bool all = view.owned.size() >= static_cast<size_t>(spec.masters);
  return all ? wanted : fmt::format("{} of {}", view.owned.size(), wanted);
}

Plan Decide(const Observation& observation, const ClusterView& view) {
  if (auto plan = steps::EnsureObjects(observation, view)) return *std::move(plan);
  auto pods = steps::EnsurePods(observation, view);
  if (pods && observation.cluster.formed_at.empty()) return *std::move(pods);
  for (const auto& [step, waits_for_pods] : kSteps) {
    if (pods && waits_for_pods) continue;
    auto plan = step(observation, view);
    if (!plan) continue;
    if (pods) {
      plan->beside += pods->actions.size();
      std::ranges::move(pods->actions, std::back_inserter(plan->actions));
    }
    return *std::move(plan);
  }
  if (pods) return *std::move(pods);
  const auto& spec = observation.cluster.spec;
  return {.step = "settled",
          .reason = "Healthy",
          .message =
              fmt::format("16384 slots on {}, {} in sync, {}{}", Owners(spec, view),
                          Counted(spec.pods() - spec.masters, "replica", "replicas"),
                          spec.pods() == 1 ? "one node" : fmt::format("all {} nodes agree", spec.pods()),
                          AreUneven(observation, view) ? "; slots are uneven and spec.rebalance.mode is Manual" : ""),
          .settled = true};
}

// A paused cluster is observed and reported on, and left alone.
Plan Hold(Plan plan) {
  plan.migration.reset();
  if (plan.actions.empty()) {
    plan.message += "; paused by annotation";
    return plan;
  }
  plan.message = fmt::format("paused by annotation; otherwise the next action would be: {}", ToString(plan.actions[0]));
  if (plan.refusal) plan.message += fmt::format("; {}: {}", plan.refusal->reason, plan.refusal->message);
  plan.reason = "Paused";
  plan.actions.clear();
  plan.beside = 0;
  plan.look_again = kHealthPoll;
  return plan;
}

// Done beside what was decided, which must neither wait for it nor be waited for: an object that cannot be written or a
// value that a server refuses keeps nobody from being healed, and a larger buffer may be what heals.
void DoBeside(Plan& plan, std::vector<Action> actions, std::string step, std::string reason, std::string message) {
  if (actions.empty()) return;
  if (plan.settled) {
    plan.step = std::move(step);
    plan.reason = std::move(reason);
    plan.message = std::move(message);
    plan.settled = false;
    plan.look_again = std::chrono::milliseconds(10);
  }
  std::ranges::move(actions, std::back_inserter(plan.actions));
}

Plan Act(const Observation& observation, const ClusterView& view) {
  Plan plan = Decide(observation, view);
  if (observation.cluster.formed_at.empty()) return plan;
  const bool had_nothing_to_do = plan.settled;
  const size_t decided = plan.actions.size() - plan.beside;
  auto live = LiveConfigOf(observation);
  auto repairs = ObjectRepairs(observation, live.taken ? LiveValuesInFile::kAsSpecified : LiveValuesInFile::kAsTheyAre);
  auto message = Counted(live.changes.size(), "node gets", "nodes get") + " changed directives without a restart";
  // What was refused before is tried again, though not at once.
  const bool only_refused =
      plan.settled && !live.changes.empty() && std::ranges::all_of(live.changes, [](const Action& action) {
        return !std::get<SetConfig>(action).change.if_refused;
      });
  DoBeside(plan, std::move(live.changes), "config", "UpdatingConfig", std::move(message));
  if (only_refused) plan.look_again = kHealthPoll;
  if (!repairs.empty()) {
    message =
        fmt::format("{}: {}", Counted(repairs.size(), "object is missing or differs", "objects are missing or differ"),
                    ToString(repairs[0]));
    DoBeside(plan, std::move(repairs), "objects", "UpdatingObjects", std::move(message));
  }
  if (!had_nothing_to_do) plan.beside = plan.actions.size() - decided;
  return plan;
}

// What is refused today must not keep a cluster that lives from being healed: it is kept as the last specification that
// was valid describes it. Nothing if there is none, or nothing can be done: no password, a pod that is not ours.
std::optional<Observation> AsLastValid(const Observation& observation) {
  if (observation.cluster.formed_at.empty()) return std::nullopt;
  if (observation.password.state != PasswordView::State::kUsable) return std::nullopt;
  const auto is_taken = [](const PodView& pod) { return !pod.ours && !pod.terminating; };
  if (std::ranges::any_of(observation.pods, is_taken)) return std::nullopt;
  Observation kept = observation;
  if (Validate(kept.cluster).empty()) return kept;
  const auto found = observation.objects.find({"ConfigMap", ConfigMapOf(observation.cluster.name)});
  if (found == observation.objects.end()) return std::nullopt;
  if (IsTaken(observation.cluster, "ConfigMap", *found->second)) return std::nullopt;
  // Valid when it was written: an operator that knows more by now must not leave a living cluster alone for it.
  auto cluster = AsWritten(observation.cluster, *found->second);
  if (!cluster) return std::nullopt;
  kept.cluster = *std::move(cluster);
  return kept;
}

// The refusal stays the news; what is done meanwhile is said beside it.
Plan GoOn(const Observation& observation, const ClusterView& view, Plan refused) {
  const auto kept = AsLastValid(observation);
  if (!kept) {
    // Two refusals; nobody knows how the nodes are.
    const auto password = steps::RefusePassword(observation, view);
    if (!password || observation.cluster.formed_at.empty() || password->reason == refused.reason) return refused;
    refused.message += fmt::format("; meanwhile {}: {}", password->reason, password->message);
    refused.refusal->message = refused.message;
    return refused;
  }
  Plan plan = Act(*kept, Merge(*kept));
  // Claims may have grown by a newer one that was not written down before it was followed by this one.
  if (plan.reason == "StorageCannotShrink") {
    plan.settled = true;
    plan.refusal.reset();
  }
  if (!plan.settled) refused.message += fmt::format("; meanwhile {}: {}", plan.reason, plan.message);
  if (!plan.settled && !plan.refusal) refused.meanwhile = {plan.reason, plan.message};
  refused.until_it_stands = plan.until_it_stands;
  // Two refusals are one for whoever is to be told once.
  if (plan.refusal) refused.refusal->message = refused.message;
  refused.step = plan.step;
  refused.actions = std::move(plan.actions);
  refused.last_valid = kept->cluster;
  refused.beside = refused.actions.size();  // the refusal is what is told
  refused.migration = plan.migration;
  refused.look_again =
      std::clamp<std::chrono::milliseconds>(plan.look_again, std::chrono::milliseconds(100), refused.look_again);
  return refused;
}

}  // namespace

Plan MakePlan(const Observation& observation, const ClusterView& view) {
  if (observation.cluster.being_deleted) {
    return {.step = "deleting", .reason = "Deleting", .message = "its objects are deleted with it by Kubernetes"};
  }
  auto refused = steps::Validate(observation, view);
  Plan plan = refused ? GoOn(observation, view, *std::move(refused)) : Act(observation, view);
  return observation.cluster.paused ? Hold(std::move(plan)) : plan;
}

}  // namespace slotwright
