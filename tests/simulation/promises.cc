// What must hold at every step, seen from outside: the simulated world knows the truth.
#include <fmt/format.h>

#include <algorithm>

#include "controllers/api/conditions.h"
#include "controllers/api/names.h"
#include "controllers/topology/text.h"
#include "tests/simulation/operator_life.h"
#include "tests/simulation/world.h"

namespace slotwright::simulation {

using reconciler::Json;

namespace {

constexpr int kKeys = 60;

// "/api/v1/namespaces/default/pods/demo-0-1"
std::string LastWord(const std::string& target) {
  const auto words = text::Split(text::NextField(target, '?'), '/');
  return words.empty() ? "" : std::string(words.back());
}

bool Follows(const Node& node, const NodeId& master) { return !node.me().master && node.me().master_id == master; }

}  // namespace

SlotSet World::Covered() const {
  SlotSet covered;
  for (const Node* node : bus_.All()) {
    if (node->me().master) covered = covered | node->me().slots;
  }
  return covered;
}

// Promises 1 and 4.
void World::InspectCommand(const Node& node, const Command& command, const std::function<void()>& carry_out) {
  const std::string what = fmt::format("{} on {}", command.size() > 1 ? command[1] : command[0], node.hostname());
  const SlotSet before = Covered();
  if (command[0] == "CLUSTER" && command[1] == "MEET") {
    const Node* peer = bus_.At({command.at(2), 6379});
    if (peer != nullptr && !peer->hostname().ends_with(HostnameSuffixOf("default", "demo"))) {
      Violated("4: MEET of a stranger, " + peer->hostname());
    }
  }
  if (command[0] == "CLUSTER" && command[1] == "FORGET") {
    const NodeId id = *NodeId::Parse(command.at(2));
    const Node* alive = bus_.ById(id);
    if (alive != nullptr && !alive->me().slots.empty()) Violated("1: FORGET of a live owner, " + what);
    // Its replica needs the votes of those that know it. A table that has not heard yet to whom slots went does not
    // count.
    for (const Node* other : bus_.All()) {
      const auto line = other->disk().table.find(id);
      const bool owns = line != other->disk().table.end() && !(line->second.slots - before).empty();
      if (owns && Follows(*other, id)) Violated("1: FORGET of an owner that a live replica follows, " + what);
    }
  }
  if (command[0] == "CLUSTER" && (command[1] == "REPLICATE" || command[1] == "RESET") && node.me().master &&
      node.KeyCount() > 0) {
    Violated("1: " + what + " would drop keys of a master");
  }
  carry_out();
  const SlotSet lost = before - Covered();
  if (!lost.empty()) Violated(fmt::format("1: {} uncovers slots {}", what, lost.ToString()));
}

void World::InspectRequest(const reconciler::HttpRequest& request) {
  if (request.method == "DELETE" && request.target.find("/pods/") != std::string::npos) {
    InspectDeletion(LastWord(request.target));
  }
  if (request.method == "PATCH" && request.target.find("/redisclusters/demo/status") != std::string::npos) {
    InspectReady(Json::parse(request.body).value("status", Json::object()));
  }
}

// Promises 1 and 3.
void World::InspectDeletion(const std::string& pod) {
  const Node* node = NodeOf(pod);
  if (node == nullptr || processes_[pod].terminating) return;
  const bool has_volume = processes_[pod].has_volume;
  if (!node->me().slots.empty() && !has_volume) Violated("1: the pod of an owner is deleted, " + pod);
  if (node->me().master && node->me().slots.empty() && node->KeyCount() > 0) {
    Violated("1: a pod with keys that nobody else has is deleted, " + pod);
  }
  const auto place = ShardAndIndexOf("demo", pod);
  SlotSet slots;
  for (const Node* other : bus_.All()) {
    const auto its_place = ShardAndIndexOf("demo", other->hostname());
    if (its_place && its_place->first == place->first) slots = slots | other->me().slots;
  }
  if (slots.empty()) return;  // a shard without slots has nothing that could be down
  for (const auto& [name, process] : processes_) {
    const auto its_place = ShardAndIndexOf("demo", name);
    if (name == pod || process.uid.empty() || !its_place || its_place->first != place->first) continue;
    if (!process.running || process.terminating) {
      Violated(fmt::format("3: {} is deleted while {} of its shard is down", pod, name));
    }
  }
}

// Promise 7: never early.
void World::InspectReady(const Json& status) {
  const Json ready = FindCondition(status.value("conditions", Json::array()), "Ready");
  if (!ready.is_object() || ready.value("status", "") != "True") return;
  // What happened during the look itself can only be seen by the next one.
  if (simulator.Now() - last_misfortune_ < milliseconds(500)) return;
  if (Covered().size() != kSlotCount) Violated("7: Ready, but slots are not covered");
  for (const auto& [pod, process] : processes_) {
    if (process.uid.empty() || process.terminating) continue;
    const Node* node = NodeOf(pod);
    if (node == nullptr) {
      Violated("7: Ready, but there is no process behind " + pod);
    } else if (!node->hung && !node->state_ok()) {
      Violated("7: Ready, but cluster_state is fail on " + pod);
    } else if (!node->me().master && !node->link_up()) {
      Violated("7: Ready, but not in sync: " + pod);
    }
  }
}

// Clients: each write goes to one key, and is acknowledged by the node that serves it.

void World::StartClients() {
  clients_run_ = true;
  simulator.After(milliseconds(20), [this] { Write(); });
}

void World::Write() {
  if (!clients_run_) return;
  const std::string key = fmt::format("k{}", simulator.Random(0, kKeys - 1));
  Written& written = written_[key];
  const Command command = {"APPEND", key, fmt::format("{},", ++written.last)};
  const auto all = bus_.All();
  Node* node = all.empty() ? nullptr : all[static_cast<size_t>(simulator.Random(0, static_cast<int>(all.size()) - 1))];
  bool asking = false;
  for (int redirects = 0; redirects < 8 && node != nullptr && !node->hung; ++redirects) {
    const Reply reply = node->Execute(command, asking);
    if (!reply.IsError()) {
      written.acknowledged.push_back(written.last);
      break;
    }
    const auto words = text::Split(reply.text, ' ');
    asking = words[0] == "ASK";
    if (words.size() < 3 || (!asking && words[0] != "MOVED")) break;
    node = bus_.At({std::string(words[2].substr(0, words[2].rfind(':'))), 6379});
  }
  simulator.After(simulator.RandomMs(5, 40), [this] { Write(); });
}

std::vector<std::string> World::LostWrites() {
  std::vector<std::string> lost;
  for (const auto& [key, written] : written_) {
    std::string value;
    for (Node* node : bus_.All()) {
      if (!node->me().slots.Contains(KeySlot(key))) continue;
      const Reply reply = node->Execute({"GET", key}, false);
      if (!reply.IsError()) value = reply.text;
    }
    const auto words = text::Split(value, ',');
    for (const int number : written.acknowledged) {
      if (std::ranges::find(words, std::to_string(number)) == words.end()) {
        lost.push_back(fmt::format("{} of {} (slot {})", number, key, KeySlot(key)));
      }
    }
  }
  return lost;
}

}  // namespace slotwright::simulation
