// The Kubernetes objects around the pods, and the pods.
#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "controllers/api/names.h"
#include "controllers/plan/planner.h"
#include "controllers/plan/waiting.h"
#include "controllers/plan/wanted.h"
#include "controllers/resources/configuration.h"
#include "controllers/topology/text.h"

namespace slotwright {

using reconciler::Json;
using text::Counted;

namespace {

// Of a claim that exists only two things can be changed: who owns it, and its size, which can only grow.
DesiredObject WhatCanChange(const Json& actual, const DesiredObject& desired) {
  Json claim = desired.object;
  if (!claim["metadata"].contains("ownerReferences")) claim["metadata"]["ownerReferences"] = nullptr;
  claim.erase("spec");
  if (SizeOfClaim(desired.object) > SizeOfClaim(actual)) {
    claim["spec"]["resources"] = desired.object["spec"]["resources"];
  }
  return {desired.type, std::move(claim)};
}

// Where the specification names no class, or none any more: that of the others, whatever the default is by now.
std::string ClassOfClaims(const Observation& observation) {
  for (const auto& [kind_and_name, object] : observation.objects) {
    if (kind_and_name.first != reconciler::types::kPersistentVolumeClaims.kind) continue;
    const auto name = reconciler::StringAt(*object, {"spec", "storageClassName"});
    if (!name.empty()) return name;
  }
  return "";
}

bool IsClaim(const DesiredObject& object) { return object.type == reconciler::types::kPersistentVolumeClaims; }

}  // namespace

bool IsTaken(const RedisCluster& cluster, const std::string& kind, const Json& object) {
  return kind != reconciler::types::kPersistentVolumeClaims.kind && reconciler::ControllerUidOf(object) != cluster.uid;
}

std::vector<Action> ObjectRepairs(const Observation& observation, LiveValuesInFile live_values) {
  std::vector<Action> actions;
  if (observation.password.state == PasswordView::State::kMissingSecret) actions.emplace_back(CreatePassword{});
  for (auto& desired : DesiredObjects(observation.cluster)) {
    const auto found = observation.objects.find({desired.type.kind, reconciler::KeyOf(desired.object).name});
    const bool exists = found != observation.objects.end();
    if (exists && IsTaken(observation.cluster, desired.type.kind, *found->second)) continue;
    if (live_values == LiveValuesInFile::kAsTheyAre && desired.type == reconciler::types::kConfigMaps) {
      desired.object["data"]["redis.conf"] = RedisConf(observation.cluster, LiveDirectivesInUse(observation));
    }
    if (exists && desired.type == reconciler::types::kConfigMaps) {
      auto notes = NotesBeforeTheFile(observation, DirectivesIn(*found->second), DirectivesIn(desired.object));
      if (!notes.empty()) desired.object["data"].erase("redis.conf");  // stays as it is, for now
      std::ranges::move(notes, std::back_inserter(actions));
    }
    if (exists && IsClaim(desired)) desired = WhatCanChange(*found->second, desired);
    if (!exists && IsClaim(desired) && !desired.object["spec"].contains("storageClassName")) {
      if (const auto name = ClassOfClaims(observation); !name.empty())
        desired.object["spec"]["storageClassName"] = name;
    }
    // Owner, labels and content must be there; what others added may stay.
    if (exists && Covers(*found->second, desired.object)) continue;
    actions.emplace_back(EnsureObject{std::move(desired), exists});
  }
  return actions;
}

namespace steps {

// Pods that start before what they mount would wait for the kubelet's next try. Later on the objects are repaired
// beside whatever is more urgent: an object that cannot be written must not keep a cluster from being healed.
std::optional<Plan> EnsureObjects(const Observation& observation, const ClusterView&) {
  if (!observation.cluster.formed_at.empty()) return std::nullopt;
  auto actions = ObjectRepairs(observation, LiveValuesInFile::kAsSpecified);
  if (actions.empty()) return std::nullopt;
  std::string message =
      fmt::format("{}: {}{}", Counted(actions.size(), "object is missing or differs", "objects are missing or differ"),
                  ToString(actions[0]), actions.size() > 1 ? ", …" : "");
  return Do("objects", "CreatingObjects", std::move(message), std::move(actions));
}

std::optional<Plan> EnsurePods(const Observation& observation, const ClusterView& view) {
  const auto& cluster = observation.cluster;
  const int with_a_stand_in = ShardWithAStandIn(observation);
  std::vector<Action> actions;
  for (int shard = 0; shard < observation.ShardCount(); ++shard) {
    // A shard that is to go is kept whole while it owns slots.
    if (shard >= cluster.spec.masters && !view.claimed_by_shard.contains(shard)) continue;
    const int pods = cluster.spec.pods_per_shard() + (shard == with_a_stand_in ? 1 : 0);
    for (int index = 0; index < pods; ++index) {
      const std::string name = PodNameOf(cluster.name, shard, index);
      // Nobody makes claims for a shard that is to go: it keeps what it had, also if replicasPerMaster grew meanwhile.
      // (With one that is being deleted no pod would run.)
      if (shard >= cluster.spec.masters && cluster.spec.storage && !HasVolume(observation, shard, index)) continue;
      if (observation.FindPod(name) == nullptr) {
        actions.emplace_back(CreatePod{name, DesiredPod(cluster, shard, index)});
      }
    }
  }
  for (const auto& absent : view.absent) {
    const auto place = PlaceOfHostname(cluster.ns, cluster.name, absent.hostname);
    if (!place || place->second < cluster.spec.pods_per_shard()) continue;
    const std::string name = PodNameOf(cluster.name, place->first, place->second);
    if (observation.FindPod(name) != nullptr || !HasUnservedSlots(observation, view, place->first, place->second))
      continue;
    actions.emplace_back(CreatePod{name, DesiredPod(cluster, place->first, place->second)});
  }
  if (actions.empty()) return std::nullopt;
  const std::string live_config = ToString(NotesOfNewPods(observation));
  for (auto& action : actions) {
    std::get<CreatePod>(action).pod["metadata"]["annotations"][annotations::kLiveConfig] = live_config;
  }
  std::string message = Counted(actions.size(), "pod is missing", "pods are missing");
  return Do("pods", "CreatingPods", std::move(message), std::move(actions));
}

}  // namespace steps

}  // namespace slotwright
