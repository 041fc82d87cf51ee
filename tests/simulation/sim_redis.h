// Redis Cluster as a model: processes, the cluster bus, elections, replication, migration.
//
// Held to what Redis 7.0 does (tests/conformance/redis_model plays the same scripts on both), with these
// simplifications: messages arrive at once or not at all; a handshake takes one step; replicas copy their master's
// state in steps of 100 ms instead of a stream, and an offset counts changes instead of bytes; only strings; one
// configuration epoch collision is settled at a time; MIGRATE takes no time; a dead node without slots is always passed
// on by gossip, which really depends on whether its address is being dialled at that moment; gossip never changes the
// address of a known node. With Bus::valkey it has the atomic slot migration of Valkey 9 as well (its keys arrive all
// at the last moment, in which the owner changes too, and replicas know nothing of it), and masters that lose their
// last slot to another shard stay masters, and who is told to forget a node has the others forget it, too; the other
// differences of Valkey, as its replicated SETSLOT, are not modelled.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "controllers/redis/commander.h"
#include "tests/simulation/sim_config.h"
#include "tests/simulation/simulator.h"

namespace slotwright::simulation {

struct Peer {
  NodeId id;
  Endpoint endpoint;
  std::string hostname;
  bool master = true;
  NodeId master_id;
  NodeId shard;  ///< The same for a master and its replicas, also when they change roles; Valkey decides by it.
  SlotSet slots;
  std::uint64_t epoch = 0;
  MonotonicTime pong;
  bool pfail = false;
  bool fail = false;
  bool noaddr = false;
  MonotonicTime failed_at;
  std::map<NodeId, MonotonicTime> reports;
};

/// What survives a process: nodes.conf and, with persistence, the data.
struct Disk {
  NodeId id;
  std::map<NodeId, Peer> table;
  std::uint64_t current_epoch = 0;
  std::map<Slot, NodeId> importing;
  std::map<Slot, NodeId> migrating;
  std::map<Slot, std::map<std::string, std::string>> data;
};

/// CLUSTER MIGRATESLOTS, as each of its two ends knows it. Gone with the process.
struct MigrationJob {
  std::string name;
  bool exports = false;
  SlotSet slots;
  NodeId source;
  NodeId target;
  std::int64_t began = 0;  ///< Seconds since 1970.
  std::int64_t ended = 0;
  std::string state;    ///< In the server's words.
  std::string message;  ///< Why it failed.

  [[nodiscard]] bool Active() const { return state != "success" && state != "failed" && state != "cancelled"; }
};

class Bus;

/// One redis-server process in cluster mode.
class Node {
 public:
  Node(Bus& bus, Endpoint endpoint, std::string hostname, std::string password, Disk disk);

  /// One command of a client or of the operator. `asking`: ASKING came before it.
  [[nodiscard]] Reply Execute(const Command& command, bool asking);
  /// All in one go: what they have for others to hear is sent once, at the end.
  [[nodiscard]] std::vector<Reply> ExecutePipeline(std::span<const Command> commands);
  /// What happens ten times a second.
  void Cron();

  [[nodiscard]] const Endpoint& endpoint() const { return endpoint_; }
  [[nodiscard]] const NodeId& id() const { return disk_.id; }
  [[nodiscard]] const std::string& hostname() const { return hostname_; }
  /// The first part of its hostname.
  [[nodiscard]] std::string pod() const { return hostname_.substr(0, hostname_.find('.')); }
  [[nodiscard]] const std::string& password() const { return password_; }
  [[nodiscard]] const Disk& disk() const { return disk_; }
  [[nodiscard]] const Peer& me() const { return disk_.table.at(disk_.id); }
  [[nodiscard]] MonotonicTime booted() const { return booted_; }
  [[nodiscard]] bool link_up() const { return link_up_; }
  [[nodiscard]] bool ever_synced() const { return ever_synced_; }
  [[nodiscard]] MonotonicTime follows_since() const { return follows_since_; }
  /// It has asked that one for its data, and is connected to it; also if it hangs by now.
  [[nodiscard]] bool WaitsFor(const Node& source) const {
    return !link_up_ && linked_to_ == source.run_id_ && !Me().master;
  }
  /// A replica hears what its master has done by now.
  void CatchUp() {
    if (link_up_) Replicate();
  }
  [[nodiscard]] bool state_ok() const { return state_ok_; }
  [[nodiscard]] std::int64_t KeyCount() const;

  Directives directives;     ///< As the process has them now.
  bool quarantined = false;  ///< Replicas wait for ever for their first synchronisation.
  bool leaving = false;      ///< So do they here.
  bool hung = false;
  /// Reads its files as it starts: off the bus, and refuses nearly all that is asked. Set before its first moment.
  bool loading = false;
  [[nodiscard]] bool works() const { return !hung && !loading; }
  void EndLoading();
  int bus_offset = 10000;  ///< Above the port; the same on all nodes of a cluster.
  int side = 0;            ///< Of a partition: nodes of different sides do not hear of each other; clients reach both.
  bool hidden = false;     ///< From the operator.
  bool took_epoch_alone = false;  ///< For slots that it was given while it, or who gave them, was cut off.
  Duration answer_delay{0};       ///< Until it answers the operator.

 private:
  friend class Bus;
  Peer& Me() { return disk_.table.at(disk_.id); }
  void ListMyself();
  [[nodiscard]] Peer* Find(const NodeId& id);
  [[nodiscard]] Peer* Find(const std::string& id) { return Find(NodeId::Parse(id).value_or(NodeId())); }
  [[nodiscard]] const Peer& Me() const { return me(); }
  [[nodiscard]] const Peer* OwnerOf(Slot slot) const;

  // The bus.
  void Ping(Peer& peer);
  void Receive(const Node& sender);
  void UpdateSlots(Peer& sender, const SlotSet& claimed);
  void HearOfNewerOwners(const Node& sender);
  void Meet(const Endpoint& endpoint);
  void ReopenLinkTo(const NodeId& id);
  [[nodiscard]] bool HasLinkTo(const NodeId& id) const;
  void CheckPeers();
  void CheckElection();
  void Win(std::uint64_t epoch, bool by_themselves);
  [[nodiscard]] int Rank() const;
  [[nodiscard]] bool Elect(bool forced);
  [[nodiscard]] bool Vote(const Node& candidate, std::uint64_t epoch, bool forced);
  void CheckState();
  void Replicate();
  void FollowMaster(const NodeId& master);
  void DropKeysOf(const SlotSet& slots);
  [[nodiscard]] int Majority() const;
  [[nodiscard]] bool TakeNewEpoch();
  void TakeEpochForNewSlots();
  void AnnounceNewSlots();

  // Atomic migration (sim_redis_migration.cc).
  [[nodiscard]] Reply MigrateSlots(const Command& command);
  [[nodiscard]] std::string WhyNotExported(SlotRange range, const SlotSet& before) const;
  void StartExport(const SlotSet& slots, const NodeId& target);
  [[nodiscard]] Reply GetSlotMigrations() const;
  [[nodiscard]] Reply CancelSlotMigrations();
  void BeginExport(const std::string& name);
  void FinishExport(const std::string& name);
  void CheckMigrations();
  [[nodiscard]] MigrationJob* FindJob(const std::string& name);
  void Fail(MigrationJob& job, std::string message) const;
  [[nodiscard]] std::int64_t SecondsNow() const;
  [[nodiscard]] bool IsMigrating(Slot slot, bool exports) const;

  // Commands.
  [[nodiscard]] Reply Answer(const Command& command, bool asking);
  [[nodiscard]] Reply Cluster(const Command& command);
  [[nodiscard]] Reply CommandInfo(const Command& command) const;
  [[nodiscard]] Reply Config(const Command& command);
  [[nodiscard]] Reply BumpEpoch();
  [[nodiscard]] Reply SetConfigEpoch(std::int64_t epoch);
  [[nodiscard]] Reply AddSlotsRange(const Command& command);
  [[nodiscard]] Reply KeysInSlot(const Command& command) const;
  [[nodiscard]] Reply SetSlot(const Command& command);
  [[nodiscard]] Reply SetSlotNode(Slot slot, Peer& owner);
  [[nodiscard]] Reply Forget(const std::string& name);
  void Ban(const NodeId& id, MonotonicTime until);
  [[nodiscard]] Reply Reset(const std::string& how);
  [[nodiscard]] Reply ReplicateCommand(const std::string& name);
  [[nodiscard]] Reply Failover(const std::string& how);
  [[nodiscard]] Reply Migrate(const Command& command);
  [[nodiscard]] Reply OnKey(const Command& command, bool asking);
  [[nodiscard]] std::uint64_t EpochShown(const Peer& peer) const;
  [[nodiscard]] std::string NodesText() const;
  [[nodiscard]] std::string InfoText() const;

  Bus& bus_;
  const Endpoint endpoint_;
  const std::string hostname_;
  const std::string password_;
  Disk disk_;
  MonotonicTime booted_;  // or has loaded its files
  const std::string run_id_;
  std::map<NodeId, MonotonicTime> banned_;
  std::map<NodeId, MonotonicTime> told_to_forget_;  ///< By others, until it does so itself.
  std::set<Endpoint> meeting_;
  std::map<NodeId, MonotonicTime> reopened_;  ///< When links that were closed are there again.
  std::uint64_t last_vote_ = 0;
  std::map<NodeId, MonotonicTime> voted_;
  std::optional<MonotonicTime> election_at_;
  bool state_ok_ = false;
  std::optional<MonotonicTime> among_minority_;
  std::optional<Endpoint> master_address_;  ///< Where the replication link leads, whoever is there by now.
  std::int64_t offset_ = 0;                 ///< Of replication: one for each change.
  bool link_up_ = false;
  std::string linked_to_;  // the run id of the master's process
  std::optional<MonotonicTime> sync_done_;
  MonotonicTime link_lost_;
  MonotonicTime follows_since_;
  bool ever_synced_ = false;
  bool has_new_slots_ = false;      ///< That the others have not heard of.
  std::vector<MigrationJob> jobs_;  ///< The newest first.
};

/// All processes and the network between them.
class Bus {
 public:
  Bus(Simulator& world, milliseconds timeout) : simulator(world), node_timeout(timeout) {}

  Node& Start(const Endpoint& endpoint, const std::string& hostname, const std::string& password,
              std::optional<Disk> disk);
  void Stop(const Endpoint& endpoint);
  [[nodiscard]] Node* At(const Endpoint& endpoint) const;
  [[nodiscard]] Node* ById(const NodeId& id) const;
  [[nodiscard]] std::vector<Node*> All() const;
  /// Whether packets of the cluster bus get from one to the other.
  [[nodiscard]] bool Reaches(const Node& from, const Endpoint& to) const;
  [[nodiscard]] NodeId NewId();

  Simulator& simulator;
  const milliseconds node_timeout;
  bool valkey = false;  ///< All nodes are of Valkey 9.
  milliseconds answer_spread{0};
  std::function<void(const std::string&)> trace;
  /// Before `winner` takes over; `by_themselves`: nobody told it to.
  std::function<void(const Node& winner, bool by_themselves)> on_election;
  /// Before `loser` gives slots up that another one claims with a higher epoch.
  std::function<void(const Node& loser, const NodeId& claimant)> on_overruled;

 private:
  void ScheduleCron(const Endpoint& endpoint, const std::string& run_id);
  std::map<Endpoint, std::unique_ptr<Node>> nodes_;
  std::uint64_t next_id_ = 1;
};

}  // namespace slotwright::simulation
