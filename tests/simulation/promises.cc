// What must hold at every step, seen from outside: the simulated world knows the truth.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "controllers/api/conditions.h"
#include "controllers/api/names.h"
#include "controllers/plan/slot_moves.h"
#include "controllers/resources/configuration.h"
#include "controllers/topology/text.h"
#include "tests/simulation/operator_life.h"
#include "tests/simulation/world.h"

namespace slotwright::simulation {

using reconciler::Json;

namespace {

// "/api/v1/namespaces/default/pods/demo-0-1"
std::string LastWord(const std::string& target) {
  const auto words = text::Split(text::NextField(target, '?'), '/');
  return words.empty() ? "" : std::string(words.back());
}

bool IsReady(const Json& status) {
  const Json ready = FindCondition(status.value("conditions", Json::array()), "Ready");
  return ready.is_object() && ready.value("status", "") == "True";
}

bool Follows(const Node& node, const NodeId& master) { return !node.me().master && node.me().master_id == master; }

}  // namespace

bool SaysThatAllIsWell(const Json& status) {
  if (IsReady(status)) return true;
  const Json ready = FindCondition(status.value("conditions", Json::array()), "Ready");
  if (!ready.is_object()) return false;
  return status.contains("formedAt") && ready.value("reason", "") == "InvalidSpec" &&
         ready.value("message", "").find("; meanwhile ") == std::string::npos;
}

bool World::IsOurs(const Node& node) const { return !strangers_.contains(node.hostname()); }

std::vector<Node*> World::Ours() const {
  auto nodes = bus_.All();
  std::erase_if(nodes, [this](const Node* node) { return !IsOurs(*node); });
  return nodes;
}

// Promise 4: two clusters whose nodes take over each other's addresses stay two.
void World::InspectTables() {
  if (strangers_.empty()) return;
  for (const Node* node : bus_.All()) {
    for (const auto& [id, peer] : node->disk().table) {
      const Node* other = bus_.ById(id);
      if (other == nullptr || IsOurs(*other) == IsOurs(*node)) continue;
      Violated(fmt::format("4: {} has heard of {}", node->hostname(), other->hostname()));
      return;
    }
  }
}

// What another one took over from it, and died: it comes back with that.
SlotSet World::TakenSince(const Peer& owner) const {
  SlotSet taken;
  for (const auto& [claim, disk] : volumes_) {
    if (!disk) continue;
    const Peer& other = disk->table.at(disk->id);
    if (other.master && other.id != owner.id && other.epoch > owner.epoch) taken = taken | other.slots;
  }
  return taken;
}

SlotSet World::Covered() const {
  SlotSet covered;
  for (const Node* node : Ours()) {
    if (node->me().master) covered = covered | node->me().slots;
  }
  return covered;
}

// Promises 1 and 4.
void World::InspectCommands(const Node& node, std::span<const Command> commands,
                            const std::function<void()>& carry_out) {
  const SlotSet before = Covered();
  claims_slots_ = std::ranges::any_of(
      commands, [](const Command& command) { return command.size() > 1 && command[1] == "ADDSLOTSRANGE"; });
  for (const Command& command : commands) InspectCommand(node, command, before);
  carry_out();
  InspectTables();
  const SlotSet lost = before - Covered();
  if (!lost.empty()) {
    Violated(
        fmt::format("1: {} on {} uncovers slots {}", fmt::join(commands[0], " "), node.hostname(), lost.ToString()));
  }
}

void World::InspectCommand(const Node& node, const Command& command, const SlotSet& covered) {
  const std::string what = fmt::format("{} on {}", command.size() > 1 ? command[1] : command[0], node.hostname());
  if (command[0].starts_with("FLUSH")) Violated("1: " + what);
  if (command[0] == "CLUSTER" && command[1] == "MEET") {
    // An address may pass on between the operator's look, in which a hung node is waited for, and what follows from it:
    // then the cluster's own bus port keeps the two apart.
    constexpr milliseconds kLook(2000);
    const Node* peer = bus_.At({command.at(2), 6379});
    if (peer != nullptr && !IsOurs(*peer) && simulator.Now() - peer->booted() > kLook) {
      Violated("4: MEET of a stranger, " + peer->hostname());
    }
    if (command.at(4) != std::to_string(BusPortOf("default", "demo", 6379))) {
      Violated("4: MEET at another cluster's bus");
    }
  }
  if (!IsOurs(node)) Violated("4: a stranger is told to " + what);
  if (command[0] == "CLUSTER" && command[1] == "FAILOVER" && command.size() > 2) {
    // Fenced: whatever cannot be reached may still take writes. That the replica follows a dead one is asked just
    // before.
    constexpr milliseconds kJustBefore(50);
    const Node* master = bus_.ById(node.me().master_id);
    const bool is_new = simulator.Now() - node.follows_since() < kJustBefore;
    if (master != nullptr && master->me().master && !is_new) Violated("2: " + what + " while its master lives");
    // As far as the operator can know; and from a master that owned nothing nothing is taken over.
    const auto replaced = node.disk().table.find(node.me().master_id);
    const bool takes_slots = claims_slots_ || (replaced != node.disk().table.end() && !replaced->second.slots.empty());
    const auto known = life_ == nullptr ? nullptr : life_->caches.clusters.Get(kCluster);
    if (known && known->value(Json::json_pointer("/spec/healing/takeover"), "") == "Never" &&
        command[2] == "TAKEOVER" && takes_slots) {
      Violated("2: " + what + ", which the specification leaves to a person");
    }
  }
  if (command[0] == "CLUSTER" && command[1] == "FAILOVER") {
    const auto its = processes_.find(node.pod());
    if (its != processes_.end() && its->second.terminating &&
        simulator.Now() - its->second.told_to_end > lag_high_ + milliseconds(500))
      Violated("2: " + what + ", which ends");
  }
  if (command[0] == "CLUSTER" && command[1] == "FORGET") {
    const NodeId id = *NodeId::Parse(command.at(2));
    const Node* alive = bus_.ById(id);
    if (alive != nullptr && !alive->me().slots.empty()) Violated("1: FORGET of a live owner, " + what);
    // Its replica needs the votes of those that know it. A table that has not heard yet to whom slots went does not
    // count.
    for (const Node* other : Ours()) {
      const auto line = other->disk().table.find(id);
      if (line == other->disk().table.end() || !Follows(*other, id)) continue;
      if (!(line->second.slots - covered - TakenSince(line->second)).empty())
        Violated("1: FORGET of an owner that a live replica follows, " + what);
    }
  }
  if (command[0] == "CLUSTER" && (command[1] == "REPLICATE" || command[1] == "RESET") && node.me().master &&
      node.KeyCount() > 0) {
    Violated("1: " + what + " would drop keys of a master");
  }
  if (command[0] == "CLUSTER" && command[1] == "ADDSLOTSRANGE") InspectNewSlots(node, command);
  // Its master may have been reset a moment before, with slots that all had gone to others.
  const auto is_not_served = [&](const auto& slot) { return !slot.second.empty() && !covered.Contains(slot.first); };
  if (command[0] == "CLUSTER" && command[1] == "RESET" && !node.me().master && !node.link_up() &&
      std::ranges::any_of(node.disk().data, is_not_served)) {
    Violated("1: " + what + ", which has no master that lives");
  }
}

// Promise 10: what acknowledged writes were in is not served again, empty, without a person's leave.
void World::InspectNewSlots(const Node& node, const Command& command) {
  const auto object = server_.Stored(kRedisClusters, kCluster);
  const bool was_ready = object && object->contains(Json::json_pointer("/status/readyAt"));
  if (!was_ready || was_ever_to_serve_empty_) return;
  SlotSet slots;
  for (size_t i = 2; i + 1 < command.size(); i += 2) {
    slots.Add(SlotRange{static_cast<Slot>(std::stoi(command[i])), static_cast<Slot>(std::stoi(command[i + 1]))});
  }
  const auto is_there = [&](const auto& slot) { return !slot.second.empty() && slots.Contains(slot.first); };
  if (std::ranges::any_of(node.disk().data, is_there)) return;
  for (const auto& [key, written] : written_) {
    if (written.acknowledged.empty() || !slots.Contains(KeySlot(key))) continue;
    return Violated(fmt::format("10: slots {} are served again, empty, by {}", slots.ToString(), node.hostname()));
  }
}

// A paused cluster is observed and reported on, and nothing else.
void World::InspectRest(int effects_before) {
  for (const auto& effect : std::span(effects.log()).subspan(static_cast<size_t>(effects_before))) {
    if (!effect.ends_with("/status")) Violated("a paused cluster is touched: " + effect);
  }
}

World::Broken World::InspectRequest(const reconciler::HttpRequest& request) {
  if (request.method == "DELETE" && request.target.find("/pods/") != std::string::npos) {
    return InspectDeletion(LastWord(request.target));
  }
  if (request.body.find(kRefusedImage) != std::string::npos) {
    return {"9: something is made from a specification that was refused, " + request.target};
  }
  constexpr std::string_view kEviction = "/eviction";
  if (request.target.ends_with(kEviction)) {
    return InspectDeletion(LastWord(request.target.substr(0, request.target.size() - kEviction.size())));
  }
  if (request.method == "PATCH" && request.target.find("/configmaps/") != std::string::npos) {
    return InspectFile(Json::parse(request.body));
  }
  if (request.method == "PATCH" && request.target.find("/redisclusters/demo/status") != std::string::npos) {
    return InspectReady(Json::parse(request.body).value("status", Json::object()));
  }
  return {};
}

// Promise 9. Of a new cluster the servers are the first to say what they take; what was written before it was made
// stays until then.
World::Broken World::InspectFile(const Json& config_map) {
  const auto object = server_.Stored(kRedisClusters, {"default", "demo"});
  const bool formed = object && object->contains(Json::json_pointer("/status/formedAt"));
  const std::string refusal = RefusalOf(DirectivesIn(config_map));
  if (!formed || refusal.empty() || !RefusalOf(RedisConfNow()).empty()) return {};
  return {"9: no server starts with the redis.conf that is written: " + refusal};
}

// Promises 1 and 3.
World::Broken World::InspectDeletion(const std::string& pod) {
  const Node* node = NodeOf(pod);
  if (node == nullptr || processes_[pod].terminating) return {};
  Broken broken;
  const bool has_volume = processes_[pod].has_volume;
  if (!node->me().slots.empty() && !has_volume) broken.push_back("1: the pod of an owner is deleted, " + pod);
  if (node->me().master && node->me().slots.empty() && node->KeyCount() > 0) {
    broken.push_back("1: a pod with keys that nobody else has is deleted, " + pod);
  }
  const auto place = ShardAndIndexOf("demo", pod);
  SlotSet slots;
  for (const Node* other : Ours()) {
    const auto its_place = ShardAndIndexOf("demo", other->hostname());
    if (its_place && its_place->first == place->first) slots = slots | other->me().slots;
  }
  if (slots.empty()) return broken;  // a shard without slots has nothing that could be down
  for (const auto& [name, process] : processes_) {
    const auto its_place = ShardAndIndexOf("demo", name);
    if (name == pod || process.uid.empty() || !its_place || its_place->first != place->first) continue;
    if (its_place->second >= least_pods_per_shard_) continue;  // it was to go as well
    // Of a process that has just ended nobody can have heard.
    const bool unheard_of = simulator.Now() - process.stopped < kReportDelay + lag_high_ + std::chrono::seconds(1);
    if (!process.running && !process.terminating && unheard_of) continue;
    if (!process.running || process.terminating) {
      broken.push_back(fmt::format("3: {} is deleted while {} of its shard is down", pod, name));
    }
  }
  return broken;
}

// Promise 3, of what the disruption budgets let others do: another pod of the shard has its data, as far as readiness
// probes know.
void World::InspectEviction(const std::string& pod) {
  constexpr milliseconds kNoticed(8000);  // three probes that fail, and the report
  const Node* node = NodeOf(pod);
  const auto place = ShardAndIndexOf("demo", pod);
  if (node == nullptr || node->quarantined || node->KeyCount() == 0 || processes_[pod].has_volume || !place) return;
  for (const auto& [name, process] : processes_) {
    const auto its_place = ShardAndIndexOf("demo", name);
    if (name == pod || process.terminating || !its_place || its_place->first != place->first) continue;
    if (process.fit && simulator.Now() - *process.fit < kNoticed) return;
    const Node* other = NodeOf(name);
    if (other != nullptr && IsFit(*other) && HoldsSlots(*other)) return;
  }
  Violated("3: the only copy may be evicted, " + pod);
}

bool World::IsWanted(const std::string& pod) {
  const auto object = server_.Stored(kRedisClusters, {"default", "demo"});
  if (!object) return false;
  const auto cluster = ParseRedisCluster(*object);
  const auto place = ShardAndIndexOf("demo", pod);
  return cluster && place && cluster->spec.Wants(place->first, place->second);
}

// Promise 7: never early.
World::Broken World::InspectReady(const Json& status) {
  if (!SaysThatAllIsWell(status) || !server_.Stored(kRedisClusters, {"default", "demo"})) return {};
  // What happened during the look itself, for which a silent node is waited for, can only be seen by the next one.
  if (simulator.Now() - last_misfortune_ < milliseconds(700)) return {};
  InspectTables();
  Broken broken;
  if (Covered().size() != kSlotCount) broken.emplace_back("7: said to be well, but slots are not covered");
  for (const auto& [pod, process] : processes_) {
    if (process.uid.empty() || process.terminating) continue;
    const Node* node = NodeOf(pod);
    // Of one that was just made, and is one too many by now, the operator need not have heard yet.
    const bool unheard_of = simulator.Now() - process.created < lag_high_ + milliseconds(500);
    if (unheard_of && !IsWanted(pod)) continue;
    if (node == nullptr) {
      broken.push_back("7: said to be well, but there is no process behind " + pod);
    } else if (node->loading) {
      broken.push_back("7: said to be well, but it loads its data: " + pod);
    } else if (!node->hung && !node->state_ok()) {
      broken.push_back("7: said to be well, but cluster_state is fail on " + pod);
    } else if (!node->me().master && !node->link_up()) {
      broken.push_back("7: said to be well, but not in sync: " + pod);
    }
    for (const Node* owner : Ours()) {
      if (node == nullptr || !node->works() || owner->me().slots.empty()) continue;
      const auto known = node->disk().table.find(owner->me().id);
      if (known != node->disk().table.end() && known->second.slots == owner->me().slots) continue;
      broken.push_back(fmt::format("7: said to be well, but {} has another view of {}", pod, owner->hostname()));
    }
  }
  const auto object = server_.Stored(kRedisClusters, {"default", "demo"});
  const bool newest =
      object->value(Json::json_pointer("/metadata/generation"), -1) == status.value("observedGeneration", 0);
  if (newest && IsReady(status)) {
    for (const Node* node : Ours()) {
      if (node->hung || !IsWanted(node->pod())) continue;
      if ((!node->disk().importing.empty() || !node->disk().migrating.empty()) &&
          simulator.Now() - last_slot_by_hand_ > milliseconds(500)) {
        broken.push_back("7: said to be Ready, but slots are open on " + node->hostname());
      }
      for (const auto& [id, peer] : node->disk().table) {
        if (bus_.ById(id) == nullptr)
          broken.push_back("7: said to be Ready, but a ghost is known to " + node->hostname());
      }
    }
    // Until the kubelet's report has reached the cache nobody can know that a server has started again.
    for (const auto& wrong : MisconfiguredServers(kReportDelay + lag_high_ + milliseconds(500))) {
      broken.push_back("7: said to be well, but " + wrong);
    }
  }
  return broken;
}

// "" if every pod that should be there runs and answers, and all slots have an owner and are closed.
std::string World::WhatIsWrong() {
  SlotSet served;
  for (const auto& [pod, process] : processes_) {
    if (process.uid.empty()) continue;
    const Node* node = NodeOf(pod);
    const bool answers = node != nullptr && node->works() && !node->hidden;
    if (!answers && !process.terminating && IsWanted(pod)) return pod + " does not answer";
    if (answers && !process.terminating && !node->disk().importing.empty()) return "slots are open on " + pod;
    if (answers && node->me().master) served = served | node->me().slots;
  }
  return served.size() == kSlotCount ? "" : "slots are not covered";
}

// Promise 7: withdrawn. A look each five seconds, two that wait for who hangs, and a report that is refused.
void World::InspectStoredReady() {
  constexpr std::chrono::seconds kLimit{15};
  if (simulator.Now() < next_inspection_) return;
  next_inspection_ = simulator.Now() + milliseconds(500);
  if (!ready_) {
    const auto object = server_.Stored(kRedisClusters, {"default", "demo"});
    ready_ = object && IsReady(object->value("status", Json::object()));
  }
  const std::string wrong = *ready_ && life_ != nullptr && !life_->api->outage ? WhatIsWrong() : "";
  if (wrong.empty()) {
    wrong_since_.reset();
  } else if (!wrong_since_) {
    wrong_since_ = simulator.Now();
  } else if (simulator.Now() - *wrong_since_ > kLimit + lag_high_) {
    Violated("7: still said to be Ready, but " + wrong);
    wrong_since_.reset();
  }
}

// Promise 6: it is the operator's own word that it has converged. This is what there is.
std::vector<std::string> World::Differences() {
  const auto cluster = ParseRedisCluster(*server_.Stored(kRedisClusters, {"default", "demo"}));
  const auto& spec = cluster->spec;
  std::vector<std::string> wrong;
  std::map<int, std::vector<const Node*>> shards;
  for (int shard = 0; shard < spec.masters; ++shard) shards[shard];
  for (const Node* node : Ours()) shards[ShardAndIndexOf("demo", node->hostname())->first].push_back(node);
  std::map<NodeId, SlotSet> owners;
  for (const auto& [shard, nodes] : shards) {
    if (shard >= spec.masters || static_cast<int>(nodes.size()) != spec.pods_per_shard()) {
      wrong.push_back(fmt::format("shard {} has {} nodes", shard, nodes.size()));
    }
    const auto masters = std::ranges::count_if(nodes, [](const Node* node) { return node->me().master; });
    if (masters != 1) {
      wrong.push_back(fmt::format("shard {} has {} masters", shard, masters));
      continue;
    }
    const Node* master = *std::ranges::find_if(nodes, [](const Node* node) { return node->me().master; });
    owners[master->id()] = master->me().slots;
    for (const Node* node : nodes) {
      if (node == master || (Follows(*node, master->id()) && node->link_up())) continue;
      wrong.push_back(node->hostname() + " is no replica of its shard's master");
    }
  }
  if (spec.rebalance.automatic && !IsEven(owners, spec.rebalance.threshold_percent)) {
    wrong.emplace_back("slots are uneven");
  }
  for (const Node* node : Ours()) {
    if (!node->disk().importing.empty() || !node->disk().migrating.empty()) {
      wrong.push_back(node->hostname() + " has open slots");
    }
    for (const auto& [id, peer] : node->disk().table) {
      const Node* known = bus_.ById(id);
      if (known == nullptr || !IsOurs(*known)) wrong.push_back(node->hostname() + " knows somebody who is not there");
    }
    if (node->disk().table.size() < Ours().size()) wrong.push_back(node->hostname() + " does not know all others");
  }
  std::set<std::string> claims;
  for (const auto& [name, object] : Objects()) {
    if (name.starts_with("Pod ") && reconciler::StringAt(object["spec"]["containers"][0], {"image"}) != spec.image) {
      wrong.push_back(name + " has another image");
    }
    if (name.starts_with("PersistentVolumeClaim data-")) claims.insert(name.substr(name.find('-') + 1));
  }
  for (const auto& [pod, process] : processes_) {
    if (spec.storage && !process.uid.empty() && claims.erase(pod) == 0) wrong.push_back(pod + " has no claim");
  }
  if (spec.storage && !spec.storage->retain && !claims.empty())
    wrong.push_back("claims are left of " + *claims.begin());
  return wrong;
}

std::vector<std::string> World::MisconfiguredServers(Duration since) {
  const auto object = server_.Stored(kRedisClusters, {"default", "demo"});
  const Json wanted = object->value(Json::json_pointer("/spec/config"), Json::object());
  std::vector<std::string> wrong;
  for (const auto& [pod, process] : processes_) {
    const Node* node = NodeOf(pod);
    if (node == nullptr || process.terminating || simulator.Now() - process.started < since) continue;
    for (const char* name : {"maxmemory-policy", "databases"}) {
      const auto found = node->directives.find(name);
      const std::string has = found == node->directives.end() ? "" : found->second;
      if (has == wanted.value(name, "")) continue;
      wrong.push_back(fmt::format("{} runs with {} \"{}\" instead of \"{}\"", pod, name, has, wanted.value(name, "")));
    }
  }
  return wrong;
}

}  // namespace slotwright::simulation
