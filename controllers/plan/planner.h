// The planner: a list of steps in order of urgency; the first that has something to do decides.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "controllers/observe/observation.h"
#include "controllers/plan/cluster_view.h"
#include "controllers/plan/plan.h"

namespace slotwright {

/// Pure: the same Observation gives the same Plan. `view` is Merge(observation), which others need as well.
[[nodiscard]] Plan MakePlan(const Observation& observation, const ClusterView& view);

/// One step: nothing if it has nothing to do or to wait for. Each lives in a file of its own.
using Step = std::optional<Plan> (*)(const Observation&, const ClusterView&);

namespace steps {
/// Refuses what cannot be acted on: an invalid specification, an unusable password, names taken by strangers.
[[nodiscard]] std::optional<Plan> Validate(const Observation&, const ClusterView&);
/// The password alone.
[[nodiscard]] std::optional<Plan> RefusePassword(const Observation&, const ClusterView&);
/// ConfigMap, Services, budgets, claims, the password: before the first pod.
[[nodiscard]] std::optional<Plan> EnsureObjects(const Observation&, const ClusterView&);
/// Creates missing pods, all at once; once the cluster was formed beside whatever else is urgent.
[[nodiscard]] std::optional<Plan> EnsurePods(const Observation&, const ClusterView&);
/// Refuses when a stranger is in the node table.
[[nodiscard]] std::optional<Plan> RefuseStrangers(const Observation&, const ClusterView&);
/// Deletes pods that do not run and would not be made like this, or at all, any more (what lets a reverted change
/// recover), and pods that have ended.
[[nodiscard]] std::optional<Plan> ReplaceStuckPods(const Observation&, const ClusterView&);
/// Gives slots that nobody ever owned to the masters of a cluster that is being created.
[[nodiscard]] std::optional<Plan> AssignInitialSlots(const Observation&, const ClusterView&);
/// Introduces nodes that do not know each other, and makes those without slots replicas of their shard's master as soon
/// as they know it.
[[nodiscard]] std::optional<Plan> JoinNodes(const Observation&, const ClusterView&);
/// Removes dead nodes without slots from the tables once their pod lives on under a new id.
[[nodiscard]] std::optional<Plan> ForgetGhosts(const Observation&, const ClusterView&);
/// Lets replicas take over without votes when a majority of the masters is lost for good.
[[nodiscard]] std::optional<Plan> TakeOver(const Observation&, const ClusterView&);
/// Says that TakeOver waits for replicas that may have more than those that answer; nodes are introduced meanwhile.
[[nodiscard]] std::optional<Plan> AwaitBetterReplicas(const Observation&, const ClusterView&);
/// Shards of which no copy is left: says so, or gives their slots free, by policy.
[[nodiscard]] std::optional<Plan> ReportLostShards(const Observation&, const ClusterView&);
/// Slots of which everybody says that another one owns them: their last owner gets them back.
[[nodiscard]] std::optional<Plan> ReturnDeniedSlots(const Observation&, const ClusterView&);
/// Gives owners a new epoch whom nodes that were away do not take for the owners of their slots.
[[nodiscard]] std::optional<Plan> UpdateStaleViews(const Observation&, const ClusterView&);
/// The same as CloseOpenSlots for slots of pods that are about to end, which wait for that for some seconds: their
/// successors would know nothing of them.
[[nodiscard]] std::optional<Plan> CloseSlotsOfEndingPods(const Observation&, const ClusterView&);
/// Ends slot migrations that were left half-way.
[[nodiscard]] std::optional<Plan> CloseOpenSlots(const Observation&, const ClusterView&);
/// Deletes pods and objects of shards that are too many and own nothing any more.
[[nodiscard]] std::optional<Plan> RemoveRetiredShards(const Observation&, const ClusterView&);
/// Empties masters that leave, and evens the slots of the others.
[[nodiscard]] std::optional<Plan> Rebalance(const Observation&, const ClusterView&);
/// Deletes replicas that are too many, after a hand-over if one of them is master.
[[nodiscard]] std::optional<Plan> RemoveSurplusReplicas(const Observation&, const ClusterView&);
/// Waits for slots that the servers still move by themselves, perhaps for a specification that has changed since: what
/// follows replaces and removes pods.
[[nodiscard]] std::optional<Plan> AwaitMigrations(const Observation&, const ClusterView&);
/// Replaces outdated replicas that never got anything from their master: an older server cannot copy from a newer one,
/// so that all would wait for it.
[[nodiscard]] std::optional<Plan> ReplaceUnsyncedPods(const Observation&, const ClusterView&);
/// Hands slots over to a replica where a master refuses writes, because its disk takes none.
[[nodiscard]] std::optional<Plan> LeaveFullDisks(const Observation&, const ClusterView&);
/// Deletes the pod of a replica that asks an old address of its master and that nothing else helps.
[[nodiscard]] std::optional<Plan> RestartStaleReplicas(const Observation&, const ClusterView&);
/// Replaces pods that run an older specification.
[[nodiscard]] std::optional<Plan> RollPods(const Observation&, const ClusterView&);
/// Hands masters over until no Kubernetes node, zone, … has two more of them than another.
[[nodiscard]] std::optional<Plan> SpreadMasters(const Observation&, const ClusterView&);
/// Refuses a size or class that the claims cannot take.
[[nodiscard]] std::optional<Plan> RefuseStorageChange(const Observation&, const ClusterView&);
/// Whatever makes the cluster less than well, in words. Dead nodes that are left over do not: replacing all pods one
/// after another would take a node timeout more for each.
[[nodiscard]] std::optional<Plan> AwaitHealth(const Observation&, const ClusterView&);
/// Waits until no table lists what is left over.
[[nodiscard]] std::optional<Plan> AwaitForgetting(const Observation&, const ClusterView&);
/// Masters that no majority can replace, and that may still come back with writes: what a person can do. Nothing if
/// there are none.
[[nodiscard]] std::optional<std::string> DescribeLostMajority(const Observation&, const ClusterView&);
/// A master that may come back with its data, and whose replica could be elected and will not be: what a person can do.
[[nodiscard]] std::optional<std::string> DescribeUnelected(const Observation&, const ClusterView&);
inline constexpr const char* kUnelected = "AwaitingElection";
}  // namespace steps

/// It has no link, and goes on asking where its master was before, though it knows where it is: a server that hears of
/// the new address from others before the master itself says so leaves its replication as it is, for good
/// (clusterProcessGossipSection in Redis' src/cluster.c).
[[nodiscard]] bool AsksAnOldAddress(const NodeView& node, const NodeView& master);
/// Redis (7.0, 8.2) opens another link when it is told again whom to replicate; Valkey (8.0, 9.1) does nothing then.
[[nodiscard]] bool AsksAnewIfToldAgain(const NodeView& node);

/// The shard is one too many, and neither a slot nor an unfinished migration speaks for it.
[[nodiscard]] bool IsRetired(const Observation& observation, const ClusterView& view, int shard);

/// Those that own slots. Those that only have not answered yet count too: their votes are missing as well.
[[nodiscard]] size_t MastersOf(const ClusterView& view);

/// How many masters could be asked by that replica for their vote, and answer.
[[nodiscard]] size_t VotesWithinReachOf(const ClusterView& view, const NodeView& replica);

/// An orderly failover from `master` to its best replica that is in sync and takes writes, or nothing if it has none.
[[nodiscard]] std::optional<Plan> HandOver(const Observation& observation, const ClusterView& view,
                                           const NodeView& master, const std::string& reason, const std::string& why);

/// Its disk takes nothing (full, or read-only), so that it refuses all writes: writeCommandsDeniedByDiskError in Redis'
/// src/server.c.
[[nodiscard]] bool RefusesWrites(const RedisCluster& cluster, const NodeView& node);

/// An object has a name that we need and is somebody else's. A retained claim belongs to nobody and is taken up again
/// with its data.
[[nodiscard]] bool IsTaken(const RedisCluster& cluster, const std::string& kind, const reconciler::Json& object);

/// Directives that servers take without a restart.
struct LiveConfig {
  std::vector<Action> changes;  ///< What running servers do not have yet.
  /// All of it is running somewhere, in a pod as pods should be. Before that it does not belong into the file: a value
  /// that servers refuse would keep one that restarts from starting.
  bool taken = false;
};
[[nodiscard]] LiveConfig LiveConfigOf(const Observation& observation);

/// Before redis.conf changes: the pods of which nobody can say afterwards which of the two their servers have read.
/// After a cluster was formed those are the ones that do not answer: others have taken live what comes into the file.
[[nodiscard]] std::vector<Action> NotesBeforeTheFile(const Observation& observation,
                                                     const std::map<std::string, std::string>& before,
                                                     const std::map<std::string, std::string>& after);

enum class LiveValuesInFile : std::uint8_t { kAsSpecified, kAsTheyAre };
/// What is missing or differs of the objects that EnsureObjects looks after.
[[nodiscard]] std::vector<Action> ObjectRepairs(const Observation& observation, LiveValuesInFile live_values);

/// The live directives of the specification with the values that pods start with now; those of spec.config that none
/// has had yet are not among them. Those that the operator sets itself are as they should be.
[[nodiscard]] std::map<std::string, std::string> LiveDirectivesInUse(const Observation& observation);
/// Of pods that are made now: what they certainly start with. Not known is what is about to be changed in the file:
/// whether they see it before or after that nobody can say.
[[nodiscard]] LiveNotes NotesOfNewPods(const Observation& observation);

}  // namespace slotwright
