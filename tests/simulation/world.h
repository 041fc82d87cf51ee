// A whole simulated world: Kubernetes, Redis, the production operator, a user, clients and misfortune.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "controllers/rediscluster_controller.h"
#include "local/apiserver/api_server.h"
#include "tests/simulation/effects.h"
#include "tests/simulation/sim_api.h"
#include "tests/simulation/sim_commander.h"
#include "tests/simulation/sim_redis.h"

namespace slotwright::simulation {

/// Named only by specifications that are refused.
inline constexpr const char* kRefusedImage = "redis:refused";

/// No registry has it.
inline constexpr const char* kMissingImage = "redis:missing";

/// How long it takes until Kubernetes knows that a container has started again, at most.
inline constexpr milliseconds kReportDelay{1000};

/// Of a RedisCluster's status: Ready or, while its specification is refused, as the last valid one describes it.
[[nodiscard]] bool SaysThatAllIsWell(const reconciler::Json& status);

class World {
 public:
  explicit World(std::uint64_t seed);
  ~World();

  /// The user applies a RedisCluster "demo", or changes its specification (a merge patch).
  void Apply(const reconciler::Json& spec);
  /// The same; what the API server says against it, or "".
  [[nodiscard]] std::string TryApply(const reconciler::Json& spec);
  void Pause(bool paused);
  /// For longer than whatever had begun before goes on.
  [[nodiscard]] bool IsPausedForLong() const;
  /// As redis-cli --cluster reshard does it, from one master to another; the last slot may stay open.
  void MoveSlotsByHand(int count, bool leaves_one_open);
  /// If the operator leaves something to a person: who does what its message says, a takeover or, of a shard that
  /// nobody could save, to serve it empty.
  [[nodiscard]] bool DoesAsAdvised();
  /// Kubernetes collects what it owns. Clients that still wrote to it would lose that, and stop.
  void DeleteCluster();
  /// With the specification that it had; with `empty`, what was written before is gone on purpose.
  void MakeAnew(bool empty);
  /// Objects of a deleted cluster, but for its claims; and those, unless they shall stay.
  [[nodiscard]] std::vector<std::string> LeftOvers(bool claims_stay);
  void PutSecret(const std::string& name, const std::string& key, const std::string& text);
  /// Lets time pass; the operator works and, when it dies, comes back.
  void Run(Duration duration);
  /// Until the status says that all is well with the newest generation; false after `limit`.
  [[nodiscard]] bool Converges(Duration limit);
  /// Whether the operator changes nothing for that long.
  [[nodiscard]] bool StaysSilent(Duration duration);

  // Misfortune.
  /// With `loses_volume` it finds nothing of its data when it starts again.
  void KillContainer(const std::string& pod, bool loses_volume = false);
  void DeletePod(const std::string& pod);
  /// Its kubelet ends it for good, and leaves it there: phase Failed.
  void FailPod(const std::string& pod);
  void Hang(const std::string& pod, Duration duration);
  void Outage(Duration duration);
  void Partition(const std::set<std::string>& pods, bool from_operator, Duration duration);
  void LoseMachine(int machine);
  /// Pods that are made from now on find no machine for that long.
  void RunOutOfRoom(Duration duration);
  /// All containers of a shard die at once, which has no volumes: nothing of it is left.
  void LoseShard(int shard);
  /// Somebody drains still, or there is no room yet.
  [[nodiscard]] bool IsHeldUp() const;
  [[nodiscard]] bool may_have_lost_a_shard() const { return may_have_lost_a_shard_; }
  void Drain(int machine);
  void DeleteAllPods();
  /// It answers the operator only after that time.
  void SlowDown(const std::string& pod, Duration by, Duration duration);
  /// From now on somebody else's nodes reuse the addresses of pods that are gone.
  void AddStrangers(bool with_our_password);
  /// Every cache of the operator is this much behind from now on.
  void SetCacheLag(milliseconds low, milliseconds high);

  /// Servers that find data as they start take up to so long to read it, one in two.
  void SetLongestLoad(milliseconds longest) { longest_load_ = longest; }
  /// The nodes of one look, or of one round of commands, are up to so much later than the one before.
  void SetAnswerSpread(milliseconds spread) { bus_.answer_spread = spread; }

  void StartClients();
  void StopClients() { clients_run_ = false; }
  /// Acknowledged writes that are not there; with `excuses`, but for those that Redis itself may lose (writes.cc).
  [[nodiscard]] std::vector<std::string> LostWrites(bool excuses = false);
  struct Counts {
    std::int64_t acknowledged = 0;
    std::int64_t excused = 0;
  };
  [[nodiscard]] Counts CountWrites() const;

  /// Broken promises so far; the run stops being interesting at the first.
  [[nodiscard]] const std::vector<std::string>& violations() const { return violations_; }
  /// In what the cluster differs from its specification, whatever the status says; once all that was to be done is
  /// done.
  [[nodiscard]] std::vector<std::string> Differences();
  /// Servers that do not run with what the specification says, though they have run for that long.
  [[nodiscard]] std::vector<std::string> MisconfiguredServers(Duration since);
  /// Of each shard its masters, and how many slots (or that it has its share), replicas and open slots they have; of
  /// each pod how many nodes it knows.
  [[nodiscard]] std::string Topology();
  /// That, what the status says of it, and all objects, without ids, addresses and times.
  [[nodiscard]] std::string EndState();
  /// All objects of the cluster by "Kind name", without what is this life's own: ids, times, status, secrets, and notes
  /// of what was changed live.
  [[nodiscard]] std::map<std::string, reconciler::Json> Objects();
  [[nodiscard]] std::string ReadyMessage();
  /// What every node believes, as CLUSTER NODES.
  [[nodiscard]] std::string Tables() const;
  [[nodiscard]] std::vector<std::string> Pods() const;
  /// Those that run, each as "POD UID RESTARTS": the same ones as long as nobody was replaced or started anew.
  [[nodiscard]] std::vector<std::string> Processes() const;
  [[nodiscard]] Node* NodeOf(const std::string& pod) const;
  /// Another process has all that this one has, and nobody is about to end it.
  [[nodiscard]] bool IsCopied(const std::string& pod) const;

  /// All nodes are of Valkey 9 from now on.
  void UseValkey() { bus_.valkey = true; }

  Simulator simulator;
  Effects effects{simulator};
  /// An operator that has much to do looks no earlier than that after its last look; only what happens in Kubernetes
  /// wakes it before.
  Duration look_delay{0};
  void Trace();

 private:
  struct Process {
    std::string uid;
    Endpoint endpoint;
    std::string hostname;
    Directives options;  // of the container
    reconciler::Json container;
    Directives file;  // redis.conf, as the kubelet has last written it
    int restarts = 0;
    MonotonicTime created;
    MonotonicTime started;
    MonotonicTime stopped;
    MonotonicTime told_to_end;
    bool has_volume = false;
    std::string claim_uid;  // of its volume, as it starts
    bool terminating = false;
    bool ended_by_operator = false;
    bool ended_as_replica = false;
    bool running = false;
    bool machine_lost = false;
    bool has_ended = false;  // for good; the pod is still there
    bool is_unschedulable = false;
    std::string trouble;  // why its container ended at once; "" while it runs
    bool is_probed = false;
    bool ready = false;
    int refusals = 0;                  // of the readiness probe, one after the other
    std::optional<MonotonicTime> fit;  // when that probe last saw it hold its shard's data
  };
  struct Life;  // of the operator's process
  struct Written {
    int last = 0;
    std::vector<int> acknowledged;
    std::set<int> excused;
  };

  /// By redis-cli: what is still to be done.
  struct Resharding {
    NodeId from;
    NodeId to;
    std::vector<Slot> slots;
    bool leaves_one_open = false;
    milliseconds pace{0};  // from command to command, at most
    int step = 0;          // of the first slot
  };

  void OnChange(const std::string& plural, const reconciler::ObjectKey& key);
  void Feed(const std::string& plural, const reconciler::ObjectKey& key, std::uint64_t life);
  void OnPod(const reconciler::ObjectKey& key);
  void Misfortune(const std::string& what);
  void Reshard(Resharding resharding);
  [[nodiscard]] bool TakesNextStep(Resharding& resharding, Node& from, Node& to);
  void Evict(const std::string& pod, const std::string& uid);
  void MoveAStrangerTo(const Endpoint& endpoint);
  [[nodiscard]] std::string StrangersPassword();
  void StartPod(const reconciler::ObjectKey& key, const std::string& uid);
  void StartProcess(const std::string& pod);
  /// The container ended; it starts again after that time, as far as its pod is still there.
  void RestartContainer(const std::string& pod, Duration after);
  [[nodiscard]] Directives RedisConfNow();
  void ReportContainer(const std::string& pod);
  void ReportMissingImage(const std::string& pod);
  void ReportUnschedulable(const std::string& pod);
  void ReportStatus(const std::string& pod, const reconciler::Json& status);
  void Probe(const std::string& pod, const std::string& uid);
  void SetReady(const std::string& pod, bool ready);
  [[nodiscard]] static bool IsFit(const Node& node);
  [[nodiscard]] static bool HoldsSlots(const Node& node);
  void StopProcess(const std::string& pod);
  void EndPod(const reconciler::ObjectKey& key, const std::string& uid, Duration waited);
  [[nodiscard]] milliseconds HandOverBeforeTheEnd(const std::string& pod);
  void FinishPod(const reconciler::ObjectKey& key, const std::string& uid);
  [[nodiscard]] std::string FreeAddress() const;
  [[nodiscard]] std::string Password();
  [[nodiscard]] std::string ClaimUidOf(const std::string& pod);
  [[nodiscard]] std::string PasswordOf(const std::string& pod);
  [[nodiscard]] milliseconds NodeTimeout() const { return milliseconds(5000); }
  void StartOperator();
  void Step(MonotonicTime end);

  using Broken = std::vector<std::string>;  // promises
  [[nodiscard]] Broken InspectRequest(const reconciler::HttpRequest& request);
  [[nodiscard]] Broken InspectFile(const reconciler::Json& config_map);
  /// There should be such a pod, by the newest specification.
  [[nodiscard]] bool IsWanted(const std::string& pod);
  [[nodiscard]] Broken InspectDeletion(const std::string& pod);
  void InspectEviction(const std::string& pod);
  [[nodiscard]] Broken InspectReady(const reconciler::Json& status);
  [[nodiscard]] std::string WhatIsWrong();
  void InspectStoredReady();
  void InspectCommands(const Node& node, std::span<const Command> commands, const std::function<void()>& carry_out);
  void InspectCommand(const Node& node, const Command& command, const SlotSet& covered);
  void InspectNewSlots(const Node& node, const Command& command);
  void InspectRest(int effects_before);
  void Violated(const std::string& what);
  [[nodiscard]] bool IsOurs(const Node& node) const;
  [[nodiscard]] std::vector<Node*> Ours() const;
  void InspectTables();
  [[nodiscard]] SlotSet Covered() const;
  [[nodiscard]] SlotSet TakenSince(const Peer& owner) const;
  void Write();
  [[nodiscard]] bool IsSucceeded(const Node& node, Slot slot);
  [[nodiscard]] std::vector<const Disk*> Copies(const std::function<bool(const std::string& pod)>& counts) const;
  [[nodiscard]] std::vector<std::pair<std::string, int>> MissingFrom(const std::vector<const Disk*>& copies) const;
  bool ExcuseAllBut(const std::vector<const Disk*>& copies);
  void AccuseOfLosses();
  /// Whether there was something.
  bool ExcuseWhatNobodyHas();
  void ExcuseACoincidence(const std::string& pod);
  void ExcuseWhatIsHidden(const Node& owner, const std::string& key);
  void ExcuseWhatIsOverruled(const Node& loser, const NodeId& claimant);
  void ExcuseAtElection(const Node& winner, bool by_themselves);

  Bus bus_;
  local::ApiServer server_;
  std::shared_ptr<SimApi> users_way_;
  std::unique_ptr<reconciler::Client> user_;
  std::map<std::string, Process> processes_;            // by pod
  std::map<std::string, std::optional<Disk>> volumes_;  // by claim; survive pods
  std::map<std::string, Endpoint> strangers_;           // by hostname
  bool strangers_have_our_password_ = false;
  std::set<std::string> to_be_evicted_;  // uids; some still are, as soon as a budget allows it
  reconciler::Json deleted_spec_;
  bool is_deleted_ = false;
  bool may_have_lost_a_shard_ = false;
  int pods_per_shard_ = 0;
  int least_pods_per_shard_ = 1000;  // of the specifications that the operator may be acting on
  std::unique_ptr<Life> life_;
  std::uint64_t lives_ = 0;
  MonotonicTime restart_at_;
  MonotonicTime last_misfortune_;
  MonotonicTime no_room_until_;
  MonotonicTime last_slot_by_hand_;
  MonotonicTime next_inspection_;
  std::optional<MonotonicTime> wrong_since_;  // though the stored status says Ready
  milliseconds lag_low_{1};
  milliseconds lag_high_{20};
  milliseconds longest_load_{0};
  bool claims_slots_ = false;   // who is told something in this very moment
  bool operator_acts_ = false;  // in this very moment
  bool clients_run_ = false;
  std::map<std::string, Written> written_;
  std::optional<MonotonicTime> paused_at_;
  MonotonicTime outage_ended_;
  bool was_ever_to_serve_empty_ = false;  // what is lost
  std::map<NodeId, MonotonicTime> died_;
  std::set<Slot> inherited_open_;  // by who was elected while its master gave them away
  std::vector<std::string> violations_;
  std::optional<bool> ready_;  // the stored status says so; nothing: not looked yet
  std::optional<bool> said_;   // that all is well, by the resource as it is stored; nothing: not looked yet
  bool trace_ = false;
};

}  // namespace slotwright::simulation
