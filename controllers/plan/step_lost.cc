// Losses that Redis cannot repair by itself: no majority that could elect, and shards of which no copy is left.
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <tuple>

#include "controllers/api/names.h"
#include "controllers/plan/planner.h"
#include "controllers/plan/waiting.h"
#include "controllers/plan/wanted.h"
#include "controllers/resources/configuration.h"

namespace slotwright::steps {

namespace {

// Empty if it was none of ours.
std::string PodBehind(const Observation& observation, const ClusterView::Absent& lost) {
  const auto& cluster = observation.cluster;
  const auto place = PlaceOfHostname(cluster.ns, cluster.name, lost.hostname);
  return place ? PodNameOf(cluster.name, place->first, place->second) : "";
}

bool HasAVolumeWithoutAPod(const Observation& observation) {
  return std::ranges::any_of(observation.objects, [&](const auto& entry) {
    const auto& [kind, name] = entry.first;
    constexpr std::string_view kPrefix = "data-";
    return kind == reconciler::types::kPersistentVolumeClaims.kind && name.starts_with(kPrefix) &&
           observation.FindPod(name.substr(kPrefix.size())) == nullptr;
  });
}

// It died before it told anybody its hostname, which Redis 8 says to nobody at first; and each pod has another node.
bool IsNameless(const Observation& observation, const ClusterView::Absent& lost) {
  return lost.hostname.empty() && lost.replaced && !HasAVolumeWithoutAPod(observation);
}

// A later life of the same pod answers; or the pod is a new one that has not started, has ended, or is gone, and has
// nothing to start from: then no process with the old id can come back with writes. With a volume it can, and then it
// should.
bool IsFenced(const Observation& observation, const ClusterView& view, const ClusterView::Absent& lost) {
  const auto& cluster = observation.cluster;
  const auto place = PlaceOfHostname(cluster.ns, cluster.name, lost.hostname);
  if (!place) return IsNameless(observation, lost);
  const bool has_volume = HasVolume(observation, place->first, place->second);
  const PodView* pod = observation.FindPod(PodBehind(observation, lost));
  if (pod == nullptr) return !has_volume;  // or not made again yet, which may take its time (a quota, a webhook)
  if (pod->terminating) return false;
  if (std::ranges::any_of(view.answering, [&](const NodeView* node) { return node->pod == pod->name; })) return true;
  return (pod->phase == "Pending" || pod->HasEnded()) && !has_volume;
}

// Its pod, if there seems to be none.
std::string MissingPod(const Observation& observation, const ClusterView::Absent& lost) {
  const std::string name = PodBehind(observation, lost);
  return observation.FindPod(name) == nullptr ? name : "";
}

std::vector<const ClusterView::Absent*> LostMasters(const ClusterView& view) {
  std::vector<const ClusterView::Absent*> lost;
  for (const auto& absent : view.absent) {
    if (absent.IsMissed(view.covered) && !absent.viewers.empty() && absent.unreachable_everywhere)
      lost.push_back(&absent);
  }
  return lost;
}

// A replica never takes over from a master of which it believes that it owns no slots: slots are told by their owner
// only, and this one may have died before it told all (clusterHandleSlaveFailover in Redis' cluster.c).
bool KnowsTheSlotsOf(const NodeView& replica, const NodeId& master) {
  const NodeLine* line = replica.table->Find(master);
  return line != nullptr && !line->slots.empty();
}

// An empty replica that never had a link to its master: unlike one that is in sync with an empty master it knows
// nothing.
bool KnowsNothing(const NodeView& replica) { return replica.server.keys == 0 && replica.server.NeverHadALink(); }

bool IsOfUse(const Observation& observation, const NodeView& replica) {
  return !KnowsNothing(replica) || MayServeEmpty(observation);
}

// After a restart from append-only files the offset says little.
const NodeView* BestReplicaOf(const ClusterView& view, const NodeId& master) {
  const auto rank = [](const NodeView& node) {
    return std::tuple(!KnowsNothing(node), node.server.replica_offset, node.server.keys > 0);
  };
  const NodeView* best = nullptr;
  for (const NodeView* node : view.answering) {
    if (!node->me().flags.replica || node->me().master != master || !KnowsTheSlotsOf(*node, master)) continue;
    if (best == nullptr || rank(*node) > rank(*best)) best = node;
  }
  return best;
}

// It may have more than those that answer, and is about to say so: it loads its data, or missed one look. Whom the
// others do not reach either may never come back.
const NodeView* WhoMayHaveMore(const Observation& observation, const ClusterView& view, const NodeView& replica) {
  const auto found = std::ranges::find_if(observation.nodes, [&](const NodeView& node) {
    return node.shard == replica.shard && !node.Answers() && (node.loading || IsConnected(observation, view, node));
  });
  return found == observation.nodes.end() ? nullptr : &*found;
}

// Nothing once that has been waited for for long enough: the slots are not served meanwhile.
std::optional<Plan> WaitForABetterOne(const Observation& observation, const ClusterView& view,
                                      const NodeView& replica) {
  const NodeView* other = WhoMayHaveMore(observation, view, replica);
  if (other == nullptr) return std::nullopt;
  const std::chrono::seconds patience = other->loading ? std::chrono::minutes(5) : std::chrono::seconds(30);
  Plan wait = WaitForRedis(
      observation, "takeover", "AwaitingReplica",
      fmt::format("{} can take over from its dead master, but {} {}, and may have more: it is waited for, for {} s",
                  replica.pod, other->pod, other->loading ? "loads its data" : "does not answer", patience.count()));
  wait.until_it_stands = true;
  if (Stands(observation, wait, patience)) return std::nullopt;
  return wait;
}

// CLUSTER FAILOVER TAKEOVER takes all slots that the replica gives its master, also those that others own by now. It
// hears of them from who owns them.
bool WouldTakeFromOthers(const ClusterView& view, const NodeView& replica, const NodeId& master) {
  return !(replica.table->Find(master)->slots & view.covered).empty();
}

// Who does not list a master has no vote for its replicas: it may have died before all had met it. Nor has who knows a
// newer epoch of it than the replica does: it had just taken that, and told the replica no more (clusterSendFailover-
// AuthIfNeeded in Redis' cluster.c; only Valkey 9 tells the replica then).
bool CanBeReplacedByVotes(const ClusterView& view, const ClusterView::Absent& lost, const NodeView* replica) {
  const NodeLine* as_known = replica == nullptr ? nullptr : replica->table->Find(lost.id);
  const auto voters = std::ranges::count_if(lost.viewers, [&](const NodeView* viewer) {
    if (!view.owned.contains(viewer->me().id)) return false;
    return as_known == nullptr || viewer->table->Find(lost.id)->config_epoch <= as_known->config_epoch;
  });
  return static_cast<size_t>(voters) > MastersOf(view) / 2;
}

std::string HowManyAreLost(const ClusterView& view, const std::vector<const ClusterView::Absent*>& lost) {
  return fmt::format("{} of {} masters are lost", lost.size(), MastersOf(view));
}

// How many nodes have to answer before it can be said what a shard has.
int NodesOf(const Observation& observation, int shard) {
  int nodes = 0;
  for (int index = 0; index < observation.cluster.spec.pods_per_shard(); ++index) {
    nodes += CanBeMadeAnew(observation, shard, index) ? 1 : 0;
  }
  return nodes;
}

// Those of its shard, if every pod of that answers, or has nothing (there is no room for it), but perhaps its own,
// which need not be made again: nobody else can have anything of it. Nothing if one is silent.
std::optional<std::vector<const NodeView*>> WholeShardOf(const Observation& observation, const ClusterView& view,
                                                         const ClusterView::Absent& lost) {
  const auto place = ShardAndIndexOf(observation.cluster.name, lost.hostname);
  std::vector<const NodeView*> shard;
  if (!place && IsNameless(observation, lost)) {
    // Whichever it was, it is one without a master now.
    std::ranges::copy_if(view.answering, std::back_inserter(shard), [&](const NodeView* node) {
      return node->me().master == lost.id || view.MasterOf(node->shard) == nullptr;
    });
    return shard.empty() ? std::nullopt : std::optional(std::move(shard));
  }
  if (!place) return std::nullopt;
  std::ranges::copy_if(view.answering, std::back_inserter(shard),
                       [&](const NodeView* node) { return node->shard == place->first; });
  const std::string own = PodBehind(observation, lost);
  const bool any_silent = std::ranges::any_of(observation.pods, [&](const PodView& pod) {
    return pod.shard == place->first && pod.name != own && !HasNothingYet(observation, pod) &&
           std::ranges::find(shard, pod.name, &NodeView::pod) == shard.end();
  });
  // Of one that is not wanted any more, and was its replica until a moment ago, the volume has a copy.
  const bool any_to_come = std::ranges::any_of(view.absent, [&](const ClusterView::Absent& absent) {
    const auto its = ShardAndIndexOf(observation.cluster.name, absent.hostname);
    return its && its->first == place->first && absent.id != lost.id &&
           HasUnservedSlots(observation, view, its->first, its->second);
  });
  const auto without_data = std::ranges::count_if(observation.pods, [&](const PodView& pod) {
    return pod.shard == place->first && HasNothingYet(observation, pod);
  });
  const auto known = static_cast<int>(shard.size()) + static_cast<int>(without_data);
  if (any_silent || any_to_come || known < NodesOf(observation, place->first)) return std::nullopt;
  return shard;
}

bool HasSomethingOf(const NodeView& node, const NodeId& lost) {
  if (node.server.keys > 0 || !node.me().slots.empty()) return true;
  return node.me().master == lost && KnowsTheSlotsOf(node, lost) && !KnowsNothing(node);
}

bool IsWhollyLost(const Observation& observation, const ClusterView& view, const ClusterView::Absent& lost) {
  const auto shard = WholeShardOf(observation, view, lost);
  return shard && IsFenced(observation, view, lost) &&
         std::ranges::none_of(*shard, [&](const NodeView* node) { return HasSomethingOf(*node, lost.id); });
}

// A replica that has a copy and never heard that its master owns slots: that one died before it told it, a moment after
// the first synchronisation. Nobody elects it, and by force it would take nothing over.
const NodeView* UnawareReplicaOf(const Observation& observation, const ClusterView& view,
                                 const ClusterView::Absent& lost) {
  const NodeView* best = nullptr;
  const auto shard = WholeShardOf(observation, view, lost);
  if (!shard) return nullptr;
  for (const NodeView* node : *shard) {
    if (node->me().master != lost.id || KnowsTheSlotsOf(*node, lost.id) || node->server.keys == 0) continue;
    if (best == nullptr || node->server.replica_offset > best->server.replica_offset) best = node;
  }
  return best;
}

// A master that owned no slots is dead: nobody elects its replica, which has nothing to lose, and whose shard is
// without a master else.
std::optional<Plan> TakeOverFromSlotless(const Observation& observation, const ClusterView& view) {
  if (view.covered.size() < kSlotCount) return std::nullopt;  // it may have died before it told all
  for (const NodeView* node : view.answering) {
    if (!IsWanted(observation, node->shard, node->index) || view.HeadOf(node->shard) != nullptr) continue;
    if (view.claimed_by_shard.contains(node->shard) || node->server.keys > 0) continue;
    const auto master = std::ranges::find_if(view.absent, [&](const ClusterView::Absent& absent) {
      return node->me().master == absent.id && !absent.OwnsSlots() && absent.unreachable_everywhere;
    });
    if (master == view.absent.end() || !IsFenced(observation, view, *master)) continue;
    return Do("takeover", "TakingOver", fmt::format("{} is dead and owned no slots", master->hostname),
              {Takeover{RefTo(*node), master->id, {}, MissingPod(observation, *master)}});
  }
  return std::nullopt;
}

}  // namespace

std::optional<Plan> TakeOver(const Observation& observation, const ClusterView& view) {
  auto lost = LostMasters(view);
  if (lost.empty()) return TakeOverFromSlotless(observation, view);
  // Those last about whom the API server has to be asked: it may say no again and again.
  std::ranges::stable_partition(lost, [&](const auto* master) { return MissingPod(observation, *master).empty(); });
  const std::string what = HowManyAreLost(view, lost);
  for (const auto* master : lost) {
    const NodeView* replica = BestReplicaOf(view, master->id);
    const bool can_elect = CanBeReplacedByVotes(view, *master, replica);
    if (replica == nullptr) {
      const NodeView* unaware = UnawareReplicaOf(observation, view, *master);
      if (unaware == nullptr || observation.cluster.spec.takeover == TakeoverPolicy::kNever) continue;
      if (!IsFenced(observation, view, *master)) continue;
      return Do(
          "takeover", "TakingOver",
          fmt::format("{}; {} has a copy of what {} had, and never heard of its slots", what, unaware->pod,
                      master->hostname),
          {Takeover{RefTo(*unaware), master->id, master->slots - view.covered, MissingPod(observation, *master)}});
    }
    if (!can_elect && observation.cluster.spec.takeover == TakeoverPolicy::kNever) {
      return Refuse("takeover", "MajorityLost",
                    fmt::format("{0}, no majority is left that could elect {1}, and spec.healing.takeover is Never: "
                                "bring them back, or run CLUSTER FAILOVER TAKEOVER on {1}",
                                what, replica->pod));
    }
    if (!IsFenced(observation, view, *master)) continue;
    if (!IsOfUse(observation, *replica)) continue;
    if (WaitForABetterOne(observation, view, *replica)) continue;
    // One at a time: each takes an epoch of its own.
    if (!can_elect) {
      if (WouldTakeFromOthers(view, *replica, master->id)) continue;
      return Do("takeover", "TakingOver",
                fmt::format("{}, no majority is left that could elect {}; {} cannot come back with writes", what,
                            replica->pod, master->hostname),
                {Takeover{RefTo(*replica), master->id, {}, MissingPod(observation, *master)}});
    }
    // Those that do not reach each other have to be introduced first: a vote that cannot be asked for never comes.
    if (VotesWithinReachOf(view, *replica) <= MastersOf(view) / 2) continue;
    // A replica that restarted is never elected by itself, however good its data: it cannot tell how old they are.
    return Do("takeover", "TakingOver", fmt::format("{}; {} cannot come back with its data", what, master->hostname),
              {Failover{RefTo(*replica), master->hostname, true, master->id, MissingPod(observation, *master)}});
  }
  return std::nullopt;
}

std::optional<Plan> AwaitBetterReplicas(const Observation& observation, const ClusterView& view) {
  for (const auto* master : LostMasters(view)) {
    const NodeView* replica = BestReplicaOf(view, master->id);
    if (replica == nullptr || !IsFenced(observation, view, *master) || !IsOfUse(observation, *replica)) continue;
    auto wait = WaitForABetterOne(observation, view, *replica);
    if (!wait) continue;
    // Beside it: the time of a wait that gives way to something else begins anew.
    if (auto join = JoinNodes(observation, view)) {
      wait->actions = std::move(join->actions);
      wait->beside = wait->actions.size();
    }
    return wait;
  }
  return std::nullopt;
}

std::optional<std::string> DescribeLostMajority(const Observation& observation, const ClusterView& view) {
  const auto lost = LostMasters(view);
  for (const auto* master : lost) {
    const NodeView* replica = BestReplicaOf(view, master->id);
    const std::string name = PodBehind(observation, *master);
    if (replica == nullptr || name.empty() || CanBeReplacedByVotes(view, *master, replica)) continue;
    if (IsFenced(observation, view, *master)) continue;
    const PodView* pod = observation.FindPod(name);
    const std::string where = pod == nullptr || pod->node.empty() ? "" : " on " + pod->node;
    // A container that starts again waits as long itself (start.sh).
    const std::chrono::seconds patience(FailoverWaitSeconds(observation.cluster) + 15);
    const std::string remedy =
        !HasLasted(observation, "MajorityLost", patience)
            ? fmt::format("a container that starts again is back within {} s", patience.count())
        : observation.cluster.spec.storage
            ? fmt::format("if its volume never comes back, run CLUSTER FAILOVER TAKEOVER on {}", replica->pod)
            : fmt::format(
                  "if its machine is gone for good, run kubectl delete pod {} --force, or delete "
                  "the Node, and {} takes over",
                  name, replica->pod);
    return fmt::format(
        "{}, and no majority is left that could elect their replicas. {} has a copy of "
        "what {}{} had, which may still come back with writes; {}",
        HowManyAreLost(view, lost), replica->pod, name, where, remedy);
  }
  return std::nullopt;
}

std::optional<std::string> DescribeUnelected(const Observation& observation, const ClusterView& view) {
  const int patience = FailoverWaitSeconds(observation.cluster) + 15;
  for (const auto* master : LostMasters(view)) {
    const NodeView* replica = BestReplicaOf(view, master->id);
    const std::string name = PodBehind(observation, *master);
    if (replica == nullptr || name.empty() || KnowsNothing(*replica)) continue;
    if (!CanBeReplacedByVotes(view, *master, replica) || IsFenced(observation, view, *master)) continue;
    if (!replica->server.NeverHadALink() && replica->server.master_link_down_seconds < patience) continue;
    return fmt::format(
        "{0} is away, and {1}, which has a copy of what it had, is not elected: it was started anew or has been "
        "without "
        "a link for too long, so that nobody knows how old that copy is. If {0} does not come back with its data, run "
        "CLUSTER FAILOVER FORCE on {1}",
        name, replica->pod);
  }
  return std::nullopt;
}

std::optional<Plan> ReportLostShards(const Observation& observation, const ClusterView& view) {
  SlotSet slots;
  std::vector<Action> actions;
  for (const auto* lost : LostMasters(view)) {
    if (!IsWhollyLost(observation, view, *lost)) continue;
    slots = slots | (lost->slots - view.covered);
    for (const NodeView* viewer : lost->viewers) actions.emplace_back(Forget{RefTo(*viewer), lost->id});
  }
  if (slots.empty()) return std::nullopt;
  if (!MayServeEmpty(observation)) return RefuseLostData("lost", slots);
  return Do("lost", "ForgettingLostShard",
            fmt::format(
                "the data of slots {} is gone with every copy; spec.healing.lostShard says to serve them again, empty",
                slots.ToString()),
            std::move(actions));
}

}  // namespace slotwright::steps

namespace slotwright {

size_t MastersOf(const ClusterView& view) {
  const auto missed = std::ranges::count_if(
      view.absent, [&](const ClusterView::Absent& absent) { return absent.IsMissed(view.covered); });
  return static_cast<size_t>(missed) + view.owned.size();
}

}  // namespace slotwright
