// Everything that one decision is based on, as one value: the resource, Kubernetes' objects, and what every node says.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "controllers/api/redis_cluster.h"
#include "controllers/observe/live_notes.h"
#include "controllers/topology/cluster_nodes.h"
#include "reconciler/base/clock.h"

namespace slotwright {

/// One Pod of the cluster as Kubernetes' cache has it; it may be old.
struct PodView {
  std::string name;
  std::string uid;
  int shard = -1;
  int index = -1;
  std::string ip;    ///< Empty until the pod has one.
  std::string node;  ///< The Kubernetes node.
  /// Where it is, by topology key: "kubernetes.io/hostname" is the node; others as far as the pod's labels say them
  /// (topology.kubernetes.io/zone and region do from Kubernetes 1.35 on).
  std::map<std::string, std::string> domains;
  std::string phase;  ///< Pending, Running, …
  reconciler::WallTime created{};
  /// When its container started or ended last; if it never did, when the pod was made.
  reconciler::WallTime container_changed{};
  bool terminating = false;
  bool ready = false;
  bool ours = false;  ///< Controlled by this very RedisCluster (by uid).
  std::string hash;   ///< annotations::kPodHash.
  LiveNotes live_notes;
  int restarts = 0;     ///< Of its container, in this pod.
  std::string trouble;  ///< Why it does not run ("ErrImagePull: …"); empty if nothing is known to be wrong.

  /// Nothing of it will ever run again (evicted by its kubelet, a machine that was shut down), and only who deletes it
  /// makes room for another.
  [[nodiscard]] bool HasEnded() const { return phase == "Failed" || phase == "Succeeded"; }
};

/// What the Redis behind a pod said in this round, or why it said nothing.
struct NodeView {
  std::string pod;
  int shard = -1;
  int index = -1;
  Endpoint endpoint;
  std::string error;          ///< Why there is no answer; then the rest is empty.
  bool unauthorized = false;  ///< It refused our password.
  bool loading = false;       ///< Its data is not loaded yet; what it answers until then counts for nothing.
  bool foreign = false;  ///< It answers, but it is not the node of this pod: its address was reused. Never touched.
  std::optional<NodeTable> table;
  ClusterInfo info;
  ServerInfo server;
  /// How many keys it holds of each slot that any master has open; asked only when there are such slots.
  std::map<Slot, std::int64_t> keys_in_open_slots;

  /// It is new, and nobody may copy it yet.
  bool quarantined = false;
  bool leaving = false;  ///< It was reset, and is about to end: nobody is to meet it again, whatever a cache says.

  /// Slot migrations that the servers carry out by themselves and in which it takes part. The slots of such a one are
  /// not open, and its target has neither slots nor keys to show until the very end.
  int active_migrations = 0;

  /// It answered fully and is who it should be.
  [[nodiscard]] bool Answers() const { return table.has_value() && !foreign; }
  /// A replica that has all that its master has, but for what is under way. REQUIRES: Answers().
  [[nodiscard]] bool InSync() const {
    return !server.master_role && server.master_link_up && !server.master_sync_in_progress;
  }
  [[nodiscard]] const NodeLine& me() const { return table->myself(); }
  [[nodiscard]] const NodeId& id() const { return table->myself().id; }
};

/// The state of the password's Secret. The password itself is not part of an Observation.
struct PasswordView {
  enum class State { kUsable, kMissingSecret, kMissingKey, kRefused, kUnreadable };
  State state = State::kMissingSecret;
  std::string problem;  ///< For kRefused and kUnreadable: why.
};

struct Observation {
  RedisCluster cluster;
  reconciler::WallTime now;
  PasswordView password;
  /// Objects that are ours or sit on one of our names, by (kind, name).
  std::map<std::pair<std::string, std::string>, reconciler::ObjectPtr> objects;
  std::vector<PodView> pods;    ///< Sorted by shard and index.
  std::vector<NodeView> nodes;  ///< One for each pod that has an address and is not terminating.
  /// Of those that are terminating and still run. Asked only while slots are being moved: what of them is open has to
  /// be closed before they hand over.
  std::vector<NodeView> ending;

  /// How many shards exist or should: 0 … masters-1, and above them those that have not been taken away yet. A shard
  /// exists while it has a pod, a claim (which may be kept for longer) or a disruption budget, which goes last.
  [[nodiscard]] int ShardCount() const;
  [[nodiscard]] const PodView* FindPod(const std::string& name) const;
};

}  // namespace slotwright
