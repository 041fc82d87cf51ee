// What a simulated node does about failures: it replicates, is elected, votes, and says whether the cluster is well.
#include <algorithm>

#include "tests/simulation/sim_redis.h"

namespace slotwright::simulation {

namespace {

// CLUSTER_WRITABLE_DELAY of redis src/cluster.h.
constexpr milliseconds kWritableDelay{2000};

}  // namespace

// The link leads to an address: a stranger who has it by now is copied like the master, with the same password. It ends
// with the process at its other end, however soon there is another one.
void Node::Replicate() {
  if (Me().master) return;
  const Peer* master = Find(Me().master_id);
  if (master != nullptr && !master->noaddr) master_address_ = master->endpoint;
  const Node* source = master_address_ ? bus_.At(*master_address_) : nullptr;
  // (Nor from itself, where it has got its master's old address: "-NOMASTERLINK Can't SYNC while not connected".)
  const bool alive =
      source != nullptr && source != this && source->works() && source->side == side && source->password_ == password_;
  const auto now = bus_.simulator.Now();
  if (!alive || source->run_id_ != linked_to_) {
    if (link_up_) link_lost_ = now;
    link_up_ = false;
    linked_to_.clear();
    sync_done_.reset();
  }
  if (!alive) return;
  if (!link_up_) {
    linked_to_ = source->run_id_;
    if (source->quarantined || source->leaving) return;
    if (!sync_done_) sync_done_ = now + bus_.simulator.RandomMs(50, 400);
    if (now < *sync_done_) return;
    link_up_ = true;
    ever_synced_ = true;
  }
  disk_.data = source->disk_.data;
  offset_ = source->offset_;
}

// Replicas of the same master that have more of it go first.
int Node::Rank() const {
  return static_cast<int>(std::ranges::count_if(bus_.All(), [&](const Node* other) {
    return other != this && !other->Me().master && other->Me().master_id == Me().master_id &&
           disk_.table.contains(other->id()) && other->offset_ > offset_;
  }));
}

void Node::CheckElection() {
  const Peer* master = Me().master ? nullptr : Find(Me().master_id);
  const auto now = bus_.simulator.Now();
  const bool wanted = master != nullptr && master->fail && !master->slots.empty();
  // A replica that never had a link, or lost it long ago, may be too old: it is not elected by itself.
  const bool fresh = ever_synced_ && now - link_lost_ < 10 * bus_.node_timeout + std::chrono::seconds(10);
  if (!wanted || !fresh) {
    election_at_.reset();
    return;
  }
  if (!election_at_) election_at_ = now + milliseconds(500 + 1000 * Rank()) + bus_.simulator.RandomMs(0, 500);
  if (now < *election_at_) return;
  election_at_ = now + std::max<milliseconds>(2 * bus_.node_timeout, milliseconds(2000)) * 2;
  (void)Elect(false);
}

bool Node::Elect(bool forced) {
  // Not even when it is told to: clusterHandleSlaveFailover of redis src/cluster.c.
  const Peer* old = Find(Me().master_id);
  if (old == nullptr || old->slots.empty()) return false;
  const std::uint64_t epoch = ++disk_.current_epoch;
  int votes = 0;
  for (Node* node : bus_.All()) {
    if (node == this || !bus_.Reaches(*this, node->endpoint())) continue;
    if (!HasLinkTo(node->id())) continue;
    const bool voted = node->Vote(*this, epoch, forced);
    votes += voted && node->HasLinkTo(id()) ? 1 : 0;
  }
  if (votes < Majority()) return false;
  Win(epoch, !forced);
  return true;
}

bool Node::Vote(const Node& candidate, std::uint64_t epoch, bool forced) {
  const Peer* known = Find(candidate.id());
  if (!Me().master || Me().slots.empty() || known == nullptr || epoch < disk_.current_epoch || last_vote_ >= epoch) {
    return false;
  }
  const NodeId master_id = candidate.me().master_id;
  Peer* master = Find(master_id);
  if (master == nullptr || (!master->fail && !forced)) return false;
  const auto now = bus_.simulator.Now();
  const auto before = voted_.find(master_id);
  if (before != voted_.end() && now - before->second < 2 * bus_.node_timeout) return false;
  disk_.current_epoch = std::max(disk_.current_epoch, epoch);
  last_vote_ = epoch;
  voted_[master_id] = now;
  return true;
}

void Node::Win(std::uint64_t epoch, bool by_themselves) {
  if (bus_.on_election) bus_.on_election(*this, by_themselves);
  Peer* old = Find(Me().master_id);
  const SlotSet slots = old == nullptr ? SlotSet() : old->slots;
  if (old != nullptr) old->slots = {};
  Me().master = true;
  Me().master_id = NodeId();
  Me().slots = slots;
  Me().epoch = epoch;
  disk_.current_epoch = std::max(disk_.current_epoch, epoch);
  link_up_ = false;
  for (Node* node : bus_.All()) {
    if (node != this && bus_.Reaches(*this, node->endpoint())) node->Receive(*this);
  }
}

void Node::CheckState() {
  const auto now = bus_.simulator.Now();
  // A master that has just started does not even look, lest it takes writes that an elected replica should have.
  if (Me().master && !state_ok_ && now - booted_ < kWritableDelay) return;
  SlotSet served;
  int masters = 0;
  int reachable = 0;
  for (const auto& [id, peer] : disk_.table) {
    if (!peer.master || peer.slots.empty()) continue;
    ++masters;
    reachable += peer.pfail || peer.fail ? 0 : 1;
    if (!peer.fail) served = served | peer.slots;
  }
  if (reachable < masters / 2 + 1) among_minority_ = now;
  const bool well = served.size() == kSlotCount && reachable >= masters / 2 + 1;
  // Who was cut off from the majority is not back at once.
  const auto rejoin_delay = std::clamp<milliseconds>(bus_.node_timeout, milliseconds(500), milliseconds(5000));
  const bool was_cut_off = Me().master && among_minority_ && now - *among_minority_ < rejoin_delay;
  state_ok_ = well && (state_ok_ || !was_cut_off);
}

}  // namespace slotwright::simulation
