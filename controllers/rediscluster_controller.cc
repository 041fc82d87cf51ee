// See rediscluster_controller.h.
#include "controllers/rediscluster_controller.h"

#include "controllers/api/conditions.h"
#include "controllers/api/names.h"
#include "controllers/cluster_metrics.h"
#include "controllers/status/account.h"
#include "controllers/status/news.h"
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

bool MovesTheFirstSlots(const RedisCluster& cluster, const Plan& plan) {
  return plan.migration && !plan.actions.empty() && !cluster.moves_slots();
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

Result<ReconcileOutcome> RedisClusterController::Reconcile(const ObjectKey& key, std::stop_token stop) {
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
  std::string version = cluster->resource_version;
  if (MovesTheFirstSlots(*cluster, plan)) {
    // Before any of them is open: if this process dies, the next one must know whose they are.
    if (const auto said = WriteStatus(look->observation, view, plan, version); !said)
      return Again(said.error(), *cluster);
  }
  const auto start = deps_.clock.Now();
  const auto outcomes = executor_.Carry(plan, plan.last_valid ? *plan.last_valid : *cluster, look->password, stop);
  for (const auto& outcome : outcomes) {
    if (!outcome.written) continue;
    const std::string kind = outcome.written->value("kind", "");
    if (kind == "ConfigMap") config_maps_.Remember(*outcome.written);
    if (kind != kRedisClusters.kind) continue;
    version = reconciler::ResourceVersionOf(*outcome.written);
    statuses_.Remember(*outcome.written);
  }
  AccountForMigration(outcomes, deps_.clock.Now() - start, plan);
  const std::string failure = AccountForFailure(outcomes, plan);
  Report(look->observation, plan, outcomes, failure, *object);
  if (deps_.metrics != nullptr) deps_.metrics->Observe(look->observation, view, plan, outcomes);
  if (const auto written = WriteStatus(look->observation, view, plan, version); !written) {
    return Again(written.error(), *cluster);
  }
  return ReconcileOutcome{.requeue_after = plan.look_again};
}

void RedisClusterController::Report(const Observation& observation, const Plan& plan,
                                    const std::vector<Outcome>& outcomes, const std::string& failure,
                                    const Json& object) {
  const std::string cluster = observation.cluster.ns + "/" + observation.cluster.name;
  const Json ready = FindCondition(observation.cluster.status.value("conditions", Json::array()), "Ready");
  const bool is_repeated = reconciler::StringAt(ready, {"message"}) == MessageForStatus(plan.message);
  for (const auto& outcome : outcomes) {
    if (!outcome.error.empty() && is_repeated) continue;
    reconciler::Log(outcome.error.empty() ? LogLevel::kInfo : LogLevel::kWarn, outcome.action,
                    {{"cluster", cluster}, {"step", plan.step}, {"reason", plan.message}, {"error", outcome.error}});
  }
  for (const auto& [type, reason, message] : NewsOf(observation, plan, failure)) {
    reconciler::Log(type == EventType::kWarning ? LogLevel::kWarn : LogLevel::kInfo, message,
                    {{"cluster", cluster}, {"step", plan.step}, {"reason", reason}});
    deps_.events.Record(object, type, reason, message);
  }
}

// The resource was changed, or made anew, since it was read: that is no news to anybody. The cache need not show it
// soon, so that what is to be said next is said of what is there now.
Result<ReconcileOutcome> RedisClusterController::Again(const reconciler::Error& error, const RedisCluster& cluster) {
  if (error.kind != ErrorKind::kConflict) return std::unexpected(error);
  auto fresh = deps_.client.Get(kRedisClusters, {cluster.ns, cluster.name});
  if (fresh && reconciler::UidOf(*fresh) == cluster.uid) statuses_.Remember(*std::move(fresh));
  return ReconcileOutcome{.requeue_after = std::chrono::milliseconds(100)};
}

Result<void> RedisClusterController::WriteStatus(const Observation& observation, const ClusterView& view,
                                                 const Plan& plan, std::string& version) {
  const auto& cluster = observation.cluster;
  Json status = BuildStatus(observation, view, plan);
  if (cluster.status == status) return {};
  Json before = cluster.status;
  // What was once true stays so, whatever an old cache says.
  for (const char* field : {"formedAt", "readyAt"}) before.erase(field);
  reconciler::NameWhatIsGone(before, status);
  const Json patch = {{"metadata", {{"resourceVersion", version}}}, {"status", status}};
  auto written = deps_.client.Patch(kRedisClusters, {cluster.ns, cluster.name}, reconciler::PatchType::kMerge, patch,
                                    {.subresource = "status", .field_manager = "", .force = false});
  if (!written && written.error().kind != ErrorKind::kNotFound) {
    auto error = written.error().Within("writing the status");
    // A policy, or a definition that is too strict. Whatever it is, Redis has to be looked at again.
    if (error.kind == ErrorKind::kInvalid) error.kind = ErrorKind::kInternal;
    return std::unexpected(std::move(error));
  }
  if (!written) return {};
  version = reconciler::ResourceVersionOf(*written);
  statuses_.Remember(*std::move(written));
  return {};
}

}  // namespace slotwright
