// See inspect.h.
#include "operator/inspect.h"

#include <fmt/format.h>

#include "controllers/api/names.h"
#include "controllers/observe/observer.h"
#include "controllers/plan/planner.h"
#include "reconciler/kube/merge_patch.h"

namespace slotwright {

using reconciler::Json;
using reconciler::PatchType;
using reconciler::Result;

namespace {

Result<Inspection> InspectObject(const reconciler::Client& client, const Json& object) {
  const auto cluster = ParseRedisCluster(object);
  if (!cluster) return std::unexpected(cluster.error());
  Caches caches;
  for (auto* informer : caches.All()) {
    if (informer == &caches.clusters) continue;
    auto page =
        client.ListAll(informer->type(),
                       {.ns = cluster->ns, .label_selector = fmt::format("{}={}", labels::kInstance, cluster->name)});
    if (!page) return std::unexpected(page.error());
    informer->Replace(std::move(page->items));
  }
  const auto commander = MakeTcpCommander();
  Observer observer(client, caches, *commander, reconciler::SystemClock());
  auto look = observer.Observe(*cluster, std::chrono::seconds(2));
  if (!look) return std::unexpected(look.error());
  Plan plan = MakePlan(look->observation, Merge(look->observation));
  return Inspection{std::move(look->observation), std::move(plan)};
}

// Of an unknown field the API server first repeats the whole object.
reconciler::Error Shortened(reconciler::Error error) {
  const size_t found = error.message.find("strict decoding error");
  if (found != std::string::npos) error.message.erase(0, found);
  return error;
}

// What was applied from a client before takes away what the file no longer names, and leaves alone what others have
// set; the rest is the API server's to work out.
std::pair<PatchType, Json> AsKubectlApplies(const Json& live, Json object) {
  object.erase("status");
  const auto text = reconciler::AnnotationOf(live, "kubectl.kubernetes.io/last-applied-configuration");
  Json before = Json::parse(text, nullptr, false);
  if (!before.is_object()) return {PatchType::kApply, std::move(object)};
  before.erase("status");
  // With what was applied among them, annotations are never none.
  auto& annotations = object["metadata"]["annotations"];
  if (annotations.is_null()) annotations = Json::object();
  reconciler::NameWhatIsGone(before, object);
  return {PatchType::kMerge, std::move(object)};
}

}  // namespace

Result<Json> GetCluster(const reconciler::Client& client, const reconciler::ObjectKey& key) {
  auto object = client.Get(kRedisClusters, key);
  if (object || object.error().kind != reconciler::ErrorKind::kNotFound) return object;
  return reconciler::Fail(reconciler::ErrorKind::kNotFound,
                          fmt::format("there is no RedisCluster {} in the namespace {}, or its CRD is not installed: "
                                      "{}; `kubectl get rdc -A` lists what there is",
                                      key.name, key.ns, object.error().message));
}

Result<Inspection> Inspect(const reconciler::Client& client, const reconciler::ObjectKey& key) {
  const auto object = GetCluster(client, key);
  if (!object) return std::unexpected(object.error());
  return InspectObject(client, *object);
}

Result<Inspection> InspectAsIf(const reconciler::Client& client, const Json& object) {
  auto live = client.Get(kRedisClusters, reconciler::KeyOf(object));
  if (!live && live.error().kind != reconciler::ErrorKind::kNotFound) return std::unexpected(live.error());
  const auto [type, patch] = AsKubectlApplies(live.value_or(Json::object()), object);
  const reconciler::PatchOptions options{
      .subresource = "", .field_manager = "kubectl", .force = type == PatchType::kApply, .dry_run = true};
  const auto applied = client.Patch(kRedisClusters, reconciler::KeyOf(object), type, patch, options);
  if (applied) return InspectObject(client, *applied);
  if (applied.error().kind == reconciler::ErrorKind::kInvalid) return std::unexpected(Shortened(applied.error()));
  Json merged = live.value_or(Json::object());
  merged.merge_patch(patch);
  return InspectObject(client, merged);
}

}  // namespace slotwright
