// See status.h.
#include "controllers/status/status.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "controllers/api/conditions.h"
#include "controllers/api/names.h"
#include "controllers/resources/resources.h"

namespace slotwright {

using reconciler::Json;

namespace {

Json Member(const Observation& observation, const NodeView& node) {
  const PodView* pod = observation.FindPod(node.pod);
  return {{"pod", node.pod},
          {"node", pod == nullptr ? "" : pod->node},
          {"id", node.id().ToString()},
          {"address", node.endpoint.ToString()}};
}

Json Shards(const Observation& observation, const ClusterView& view) {
  std::set<int> numbers;
  for (const auto& pod : observation.pods) numbers.insert(pod.shard);
  Json shards = Json::array();
  for (const int number : numbers) {
    Json shard = {{"name", ShardNameOf(observation.cluster.name, number)}, {"replicas", Json::array()}};
    const NodeView* master = view.MasterOf(number);
    if (master != nullptr) {
      shard["master"] = Member(observation, *master);
      shard["slots"] = view.owned.at(master->id()).ToString();
    }
    for (const NodeView* node : view.answering) {
      if (node->shard != number || node == master || !node->me().flags.replica) continue;
      Json replica = Member(observation, *node);
      replica["inSync"] = node->InSync();
      shard["replicas"].push_back(replica);
    }
    shards.push_back(shard);
  }
  return shards;
}

std::string Versions(const ClusterView& view) {
  std::set<std::string> versions;
  for (const NodeView* node : view.answering) versions.insert(node->server.Release());
  return fmt::format("{}", fmt::join(versions, ", "));
}

// One pod of each shard, as many as spec.masters counts: an autoscaler multiplies by the pods that it finds.
std::string Selector(const RedisCluster& cluster) {
  std::string text;
  Json labels = SelectorLabels(cluster);
  labels[labels::kIndex] = "0";
  for (const auto& [key, value] : labels.items()) {
    text += fmt::format("{}{}={}", text.empty() ? "" : ",", key, value.get<std::string>());
  }
  return text;
}

Condition Ready(const Plan& plan) {
  return {"Ready", plan.settled ? ConditionStatus::kTrue : ConditionStatus::kFalse, plan.reason, plan.message};
}

Condition Progressing(const Observation& observation, const Plan& plan) {
  const bool progressing = !plan.settled && !plan.refusal && !observation.cluster.paused;
  return {"Progressing", progressing ? ConditionStatus::kTrue : ConditionStatus::kFalse, plan.reason,
          progressing ? plan.message : "nothing is under way"};
}

// Refused, or less than it was: not while it is being made for the first time.
Condition Degraded(const Observation& observation, const ClusterView& view, const Plan& plan) {
  if (plan.refusal) return {"Degraded", ConditionStatus::kTrue, plan.refusal->reason, plan.refusal->message};
  const bool formed = !observation.cluster.formed_at.empty();
  if (formed && NodesCouldBeAsked(observation, view) && view.covered.size() < kSlotCount) {
    return {"Degraded", ConditionStatus::kTrue, plan.reason,
            fmt::format("{} slots are not served; {}", kSlotCount - view.covered.size(), plan.message)};
  }
  if (plan.reason == "ActionFailed") return {"Degraded", ConditionStatus::kFalse, plan.reason, plan.message};
  const bool hurt = formed && !plan.settled && (plan.step == "health" || plan.step == "disk");
  return {"Degraded", hurt ? ConditionStatus::kTrue : ConditionStatus::kFalse, hurt ? plan.reason : "Healthy",
          hurt ? plan.message : "nothing is wrong that is known"};
}

Condition SlotsCovered(const Observation& observation, const ClusterView& view) {
  if (!NodesCouldBeAsked(observation, view) && !observation.cluster.formed_at.empty()) {
    return {"SlotsCovered", ConditionStatus::kUnknown, "NodesNotAsked",
            "without a password that they accept the nodes cannot be asked"};
  }
  const bool all_ok = std::ranges::all_of(view.answering, [](const NodeView* node) { return node->info.state_ok; });
  if (view.covered.size() < kSlotCount) {
    return {"SlotsCovered", ConditionStatus::kFalse, "SlotsUncovered",
            fmt::format("{} of {} slots have an owner that answers{}", view.covered.size(), kSlotCount,
                        all_ok ? "" : "; nodes say cluster_state:fail, and serve none of them")};
  }
  if (!all_ok)
    return {"SlotsCovered", ConditionStatus::kFalse, "ClusterStateFail", "not every node says cluster_state:ok"};
  return {"SlotsCovered", ConditionStatus::kTrue, "AllCovered", "all 16384 slots are served"};
}

// What a person would call it. Steps that serve several purposes keep the name that the operation has.
std::string OperationType(const Observation& observation, const Plan& plan, const Json& before) {
  const auto& cluster = observation.cluster;
  const Json shards = cluster.status.value("shards", Json());
  if (cluster.formed_at.empty() || shards.is_null()) return "Create";
  if (plan.step == "roll" || plan.step == "handover" || plan.step == "config") return "Update";
  if (plan.step == "remove" || plan.reason == "DrainingMasters") return "ScaleIn";
  if (static_cast<int>(shards.size()) < cluster.spec.masters) return "ScaleOut";
  if (before.contains("type")) return before.at("type").get<std::string>();
  return plan.step == "rebalance" || plan.step == "spread" ? "Rebalance" : "Heal";
}

// Of who does not answer nobody knows.
bool MayHaveOpenSlots(const Observation& observation, const ClusterView& view) {
  return view.answering.size() < observation.pods.size() ||
         std::ranges::any_of(view.answering, [](const NodeView* node) { return !node->me().open_slots.empty(); });
}

void AddOperation(const Observation& observation, const ClusterView& view, const Plan& plan, Json& status) {
  if (plan.settled || (plan.refusal && !plan.meanwhile) || observation.cluster.paused) return;
  const auto [reason, words] = plan.meanwhile.value_or(std::pair(plan.reason, plan.message));
  const std::string message = MessageForStatus(words);
  const Json before = observation.cluster.status.value("operation", Json::object());
  const std::string type = OperationType(observation, plan, before);
  const std::string now = reconciler::FormatTime(observation.now);
  // A leader before whose clock was ahead of ours: what lasts would seem not to have begun.
  const bool has_begun = reconciler::ParseTime(before.value("stepSince", now)) <= observation.now;
  const bool goes_on = has_begun && before.value("step", "") == reason &&
                       (!plan.until_it_stands || before.value("reason", "") == message);
  status["operation"] = {{"type", type},
                         {"step", reason},  // see waiting.h
                         {"stepSince", goes_on ? before.value("stepSince", now) : now},
                         {"reason", message},
                         {"startedAt", before.value("startedAt", reconciler::FormatTime(observation.now))}};
  if (!plan.migration) {
    // Whose open slots are is told by this, also to the next leader: something more urgent ends no migration.
    if (before.contains("slotsLeft") && MayHaveOpenSlots(observation, view)) {
      status["operation"]["slotsLeft"] = before.at("slotsLeft");
    }
    return;
  }
  const auto& migration = *plan.migration;
  status["operation"]["slotsLeft"] = migration.slots_left;
  if (migration.keys_per_second) status["operation"]["keysPerSecond"] = *migration.keys_per_second;
  if (migration.seconds_left) status["operation"]["estimatedSecondsLeft"] = *migration.seconds_left;
}

}  // namespace

Json BuildStatus(const Observation& observation, const ClusterView& view, const Plan& plan) {
  const auto& cluster = observation.cluster;
  Json status = {{"observedGeneration", cluster.generation}, {"selector", Selector(cluster)}};
  if (!cluster.formed_at.empty()) status["formedAt"] = cluster.formed_at;
  if (!cluster.ready_at.empty()) {
    status["readyAt"] = cluster.ready_at;
  } else if (plan.settled) {
    status["readyAt"] = reconciler::FormatTime(observation.now);
  }

  status["shards"] = Shards(observation, view);
  int ready_masters = 0;
  for (const auto& shard : status["shards"]) ready_masters += shard.contains("master") ? 1 : 0;
  status["masters"] = status["shards"].size();
  status["readyMasters"] = ready_masters;
  status["replicas"] = std::ranges::count_if(view.answering, [](const NodeView* node) { return node->InSync(); });
  if (!view.answering.empty()) status["version"] = Versions(view);
  AddOperation(observation, view, plan, status);

  Json conditions = cluster.status.value("conditions", Json::array());
  for (const Condition& condition : {Ready(plan), Progressing(observation, plan), Degraded(observation, view, plan),
                                     SlotsCovered(observation, view)}) {
    conditions = WithCondition(conditions, condition, cluster.generation, observation.now);
  }
  status["conditions"] = conditions;
  return status;
}

}  // namespace slotwright
