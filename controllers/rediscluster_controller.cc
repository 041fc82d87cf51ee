// See rediscluster_controller.h.
#include "controllers/rediscluster_controller.h"

#include <fmt/format.h>

#include <algorithm>

#include "controllers/api/conditions.h"
#include "controllers/api/names.h"
#include "controllers/cluster_metrics.h"
#include "controllers/status/status.h"
#include "reconciler/base/log.h"
#include "reconciler/kube/merge_patch.h"

namespace slotwright {

using reconciler::ErrorKind;
using reconciler::EventType;
using reconciler::Json;
using reconciler::LogLevel;
using reconciler::ObjectKey;
using reconciler::ObjectPtr;
using reconciler::ReconcileOutcome;
using reconciler::Result;

namespace {

// What could not be done is the news, not what was planned; done beside it, it is told beside it. Returns it in words;
// "" if all was done.
std::string AccountForFailure(const std::vector<Outcome>& outcomes, Plan& plan) {
  const auto failed = std::ranges::find_if(outcomes, [](const Outcome& o) { return !o.error.empty(); });
  if (failed == outcomes.end()) return "";
  plan.settled = false;
  const auto number = static_cast<size_t>(failed - outcomes.begin());
  const bool is_beside = number >= outcomes.size() - plan.beside;
  const bool is_refused = !failed->refusal.empty();
  // Not the queue's back-off: whatever else is to be done for this cluster must not wait for it.
  plan.look_again = std::max(plan.look_again, std::chrono::milliseconds(is_refused && !is_beside ? 2000 : 500));
  const std::string failure =
      is_refused ? failed->error : fmt::format("could not {}: {}", failed->action, failed->error);
  if (is_beside) {
    // What is waited for is still the same.
    if (!plan.refusal && !plan.meanwhile) plan.meanwhile = {plan.reason, plan.message};
    plan.message += "; besides, " + failure;
    return failure;
  }
  // Whose the open slots are is told by the operation that moves them.
  if (is_refused && plan.migration) plan.meanwhile = {plan.reason, plan.message};
  plan.reason = is_refused ? failed->refusal : "ActionFailed";
  plan.message = failure;
  if (is_refused) plan.refusal = Refusal{plan.reason, plan.message};
  return failure;
}

// How fast the slice was, and how long the rest takes if it goes on like that.
void AccountForMigration(const std::vector<Outcome>& outcomes, reconciler::Duration took, Plan& plan) {
  if (!plan.migration) return;
  int slots = 0;
  std::int64_t keys = 0;
  for (const auto& outcome : outcomes) {
    slots += outcome.moved.slots;
    keys += outcome.moved.keys;
  }
  if (slots == 0 && keys == 0) return;
  const double seconds = std::max(std::chrono::duration<double>(took).count(), 0.001);
  plan.migration->slots_left -= slots;
  plan.migration->keys_per_second = static_cast<std::int64_t>(static_cast<double>(keys) / seconds);
  if (slots > 0) plan.migration->seconds_left = static_cast<std::int64_t>(plan.migration->slots_left * seconds / slots);
}

bool MovesTheFirstSlots(const RedisCluster& cluster, const Plan& plan) {
  return plan.migration && !plan.actions.empty() &&
         reconciler::ValueAt(cluster.status, {"operation", "slotsLeft"}) == nullptr;
}

}  // namespace

RedisClusterController::RedisClusterController(Dependencies dependencies)
    : deps_(std::move(dependencies)),
      observer_(deps_.client, deps_.caches, deps_.commander, deps_.clock),
      executor_(deps_.client, deps_.commander, deps_.clock, deps_.executor) {}

void RedisClusterController::WireEvents(reconciler::WorkQueue& queue) {
  deps_.caches.clusters.AddHandler([&queue](const ObjectPtr& before, const ObjectPtr& after) {
    // Our own status writes are no news.
    if (before && after) {
      const bool same_spec = before->value(Json::json_pointer("/metadata/generation"), 0) ==
                             after->value(Json::json_pointer("/metadata/generation"), 0);
      const bool same_annotations = reconciler::AnnotationOf(*before, annotations::kPaused) ==
                                    reconciler::AnnotationOf(*after, annotations::kPaused);
      const bool same_life = reconciler::IsBeingDeleted(*before) == reconciler::IsBeingDeleted(*after);
      if (same_spec && same_annotations && same_life) return;
    }
    queue.Add(reconciler::KeyOf(after ? *after : *before));
  });
  const auto wake_owner = [&queue](const ObjectPtr& before, const ObjectPtr& after) {
    const Json& object = after ? *after : *before;
    const std::string instance = reconciler::LabelOf(object, labels::kInstance);
    if (!instance.empty()) queue.Add({reconciler::KeyOf(object).ns, instance});
  };
  for (auto* informer : deps_.caches.All()) {
    if (informer != &deps_.caches.clusters) informer->AddHandler(wake_owner);
  }
}

Result<ReconcileOutcome> RedisClusterController::Reconcile(const ObjectKey& key, std::stop_token) {
  const ObjectPtr cached = deps_.caches.clusters.Get(key);
  if (!cached) {
    observer_.ForgetPassword(key);
    statuses_.Forget(key);
    config_maps_.Forget({key.ns, ConfigMapOf(key.name)});
    if (deps_.metrics != nullptr) deps_.metrics->Remove(key);
    return ReconcileOutcome{};
  }
  const ObjectPtr object = statuses_.Newest(cached);
  const auto cluster = ParseRedisCluster(*object);
  if (!cluster) {
    deps_.events.Record(*object, EventType::kWarning, "Unreadable", cluster.error().message);
    return std::unexpected(cluster.error());
  }
  if (cluster->being_deleted) return ReconcileOutcome{};

  auto look = observer_.Observe(*cluster);
  if (!look) return std::unexpected(look.error());
  const auto config_map = look->observation.objects.find({"ConfigMap", ConfigMapOf(key.name)});
  if (config_map != look->observation.objects.end()) config_map->second = config_maps_.Newest(config_map->second);
  const ClusterView view = Merge(look->observation);
  Plan plan = MakePlan(look->observation, view);
  if (MovesTheFirstSlots(*cluster, plan)) {
    // Before any of them is open: if this process dies, the next one must know whose they are.
    if (const auto said = WriteStatus(look->observation, view, plan); !said) return std::unexpected(said.error());
  }
  const auto start = deps_.clock.Now();
  const auto outcomes = executor_.Carry(plan, plan.last_valid ? *plan.last_valid : *cluster, look->password);
  for (const auto& outcome : outcomes) {
    if (outcome.written && outcome.written->value("kind", "") == "ConfigMap") config_maps_.Remember(*outcome.written);
  }
  AccountForMigration(outcomes, deps_.clock.Now() - start, plan);
  const std::string failure = AccountForFailure(outcomes, plan);
  Report(look->observation, plan, outcomes, failure, *object);
  if (deps_.metrics != nullptr) deps_.metrics->Observe(look->observation, view, plan, outcomes);
  if (const auto written = WriteStatus(look->observation, view, plan); !written) {
    return std::unexpected(written.error());
  }
  return ReconcileOutcome{.requeue_after = plan.look_again};
}

// One line and one event for each decision; a decision that is only repeated is not news.
void RedisClusterController::Report(const Observation& observation, const Plan& plan,
                                    const std::vector<Outcome>& outcomes, const std::string& failure,
                                    const Json& object) {
  const std::string cluster = observation.cluster.ns + "/" + observation.cluster.name;
  const Json conditions = observation.cluster.status.value("conditions", Json::array());
  const Json ready = FindCondition(conditions, "Ready");
  const Json degraded = FindCondition(conditions, "Degraded");
  const auto before = [&](const char* field) { return reconciler::StringAt(ready, {field}); };
  for (const auto& outcome : outcomes) {
    if (!outcome.error.empty() && before("message") == plan.message) continue;
    reconciler::Log(outcome.error.empty() ? LogLevel::kInfo : LogLevel::kWarn, outcome.action,
                    {{"cluster", cluster}, {"step", plan.step}, {"reason", plan.message}, {"error", outcome.error}});
  }
  const bool failed = !failure.empty();
  const auto warn = [&](const std::string& reason, const std::string& message) {
    reconciler::Log(LogLevel::kWarn, message, {{"cluster", cluster}, {"step", plan.step}, {"reason", reason}});
    deps_.events.Record(object, EventType::kWarning, reason, message);
  };
  // What is done beside a refusal changes the message of Ready, and is no other refusal.
  const bool refuses_anew = plan.refusal && reconciler::StringAt(degraded, {"message"}) != plan.refusal->message;
  const bool fails_anew = failed && before("message").find(failure) == std::string::npos;
  if (refuses_anew) warn(plan.refusal->reason, plan.refusal->message);
  if (fails_anew && !(plan.refusal && plan.refusal->message == failure)) warn("ActionFailed", failure);
  if (refuses_anew || fails_anew) return;
  if (plan.settled && before("status") != "True") {
    reconciler::Log(LogLevel::kInfo, "cluster is ready", {{"cluster", cluster}, {"state", plan.message}});
    deps_.events.Record(object, EventType::kNormal, "Ready", plan.message);
  } else if (!plan.actions.empty() && !plan.refusal && !failed && before("reason") != plan.reason) {
    deps_.events.Record(object, EventType::kNormal, plan.reason, plan.message);
  } else if (!plan.settled && !plan.refusal && !failed && before("status") == "True") {
    reconciler::Log(LogLevel::kWarn, "cluster is no longer ready", {{"cluster", cluster}, {"reason", plan.message}});
    deps_.events.Record(object, EventType::kWarning, plan.reason, plan.message);
  }
}

Result<void> RedisClusterController::WriteStatus(const Observation& observation, const ClusterView& view,
                                                 const Plan& plan) {
  const auto& cluster = observation.cluster;
  Json status = BuildStatus(observation, view, plan);
  if (cluster.status == status) return {};
  Json before = cluster.status;
  // What was once true stays so, whatever an old cache says.
  for (const char* field : {"formedAt", "readyAt"}) before.erase(field);
  reconciler::NameWhatIsGone(before, status);
  const Json patch = {{"status", status}};
  auto written = deps_.client.Patch(kRedisClusters, {cluster.ns, cluster.name}, reconciler::PatchType::kMerge, patch,
                                    {.subresource = "status", .field_manager = "", .force = false});
  if (!written && written.error().kind != ErrorKind::kNotFound) {
    return std::unexpected(written.error().Within("writing the status"));
  }
  if (written) statuses_.Remember(*std::move(written));
  return {};
}

}  // namespace slotwright
