// The life of a simulated node: pings, gossip, who owns what, failure detection.
#include "tests/simulation/sim_redis.h"

#include <fmt/format.h>

#include <algorithm>

namespace slotwright::simulation {

namespace {

constexpr milliseconds kCron{100};

}  // namespace

Node::Node(Bus& bus, Endpoint endpoint, std::string hostname, std::string password, Disk disk)
    : bus_(bus),
      endpoint_(std::move(endpoint)),
      hostname_(std::move(hostname)),
      password_(std::move(password)),
      disk_(std::move(disk)),
      booted_(bus.simulator.Now()),
      run_id_(bus.NewId().ToString()),
      link_lost_(booted_ - std::chrono::hours(100)) {
  ListMyself();
  for (auto& [id, peer] : disk_.table) {
    peer.pong = booted_;
    peer.reports.clear();
    if (!peer.master) peer.epoch = 0;  // clusterLoadConfig
  }
}

void Node::EndLoading() {
  loading = false;
  booted_ = bus_.simulator.Now();
  for (auto& [id, peer] : disk_.table) peer.pong = booted_;
}

void Node::ListMyself() {
  Peer& me = disk_.table[disk_.id];
  me.id = disk_.id;
  me.endpoint = endpoint_;
  me.hostname = hostname_;
  if (me.shard == NodeId()) me.shard = me.id;
}

std::int64_t Node::KeyCount() const {
  std::int64_t count = 0;
  for (const auto& [slot, keys] : disk_.data) count += static_cast<std::int64_t>(keys.size());
  return count;
}

Peer* Node::Find(const NodeId& id) {
  const auto found = disk_.table.find(id);
  return found == disk_.table.end() ? nullptr : &found->second;
}

const Peer* Node::OwnerOf(Slot slot) const {
  for (const auto& [id, peer] : disk_.table) {
    if (peer.slots.Contains(slot)) return &peer;
  }
  return nullptr;
}

int Node::Majority() const {
  int masters = 0;
  for (const auto& [id, peer] : disk_.table) masters += peer.master && !peer.slots.empty() ? 1 : 0;
  return masters / 2 + 1;
}

void Node::Cron() {
  for (const auto& [id, until] : std::exchange(told_to_forget_, {})) {
    const bool is_mine = id == disk_.id || (!Me().master && Me().master_id == id);
    if (!is_mine && Find(id) != nullptr) Ban(id, until);
  }
  std::vector<NodeId> others;
  for (const auto& [id, peer] : disk_.table) {
    if (id != disk_.id) others.push_back(id);
  }
  const auto now = bus_.simulator.Now();
  for (const auto& id : others) {
    Peer* peer = Find(id);
    const bool due = now - peer->pong > bus_.node_timeout / 2;
    if (due || bus_.simulator.Random(0, 9) == 0) Ping(*peer);
  }
  CheckPeers();
  Replicate();
  CheckMigrations();
  CheckElection();
  CheckState();
}

void Node::Ping(Peer& peer) {
  if (peer.noaddr || !bus_.Reaches(*this, peer.endpoint)) return;
  Node& other = *bus_.At(peer.endpoint);
  if (other.id() != peer.id) {
    // Somebody else has that address: the link is dropped, the address forgotten.
    peer.noaddr = true;
    return;
  }
  const NodeId id = peer.id;
  other.Receive(*this);
  Receive(other);  // strangers get an answer, too
  Peer* answered = Find(id);
  if (answered == nullptr) return;
  const auto now = bus_.simulator.Now();
  answered->pong = now;
  answered->pfail = false;
  const bool may_clear =
      !answered->master || answered->slots.empty() || now - answered->failed_at > 2 * bus_.node_timeout;
  if (answered->fail && may_clear) answered->fail = false;
}

void Node::Receive(const Node& sender) {
  Peer* known = Find(sender.id());
  if (known == nullptr || sender.id() == disk_.id) return;
  const Peer& said = sender.me();
  known->endpoint = sender.endpoint();
  known->hostname = sender.hostname();
  known->noaddr = false;
  known->shard = said.shard;
  // A master that is not known here stays unsaid.
  if (said.master) known->master_id = NodeId();
  if (!said.master && Find(said.master_id) != nullptr) known->master_id = said.master_id;
  known->epoch = std::max(known->epoch, sender.EpochShown(said));
  disk_.current_epoch = std::max(disk_.current_epoch, sender.disk().current_epoch);
  if (known->master && !said.master) known->slots = {};  // a master that became a replica owns nothing
  known->master = said.master;
  if (said.master) {
    UpdateSlots(*known, said.slots);
    if (Me().master && Me().epoch == said.epoch && disk_.id < said.id) Me().epoch = ++disk_.current_epoch;
  }
  const bool counts = said.master && !said.slots.empty();
  for (const auto& [id, gossiped] : sender.disk().table) {
    if (id == disk_.id || id == sender.id()) continue;
    Peer* peer = Find(id);
    if (peer == nullptr) {
      const auto ban = banned_.find(id);
      if (gossiped.noaddr || (ban != banned_.end() && ban->second > bus_.simulator.Now())) continue;
      Peer& fresh = disk_.table[id];
      fresh.id = id;
      // Its hostname and its master only it says itself.
      fresh.endpoint = gossiped.endpoint;
      fresh.master = gossiped.master;
      fresh.pfail = gossiped.pfail;
      fresh.fail = gossiped.fail;
      fresh.pong = bus_.simulator.Now();
      continue;
    }
    if (counts && (gossiped.pfail || gossiped.fail)) {
      peer->reports[sender.id()] = bus_.simulator.Now();
    } else {
      peer->reports.erase(sender.id());
    }
  }
  for (const auto& [id, until] : sender.banned_) {
    if (bus_.valkey && until > bus_.simulator.Now()) told_to_forget_[id] = until;
  }
  HearOfNewerOwners(sender);
}

// Gossip says nothing about slots. Only who claims slots that have a newer owner is told so (UPDATE).
void Node::HearOfNewerOwners(const Node& sender) {
  const Peer* claimant = Me().master ? &Me() : Find(Me().master_id);
  if (claimant == nullptr) return;
  const SlotSet claimed = claimant->slots;
  const std::uint64_t epoch = claimant->epoch;
  for (const auto& [id, owner] : sender.disk().table) {
    if (id == disk_.id || owner.epoch <= epoch || (owner.slots & claimed).empty()) continue;
    Peer* peer = Find(id);
    if (peer == nullptr || peer->epoch >= owner.epoch) continue;
    peer->master = true;
    peer->master_id = NodeId();
    peer->epoch = owner.epoch;
    UpdateSlots(*peer, owner.slots);
  }
}

void Node::UpdateSlots(Peer& sender, const SlotSet& claimed) {
  const NodeId sender_id = sender.id;
  const NodeId master_id = Me().master ? disk_.id : Me().master_id;
  SlotSet importing;
  for (const auto& [slot, peer] : disk_.importing) importing.Add(slot);
  SlotSet wanted = claimed - sender.slots - importing;
  if (wanted.empty()) return;
  SlotSet lost;
  SlotSet from_master;
  for (auto& [id, peer] : disk_.table) {
    if (id == sender_id) continue;
    const SlotSet overlap = peer.slots & wanted;
    if (overlap.empty()) continue;
    if (peer.epoch >= sender.epoch) {
      wanted = wanted - overlap;
      continue;
    }
    peer.slots = peer.slots - overlap;
    if (id == disk_.id) lost = overlap;
    if (id == master_id) from_master = overlap;
  }
  sender.slots = sender.slots | wanted;
  for (auto open = disk_.migrating.begin(); open != disk_.migrating.end();) {
    open = lost.Contains(open->first) ? disk_.migrating.erase(open) : std::next(open);
  }
  if (!lost.empty() && bus_.on_overruled) bus_.on_overruled(*this, sender_id);
  const Peer* master = Find(master_id);
  const bool master_lost_all = !from_master.empty() && master != nullptr && master->slots.empty();
  const bool is_successor = bus_.valkey ? sender.shard == Me().shard : from_master == claimed;
  if (master_lost_all && is_successor && sender_id != disk_.id) {
    FollowMaster(sender_id);
  } else if (!lost.empty()) {
    DropKeysOf(lost);
  }
}

void Node::DropKeysOf(const SlotSet& slots) {
  for (const auto& [slot, keys] : disk_.data) {
    if (bus_.trace && slots.Contains(slot) && !keys.empty()) {
      bus_.trace(fmt::format("{} lost slot {} and drops {} keys", hostname_, slot, keys.size()));
    }
  }
  std::erase_if(disk_.data, [&](const auto& entry) { return slots.Contains(entry.first); });
}

void Node::FollowMaster(const NodeId& master) {
  Me().master = false;
  Me().master_id = master;
  Me().shard = Find(master)->shard;
  Me().slots = {};
  disk_.importing.clear();
  disk_.migrating.clear();
  link_up_ = false;
  master_address_.reset();
  sync_done_.reset();
  link_lost_ = bus_.simulator.Now();
  follows_since_ = link_lost_;
  election_at_.reset();
}

void Node::Meet(const Endpoint& endpoint) {
  if (!meeting_.insert(endpoint).second) return;
  const NodeId self = disk_.id;
  const Endpoint mine = endpoint_;
  bus_.simulator.After(bus_.simulator.RandomMs(20, 150), [&bus = bus_, self, mine, endpoint] {
    Node* from = bus.At(mine);
    if (from == nullptr || from->id() != self) return;
    from->meeting_.erase(endpoint);
    if (!bus.Reaches(*from, endpoint)) return;
    Node* to = bus.At(endpoint);
    if (from->Find(to->id()) != nullptr) {
      from->ReopenLinkTo(to->id());
      if (bus.valkey) to->ReopenLinkTo(self);
    }
    for (const auto& [one, other] : {std::pair(from, to), std::pair(to, from)}) {
      if (one->Find(other->id()) == nullptr) {
        Peer& peer = one->disk_.table[other->id()];
        peer.id = other->id();
        peer.pong = bus.simulator.Now();
      }
      one->Receive(*other);
    }
    from->Find(to->id())->pong = bus.simulator.Now();
  });
}

// A node takes one link from each other, and closes the older one: the other notices and opens its own again.
void Node::ReopenLinkTo(const NodeId& id) { reopened_[id] = bus_.simulator.Now() + kCron; }

bool Node::HasLinkTo(const NodeId& id) const {
  const auto reopened = reopened_.find(id);
  return reopened == reopened_.end() || reopened->second <= bus_.simulator.Now();
}

void Node::CheckPeers() {
  const auto now = bus_.simulator.Now();
  for (auto& [id, peer] : disk_.table) {
    if (id == disk_.id) continue;
    // Who has no address is not asked, and so never found to be failing.
    if (now - peer.pong > bus_.node_timeout && !peer.noaddr) peer.pfail = true;
    if (!peer.pfail || peer.fail) continue;
    int votes = Me().master && !Me().slots.empty() ? 1 : 0;
    for (const auto& [reporter, at] : peer.reports) votes += now - at <= 2 * bus_.node_timeout ? 1 : 0;
    if (votes < Majority()) continue;
    for (Node* node : bus_.All()) {
      if (node != this && !bus_.Reaches(*this, node->endpoint())) continue;
      Peer* failed = node->Find(id);
      if (failed == nullptr || node->id() == id || failed->fail) continue;
      failed->fail = true;
      failed->failed_at = now;
    }
  }
}

Node& Bus::Start(const Endpoint& endpoint, const std::string& hostname, const std::string& password,
                 std::optional<Disk> disk) {
  if (!disk) {
    disk = Disk{};
    disk->id = NewId();
  }
  auto node = std::make_unique<Node>(*this, endpoint, hostname, password, *std::move(disk));
  Node& started = *node;
  nodes_[endpoint] = std::move(node);
  ScheduleCron(endpoint, started.run_id_);
  return started;
}

void Bus::ScheduleCron(const Endpoint& endpoint, const std::string& run_id) {
  simulator.After(kCron + simulator.RandomMs(0, 10), [this, endpoint, run_id] {
    Node* node = At(endpoint);
    if (node == nullptr || node->run_id_ != run_id) return;
    if (node->works()) node->Cron();
    ScheduleCron(endpoint, run_id);
  });
}

void Bus::Stop(const Endpoint& endpoint) { nodes_.erase(endpoint); }

Node* Bus::At(const Endpoint& endpoint) const {
  const auto found = nodes_.find(endpoint);
  return found == nodes_.end() ? nullptr : found->second.get();
}

Node* Bus::ById(const NodeId& id) const {
  for (const auto& [endpoint, node] : nodes_) {
    if (node->id() == id) return node.get();
  }
  return nullptr;
}

std::vector<Node*> Bus::All() const {
  std::vector<Node*> all;
  for (const auto& [endpoint, node] : nodes_) all.push_back(node.get());
  return all;
}

bool Bus::Reaches(const Node& from, const Endpoint& to) const {
  const Node* target = At(to);
  return target != nullptr && target->works() && from.works() && from.side == target->side &&
         from.bus_offset == target->bus_offset;
}

NodeId Bus::NewId() { return *NodeId::Parse(fmt::format("{:040x}", next_id_++)); }

}  // namespace slotwright::simulation
