// See inspect.h.
#include "operator/inspect.h"

#include <fmt/format.h>

#include "controllers/api/names.h"
#include "controllers/observe/observer.h"
#include "controllers/plan/planner.h"

namespace slotwright {

using reconciler::Result;

namespace {

Result<Inspection> InspectObject(const reconciler::Client& client, const reconciler::Json& object) {
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

}  // namespace

Result<reconciler::Json> GetCluster(const reconciler::Client& client, const reconciler::ObjectKey& key) {
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

Result<Inspection> InspectAsIf(const reconciler::Client& client, const reconciler::Json& object) {
  const auto tried =
      client.Patch(kRedisClusters, reconciler::KeyOf(object), reconciler::PatchType::kApply, object,
                   {.subresource = "", .field_manager = "slotwright-plan", .force = true, .dry_run = true});
  if (!tried && tried.error().kind == reconciler::ErrorKind::kInvalid) return std::unexpected(Shortened(tried.error()));
  reconciler::Json merged = object;
  const auto live = client.Get(kRedisClusters, reconciler::KeyOf(object));
  if (live) {
    merged["metadata"] = live->at("metadata");
    merged["metadata"].merge_patch(object.at("metadata"));
    merged["status"] = live->value("status", reconciler::Json::object());
  } else if (live.error().kind != reconciler::ErrorKind::kNotFound) {
    return std::unexpected(live.error());
  }
  return InspectObject(client, merged);
}

}  // namespace slotwright
