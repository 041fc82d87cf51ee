// Changes of spec.storage that no volume can follow, or has not followed.
#include <fmt/format.h>

#include "controllers/api/conditions.h"
#include "controllers/plan/planner.h"
#include "controllers/plan/waiting.h"

namespace slotwright::steps {

namespace {

// Some drivers grow a file system only while nobody uses it. Others do so by themselves, within seconds.
constexpr std::chrono::minutes kTimeToGrow{1};

}  // namespace

// Last of all: whatever else there is to do goes on meanwhile.
std::optional<Plan> RefuseStorageChange(const Observation& observation, const ClusterView&) {
  const auto& storage = observation.cluster.spec.storage;
  if (!storage) return std::nullopt;
  reconciler::ObjectPtr largest;
  for (const auto& [type, desired] : DesiredObjects(observation.cluster)) {
    if (type != reconciler::types::kPersistentVolumeClaims) continue;
    const std::string name = reconciler::KeyOf(desired).name;
    const auto found = observation.objects.find({type.kind, name});
    if (found == observation.objects.end()) continue;
    const auto& claim = *found->second;
    const auto conditions = claim.value(reconciler::Json::json_pointer("/status/conditions"), reconciler::Json());
    const auto pending = FindCondition(conditions, "FileSystemResizePending");
    if (HasBeenTrueFor(pending, kTimeToGrow, observation.now)) {
      return Refuse(
          "storage", "StorageNotGrown",
          fmt::format("the file system of the claim {} has not grown for a minute: {}. It may need that its pod "
                      "goes: kubectl delete pod {}",
                      name, pending.value("message", ""), PodOfClaim(name).value_or("")));
    }
    if (SizeOfClaim(claim) > SizeOfClaim(largest ? *largest : desired)) largest = found->second;
    const auto has = reconciler::StringAt(claim, {"spec", "storageClassName"});
    if (!storage->storage_class_name.empty() && storage->storage_class_name != has) {
      return Refuse(
          "storage", "StorageClassCannotChange",
          fmt::format("spec.storage.storageClassName: \"{}\": the claim {} is of class \"{}\", which cannot be "
                      "changed; put that back, or make a new RedisCluster and move the data",
                      storage->storage_class_name, name, has));
    }
  }
  if (!largest) return std::nullopt;
  const auto has = reconciler::StringAt(*largest, {"spec", "resources", "requests", "storage"});
  return Refuse("storage", "StorageCannotShrink",
                fmt::format("spec.storage.size: \"{}\": the claim {} has {} and volumes do not shrink; set it to {} or "
                            "more, or delete larger claims with their pods, a replica's at a time: both are made anew, "
                            "and the data is copied from the master",
                            storage->size, reconciler::KeyOf(*largest).name, has, has));
}

}  // namespace slotwright::steps
