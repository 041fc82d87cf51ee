// Introduces nodes to each other and attaches replicas, each as soon as it is possible: no node waits for all others.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <ranges>
#include <set>

#include "controllers/plan/planner.h"
#include "controllers/plan/waiting.h"
#include "controllers/resources/configuration.h"
#include "controllers/topology/text.h"

namespace slotwright::steps {

using text::Counted;

namespace {

// A node whose role has changed tells others with its next ping, which may take seconds; an introduction tells them
// now. Between nodes that know each other it changes nothing else, but that their links are opened anew (HandOver waits
// for that).
bool IsNewsTo(const NodeView& peer, const NodeView& from) {
  const NodeLine* known = peer.table->Find(from.id());
  if (!from.info.state_ok || known == nullptr || known->flags.handshake) return false;
  if (known->flags.master != from.me().flags.master) return true;
  const auto& master = from.me().master;
  // A master that it has never heard of it cannot note.
  return known->master != master && (!master || peer.table->Find(*master) != nullptr);
}

// All pairs, in both directions: a node that is only heard of by gossip is not trusted by the others until a ping comes
// by chance, which takes up to half the node timeout (redis#13751). An introduction that is under way is not repeated.
bool NeedsIntroduction(const NodeView& from, const NodeView& peer) {
  for (const auto& other : from.table->lines) {
    if (other.flags.handshake && other.endpoint == peer.endpoint) return false;
  }
  const NodeLine* line = from.table->Find(peer.id());
  if (line == nullptr || line->flags.handshake) return true;
  return line->flags.noaddr || line->endpoint != peer.endpoint || IsNewsTo(peer, from);
}

// Of new nodes. All start as masters with epoch 0, replicas to be as well: they would settle that among themselves,
// with old masters drawn in. One that takes a new epoch after it gave slots away gets them back by the word of anybody
// who was away meanwhile, and who has them loses what was written (simulation, seed 661618). So each gets its own.
//
// A replica's is lower than its master's: whom Valkey has known as a master of the same shard with a higher one it does
// not believe ("Ignore stale message"), for ever, that it is a replica now (clusterProcessPacket in its
// cluster_legacy.c; whether it came to that was a matter of milliseconds in `make e2e`). If none is free it keeps 0.
std::map<const NodeView*, std::uint64_t> EpochsOfNewNodes(const ClusterView& view) {
  std::map<const NodeView*, std::uint64_t> epochs;
  std::set<std::uint64_t> taken = {0};
  for (const NodeView* viewer : view.answering) {
    for (const auto& line : viewer->table->lines) taken.insert(line.config_epoch);
  }
  std::uint64_t highest = view.HighestEpoch();
  for (const NodeView* node : view.answering) {
    if (TakesEpoch(*node) && view.HeadOf(node->shard) == node) taken.insert(epochs[node] = ++highest);
  }
  for (const NodeView* node : view.answering) {
    if (!TakesEpoch(*node) || epochs.contains(node)) continue;
    const NodeView* head = view.HeadOf(node->shard);
    std::uint64_t epoch = highest;
    if (head != nullptr) epoch = epochs.contains(head) ? epochs[head] : head->me().config_epoch;
    while (epoch > 0 && taken.contains(epoch)) --epoch;
    if (epoch > 0) taken.insert(epochs[node] = epoch);
  }
  return epochs;
}

void AddMeets(const ClusterView& view, std::vector<Action>& actions) {
  const auto epochs = EpochsOfNewNodes(view);
  std::vector<const NodeView*> nodes = view.answering;
  std::erase_if(nodes, &NodeView::leaving);
  for (const NodeView* from : nodes) {
    Meet meet{.from = RefTo(*from), .peers = {}, .epoch = std::nullopt};
    for (const NodeView* peer : nodes) {
      if (peer != from && NeedsIntroduction(*from, *peer)) meet.peers.push_back({peer->endpoint, peer->me().bus_port});
    }
    if (meet.peers.empty()) continue;
    if (const auto epoch = epochs.find(from); epoch != epochs.end()) meet.epoch = epoch->second;
    actions.emplace_back(std::move(meet));
  }
}

// Whose data is worth nothing, or is held by a master that lives.
bool MayBecomeReplica(const ClusterView& view, const NodeView& node, const NodeView& master) {
  if (view.owned.contains(node.id()) || !node.me().slots.empty()) return false;
  if (node.me().flags.master) return node.server.keys == 0;
  if (!node.me().master || *node.me().master == master.id()) return false;
  if (view.by_id.contains(*node.me().master)) return true;
  // Of a dead master it may be the last copy, unless the slots of its shard have an owner again.
  if (node.server.keys > 0 && !view.owned.contains(master.id())) return false;
  return std::ranges::none_of(view.answering, [&](const NodeView* viewer) {
    const NodeLine* old_master = viewer->table->Find(*node.me().master);
    return old_master != nullptr && !old_master->slots.empty();
  });
}

void AddReplicas(const ClusterView& view, std::vector<Action>& actions) {
  for (const NodeView* node : view.answering) {
    const NodeView* master = view.HeadOf(node->shard);
    if (master == nullptr || master == node) continue;
    const bool asks_in_vain = AsksAnOldAddress(*node, *master) && AsksAnewIfToldAgain(*node);
    if (!asks_in_vain && !MayBecomeReplica(view, *node, *master)) continue;
    const NodeLine* known = node->table->Find(master->id());
    if (known == nullptr || known->flags.handshake || known->flags.noaddr) continue;
    actions.emplace_back(Replicate{RefTo(*node), master->id(), master->pod});
  }
}

// A replica of a dead master may follow an address that a new node has by now; so may one that does not answer, also of
// a master that nobody lists who does.
bool SomebodyMayFollowTheWrongNode(const Observation& observation, const ClusterView& view) {
  const bool all_answer = EveryPodAnswers(observation, view);
  if (!all_answer && view.covered.size() < kSlotCount) return true;
  return std::ranges::any_of(view.absent, [&](const ClusterView::Absent& absent) {
    return absent.has_live_replicas || (absent.OwnsSlots() && !all_answer);
  });
}

// More wait for its data than its own replicas that answer: one of another master that does not.
bool IsFollowedByMistake(const ClusterView& view, const NodeView& node) {
  int own = 0;
  for (const NodeView* other : view.answering) {
    const ServerInfo& server = other->server;
    const bool asks = !server.master_role && Endpoint{server.master_host, server.master_port} == node.endpoint;
    if (asks && other->me().master != node.id()) return true;
    own += asks && !server.master_link_up ? 1 : 0;
  }
  return node.server.replicas_waiting > own;
}

constexpr std::chrono::seconds kPatience{60};
constexpr std::chrono::seconds kLongForAJoin{30};

// It has missed a look, loads its data, or starts again; nobody knows whom it will follow.
bool SomebodyIsAboutToAnswer(const Observation& observation, const ClusterView& view) {
  const auto is_silent = [](const NodeView& node) { return !node.Answers(); };
  return std::ranges::any_of(observation.nodes | std::views::filter(is_silent), [&](const NodeView& node) {
    const PodView* pod = observation.FindPod(node.pod);
    return node.loading || IsConnected(observation, view, node) ||
           (pod != nullptr && observation.now - pod->container_changed < kPatience);
  });
}

// A master that came back with its data, at an address that was another one's, must not be kept from its own replicas
// by a shard that is silent for long.
bool MayBeFollowedByMistake(const Observation& observation, const ClusterView& view, const NodeView& node) {
  if (IsFollowedByMistake(view, node)) return true;
  if (EveryPodAnswers(observation, view)) return false;
  if (std::chrono::seconds(node.server.uptime_seconds) < kPatience) return true;
  return view.covered.size() < kSlotCount && SomebodyIsAboutToAnswer(observation, view);
}

// Of nodes that have a place by now: at the head of their shard, or beside it with all that the head has.
void EndQuarantines(const Observation& observation, const ClusterView& view, std::vector<Action>& actions) {
  const bool somebody_may_err = SomebodyMayFollowTheWrongNode(observation, view);
  for (const NodeView* node : view.answering) {
    if (!node->quarantined) continue;
    const bool came_back = view.owned.contains(node->id()) && node->server.keys > 0;
    if (came_back ? MayBeFollowedByMistake(observation, view, *node) : somebody_may_err) continue;
    const bool leads = view.owned.contains(node->id()) || view.HeadOf(node->shard) == node;
    if (leads || node->InSync()) {
      actions.emplace_back(EndQuarantine{RefTo(*node), DirectivesOfQuarantine(observation.cluster)});
    }
  }
}

}  // namespace

std::optional<Plan> JoinNodes(const Observation& observation, const ClusterView& view) {
  std::vector<Action> actions;
  AddMeets(view, actions);
  AddReplicas(view, actions);
  EndQuarantines(observation, view, actions);
  if (actions.empty()) return std::nullopt;
  constexpr const char* kReason = "JoiningNodes";
  std::string message = Counted(view.answering.size(), "node is being joined", "nodes are being joined");
  // A matter of seconds, else a person will want to know who does not listen.
  if (HasLasted(observation, kReason, kLongForAJoin)) message += ", again and again: " + ToString(actions[0]);
  return DoAndPoll(observation, "join", kReason, std::move(message), std::move(actions));
}

}  // namespace slotwright::steps
