// What to do next and why, as a value. Plans are made by pure functions and carried out by act/.
#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "controllers/observe/live_notes.h"
#include "controllers/resources/resources.h"
#include "controllers/topology/cluster_nodes.h"

namespace slotwright {

/// A node to talk to: in this round's look the node at that endpoint said that it is `id`. Commands reach it only over
/// a connection on which it said so.
struct NodeRef {
  std::string pod;
  NodeId id;
  Endpoint endpoint;
};

/// Creates an object, or merges what it lacks into the one that exists and is ours.
struct EnsureObject {
  DesiredObject desired;
  bool exists = false;
};
/// Generates a password and stores it in the cluster's Secret.
struct CreatePassword {};
struct CreatePod {
  std::string name;
  reconciler::Json pod;
};
/// Writes status.formedAt: from now on unassigned slots mean lost data.
struct RecordFormed {};
struct AssignSlots {
  NodeRef node;
  SlotSet slots;
  std::optional<std::uint64_t> epoch;  ///< For a node that knows no other and has epoch 0 (CLUSTER SET-CONFIG-EPOCH).
};
/// `from` gets one CLUSTER MEET for each peer, after an epoch of its own if it is to be a master that knows nobody yet.
struct Meet {
  struct Peer {
    Endpoint endpoint;
    int bus_port = 0;  ///< As it announces it.
  };
  NodeRef from;
  std::vector<Peer> peers;
  std::optional<std::uint64_t> epoch;  ///< As in AssignSlots.
};
struct Replicate {
  NodeRef node;
  NodeId master;
  std::string master_pod;
};
/// From now on replicas may copy this node (see resources/scripts/start.sh).
struct EndQuarantine {
  NodeRef node;
  std::vector<std::pair<std::string, std::string>> directives;  ///< For CONFIG SET, one after the other.
};
/// Removes `id` from the table of `from`.
struct Forget {
  NodeRef from;
  NodeId id;
};

/// Gives slots and their keys to `to`, in batches of up to 256 that are open together; as many as fit into one slice of
/// time. What is left open then is finished by the next look; what was not begun keeps its owner. `from` owns all of
/// them.
struct MigrateSlots {
  NodeRef from;
  NodeRef to;
  SlotSet slots;
  MigrationMethod method = MigrationMethod::kKeys;
  bool several_databases = false;  ///< There may be keys in others than 0, which are lost by keys.
  /// Known, and meant: some of their keys are there already, and its successor gets them.
  bool to_ending_pod = false;
  bool from_ending_pod = false;  ///< Known, and meant: its successor would not know that they are being given away.
};
/// Ends what is left of a migration on one node: CLUSTER SETSLOT STABLE or, with an owner, NODE.
struct SettleSlots {
  NodeRef node;
  SlotSet slots;
  std::optional<NodeId> owner;
};
/// A configuration epoch above all others, without the others' consent (CLUSTER BUMPEPOCH): its claims beat theirs.
struct TakeNewEpoch {
  NodeRef node;
};
/// Ends what a node of Redis (8.4) was told to import and has tried in vain for half a minute, if there is such.
struct EndImports {
  NodeRef node;
};
/// An orderly failover: `replica` takes over from its live master without losing a write. Forced: its master is dead,
/// and the others are asked for their votes at once.
struct Failover {
  NodeRef replica;
  std::string master_pod;
  bool forced = false;
  NodeId master = {};       ///< Forced: who is dead. If the replica follows another one by now, nothing is done.
  std::string missing_pod;  ///< As in Takeover.
};
/// Takes over from a dead master without the votes that cannot be had any more, if the replica follows that one still.
struct Takeover {
  NodeRef replica;
  NodeId master;
  SlotSet unknown_slots;  ///< Of the master, whose owner the replica never heard of: it claims them itself.
  /// The master's, if no cache shows it: only if the API server says too that it is not there, or that another one is
  /// which has never started. (A pod without our labels is in no cache.)
  std::string missing_pod;
};
/// Deletes that very pod, and no later one of the same name.
struct DeletePod {
  std::string name;
  std::string uid;
  /// Its node, if that leaves the cluster for good and its volume stays: whoever comes back with that is another one
  /// (CLUSTER RESET HARD). For a minute the others would not suffer the one that they were told to forget.
  std::optional<NodeRef> leaving = std::nullopt;
};
/// The same for a pod that its shard can do without for now: only if the shard's disruption budget allows it, and while
/// its other pods are there to stay, by what the API server says at that moment.
struct EvictPod {
  std::string name;
  std::string uid;
  /// What is to come instead: only if the API server would take that.
  std::optional<reconciler::Json> successor = std::nullopt;
  std::optional<NodeRef> leaving = std::nullopt;                    ///< As in DeletePod.
  std::optional<std::chrono::seconds> grace_period = std::nullopt;  ///< Until it is killed; nothing: as the pod says.
};
struct DeleteObject {
  reconciler::ResourceType type;
  std::string name;
  std::string uid;
};
/// Directives for one CONFIG SET, which takes all of them or none, and what to note on the pod.
struct LiveChange {
  std::map<std::string, std::string> directives;
  std::optional<LiveNotes> before;      ///< Says that their values are not known; nothing: need not be said.
  LiveNotes after;                      ///< Once the server has taken them.
  std::optional<LiveNotes> if_refused;  ///< Nothing: is noted already.
};
/// Says of a pod, before the file that its server is about to read changes, that what it will have is not known.
struct NotePod {
  std::string name;
  LiveNotes notes;
};
/// Changes directives of a running node. Whenever the operator dies, the note on the pod claims no more than is true.
struct SetConfig {
  NodeRef node;
  LiveChange change;
};

using Action = std::variant<EnsureObject, CreatePassword, CreatePod, RecordFormed, AssignSlots, Meet, Replicate,
                            EndQuarantine, Forget, MigrateSlots, SettleSlots, TakeNewEpoch, EndImports, Failover,
                            Takeover, DeletePod, EvictPod, DeleteObject, NotePod, SetConfig>;

/// "assign slots 0-5460 to demo-0-0 (9e3e7f36)"
[[nodiscard]] std::string ToString(const Action& action);

/// What cannot be done safely, said aloud: goes into a condition, a Warning event and the log.
struct Refusal {
  std::string reason;   ///< CamelCase, for machines: "InvalidSpec".
  std::string message;  ///< What, why, and what a person can do.
  friend bool operator==(const Refusal&, const Refusal&) = default;
};

/// How far a migration is. The planner says what is left; the last slice how fast it goes, if it moved anything.
struct MigrationProgress {
  int slots_left = 0;
  std::optional<std::int64_t> keys_per_second = std::nullopt;
  std::optional<std::int64_t> seconds_left = std::nullopt;
};

/// The answer of one round. Actions of one Plan are independent of each other.
struct Plan {
  std::string step;     ///< The step that decided: "assign-slots".
  std::string reason;   ///< CamelCase, for conditions and events: "AssigningSlots".
  std::string message;  ///< One sentence for people: what is done or waited for, and why.
  std::vector<Action> actions;
  std::size_t beside = 0;  ///< The last so many actions are done beside what the step, reason and message tell.
  std::optional<Refusal> refusal;
  std::optional<RedisCluster> last_valid;  ///< Where the specification is refused: for what the actions were decided.
  /// What is under way although something is refused; its reason and message.
  std::optional<std::pair<std::string, std::string>> meanwhile;
  std::optional<MigrationProgress> migration;
  bool until_it_stands = false;  ///< Another message is another wait: what is waited for still moves.
  bool settled = false;          ///< Nothing to do and everything as it should be: Ready=True.
  /// Look again after that time unless an event comes first.
  std::chrono::milliseconds look_again{5000};
};

}  // namespace slotwright
