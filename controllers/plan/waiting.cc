// See waiting.h.
#include "controllers/plan/waiting.h"

#include <fmt/format.h>

#include <algorithm>

#include "controllers/api/conditions.h"

namespace slotwright {

using std::chrono::milliseconds;

milliseconds TimeInStep(const Observation& observation) {
  const auto since = reconciler::StringAt(observation.cluster.status, {"operation", "stepSince"});
  if (since.empty()) return milliseconds(0);
  return std::chrono::duration_cast<milliseconds>(observation.now - reconciler::ParseTime(since));
}

milliseconds PollInterval(const Observation& observation) {
  constexpr milliseconds kQuick{20};
  constexpr milliseconds kSlow{2000};
  return std::clamp(TimeInStep(observation) / 50, kQuick, kSlow);
}

Plan WaitForRedis(const Observation& observation, std::string step, std::string reason, std::string message) {
  return {.step = std::move(step),
          .reason = std::move(reason),
          .message = std::move(message),
          .look_again = PollInterval(observation)};
}

Plan WaitForReadiness(std::string step, std::string reason, const PodView& pod) {
  return {
      .step = std::move(step),
      .reason = std::move(reason),
      .message = fmt::format("waiting until Kubernetes calls {} ready, before another pod of its shard goes", pod.name),
      .look_again = std::chrono::seconds(1)};
}

bool HasLasted(const Observation& observation, const std::string& plan_reason, milliseconds time) {
  return reconciler::StringAt(observation.cluster.status, {"operation", "step"}) == plan_reason &&
         TimeInStep(observation) >= time;
}

bool Stands(const Observation& observation, const Plan& waiting, milliseconds time) {
  return HasLasted(observation, waiting.reason, time) &&
         reconciler::StringAt(observation.cluster.status, {"operation", "reason"}) == MessageForStatus(waiting.message);
}

std::optional<Plan> WaitForAppendOnlyFiles(const Observation& observation, std::string step, std::string reason,
                                           const NodeView& node) {
  if (!node.server.rewrites_aof) return std::nullopt;
  Plan plan = WaitForRedis(observation, std::move(step), std::move(reason),
                           fmt::format("waiting until {} has written its append-only files", node.pod));
  plan.until_it_stands = true;
  if (Stands(observation, plan, std::chrono::minutes(10))) return std::nullopt;
  return plan;
}

std::string DescribeTrouble(const PodView& pod) {
  if (!pod.trouble.starts_with("CrashLoopBackOff")) return pod.trouble;
  return fmt::format("{} (kubectl logs {} says why, perhaps a value of spec.config)", pod.trouble, pod.name);
}

Plan Refuse(std::string step, const std::string& reason, const std::string& message) {
  return {.step = std::move(step),
          .reason = reason,
          .message = message,
          .refusal = Refusal{reason, message},
          .look_again = std::chrono::seconds(2)};
}

bool MayServeEmpty(const Observation& observation) {
  const auto& cluster = observation.cluster;
  if (cluster.spec.lost_shard == LostShardPolicy::kAssignEmpty) return true;
  // Ready or not, clients may have found it since.
  constexpr std::chrono::minutes kNew{10};
  const bool is_new = cluster.formed_at.empty() || observation.now - reconciler::ParseTime(cluster.formed_at) < kNew;
  return cluster.ready_at.empty() && is_new && std::ranges::none_of(observation.objects, [&](const auto& entry) {
           return entry.first.first == reconciler::types::kPersistentVolumeClaims.kind &&
                  reconciler::StringAt(*entry.second, {"metadata", "creationTimestamp"}) < cluster.created_at;
         });
}

Plan RefuseLostData(std::string step, const SlotSet& lost) {
  return Refuse(
      std::move(step), "DataLost",
      fmt::format("no node owns the slots {} any more: their data is gone. Bring back the volumes that held it, "
                  "or set spec.healing.lostShard to AssignEmpty to serve these slots again, empty",
                  lost.ToString()));
}

Plan Do(std::string step, std::string reason, std::string message, std::vector<Action> actions) {
  return {.step = std::move(step),
          .reason = std::move(reason),
          .message = std::move(message),
          .actions = std::move(actions),
          .look_again = milliseconds(10)};
}

Plan DoAndPoll(const Observation& observation, std::string step, std::string reason, std::string message,
               std::vector<Action> actions) {
  Plan plan = Do(std::move(step), std::move(reason), std::move(message), std::move(actions));
  plan.look_again = PollInterval(observation);
  return plan;
}

NodeRef RefTo(const NodeView& node) { return {.pod = node.pod, .id = node.id(), .endpoint = node.endpoint}; }

}  // namespace slotwright
