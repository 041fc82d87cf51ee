// Finishes or takes back the slot migrations that somebody left half-way: an operator that died, a failed node, a
// person.
//
// A migration of which both ends are open is finished, also if no key has moved yet: a client may be writing a new key
// to the target at this very moment, and taking back would lose it. Else keys decide: if some have left the owner, it
// is finished, as only that brings them together again; if none has, it is taken back, which costs nothing.
//
// Somebody may be at it right now (redis-cli --cluster reshard): as long as slots or keys still move, and unless it is
// the operator itself that moves slots, they are left to him.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <iterator>
#include <set>
#include <variant>

#include "controllers/plan/planner.h"
#include "controllers/plan/waiting.h"
#include "controllers/topology/text.h"

namespace slotwright::steps {

namespace {

constexpr const char* kStep = "open-slots";

const NodeView* OwnerOf(const ClusterView& view, Slot slot) {
  for (const auto& [id, slots] : view.owned) {
    if (slots.Contains(slot)) return view.by_id.at(id);
  }
  return nullptr;
}

std::vector<const NodeView*> Masters(const ClusterView& view) {
  std::vector<const NodeView*> masters;
  std::ranges::copy_if(view.answering, std::back_inserter(masters),
                       [](const NodeView* node) { return node->me().flags.master; });
  return masters;
}

// Null for masters, and for replicas whose master does not answer.
const NodeView* LiveMasterOf(const ClusterView& view, const NodeView& replica) {
  const auto id = replica.me().master;
  if (!id) return nullptr;
  const auto found = view.by_id.find(*id);
  return found != view.by_id.end() && found->second->me().flags.master ? found->second : nullptr;
}

const OpenSlot* FindOpen(const NodeView& node, Slot slot) {
  const auto& open = node.me().open_slots;
  const auto found = std::ranges::find(open, slot, &OpenSlot::slot);
  return found == open.end() ? nullptr : &*found;
}

std::int64_t KeysOf(const NodeView& node, Slot slot) {
  const auto found = node.keys_in_open_slots.find(slot);
  return found == node.keys_in_open_slots.end() ? 0 : found->second;
}

// Whether the other end does not answer and what it has is not to be had from anybody else yet: its replica may be
// elected, or it may only hang. Keys that were moved are with it, and new ones that clients were sent there to write.
bool IsAwaited(const ClusterView& view, const OpenSlot& open) {
  const auto peer = std::ranges::find(view.absent, open.peer, &ClusterView::Absent::id);
  if (peer == view.absent.end()) return false;
  // A replica may follow a dead master whose slots have all gone to others, as one of several does by whose votes and
  // in what parts it heard of that.
  if (peer->has_live_replicas && (!peer->OwnsSlots() || peer->IsMissed(view.covered))) return true;
  // One that gave has what it had as the slot's owner, and that is asked for elsewhere.
  return open.direction == OpenSlot::Direction::kMigrating && !peer->LeftOver() && !peer->inherited;
}

// The remedies of all open slots, put together for each node.
class Remedies {
 public:
  explicit Remedies(const ClusterView& view) : view_(view) {}

  void Add(Slot slot) {
    const NodeView* owner = OwnerOf(view_, slot);
    if (owner == nullptr) return;  // its owner is away
    for (const NodeView* node : Masters(view_)) {
      // Who does not know what it holds of the slot cannot be decided about.
      if (!node->keys_in_open_slots.contains(slot)) return;
      const OpenSlot* open = FindOpen(*node, slot);
      if (open != nullptr && IsAwaited(view_, *open)) return;
    }
    const NodeView* target = TargetOf(slot, *owner);
    if (target != nullptr) migrations_[{owner, target}].Add(slot);
    for (const NodeView* node : Masters(view_)) {
      const OpenSlot* open = FindOpen(*node, slot);
      if (open == nullptr || node == target) continue;
      if (node == owner) {
        const bool stays_open = target != nullptr && open->direction == OpenSlot::Direction::kMigrating;
        if (!stays_open) ended_[node].Add(slot);
      } else if (open->direction == OpenSlot::Direction::kMigrating) {
        corrected_[{node, owner}].Add(slot);
      } else if (KeysOf(*node, slot) == 0) {
        ended_[node].Add(slot);
      }
    }
  }

  // Valkey tells replicas before it does anything itself (since 8). Of a SETSLOT that is refused in the end, since one
  // of them did not answer, they keep what their master never had; its next one clears that away.
  void AddOfReplica(Slot slot, const NodeView& master) { ended_[&master].Add(slot); }

  [[nodiscard]] std::vector<Action> Actions() const {
    std::vector<Action> actions;
    std::set<const NodeView*> sources;
    std::set<const NodeView*> targets;
    for (const auto& [pair, slots] : migrations_) {
      const auto& [from, to] = pair;
      // One after the other: the next look finds the rest. A target takes new epochs, which a source must not.
      if (sources.contains(from) || targets.contains(from) || sources.contains(to)) continue;
      if (!view_.KeepsItsEpoch(*from)) continue;
      sources.insert(from);
      targets.insert(to);
      actions.emplace_back(MigrateSlots{RefTo(*from), RefTo(*to), slots});
    }
    for (const auto& [node, slots] : ended_) actions.emplace_back(SettleSlots{RefTo(*node), slots, std::nullopt});
    for (const auto& [pair, slots] : corrected_) {
      actions.emplace_back(SettleSlots{RefTo(*pair.first), slots, pair.second->id()});
    }
    return actions;
  }

 private:
  // Where clients are sent, or where keys have gone already: who is importing before who is not, then who has most.
  [[nodiscard]] const NodeView* TargetOf(Slot slot, const NodeView& owner) const {
    const NodeView* best = nullptr;
    const auto rank = [&](const NodeView& node) {
      const OpenSlot* open = FindOpen(node, slot);
      const bool importing = open != nullptr && open->direction == OpenSlot::Direction::kImporting;
      return std::pair(importing, KeysOf(node, slot));
    };
    for (const NodeView* node : Masters(view_)) {
      if (node == &owner || (KeysOf(*node, slot) == 0 && !GetsClientsOf(owner, *node, slot))) continue;
      if (best == nullptr || rank(*node) > rank(*best)) best = node;
    }
    return best;
  }

  // The owner sends clients there that ask for keys which it does not have, and they are let in.
  static bool GetsClientsOf(const NodeView& owner, const NodeView& node, Slot slot) {
    const OpenSlot* from = FindOpen(owner, slot);
    const OpenSlot* to = FindOpen(node, slot);
    return from != nullptr && from->direction == OpenSlot::Direction::kMigrating && from->peer == node.id() &&
           to != nullptr && to->direction == OpenSlot::Direction::kImporting;
  }

  const ClusterView& view_;
  std::map<std::pair<const NodeView*, const NodeView*>, SlotSet> migrations_;
  std::map<const NodeView*, SlotSet> ended_;
  std::map<std::pair<const NodeView*, const NodeView*>, SlotSet> corrected_;
};

constexpr auto kTimeToMove = std::chrono::seconds(5);

// In two digits: what clients delete meanwhile, or lets expire, is no migration.
std::int64_t Roughly(std::int64_t number) {
  std::int64_t scale = 1;
  while (number / scale >= 100) scale *= 10;
  return number / scale * scale;
}

// Of slots that are migrating: new keys go to the other end, so that these only become fewer.
std::int64_t KeysToMove(const ClusterView& view) {
  std::int64_t keys = 0;
  for (const NodeView* node : Masters(view)) {
    for (const auto& open : node->me().open_slots) {
      if (open.direction == OpenSlot::Direction::kMigrating) keys += KeysOf(*node, open.slot);
    }
  }
  return keys;
}

// Its words tell whether anything moves.
Plan LeaveToOthers(const Observation& observation, const ClusterView& view, const std::string& what) {
  Plan plan = WaitForRedis(
      observation, kStep, "AwaitingOpenSlots",
      fmt::format(
          "{}; somebody else may be moving them: some {} keys are left to move. Once nothing moves for {} s they "
          "are finished or taken back",
          what, Roughly(KeysToMove(view)), kTimeToMove.count()));
  plan.until_it_stands = true;
  plan.look_again = std::chrono::milliseconds(500);
  return plan;
}

// On its volume, or with a replica that takes over. Otherwise what has not gone there yet is better kept.
bool LeavesItsData(const Observation& observation, const NodeId& master) {
  return observation.cluster.spec.storage.has_value() ||
         std::ranges::any_of(observation.nodes, [&](const NodeView& node) {
           return node.Answers() && node.me().master == master && node.InSync();
         });
}

}  // namespace

std::optional<Plan> CloseSlotsOfEndingPods(const Observation& observation, const ClusterView&) {
  std::set<NodeId> ending;
  std::set<Slot> open;
  for (const auto& node : observation.ending) {
    if (!node.Answers() || !node.me().flags.master) continue;
    ending.insert(node.id());
    for (const auto& slot : node.me().open_slots) open.insert(slot.slot);
  }
  if (open.empty()) return std::nullopt;
  Observation with_them = observation;
  std::ranges::move(with_them.ending, std::back_inserter(with_them.nodes));
  with_them.ending.clear();
  const ClusterView view = Merge(with_them);
  if (std::ranges::any_of(view.answering, [](const NodeView* node) { return node->server.several_databases; })) {
    return std::nullopt;  // a person has to move those
  }
  Remedies remedies(view);
  for (const Slot slot : open) remedies.Add(slot);
  auto actions = remedies.Actions();
  for (auto& action : actions) {
    auto* move = std::get_if<MigrateSlots>(&action);
    if (move == nullptr) continue;
    move->to_ending_pod = ending.contains(move->to.id);
    move->from_ending_pod = ending.contains(move->from.id);
  }
  std::erase_if(actions, [&](const Action& action) {
    const auto* move = std::get_if<MigrateSlots>(&action);
    return move != nullptr && move->to_ending_pod && !LeavesItsData(observation, move->to.id);
  });
  if (actions.empty()) return std::nullopt;
  Plan plan = DoAndPoll(observation, kStep, "ClosingOpenSlots",
                        fmt::format("{} in the middle of a migration (first: {}), and a pod that takes part is ending",
                                    text::Counted(open.size(), "slot is", "slots are"), *open.begin()),
                        std::move(actions));
  plan.migration = MigrationProgress{.slots_left = static_cast<int>(open.size())};
  return plan;
}

std::optional<Plan> CloseOpenSlots(const Observation& observation, const ClusterView& view) {
  std::set<Slot> open;
  for (const NodeView* node : Masters(view)) {
    for (const auto& slot : node->me().open_slots) open.insert(slot.slot);
  }
  Remedies remedies(view);
  for (const Slot slot : open) remedies.Add(slot);
  std::set<Slot> of_replicas;
  for (const NodeView* node : view.answering) {
    const NodeView* master = LiveMasterOf(view, *node);
    if (master == nullptr) continue;
    for (const auto& slot : node->me().open_slots) {
      if (open.contains(slot.slot)) continue;  // the masters' remedies first
      remedies.AddOfReplica(slot.slot, *master);
      of_replicas.insert(slot.slot);
    }
  }
  open.merge(of_replicas);
  auto actions = remedies.Actions();
  if (actions.empty()) return std::nullopt;
  const auto what = fmt::format("{} in the middle of a migration (first: {})",
                                text::Counted(open.size(), "slot is", "slots are"), *open.begin());
  if (!observation.cluster.moves_slots()) {
    Plan wait = LeaveToOthers(observation, view, what);
    if (!Stands(observation, wait, kTimeToMove)) return wait;
  }
  const auto masters = Masters(view);
  const auto with_more =
      std::ranges::find_if(masters, [](const NodeView* node) { return node->server.several_databases; });
  if (with_more != masters.end()) {
    return Refuse(
        kStep, "OpenSlotsOfSeveralDatabases",
        fmt::format("{}, and {} has keys in other databases than 0: keys can be counted and moved so in database "
                    "0 only, and the others would be lost. Move what is left of each database, or take it back, "
                    "and end it by CLUSTER SETSLOT NODE or STABLE at both ends",
                    what, (*with_more)->pod));
  }
  Plan plan = DoAndPoll(observation, kStep, "ClosingOpenSlots", what, std::move(actions));
  plan.migration = MigrationProgress{.slots_left = static_cast<int>(open.size())};
  return plan;
}

}  // namespace slotwright::steps
