// What clients write, and what of it the operator has to answer for.
//
// Redis replicates asynchronously: what was acknowledged may die with a process, or be left behind by an election,
// before anybody else has it. Such a write is excused at that moment. Every other one must be there in the end,
// whatever befell the cluster.
#include <fmt/format.h>

#include <algorithm>

#include "controllers/api/names.h"
#include "controllers/topology/text.h"
#include "tests/simulation/operator_life.h"
#include "tests/simulation/world.h"

namespace slotwright::simulation {

namespace {

constexpr int kKeys = 60;

std::set<int> NumbersIn(const std::string& value) {
  std::set<int> numbers;
  for (const auto word : text::Split(value, ',')) {
    if (const auto number = text::ParseInteger<int>(word)) numbers.insert(*number);
  }
  return numbers;
}

std::string ValueOf(const Disk& disk, const std::string& key) {
  const auto slot = disk.data.find(KeySlot(key));
  if (slot == disk.data.end()) return "";
  const auto found = slot->second.find(key);
  return found == slot->second.end() ? "" : found->second;
}

int ShardOf(const std::string& name) {
  const auto place = ShardAndIndexOf("demo", name);
  return place ? place->first : -1;
}

}  // namespace

void World::StartClients() {
  clients_run_ = true;
  simulator.After(milliseconds(20), [this] { Write(); });
}

// Each write goes to one key, and is acknowledged by the node that serves it.
void World::Write() {
  if (!clients_run_) return;
  const std::string key = fmt::format("k{}", simulator.Random(0, kKeys - 1));
  Written& written = written_[key];
  const Command command = {"APPEND", key, fmt::format("{},", ++written.last)};
  const auto all = Ours();
  Node* node = all.empty() ? nullptr : all[static_cast<size_t>(simulator.Random(0, static_cast<int>(all.size()) - 1))];
  bool asking = false;
  for (int redirects = 0; redirects < 8 && node != nullptr && !node->hung; ++redirects) {
    // Somebody else's node, at an address that was ours: no operator can keep clients from following a MOVED there.
    if (!IsOurs(*node)) break;
    const Reply reply = node->Execute(command, asking);
    if (!reply.IsError()) {
      written.acknowledged.push_back(written.last);
      if (IsSucceeded(*node, KeySlot(key))) written.excused.insert(written.last);
      ExcuseWhatIsHidden(*node, key);
      break;
    }
    const auto words = text::Split(reply.text, ' ');
    asking = words[0] == "ASK";
    if (words.size() < 3 || (!asking && words[0] != "MOVED")) break;
    node = bus_.At({std::string(words[2].substr(0, words[2].rfind(':'))), 6379});
  }
  simulator.After(simulator.RandomMs(5, 40), [this] { Write(); });
}

// It serves that slot still, and does not know that another was elected, who may be down by now and come back.
bool World::IsSucceeded(const Node& node, Slot slot) {
  if (!node.me().slots.Contains(slot)) return false;
  const auto comes_back = [&](const std::string& pod) { return NodeOf(pod) != nullptr || IsWanted(pod); };
  return std::ranges::any_of(Copies(comes_back), [&](const Disk* disk) {
    const Peer& other = disk->table.at(disk->id);
    return other.master && other.slots.Contains(slot) && other.epoch > node.me().epoch;
  });
}

// All processes of the shards that `counts`, and the volumes of those that do not run.
std::vector<const Disk*> World::Copies(const std::function<bool(const std::string& pod)>& counts) const {
  std::vector<const Disk*> copies;
  std::set<std::string> running;
  for (const Node* node : Ours()) {
    const std::string pod = node->pod();
    running.insert("data-" + pod);
    if (counts(pod)) copies.push_back(&node->disk());
  }
  for (const auto& [claim, disk] : volumes_) {
    if (disk && !running.contains(claim) && counts(claim.substr(claim.find('-') + 1))) copies.push_back(&*disk);
  }
  return copies;
}

// Acknowledged writes that none of them holds, and that nothing excuses: key and number. Of a deleted cluster either
// all is meant to go, or nothing.
std::vector<std::pair<std::string, int>> World::MissingFrom(const std::vector<const Disk*>& copies) const {
  std::vector<std::pair<std::string, int>> missing;
  if (is_deleted_) return missing;
  for (const auto& [key, written] : written_) {
    std::set<int> held;
    for (const Disk* disk : copies) held.merge(NumbersIn(ValueOf(*disk, key)));
    for (const int number : written.acknowledged) {
      if (!held.contains(number) && !written.excused.contains(number)) missing.emplace_back(key, number);
    }
  }
  return missing;
}

bool World::ExcuseAllBut(const std::vector<const Disk*>& copies) {
  const auto missing = MissingFrom(copies);
  for (const auto& [key, number] : missing) written_[key].excused.insert(number);
  if (!missing.empty() && effects.trace) {
    effects.trace(fmt::format("{} more writes are lost, and nobody is to blame", missing.size()));
  }
  return !missing.empty();
}

// Before anybody dies or is elected there is nothing that could excuse what is gone. (But where a stranger with our
// password comes to a dead master's address at once, Redis itself copies from it.)
void World::AccuseOfLosses() {
  if (!strangers_.empty() && strangers_have_our_password_) return;
  const auto missing = MissingFrom(Copies([](const std::string&) { return true; }));
  if (missing.empty()) return;
  const auto& [key, number] = missing.front();
  Violated(fmt::format("1: {} of {} (slot {}) is nowhere any more", number, key, KeySlot(key)));
}

// A process ended, and not by our hand: what nobody else has is gone with it.
// Also a key that had just gone to another master, and that no replica of that one has yet: what the replica of the one
// that gave it has of it will be gone in a moment.
// So will be what a pod in memory has that ends already.
bool World::ExcuseWhatNobodyHas() {
  for (Node* node : Ours()) node->CatchUp();
  return ExcuseAllBut(Copies([&](const std::string& pod) {
    const auto process = processes_.find(pod);
    return process == processes_.end() || !process->second.terminating || process->second.has_volume;
  }));
}

// A replica without a volume was told to end when its master had just died, and nobody could have seen that yet.
void World::ExcuseACoincidence(const std::string& pod) {
  constexpr std::chrono::seconds kUnseen{1};
  const Node* node = NodeOf(pod);
  if (node == nullptr || node->me().master || processes_.at(pod).has_volume) return;
  const auto died = died_.find(node->me().master_id);
  if (died == died_.end() || simulator.Now() - died->second > kUnseen) return;
  if (effects.trace) effects.trace(pod + " is told to end just when its master has died");
  if (ExcuseWhatNobodyHas()) may_have_lost_a_shard_ = true;
}

// A master of Redis 7 dies with what it knows of slots that it is giving away (redis#10517). Whoever succeeds it takes
// keys that have left already for new ones, and what is written to them from then on is what clients see, and stays.
void World::ExcuseWhatIsHidden(const Node& owner, const std::string& key) {
  const Slot slot = KeySlot(key);
  if (!owner.me().slots.Contains(slot) || owner.disk().migrating.contains(slot)) return;
  const auto known = NumbersIn(ValueOf(owner.disk(), key));
  const bool is_settled = std::ranges::none_of(Ours(), [&](const Node* node) {
    const bool has_keys = node->me().master && node != &owner && node->disk().data.contains(slot);
    return has_keys || node->disk().importing.contains(slot) || node->disk().migrating.contains(slot);
  });
  if (is_settled) inherited_open_.erase(slot);
  // Also by one that is only being started: it finds the slot open in its nodes.conf.
  for (const Disk* other : Copies([](const std::string&) { return true; })) {
    const auto from = other->importing.find(slot);
    const bool imports = from != other->importing.end();
    // Who was elected at the other end does not know of it either. And one that imports still was perhaps told already
    // from whom, in the moment before that one is told to give the slot away.
    const bool may_not_know = other->table.at(other->id).master && inherited_open_.contains(slot);
    if (!may_not_know && (!imports || from->second == owner.id())) continue;
    for (const int number : NumbersIn(ValueOf(*other, key))) {
      if (!known.contains(number)) written_[key].excused.insert(number);
    }
  }
}

// A master that was given slots in the moment in which it was cut off has an epoch that nobody voted for. When it is
// back it may overrule who was elected meanwhile, and what that one has taken is lost.
void World::ExcuseWhatIsOverruled(const Node& loser, const NodeId& claimant) {
  const Node* winner = bus_.ById(claimant);
  if (winner == nullptr || !winner->took_epoch_alone) return;
  ExcuseAllBut(
      Copies([&](const std::string& pod) { return ShardOf(pod) != ShardOf(loser.pod()) || pod == winner->pod(); }));
}

// Whom the servers elected by themselves may be behind its master. Whom the operator chose has to have all that any of
// the shard's servers has that answer; but how much one has that was started anew, from its files, nobody can say.
void World::ExcuseAtElection(const Node& winner, bool by_themselves) {
  if (!IsOurs(winner)) return;
  AccuseOfLosses();
  for (const Node* other : Ours()) {
    for (const auto& [slot, from] : other->disk().importing) {
      if (from == winner.me().master_id) inherited_open_.insert(slot);
    }
  }
  if (const Node* before = bus_.ById(winner.me().master_id); before != nullptr) {
    for (const auto& [slot, to] : before->disk().migrating) inherited_open_.insert(slot);
  }
  // What its master gave away the moment before, to one that is cut off too: the winner takes that back, and who
  // succeeds the other one has the keys and was not told.
  const auto& table = winner.disk().table;
  if (const auto master = table.find(winner.me().master_id); by_themselves && master != table.end()) {
    for (const Node* other : Ours()) {
      if (other->id() == master->first || !other->me().master) continue;
      for (const Slot slot : (master->second.slots & other->me().slots).Slots()) inherited_open_.insert(slot);
    }
  }
  const Node* before = bus_.ById(winner.me().master_id);
  if (before != nullptr && !by_themselves && !before->hung && !before->disk().migrating.empty()) {
    const auto its = processes_.find(before->pod());
    // Nobody can see what a person has begun since the last look.
    const bool by_hand = simulator.Now() - last_slot_by_hand_ < milliseconds(500);
    if (its != processes_.end() && !its->second.terminating && !by_hand)
      Violated("2: a hand-over while slots are open, by " + before->hostname());
  }
  const std::string name = winner.pod();
  ExcuseAllBut(Copies([&](const std::string& pod) {
    if (ShardOf(pod) != ShardOf(name) || pod == name) return true;
    const Node* node = NodeOf(pod);
    return !by_themselves && node != nullptr && node->works() && !node->hidden && node->ever_synced();
  }));
}

std::vector<std::string> World::LostWrites(bool excuses) {
  std::vector<std::string> lost;
  for (const auto& [key, written] : written_) {
    std::string value;
    for (Node* node : Ours()) {
      if (!node->me().slots.Contains(KeySlot(key))) continue;
      const Reply reply = node->Execute({"GET", key}, false);
      if (!reply.IsError()) value = reply.text;
    }
    const auto numbers = NumbersIn(value);
    for (const int number : written.acknowledged) {
      if (numbers.contains(number) || (excuses && written.excused.contains(number))) continue;
      lost.push_back(fmt::format("{} of {} (slot {})", number, key, KeySlot(key)));
    }
  }
  return lost;
}

World::Counts World::CountWrites() const {
  Counts counts;
  for (const auto& [key, written] : written_) {
    counts.acknowledged += static_cast<std::int64_t>(written.acknowledged.size());
    counts.excused += static_cast<std::int64_t>(written.excused.size());
  }
  return counts;
}

}  // namespace slotwright::simulation
