// Introduces nodes to each other and attaches replicas, each as soon as it is possible: no node waits for all others.
#include <fmt/format.h>

#include "controllers/plan/planner.h"
#include "controllers/plan/waiting.h"

namespace slotwright::steps {

namespace {

// All pairs, in both directions: a node that is only heard of by gossip is not trusted by the others until a ping comes
// by chance, which takes up to half the node timeout (redis#13751). An introduction that is under way is not repeated.
bool NeedsIntroduction(const NodeView& from, const NodeView& peer) {
  const NodeLine* line = from.table->Find(peer.id());
  if (line != nullptr && !line->flags.handshake) return line->flags.noaddr || line->endpoint != peer.endpoint;
  for (const auto& other : from.table->lines) {
    if (other.flags.handshake && other.endpoint == peer.endpoint) return false;
  }
  return true;
}

void AddMeets(const Observation& observation, const ClusterView& view, std::vector<Action>& actions) {
  for (const NodeView* from : view.answering) {
    Meet meet{.from = RefTo(*from), .peers = {}, .bus_port = observation.cluster.spec.bus_port()};
    for (const NodeView* peer : view.answering) {
      if (peer != from && NeedsIntroduction(*from, *peer)) meet.peers.push_back(RefTo(*peer));
    }
    if (!meet.peers.empty()) actions.emplace_back(std::move(meet));
  }
}

// Whose data is worth nothing: a master without slots and keys, or a replica of somebody without slots.
bool MayBecomeReplica(const ClusterView& view, const NodeView& node, const NodeView& master) {
  if (view.owned.contains(node.id()) || !node.me().slots.empty()) return false;
  if (node.me().flags.master) return node.server.keys == 0;
  if (!node.me().master || *node.me().master == master.id()) return false;
  for (const NodeView* viewer : view.answering) {
    const NodeLine* old_master = viewer->table->Find(*node.me().master);
    if (old_master != nullptr && !old_master->slots.empty()) return false;
  }
  return true;
}

void AddReplicas(const ClusterView& view, std::vector<Action>& actions) {
  for (const NodeView* node : view.answering) {
    const NodeView* master = view.MasterOf(node->shard);
    if (master == nullptr || master == node || !MayBecomeReplica(view, *node, *master)) continue;
    const NodeLine* known = node->table->Find(master->id());
    if (known == nullptr || known->flags.handshake || known->flags.noaddr) continue;
    actions.emplace_back(Replicate{RefTo(*node), master->id(), master->pod});
  }
}

}  // namespace

std::optional<Plan> JoinNodes(const Observation& observation, const ClusterView& view) {
  std::vector<Action> actions;
  AddMeets(observation, view, actions);
  AddReplicas(view, actions);
  if (actions.empty()) return std::nullopt;
  Plan plan =
      Do("join", "JoiningNodes", fmt::format("{} nodes are being joined", view.answering.size()), std::move(actions));
  plan.look_again = PollInterval(observation);
  return plan;
}

}  // namespace slotwright::steps
