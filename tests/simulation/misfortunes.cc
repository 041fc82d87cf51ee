// What happens to a simulated world that nobody wants: see world.h.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "controllers/api/names.h"
#include "controllers/topology/text.h"
#include "tests/simulation/operator_life.h"
#include "tests/simulation/world.h"

namespace slotwright::simulation {

namespace types = reconciler::types;

void World::Misfortune(const std::string& what) {
  AccuseOfLosses();
  if (effects.trace) effects.trace(what);
  last_misfortune_ = simulator.Now();
}

void World::KillContainer(const std::string& pod, bool loses_volume) {
  const Node* node = NodeOf(pod);
  if (node == nullptr) return;
  Misfortune(fmt::format("the container of {} is killed{}", pod, loses_volume ? ", and its volume is empty" : ""));
  const bool has_replicas = node->me().master && std::ranges::any_of(node->disk().table, [&](const auto& entry) {
                              return !entry.second.master && entry.second.master_id == node->id();
                            });
  StopProcess(pod);
  if (loses_volume) volumes_.erase("data-" + pod);
  ExcuseWhatNobodyHas();
  simulator.After(simulator.RandomMs(10, kReportDelay.count()), [this, pod, uid = processes_[pod].uid] {
    if (processes_[pod].uid == uid && !processes_[pod].running) SetReady(pod, false);
  });
  // start.sh: a master with replicas waits until one of them had the time to be elected.
  const Duration wait = has_replicas ? Duration(NodeTimeout() + std::chrono::seconds(6)) : simulator.RandomMs(50, 1000);
  RestartContainer(pod, wait);
}

void World::FailPod(const std::string& pod) {
  Process& process = processes_[pod];
  if (!process.running || process.terminating) return;
  Misfortune("the machine has too little memory left for " + pod);
  StopProcess(pod);
  ExcuseWhatNobodyHas();
  process.has_ended = true;
  simulator.After(simulator.RandomMs(10, kReportDelay.count()), [this, pod, uid = process.uid] {
    if (processes_[pod].uid != uid) return;
    const reconciler::Json status = {
        {"phase", "Failed"},
        {"reason", "Evicted"},
        {"conditions", reconciler::Json::array({{{"type", "Ready"}, {"status", "False"}}})}};
    (void)user_->Patch(types::kPods, {"default", pod}, reconciler::PatchType::kMerge, {{"status", status}},
                       {.subresource = "status", .field_manager = "", .force = false});
  });
}

void World::DeletePod(const std::string& pod) {
  Misfortune("somebody deletes the pod " + pod);
  (void)user_->Delete(types::kPods, {"default", pod});
}

void World::Hang(const std::string& pod, Duration duration) {
  Node* node = NodeOf(pod);
  if (node == nullptr) return;
  Misfortune(pod + " hangs");
  node->hung = true;
  simulator.After(duration, [this, pod, id = node->id()] {
    Node* again = bus_.ById(id);
    if (again != nullptr) again->hung = false;
  });
}

void World::Outage(Duration duration) {
  if (life_ == nullptr) return;
  if (effects.trace) effects.trace("the API server is away");
  life_->api->outage = true;
  simulator.After(duration, [this, life = lives_] {
    outage_ended_ = simulator.Now();
    if (life_ != nullptr && lives_ == life) life_->api->outage = false;
  });
}

void World::SetCacheLag(milliseconds low, milliseconds high) {
  lag_low_ = low;
  lag_high_ = high;
}

// Clients reach both sides; so does the operator, unless it is on the larger one with the API server.
void World::Partition(const std::set<std::string>& pods, bool from_operator, Duration duration) {
  Misfortune(fmt::format("{} are cut off{}", fmt::join(pods, ", "), from_operator ? ", from the operator too" : ""));
  for (const auto& pod : pods) {
    Node* node = NodeOf(pod);
    if (node == nullptr) continue;
    node->side = 1;
    node->hidden = from_operator;
    simulator.After(duration, [this, id = node->id()] {
      Node* again = bus_.ById(id);
      if (again == nullptr) return;
      if (effects.trace) effects.trace(again->pod() + " is not cut off any more");
      last_misfortune_ = simulator.Now();  // others may be cut off by now, and it from them
      again->side = 0;
      again->hidden = false;
    });
  }
}

// The processes die at once. Kubernetes notices, marks the pods, and removes them when somebody says that the machine
// is not coming back (the taint node.kubernetes.io/out-of-service, or its deletion).
void World::LoseMachine(int machine) {
  Misfortune(fmt::format("machine {} is lost", machine));
  for (auto& [pod, process] : processes_) {
    if (process.uid.empty() || MachineOf(pod) != machine) continue;
    if (process.running) StopProcess(pod);
    process.machine_lost = true;
    const reconciler::ObjectKey key{"default", pod};
    const Duration noticed = simulator.RandomMs(1000, 20'000);
    simulator.After(noticed, [this, key, uid = process.uid] {
      (void)user_->Delete(types::kPods, key, {.uid = uid, .resource_version = "", .grace_period = {}});
    });
    simulator.After(noticed + simulator.RandomMs(500, 10'000), [this, key, uid = process.uid] { FinishPod(key, uid); });
  }
  ExcuseWhatNobodyHas();
}

// As kubectl drain: asks again until the budgets allow it.
void World::RunOutOfRoom(Duration duration) {
  Misfortune("there is no room for other pods");
  no_room_until_ = simulator.Now() + duration;
}

bool World::IsHeldUp() const {
  return simulator.Now() < no_room_until_ ||
         std::ranges::any_of(processes_, [&](const auto& entry) { return to_be_evicted_.contains(entry.second.uid); });
}

void World::LoseShard(int shard) {
  may_have_lost_a_shard_ = true;
  for (const auto& pod : Pods()) {
    if (ShardAndIndexOf(kCluster.name, pod)->first == shard) KillContainer(pod);
  }
}

void World::Drain(int machine) {
  Misfortune(fmt::format("machine {} is drained", machine));
  for (const auto& [pod, process] : processes_) {
    if (!process.uid.empty() && MachineOf(pod) == machine) Evict(pod, process.uid);
  }
}

void World::Evict(const std::string& pod, const std::string& uid) {
  const auto found = processes_.find(pod);
  if (found == processes_.end() || found->second.uid != uid || found->second.terminating) return;
  to_be_evicted_.insert(uid);
  last_misfortune_ = simulator.Now();
  const reconciler::Json eviction = {{"apiVersion", "policy/v1"},
                                     {"kind", "Eviction"},
                                     {"metadata", {{"name", pod}, {"namespace", "default"}}},
                                     {"deleteOptions", {{"preconditions", {{"uid", uid}}}}}};
  reconciler::HttpRequest request;
  request.method = "POST";
  request.target = "/api/v1/namespaces/default/pods/" + pod + "/eviction";
  request.body = eviction.dump();
  request.headers["Content-Type"] = "application/json";
  const auto response = users_way_->Send(request, {});
  if (response && response->status < 300) {
    if (effects.trace) effects.trace(pod + " is evicted");
    InspectEviction(pod);
    return;
  }
  simulator.After(std::chrono::seconds(2), [this, pod, uid] { Evict(pod, uid); });
}

void World::DeleteAllPods() {
  for (const auto& pod : Pods()) DeletePod(pod);
}

void World::SlowDown(const std::string& pod, Duration by, Duration duration) {
  Node* node = NodeOf(pod);
  if (node == nullptr) return;
  if (effects.trace) effects.trace(pod + " is slow");
  node->answer_delay = by;
  simulator.After(duration, [this, id = node->id()] {
    Node* again = bus_.ById(id);
    if (again != nullptr) again->answer_delay = {};
  });
}

bool World::DoesAsAdvised() {
  static constexpr std::string_view kAdvice = "spec.healing.takeover is Never: bring them back, or run ";
  const std::string said = ReadyMessage();
  if (said.find("set spec.healing.lostShard to AssignEmpty") != std::string::npos && may_have_lost_a_shard_) {
    const auto object = server_.Stored(kRedisClusters, kCluster);
    if (object && reconciler::StringAt(*object, {"spec", "healing", "lostShard"}) == "AssignEmpty") return false;
    Apply({{"healing", {{"lostShard", "AssignEmpty"}}}});
    return true;
  }
  const auto at = said.find(kAdvice);
  if (at == std::string::npos) return false;
  auto words = text::Split(std::string_view(said).substr(at + kAdvice.size()), ' ');  // CLUSTER FAILOVER … on POD
  Node* node = NodeOf(std::string(text::NextField(words.at(4), '"')));
  if (effects.trace) effects.trace(fmt::format("a person takes over on {}", words[4]));
  return node != nullptr && node->works() &&
         !node->Execute({"CLUSTER", "FAILOVER", std::string(words[2])}, false).IsError();
}

void World::MoveSlotsByHand(int count, bool leaves_one_open) {
  std::vector<Node*> masters;
  for (Node* node : Ours()) {
    // redis-cli: "Please fix your cluster problems before resharding".
    if (!node->disk().importing.empty() || !node->disk().migrating.empty()) return;
    if (node->me().master && !node->me().slots.empty() && !node->hung && node->state_ok()) masters.push_back(node);
  }
  if (masters.size() < 2) return;
  const Node* from = masters.front();
  const Node* to = masters.back();
  auto slots = from->me().slots.Slots();
  slots.resize(std::min<size_t>(slots.size(), static_cast<size_t>(count)));
  if (effects.trace) {
    effects.trace(fmt::format("somebody moves {} slots from {} to {}", slots.size(), from->hostname(), to->hostname()));
  }
  Resharding resharding{
      .from = from->id(), .to = to->id(), .slots = std::move(slots), .leaves_one_open = leaves_one_open};
  resharding.pace = milliseconds(simulator.Random(0, 1) == 0 ? 0 : simulator.Random(1, 10));
  Reshard(std::move(resharding));
}

// One command after the other, until something goes wrong: what is open then stays open.
void World::Reshard(Resharding resharding) {
  while (!resharding.slots.empty()) {
    Node* from = bus_.ById(resharding.from);
    Node* to = bus_.ById(resharding.to);
    if (from == nullptr || to == nullptr || !from->works() || !to->works()) return;
    if (!TakesNextStep(resharding, *from, *to)) return;
    if (resharding.pace == Duration(0)) continue;
    const Duration pause = simulator.RandomMs(0, static_cast<int>(resharding.pace.count()));
    simulator.After(pause, [this, rest = std::move(resharding)]() mutable { Reshard(std::move(rest)); });
    return;
  }
}

bool World::TakesNextStep(Resharding& resharding, Node& from, Node& to) {
  last_slot_by_hand_ = simulator.Now();
  const std::string slot = std::to_string(resharding.slots.front());
  const auto set = [&](Node& node, const std::string& what, const NodeId& peer) {
    return !node.Execute({"CLUSTER", "SETSLOT", slot, what, peer.ToString()}, false).IsError();
  };
  switch (resharding.step++) {
    case 0:
      return set(to, "IMPORTING", from.id());
    case 1:
      return set(from, "MIGRATING", to.id());
    case 2: {
      const Reply names = from.Execute({"CLUSTER", "GETKEYSINSLOT", slot, "1000"}, false);
      if (names.elements.empty()) return !(resharding.leaves_one_open && resharding.slots.size() == 1);
      Command migrate = {"MIGRATE", to.endpoint().host, std::to_string(to.endpoint().port), "", "0", "1000", "KEYS"};
      for (const Reply& name : names.elements) migrate.push_back(name.text);
      --resharding.step;  // until none is left
      return !from.Execute(migrate, false).IsError();
    }
    case 3:
      // Nor does a person see that the one at the other end has a successor.
      to.took_epoch_alone = to.took_epoch_alone || IsSucceeded(from, resharding.slots.front());
      return set(to, "NODE", to.id());
    default:
      resharding.step = 0;
      resharding.slots.erase(resharding.slots.begin());
      return set(from, "NODE", to.id());
  }
}

// Three nodes of somebody else's cluster, and, with the same password, nothing to tell them from ours but their names.
// Whenever a pod goes, one of them may come back at its address.
void World::AddStrangers(bool with_our_password) {
  strangers_have_our_password_ = with_our_password;
  std::vector<Node*> strangers;
  for (int i = 0; i < 3; ++i) {
    const std::string host = FreeAddress();
    const std::string hostname = fmt::format("other-{}-0.other-nodes.default.svc", i);
    strangers_[hostname] = {host, 6379};
    strangers.push_back(&bus_.Start({host, 6379}, hostname, StrangersPassword(), std::nullopt));
  }
  const int share = kSlotCount / 3 + 1;
  for (int i = 0; i < 3; ++i) {
    (void)strangers[i]->Execute({"CLUSTER", "ADDSLOTSRANGE", std::to_string(i * share),
                                 std::to_string(std::min((i + 1) * share, kSlotCount) - 1)},
                                false);
    (void)strangers[i]->Execute({"CLUSTER", "SET-CONFIG-EPOCH", std::to_string(i + 1)}, false);
    for (int j = 0; j < i; ++j) {
      (void)strangers[i]->Execute({"CLUSTER", "MEET", strangers[j]->endpoint().host, "6379"}, false);
    }
  }
}

std::string World::StrangersPassword() { return strangers_have_our_password_ ? Password() : "somebody else's"; }

void World::MoveAStrangerTo(const Endpoint& endpoint) {
  if (strangers_.empty() || endpoint.host.empty() || bus_.At(endpoint) != nullptr || simulator.Random(0, 1) == 0)
    return;
  auto& [hostname, at] = *std::next(strangers_.begin(), simulator.Random(0, 2));
  if (effects.trace) effects.trace(fmt::format("{} comes back at {}", hostname, endpoint.host));
  const Disk disk = bus_.At(at)->disk();
  bus_.Stop(at);
  at = endpoint;
  bus_.Start(at, hostname, StrangersPassword(), disk);
}

}  // namespace slotwright::simulation
