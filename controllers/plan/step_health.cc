// What still keeps the cluster from being Ready, in words.
#include <fmt/format.h>

#include "controllers/api/names.h"
#include "controllers/plan/planner.h"
#include "controllers/plan/waiting.h"
#include "controllers/plan/wanted.h"

namespace slotwright::steps {

namespace {

using Finding = std::optional<std::pair<std::string, std::string>>;  // reason, message

// One that is not wanted any more and is waited for all the same.
std::string WhyItIsWaitedFor(const Observation& observation, const ClusterView& view, const PodView& pod) {
  if (IsWanted(observation, pod.shard, pod.index) || !HasUnservedSlots(observation, view, pod.shard, pod.index))
    return "";
  return fmt::format(
      " (it may have the last copy of slots that nobody serves; if its volume is gone for good, delete the "
      "claim {})",
      ClaimNameOf(observation.cluster.name, pod.shard, pod.index));
}

Finding MissingPods(const Observation& observation, const ClusterView& view) {
  int waiting = 0;
  std::string first;
  for (const auto& pod : observation.pods) {
    if (!pod.terminating && pod.trouble.empty() && !pod.ip.empty()) continue;
    ++waiting;
    const std::string why = pod.terminating        ? "is terminating"
                            : !pod.trouble.empty() ? DescribeTrouble(pod)
                                                   : "has no address yet";
    if (first.empty()) first = fmt::format("{} {}{}", pod.name, why, WhyItIsWaitedFor(observation, view, pod));
  }
  if (waiting == 0) return std::nullopt;
  return {{"WaitingForPods", fmt::format("{} of {} pods {} not run: {}", waiting, observation.pods.size(),
                                         waiting == 1 ? "does" : "do", first)}};
}

std::string WhyUnauthorized(const Observation& observation, const ClusterView& view, const NodeView& node) {
  return IsConnected(observation, view, node)
             ? "does not accept the password, as it was started with another one: put that back, or, if it is a "
               "replica, delete its pod"
             : "does not accept the password, and no node reaches it: its address may be another server's by now, or "
               "it "
               "was started with another password and is new, then delete its pod";
}

Finding SilentNodes(const Observation& observation, const ClusterView& view) {
  int silent = 0;
  std::string first;
  for (const auto& node : observation.nodes) {
    if (node.Answers()) continue;
    ++silent;
    const std::string why = node.foreign        ? "is not the node of that pod; its address was reused"
                            : node.loading      ? "is loading its data"
                            : node.unauthorized ? WhyUnauthorized(observation, view, node)
                                                : node.error;
    if (first.empty()) first = fmt::format("{} at {}: {}", node.pod, node.endpoint.ToString(), why);
  }
  if (silent == 0) return std::nullopt;
  return {{"WaitingForNodes", fmt::format("{} of {} nodes {} not answer: {}", silent, observation.nodes.size(),
                                          silent == 1 ? "does" : "do", first)}};
}

// Of a master that owned no slots nobody elects a replica, and what keys that has it has of a migration.
std::string HowToFreeItsReplica(const ClusterView& view, const ClusterView::Absent& master) {
  if (master.OwnsSlots()) return "";
  const auto replica = std::ranges::find_if(
      view.answering, [&](const NodeView* node) { return node->me().master == master.id && node->server.keys > 0; });
  if (replica == view.answering.end()) return "";
  return fmt::format(
      ". {0} replicates it, and may have keys of slots that were being moved there: CLUSTER FAILOVER TAKEOVER on {0} "
      "makes it a master that has them",
      (*replica)->pod);
}

// A pod that came back without its nodes.conf, and with keys, is another node, of which nobody knows whose keys they
// are. Nor does anybody of a replica that was promoted before it had heard of its master's slots (as Valkey does by
// itself).
std::string HowToGiveItsSlotsBack(const ClusterView& view, const ClusterView::Absent& owner) {
  const SlotSet missed = owner.slots - view.covered;
  if (!owner.IsMissed(view.covered) || owner.has_live_replicas || missed.empty()) return "";
  const auto heir = std::ranges::find_if(view.answering, [&](const NodeView* node) {
    const std::string shard = node->pod.substr(0, node->pod.rfind('-') + 1);
    return owner.hostname.starts_with(shard) && node->me().flags.master && node->server.keys > 0;
  });
  if (heir == view.answering.end()) return "";
  std::string ranges;
  for (const SlotRange range : missed.Ranges()) ranges += fmt::format(" {} {}", range.first, range.last);
  return fmt::format(
      ". {0} is a master of that shard with {1} keys, as if its nodes.conf had been lost, or as one that never heard "
      "of these slots: if the keys are theirs, run CLUSTER FORGET {2} on all others and then CLUSTER ADDSLOTSRANGE{3} "
      "on {0}",
      (*heir)->pod, (*heir)->server.keys, owner.id.ToString(), ranges);
}

Finding AbsentNodes(const ClusterView& view) {
  for (const auto& absent : view.absent) {
    if (absent.LeftOver()) continue;
    const std::string advice = HowToFreeItsReplica(view, absent) + HowToGiveItsSlotsBack(view, absent);
    return {{"DeadNodeInTable",
             fmt::format("node {} ({}) is gone{}; the others still list it{}", absent.id.Short(),
                         absent.hostname.empty() ? "unknown" : absent.hostname,
                         absent.OwnsSlots() && advice.empty() ? " and owns slots until a replica takes over" : "",
                         advice)}};
  }
  return std::nullopt;
}

Finding Disagreement(const ClusterView& view) {
  for (const NodeView* node : view.answering) {
    for (const auto& line : node->table->lines) {
      if (line.flags.handshake) return {{"JoiningNodes", fmt::format("{} is still joining", node->pod)}};
      if ((line.flags.fail || line.flags.pfail) && !view.IsLeftOver(line.id)) {
        return {{"NodeUnreachable", fmt::format("{} cannot reach {}", node->pod, line.id.Short())}};
      }
    }
    if (!node->me().open_slots.empty()) {
      return {{"OpenSlots", fmt::format("{} has {} slots in migration (first: {})", node->pod,
                                        node->me().open_slots.size(), node->me().open_slots[0].slot)}};
    }
  }
  if (!view.disagreement.empty()) return {{"NodesDisagree", view.disagreement}};
  return std::nullopt;
}

Finding Roles(const Observation& observation, const ClusterView& view) {
  if (view.covered.size() < kSlotCount) {
    return {{"SlotsUncovered", fmt::format("slots {} are not served", (SlotSet::All() - view.covered).ToString())}};
  }
  for (int shard = 0; shard < observation.cluster.spec.masters; ++shard) {
    if (view.HeadOf(shard) == nullptr) {
      return {{"ShardWithoutMaster",
               fmt::format("no node of shard {} leads it", ShardNameOf(observation.cluster.name, shard))}};
    }
  }
  for (const NodeView* node : view.answering) {
    const NodeView* master = view.HeadOf(node->shard);
    if (node == master || (master == nullptr && node->shard >= observation.cluster.spec.masters)) continue;
    // A second owner of slots in one shard (both sides of a partition took some) becomes one when it is drained.
    if (view.owned.contains(node->id())) continue;
    if (node->me().flags.master && node->server.keys > 0) {
      return {
          {"ReplicaNotEmpty",
           fmt::format("{0} owns no slots and has {1} keys, so it is not made a replica, which would delete them. Save "
                       "them if they are needed, then empty it with FLUSHALL",
                       node->pod, node->server.keys)}};
    }
    if (node->me().flags.master) return {{"ReplicaMissing", fmt::format("{} is not a replica yet", node->pod)}};
    if (!node->me().master || *node->me().master != master->id()) {
      return {{"ReplicaMisplaced", fmt::format("{} replicates a node of another shard", node->pod)}};
    }
  }
  return std::nullopt;
}

// What a server of another version or engine writes for its replicas an older one cannot read.
Finding VersionsApart(const ClusterView& view) {
  for (const NodeView* node : view.answering) {
    if (node->server.master_role || node->InSync() || !node->me().master) continue;
    const auto master = view.by_id.find(*node->me().master);
    if (master == view.by_id.end()) continue;
    const std::string own = node->server.Release();
    const std::string its_masters = master->second->server.Release();
    if (own == its_masters) continue;
    return {
        {"ReplicaSyncing", fmt::format("{} ({}) is not in sync with {} ({}); if that lasts, it cannot read what the "
                                       "newer one writes (kubectl logs {}): spec.image has to name the newer one",
                                       node->pod, own, master->second->pod, its_masters, node->pod)}};
  }
  return std::nullopt;
}

// A replica panics (replica-ignore-disk-write-errors of Redis 7 is no): "unable to write command to disk".
Finding FullDisks(const Observation& observation, const ClusterView& view) {
  for (const NodeView* node : view.answering) {
    if (!RefusesWrites(observation.cluster, *node)) continue;
    return {{"DiskTakesNothing",
             fmt::format("{0} {1} (kubectl logs {0} says why): is its {2} full? {3}", node->pod,
                         view.owned.contains(node->id())
                             ? "refuses writes, as it could not save them"
                             : "could not save what it was sent, and ends itself with the next write",
                         observation.cluster.spec.storage ? "volume" : "machine's disk",
                         observation.cluster.spec.storage ? "spec.storage.size can grow" : "Evict the pod")}};
  }
  return std::nullopt;
}

Finding States(const ClusterView& view) {
  if (auto finding = VersionsApart(view)) return finding;
  for (const NodeView* node : view.answering) {
    if (node->quarantined) return {{"JoiningNodes", fmt::format("{} may not be copied yet", node->pod)}};
    if (!node->info.state_ok) return {{"ClusterStateFail", fmt::format("{} says cluster_state:fail", node->pod)}};
    if (node->server.master_role != node->me().flags.master) {
      return {{"RoleChanging", fmt::format("{} is changing its role", node->pod)}};
    }
    if (!node->server.master_role && !node->InSync()) {
      return {{"ReplicaSyncing", fmt::format("{} is not in sync with its master", node->pod)}};
    }
  }
  return std::nullopt;
}

}  // namespace

std::optional<Plan> AwaitHealth(const Observation& observation, const ClusterView& view) {
  if (const auto lost = DescribeLostMajority(observation, view)) {
    return WaitForRedis(observation, "health", "MajorityLost", *lost);
  }
  if (const auto unelected = DescribeUnelected(observation, view)) {
    return WaitForRedis(observation, "health", kUnelected, *unelected);
  }
  if (auto finding = MissingPods(observation, view)) {
    Plan plan = WaitForRedis(observation, "health", finding->first, finding->second);
    plan.look_again = std::max(plan.look_again, std::chrono::milliseconds(250));  // the pod watch wakes us earlier
    return plan;
  }
  for (const Finding& finding : {SilentNodes(observation, view), AbsentNodes(view), Disagreement(view),
                                 Roles(observation, view), FullDisks(observation, view), States(view)}) {
    if (finding) return WaitForRedis(observation, "health", finding->first, finding->second);
  }
  return std::nullopt;
}

}  // namespace slotwright::steps
