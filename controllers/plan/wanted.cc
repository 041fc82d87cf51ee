// See wanted.h.
#include "controllers/plan/wanted.h"

#include <algorithm>
#include <utility>

#include "controllers/api/names.h"
#include "controllers/plan/outdated.h"

namespace slotwright {

int ShardWithAStandIn(const Observation& observation) {
  const auto& cluster = observation.cluster;
  const auto& spec = cluster.spec;
  if (spec.replicas_per_master > 0 || spec.storage || spec.update == UpdateStrategy::kManual) return -1;
  if (cluster.formed_at.empty()) return -1;
  const PodTemplate current(cluster);
  const auto found = std::ranges::find_if(observation.pods, [&](const PodView& pod) {
    return pod.ours && pod.ready && !pod.terminating && spec.Wants(pod.shard, pod.index) && current.IsOutdated(pod);
  });
  if (found == observation.pods.end()) return -1;
  // The next one's is made when the last one's is gone.
  const bool other_has_one = std::ranges::any_of(observation.pods, [&](const PodView& pod) {
    return pod.shard < spec.masters && pod.shard != found->shard && pod.index >= spec.pods_per_shard();
  });
  return other_has_one ? -1 : found->shard;
}

bool IsWanted(const Observation& observation, int shard, int index) {
  const auto& spec = observation.cluster.spec;
  return spec.Wants(shard, index) || (index == spec.pods_per_shard() && shard == ShardWithAStandIn(observation));
}

bool HasVolume(const Observation& observation, int shard, int index) {
  const auto found =
      observation.objects.find({"PersistentVolumeClaim", ClaimNameOf(observation.cluster.name, shard, index)});
  return found != observation.objects.end() && !reconciler::IsBeingDeleted(*found->second);
}

bool HasNoClaim(const Observation& observation, int shard, int index) {
  return !observation.objects.contains({"PersistentVolumeClaim", ClaimNameOf(observation.cluster.name, shard, index)});
}

bool HasNothingYet(const Observation& observation, const PodView& pod) {
  constexpr std::chrono::minutes kPatience{1};
  return pod.phase == "Pending" && pod.ip.empty() && !pod.trouble.empty() && !pod.terminating &&
         observation.now - pod.created >= kPatience && !HasVolume(observation, pod.shard, pod.index);
}

bool CanBeMadeAnew(const Observation& observation, int shard, int index) {
  const auto& spec = observation.cluster.spec;
  return index < spec.pods_per_shard() &&
         (shard < spec.masters || !spec.storage || HasVolume(observation, shard, index));
}

namespace {

// Its master owned slots that nobody serves now, will not come back with them, and no other replica of it answers.
bool CopiedALostMaster(const ClusterView& view, const ClusterView::Absent& replica) {
  return std::ranges::any_of(view.absent, [&](const ClusterView::Absent& master) {
    return replica.masters.contains(master.id) && master.IsMissed(view.covered) && master.unreachable_everywhere &&
           master.replaced && !master.has_live_replicas;
  });
}

}  // namespace

bool HasUnservedSlots(const Observation& observation, const ClusterView& view, int shard, int index) {
  const auto& cluster = observation.cluster;
  if (!cluster.spec.storage || !HasVolume(observation, shard, index)) return false;
  return std::ranges::any_of(view.absent, [&](const ClusterView::Absent& absent) {
    return PlaceOfHostname(cluster.ns, cluster.name, absent.hostname) == std::pair(shard, index) &&
           absent.unreachable_everywhere && !absent.replaced &&
           (absent.IsMissed(view.covered) || CopiedALostMaster(view, absent));
  });
}

bool IsToBeKept(const Observation& observation, const PodView& pod) {
  return pod.ours && !pod.terminating && IsWanted(observation, pod.shard, pod.index);
}

const PodView* UnreadyBeside(const Observation& observation, const PodView& pod) {
  const auto found = std::ranges::find_if(observation.pods, [&](const PodView& other) {
    return other.shard == pod.shard && other.name != pod.name && IsWanted(observation, other.shard, other.index) &&
           !other.ready;
  });
  return found == observation.pods.end() ? nullptr : &*found;
}

bool MayEndBeside(const Observation& observation, const PodView& replica, const NodeView& master) {
  if (replica.ready) return UnreadyBeside(observation, replica) == nullptr;
  const PodView* pod = observation.FindPod(master.pod);
  return pod != nullptr && pod->ready;
}

}  // namespace slotwright
