// Takes away what the specification no longer asks for: shards that own nothing any more, and replicas.
#include <fmt/format.h>

#include <algorithm>

#include "controllers/api/names.h"
#include "controllers/plan/planner.h"
#include "controllers/plan/waiting.h"
#include "controllers/plan/wanted.h"
#include "controllers/topology/text.h"

namespace slotwright {

using text::Counted;

namespace {

// A slot is on its way to that shard or from it, as this node knows it: the shard's own nodes may be silent just now.
// `gone_too`: also if who had it or was to get it is gone for good.
bool SpeaksFor(const Observation& observation, const ClusterView& view, const NodeView& node, int shard,
               bool gone_too) {
  const auto& cluster = observation.cluster;
  return std::ranges::any_of(node.me().open_slots, [&](const OpenSlot& open) {
    const NodeLine* peer = node.table->Find(open.peer);
    if (peer == nullptr) return false;
    const auto gone = std::ranges::find(view.absent, open.peer, &ClusterView::Absent::id);
    if (!gone_too && gone != view.absent.end() && (gone->removed || gone->replaced)) return false;
    const auto place = PlaceOfHostname(cluster.ns, cluster.name, peer->hostname);
    return peer->hostname.empty() || (place && place->first == shard);
  });
}

// It runs, and does not answer now.
bool IsSilent(const ClusterView& view, const PodView& pod) {
  return !pod.terminating && std::ranges::find(view.answering, pod.name, &NodeView::pod) == view.answering.end();
}

bool HasSilentPod(const Observation& observation, const ClusterView& view, int shard) {
  return std::ranges::any_of(observation.pods,
                             [&](const PodView& pod) { return pod.shard == shard && IsSilent(view, pod); });
}

}  // namespace

bool IsRetired(const Observation& observation, const ClusterView& view, int shard) {
  if (shard < observation.cluster.spec.masters || view.claimed_by_shard.contains(shard)) return false;
  if (view.covered.size() < kSlotCount) return false;  // who does not answer might speak for it
  return std::ranges::none_of(view.answering, [&](const NodeView* node) {
    if (node->shard != shard) {
      // The target of a migration of the servers' own has nothing to show until the end, and may be who is silent.
      const bool may_give = node->active_migrations > 0 && HasSilentPod(observation, view, shard);
      return may_give || SpeaksFor(observation, view, *node, shard, false);
    }
    return !node->me().slots.empty() || !node->me().open_slots.empty() || node->active_migrations > 0;
  });
}

namespace steps {

namespace {

namespace types = reconciler::types;

// Of slots that nobody serves it might hold the last copy; and who answers and calls slots his own may be an old master
// that has not heard yet of the one whose volume this is.
bool MayBeNeeded(const Observation& observation, const ClusterView& view, std::pair<int, int> place) {
  const auto& cluster = observation.cluster;
  return view.covered.size() < kSlotCount ||
         std::ranges::any_of(
             view.absent,
             [&](const ClusterView::Absent& absent) {
               return absent.OwnsSlots() && PlaceOfHostname(cluster.ns, cluster.name, absent.hostname) == place;
             });
}

// Claims that nobody mounts any more go by policy; the budget goes last, as it stands for the shard.
std::vector<Action> LeftOvers(const Observation& observation, const ClusterView& view) {
  const auto& cluster = observation.cluster;
  std::vector<Action> actions;
  for (const auto& [kind_and_name, object] : observation.objects) {
    const auto& [kind, name] = kind_and_name;
    const bool is_claim = kind == types::kPersistentVolumeClaims.kind;
    const bool is_budget = kind == types::kPodDisruptionBudgets.kind;
    if (!is_claim && !is_budget) continue;
    if (reconciler::ControllerUidOf(*object) != cluster.uid) continue;  // retained claims are nobody's
    if (reconciler::IsBeingDeleted(*object)) continue;
    const auto shard_has_pod = [&](int shard) {
      return std::ranges::any_of(observation.pods, [&](const PodView& pod) { return pod.shard == shard; });
    };
    if (is_claim) {
      const auto pod = PodOfClaim(name);
      const auto place = pod ? ShardAndIndexOf(cluster.name, *pod) : std::nullopt;
      if (!place || observation.FindPod(*pod) != nullptr) continue;
      const bool surplus = place->first < cluster.spec.masters ? place->second >= cluster.spec.pods_per_shard() &&
                                                                     !MayBeNeeded(observation, view, *place)
                                                               : IsRetired(observation, view, place->first);
      if (surplus) {
        actions.emplace_back(DeleteObject{types::kPersistentVolumeClaims, name, reconciler::UidOf(*object)});
      }
    } else {
      const auto shard = NumberLabel(*object, labels::kShard);
      if (!IsRetired(observation, view, shard) || shard_has_pod(shard)) continue;
      actions.emplace_back(DeleteObject{types::kPodDisruptionBudgets, name, reconciler::UidOf(*object)});
    }
  }
  return actions;
}

// What a replica has says what its master has, where that is silent or died in the middle of a migration. Otherwise it
// may be a moment behind one that has given its last key away.
bool HoldsKeys(const Observation& observation, const ClusterView& view, int shard) {
  const bool half_way = std::ranges::any_of(
      view.answering, [&](const NodeView* node) { return SpeaksFor(observation, view, *node, shard, true); });
  const bool silent = HasSilentPod(observation, view, shard);
  return std::ranges::any_of(view.answering, [&](const NodeView* node) {
    if (node->shard != shard || node->server.keys == 0) return false;
    if (node->me().flags.master) return true;
    return (half_way || silent) && (!node->me().master || !view.by_id.contains(*node->me().master));
  });
}

Plan RefuseToLoseKeys(const std::string& cluster, int shard) {
  return Refuse(
      "remove", "NodesNotEmpty",
      fmt::format("what should go of shard {} owns no slots, but holds keys that no other node may have; save "
                  "them if they are needed, then empty its master with FLUSHALL (if it is dead, CLUSTER FAILOVER "
                  "TAKEOVER makes a replica the master)",
                  ShardNameOf(cluster, shard)));
}

std::optional<NodeRef> LeavingNode(const Observation& observation, const ClusterView& view, const PodView& pod) {
  if (!observation.cluster.spec.storage) return std::nullopt;
  const auto found = std::ranges::find(view.answering, pod.name, &NodeView::pod);
  return found == view.answering.end() ? std::nullopt : std::optional(RefTo(**found));
}

// Who is being introduced is known by address only: if its pod goes, somebody else's node may get the address and join.
const NodeView* WhoIntroduces(const ClusterView& view) {
  for (const NodeView* node : view.answering) {
    if (std::ranges::any_of(node->table->lines, [](const NodeLine& line) { return line.flags.handshake; })) return node;
  }
  return nullptr;
}

}  // namespace

std::optional<Plan> RemoveRetiredShards(const Observation& observation, const ClusterView& view) {
  const auto& cluster = observation.cluster;
  std::vector<Action> actions;
  int terminating = 0;
  for (const auto& pod : observation.pods) {
    if (!pod.ours || !IsRetired(observation, view, pod.shard)) continue;
    if (HoldsKeys(observation, view, pod.shard)) {
      return RefuseToLoseKeys(cluster.name, pod.shard);
    }
    if (pod.terminating) {
      ++terminating;
    } else {
      actions.emplace_back(DeletePod{pod.name, pod.uid, LeavingNode(observation, view, pod)});
    }
  }
  auto left_overs = LeftOvers(observation, view);
  std::move(left_overs.begin(), left_overs.end(), std::back_inserter(actions));
  if (const NodeView* node = WhoIntroduces(view); node != nullptr && !actions.empty()) {
    return WaitForRedis(
        observation, "remove", "RemovingNodes",
        fmt::format("{} is still being introduced to others, before whose time no pod and no volume goes", node->pod));
  }
  if (!actions.empty()) {
    std::string message =
        fmt::format("shards that own nothing any more go: {}{}", ToString(actions[0]), actions.size() > 1 ? ", …" : "");
    return Do("remove", "RemovingNodes", std::move(message), std::move(actions));
  }
  if (terminating == 0) return std::nullopt;
  Plan plan = WaitForRedis(observation, "remove", "RemovingNodes",
                           Counted(terminating, "pod of a shard that owns nothing any more is terminating",
                                   "pods of shards that own nothing any more are terminating"));
  plan.look_again = std::max(plan.look_again, std::chrono::milliseconds(250));
  return plan;
}

std::optional<Plan> RemoveSurplusReplicas(const Observation& observation, const ClusterView& view) {
  const auto& cluster = observation.cluster;
  std::vector<Action> deletions;
  const PodView* unready = nullptr;
  for (int shard = 0; shard < cluster.spec.masters; ++shard) {
    const NodeView* head = view.HeadOf(shard);
    const PodView* surplus = nullptr;
    for (const auto& pod : observation.pods) {
      if (pod.shard != shard || IsWanted(observation, shard, pod.index)) continue;
      if (head != nullptr && head->pod == pod.name) {
        if (auto plan = HandOver(observation, view, *head, "RemovingNodes", "it is one pod too many")) return plan;
        if (view.owned.contains(head->id())) continue;
        if (head->server.keys > 0) return RefuseToLoseKeys(cluster.name, shard);
      }
      surplus = &pod;
    }
    if (surplus == nullptr) continue;
    const PodView* beside = UnreadyBeside(observation, *surplus);
    if (beside == nullptr) {
      deletions.emplace_back(
          EvictPod{surplus->name, surplus->uid, std::nullopt, LeavingNode(observation, view, *surplus)});
    } else {
      unready = beside;
    }
  }
  if (deletions.empty() && unready != nullptr) return WaitForReadiness("remove", "RemovingNodes", *unready);
  if (deletions.empty()) return std::nullopt;
  std::string message =
      Counted(deletions.size(), "replica is", "replicas are") + " more than the specification asks for";
  return Do("remove", "RemovingNodes", std::move(message), std::move(deletions));
}

}  // namespace steps

}  // namespace slotwright
