// Rolling changes: replicas first, then a failover, then the old master; one pod of a shard at a time, and only while
// everything else is well.
#include <fmt/format.h>

#include <algorithm>

#include "controllers/api/names.h"
#include "controllers/plan/outdated.h"
#include "controllers/plan/planner.h"
#include "controllers/plan/waiting.h"
#include "controllers/plan/wanted.h"
#include "controllers/topology/text.h"

namespace slotwright::steps {

using text::Counted;

namespace {

constexpr const char* kStep = "roll";

std::vector<const PodView*> OutdatedPods(const Observation& observation) {
  const PodTemplate current(observation.cluster);
  std::vector<const PodView*> outdated;
  for (const auto& pod : observation.pods) {
    if (IsToBeKept(observation, pod) && current.IsOutdated(pod)) outdated.push_back(&pod);
  }
  return outdated;
}

// Where a new pod does not, or none was tried, there will be no second one.
bool NewPodsWork(const Observation& observation) {
  const PodTemplate current(observation.cluster);
  bool any = false;
  for (const auto& pod : observation.pods) {
    if (!IsToBeKept(observation, pod) || current.IsOutdated(pod)) continue;
    if (!pod.ready) return false;
    any = true;
  }
  return any;
}

std::string Old(size_t outdated) {
  return Counted(outdated, "pod runs an older specification", "pods run an older specification");
}

Plan HeldBack(const RedisClusterSpec& spec, size_t outdated) {
  const char* advice =
      spec.replicas_per_master > 0
          ? "delete the replicas' pods one by one, waiting until each is ready again, then the masters'"
      : spec.storage ? "delete the pods one by one, waiting until each is ready again"
                     : "each pod has the only copy of its slots, so set it to Rolling, which copies "
                       "them first, or set spec.replicasPerMaster before you delete any";
  return {.step = kStep,
          .reason = "UpdatePending",
          .message = fmt::format("{} and spec.update.strategy is Manual: {}", Old(outdated), advice),
          .settled = false,
          .look_again = kHealthPoll};
}

// It has ended; or if it ran it would be replaced or taken away; one of a shard that leaves is needed until that is
// empty, and made anew as it should be. Without a master that answers one that is too many might be the last of its
// shard: it goes only to be made anew.
bool IsOfNoUse(const Observation& observation, const ClusterView& view, const PodTemplate& current,
               const PodView& pod) {
  if (pod.HasEnded()) return true;
  const auto& spec = observation.cluster.spec;
  const bool leaves = pod.shard >= spec.masters && pod.index < spec.pods_per_shard();
  const bool is_pending = spec.storage && pod.phase == "Pending";
  if (leaves && is_pending && HasNoClaim(observation, pod.shard, pod.index)) return true;  // nobody makes one for it
  if (leaves || IsWanted(observation, pod.shard, pod.index)) {
    return spec.update != UpdateStrategy::kManual && current.IsOutdated(pod);
  }
  if (HasUnservedSlots(observation, view, pod.shard, pod.index)) {
    return spec.update != UpdateStrategy::kManual && current.IsOutdated(pod);
  }
  return (is_pending && !HasVolume(observation, pod.shard, pod.index)) || view.HeadOf(pod.shard) != nullptr;
}

EvictPod Replace(const Observation& observation, const PodView& pod) {
  return {pod.name, pod.uid, DesiredPod(observation.cluster, pod.shard, pod.index)};
}

// How many shards do without a replica at the same time.
int ShardsAtOnce(const Observation& observation) { return std::max(1, observation.cluster.spec.masters / 3); }

bool HasKeysThatNobodyOwns(const ClusterView& view, const NodeView& master) {
  return !view.owned.contains(master.id()) && master.server.keys > 0;
}

std::optional<Plan> ReplaceMaster(const Observation& observation, const ClusterView& view, const NodeView& master,
                                  size_t outdated) {
  const std::string why = Old(outdated);
  if (auto plan = HandOver(observation, view, master, "UpdatingPods", why)) return plan;
  const PodView* pod = observation.FindPod(master.pod);
  if (HasKeysThatNobodyOwns(view, master)) {
    return Refuse(kStep, "NodesNotEmpty",
                  fmt::format("{}; {} owns no slots, but holds keys that no other node may have; save them if they are "
                              "needed, then empty it with FLUSHALL",
                              why, master.pod));
  }
  if (!view.owned.contains(master.id())) {
    return Do(kStep, "UpdatingPods", fmt::format("{}; {} owns no slots", why, master.pod),
              {Replace(observation, *pod)});
  }
  // Its stand-in is made as soon as it is ready.
  if (!observation.cluster.spec.storage) return WaitForReadiness(kStep, "UpdatingPods", *pod);
  if (!HasVolume(observation, pod->shard, pod->index)) {
    return Refuse(kStep, "ClaimBeingDeleted",
                  fmt::format("{0} has no replica, and its claim {1} is being deleted: a new pod would start without "
                              "its data. Set spec.replicasPerMaster to 1 first, or save the data",
                              pod->name, ClaimNameOf(observation.cluster.name, pod->shard, pod->index)));
  }
  if (auto wait = WaitForAppendOnlyFiles(observation, kStep, "UpdatingPods", master)) return wait;
  // Without append-only files it writes all that it has as it ends.
  EvictPod replace = Replace(observation, *pod);
  replace.grace_period = std::chrono::hours(1);
  return Do(kStep, "UpdatingPods", fmt::format("{}; {} has no replica and comes back with its volume", why, master.pod),
            {std::move(replace)});
}

// A replica too many that has not come to run; why is not always known (a volume that cannot be mounted). It is
// evicted, and nobody evicts while another pod of its shard is away. Shards that leave are not for this step.
bool IsIdleSurplus(const Observation& observation, const PodView& pod) {
  const auto& spec = observation.cluster.spec;
  if (pod.phase != "Pending" || pod.shard >= spec.masters || IsWanted(observation, pod.shard, pod.index)) return false;
  for (int index = 0; index < spec.pods_per_shard(); ++index) {
    const PodView* other = observation.FindPod(PodNameOf(observation.cluster.name, pod.shard, index));
    if (other == nullptr || other->terminating) return false;
  }
  return true;
}

}  // namespace

std::optional<Plan> ReplaceStuckPods(const Observation& observation, const ClusterView& view) {
  const auto is_stuck = [&](const PodView& pod) {
    if (pod.ready || pod.terminating || !pod.ours) return false;
    return !pod.trouble.empty() || IsIdleSurplus(observation, pod);
  };
  if (std::ranges::none_of(observation.pods, is_stuck)) return std::nullopt;
  const PodTemplate current(observation.cluster);
  std::vector<Action> actions;
  for (const auto& pod : observation.pods) {
    if (!is_stuck(pod)) continue;
    const bool answers =
        std::ranges::any_of(view.answering, [&](const NodeView* node) { return node->pod == pod.name; });
    if (answers || !IsOfNoUse(observation, view, current, pod)) continue;
    // By now it may run, and be needed: then its shard's budget has a say.
    if (pod.trouble.empty()) {
      actions.emplace_back(EvictPod{pod.name, pod.uid});
    } else {
      actions.emplace_back(DeletePod{pod.name, pod.uid});
    }
  }
  if (actions.empty()) return std::nullopt;
  std::string message =
      Counted(actions.size(), "pod does not run", "pods do not run") + ", and another or none is to be in its place";
  return Do(kStep, "UpdatingPods", std::move(message), std::move(actions));
}

std::optional<Plan> ReplaceUnsyncedPods(const Observation& observation, const ClusterView& view) {
  if (observation.cluster.spec.update == UpdateStrategy::kManual) return std::nullopt;
  const auto has_nothing = [](const NodeView* node) {
    return node->me().slots.empty() && node->server.NeverHadALink() && !node->server.master_sync_in_progress;
  };
  // Nearly always there is none, and whether a pod is outdated takes time to find out.
  if (std::ranges::none_of(view.answering, has_nothing) || !NewPodsWork(observation)) return std::nullopt;
  for (const PodView* pod : OutdatedPods(observation)) {
    const NodeView* master = view.MasterOf(pod->shard);
    const auto is_its_own = [&](const NodeView* node) {
      return node->pod == pod->name && node != master && has_nothing(node);
    };
    if (master == nullptr || std::ranges::none_of(view.answering, is_its_own)) continue;
    if (pod->terminating || !MayEndBeside(observation, *pod, *master)) continue;
    // A budget lets nobody go while another pod of the shard is not ready either.
    const bool is_held_up = UnreadyBeside(observation, *pod) != nullptr;
    const Action replace = is_held_up ? Action(DeletePod{pod->name, pod->uid}) : Action(Replace(observation, *pod));
    return Do(
        kStep, "UpdatingPods",
        fmt::format("{} runs an older specification, and has nothing yet that a new one would have to copy", pod->name),
        {replace});
  }
  return std::nullopt;
}

std::optional<Plan> RollPods(const Observation& observation, const ClusterView& view) {
  const auto outdated = OutdatedPods(observation);
  if (outdated.empty()) return std::nullopt;
  if (observation.cluster.spec.update == UpdateStrategy::kManual)
    return HeldBack(observation.cluster.spec, outdated.size());

  std::map<int, const PodView*> replicas;  // one of each shard
  const NodeView* master = nullptr;
  for (const PodView* pod : outdated) {
    const NodeView* head = view.HeadOf(pod->shard);
    if (head != nullptr && head->pod == pod->name) {
      // One that only a person can do something about holds up no other one.
      if (master == nullptr || HasKeysThatNobodyOwns(view, *master)) master = head;
    } else {
      replicas.try_emplace(pod->shard, pod);
    }
  }
  if (replicas.empty()) return ReplaceMaster(observation, view, *master, outdated.size());
  std::vector<Action> actions;
  const PodView* unready = nullptr;
  for (const auto& [shard, pod] : replicas) {
    if (static_cast<int>(actions.size()) == ShardsAtOnce(observation)) break;
    const PodView* beside = UnreadyBeside(observation, *pod);
    if (beside == nullptr) {
      actions.emplace_back(Replace(observation, *pod));
    } else {
      unready = beside;
    }
  }
  if (actions.empty()) return WaitForReadiness(kStep, "UpdatingPods", *unready);
  return Do(kStep, "UpdatingPods", Old(outdated.size()) + "; replicas go first", std::move(actions));
}

}  // namespace slotwright::steps

namespace slotwright {

namespace {

// And is not about to lose it to an introduction.
bool HasLinkTo(const NodeView& from, const NodeView& to) {
  const NodeLine* line = from.table->Find(to.id());
  return line != nullptr && line->link_connected && std::ranges::none_of(from.table->lines, [&](const NodeLine& other) {
           return other.flags.handshake && other.endpoint == to.endpoint;
         });
}

// CLUSTER FAILOVER is refused without a link to the master. A vote that cannot be asked for or cannot be sent is lost,
// and Redis asks again after four node timeouts only (clusterHandleSlaveFailover). Links that were there a moment ago
// are missing after an introduction: a node takes one link from each other (since 7.0) and closes the older one, which
// is opened again within 100 ms.
bool CanBeElected(const ClusterView& view, const NodeView& replica, const NodeView& master) {
  return HasLinkTo(replica, master) && VotesWithinReachOf(view, replica) > MastersOf(view) / 2;
}

}  // namespace

size_t VotesWithinReachOf(const ClusterView& view, const NodeView& replica) {
  return static_cast<size_t>(std::ranges::count_if(view.answering, [&](const NodeView* node) {
    return view.owned.contains(node->id()) && HasLinkTo(*node, replica) && HasLinkTo(replica, *node);
  }));
}

std::optional<Plan> HandOver(const Observation& observation, const ClusterView& view, const NodeView& master,
                             const std::string& reason, const std::string& why) {
  // Nobody is elected in the place of a master without slots, nor told to be (clusterHandleSlaveFailover).
  if (!view.owned.contains(master.id())) return std::nullopt;
  const PodTemplate current(observation.cluster);
  const NodeView* best = nullptr;
  std::optional<Plan> not_yet;
  bool best_is_current = false;
  for (const NodeView* node : view.answering) {
    if (node->me().master != master.id() || !IsWanted(observation, node->shard, node->index)) continue;
    const PodView* pod = observation.FindPod(node->pod);
    if (!node->InSync() || pod == nullptr || RefusesWrites(observation.cluster, *node)) continue;
    // If it died as master before they have everything, what the old one has would be newer.
    if (auto wait = WaitForAppendOnlyFiles(observation, "handover", reason, *node)) {
      not_yet = std::move(wait);
      continue;
    }
    if (!CanBeElected(view, *node, master)) {
      not_yet = WaitForRedis(observation, "handover", reason,
                             fmt::format("waiting until {} has links to the masters, which have to vote", node->pod));
      continue;
    }
    // Never back to what is to be replaced itself, if that can be helped; then who is nearest.
    const bool is_current = !current.IsOutdated(*pod);
    const bool better = best == nullptr || std::pair(is_current, node->server.replica_offset) >
                                               std::pair(best_is_current, best->server.replica_offset);
    if (!better) continue;
    best = node;
    best_is_current = is_current;
  }
  if (best == nullptr) return not_yet;
  return Do("handover", reason, fmt::format("{} hands its shard over to {}: {}", master.pod, best->pod, why),
            {Failover{RefTo(*best), master.pod}});
}

}  // namespace slotwright
