// See cluster_view.h.
#include "controllers/plan/cluster_view.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "controllers/api/names.h"
#include "controllers/plan/wanted.h"

namespace slotwright {

namespace {

// What two nodes must say alike about a member.
struct Membership {
  bool master = false;
  NodeId master_id;
  SlotSet slots;
  friend bool operator==(const Membership&, const Membership&) = default;
};

std::map<NodeId, Membership> MembershipsOf(const ClusterView& view, const NodeTable& table) {
  std::map<NodeId, Membership> members;
  for (const auto& line : table.lines) {
    if (line.flags.handshake || view.IsLeftOver(line.id)) continue;
    members[line.id] = {line.flags.master, line.master.value_or(NodeId()), line.slots};
  }
  return members;
}

std::string DescribeDifference(const ClusterView& view, const NodeView& left, const NodeView& right) {
  const auto a = MembershipsOf(view, *left.table);
  const auto b = MembershipsOf(view, *right.table);
  for (const auto& [id, membership] : a) {
    const auto other = b.find(id);
    if (other == b.end()) return fmt::format("{} does not know {}, {} does", right.pod, id.Short(), left.pod);
    if (other->second.slots != membership.slots) {
      return fmt::format("{} and {} disagree about the slots of {}", left.pod, right.pod, id.Short());
    }
    if (other->second != membership) {
      return fmt::format("{} and {} disagree about the role of {}", left.pod, right.pod, id.Short());
    }
  }
  for (const auto& [id, membership] : b) {
    if (!a.contains(id)) return fmt::format("{} does not know {}, {} does", left.pod, id.Short(), right.pod);
  }
  return "";
}

// A slot that two nodes claim for themselves belongs to the one with the higher epoch: gossip is about to say so.
void SettleOwnership(ClusterView& view) {
  std::vector<const NodeView*> by_epoch = view.answering;
  std::ranges::sort(by_epoch, [](const NodeView* a, const NodeView* b) {
    return std::pair(a->me().config_epoch, a->id()) > std::pair(b->me().config_epoch, b->id());
  });
  for (const NodeView* node : by_epoch) {
    const SlotSet slots = node->me().slots - view.covered;
    if (slots.empty()) continue;
    view.owned[node->id()] = slots;
    view.covered = view.covered | slots;
  }
}

// A dead node whose pod has no other node may come back with its data. Of one that is known from gossip alone nobody
// has heard the hostname: it was no pod's node if each pod has another one.
bool HasSuccessor(const Observation& observation, const ClusterView& view, const ClusterView::Absent& node) {
  const auto& cluster = observation.cluster;
  if (node.hostname.empty()) return node.unreachable_everywhere && EveryPodAnswers(observation, view);
  return std::ranges::any_of(view.answering, [&](const NodeView* other) {
    return HostnameOf(cluster.ns, cluster.name, other->pod) == node.hostname;
  });
}

// While nobody serves some slots their owner may be anybody who does not answer, whatever those say that do: it handed
// over, or was elected, when they were dead.
bool WasRemoved(const Observation& observation, const ClusterView& view, const ClusterView::Absent& node) {
  const auto& cluster = observation.cluster;
  const bool has_owners = !cluster.formed_at.empty() || !view.claimed.empty();  // or it is made over volumes
  if (has_owners && view.covered.size() < kSlotCount) return false;
  const auto place = PlaceOfHostname(cluster.ns, cluster.name, node.hostname);
  if (!place || IsWanted(observation, place->first, place->second)) return false;
  return observation.FindPod(PodNameOf(cluster.name, place->first, place->second)) == nullptr;
}

void FindAbsent(const Observation& observation, ClusterView& view) {
  std::map<NodeId, ClusterView::Absent> absent;
  std::set<NodeId> masters_of_live_replicas;
  for (const NodeView* viewer : view.answering) {
    if (viewer->me().master) masters_of_live_replicas.insert(*viewer->me().master);
    for (const auto& line : viewer->table->lines) {
      if (line.flags.handshake || view.by_id.contains(line.id)) continue;
      auto [entry, added] =
          absent.try_emplace(line.id, ClusterView::Absent{.id = line.id, .unreachable_everywhere = true});
      auto& node = entry->second;
      if (node.hostname.empty()) node.hostname = line.hostname;
      if (line.master) node.masters.insert(*line.master);
      node.slots = node.slots | line.slots;
      const bool unreachable = line.flags.fail || line.flags.pfail || line.flags.noaddr;
      // The address of a pod that is gone may swallow packets: a link that is being opened looks like one that is open.
      node.connected = node.connected || (line.link_connected && !unreachable);
      node.unreachable_everywhere = node.unreachable_everywhere && unreachable;
      node.viewers.push_back(viewer);
    }
  }
  for (auto& [id, node] : absent) {
    node.has_live_replicas = masters_of_live_replicas.contains(id);
    node.removed = WasRemoved(observation, view, node);
    node.replaced = HasSuccessor(observation, view, node);
    const auto place = PlaceOfHostname(observation.cluster.ns, observation.cluster.name, node.hostname);
    node.inherited = !node.OwnsSlots() && place && view.MasterOf(place->first) != nullptr;
    view.absent.push_back(node);
  }
}

}  // namespace

bool ClusterView::IsLeftOver(const NodeId& id) const {
  return std::ranges::any_of(absent, [&](const Absent& node) { return node.id == id && node.LeftOver(); });
}

const NodeView* ClusterView::MasterOf(int shard) const {
  const NodeView* best = nullptr;
  int most = 0;
  for (const NodeView* node : answering) {
    const auto slots = owned.find(node->id());
    if (node->shard != shard || slots == owned.end() || slots->second.size() <= most) continue;
    best = node;
    most = slots->second.size();
  }
  return best;
}

const NodeView* ClusterView::HeadOf(int shard) const {
  if (const NodeView* master = MasterOf(shard)) return master;
  if (claimed_by_shard.contains(shard)) return nullptr;
  const NodeView* first = nullptr;
  for (const NodeView* node : answering) {
    if (node->shard != shard || !node->me().flags.master) continue;
    const auto follows = [&](const NodeView* other) {
      return other->shard == shard && other->me().master == node->id();
    };
    if (std::ranges::any_of(answering, follows)) return node;
    if (first == nullptr) first = node;
  }
  return first;
}

std::uint64_t ClusterView::HighestEpoch() const {
  std::uint64_t highest = 0;
  for (const NodeView* node : answering) {
    highest = std::max(highest, node->info.current_epoch);
    for (const auto& line : node->table->lines) highest = std::max(highest, line.config_epoch);
  }
  return highest;
}

bool ClusterView::KeepsItsEpoch(const NodeView& master) const {
  const std::uint64_t epoch = master.me().config_epoch;
  return std::ranges::all_of(answering, [&](const NodeView* other) {
    if (other == &master || !other->me().flags.master) return true;
    const NodeLine* known = other->table->Find(master.id());
    return other->me().config_epoch != epoch && known != nullptr && known->config_epoch >= epoch;
  });
}

bool TakesEpoch(const NodeView& node) { return node.info.known_nodes <= 1 && node.me().config_epoch == 0; }

namespace {

bool AllAnswer(const Observation& observation, const ClusterView& view, size_t but) {
  const auto& spec = observation.cluster.spec;
  const auto wanted =
      std::ranges::count_if(observation.pods, [&](const PodView& pod) { return spec.Wants(pod.shard, pod.index); });
  if (view.answering.size() + but != observation.pods.size() || wanted != spec.pods()) return false;
  // A shard that is to go is kept whole while it owns slots (EnsurePods).
  return std::ranges::all_of(view.claimed_by_shard, [&](const auto& claimed) {
    if (claimed.first < spec.masters) return true;
    for (int index = 0; index < spec.pods_per_shard(); ++index) {
      const bool is_there = observation.FindPod(PodNameOf(observation.cluster.name, claimed.first, index)) != nullptr;
      if (!is_there && CanBeMadeAnew(observation, claimed.first, index)) return false;
    }
    return true;
  });
}

}  // namespace

bool EveryPodAnswers(const Observation& observation, const ClusterView& view) {
  return AllAnswer(observation, view, 0);
}

bool EveryPodWithDataAnswers(const Observation& observation, const ClusterView& view) {
  const auto without =
      std::ranges::count_if(observation.pods, [&](const PodView& pod) { return HasNothingYet(observation, pod); });
  return AllAnswer(observation, view, static_cast<size_t>(without));
}

bool IsConnected(const Observation& observation, const ClusterView& view, const NodeView& node) {
  const auto& cluster = observation.cluster;
  return std::ranges::any_of(view.absent, [&](const ClusterView::Absent& absent) {
    return absent.connected && absent.hostname == HostnameOf(cluster.ns, cluster.name, node.pod);
  });
}

const NodeView* WhoRefusesThePassword(const Observation& observation, const ClusterView& view) {
  // New ones that know nobody can say nothing about the others.
  const bool anybody_knows =
      std::ranges::any_of(view.answering, [](const NodeView* node) { return node->table->lines.size() > 1; });
  const NodeView* first = nullptr;
  int refusing = 0;
  int accepting = 0;
  for (const auto& node : observation.nodes) {
    accepting += node.Answers() || node.loading ? 1 : 0;
    if (!node.unauthorized || (anybody_knows && !IsConnected(observation, view, node))) continue;
    if (refusing++ == 0) first = &node;
  }
  return refusing >= accepting ? first : nullptr;
}

bool NodesCouldBeAsked(const Observation& observation, const ClusterView& view) {
  return observation.password.state == PasswordView::State::kUsable &&
         WhoRefusesThePassword(observation, view) == nullptr;
}

ClusterView Merge(const Observation& observation) {
  ClusterView view;
  for (const auto& node : observation.nodes) {
    if (!node.Answers()) continue;
    view.answering.push_back(&node);
    view.by_id[node.id()] = &node;
    for (const auto& line : node.table->lines) {
      if (line.slots.empty()) continue;
      view.claimed = view.claimed | line.slots;
      const auto place = ShardAndIndexOf(observation.cluster.name, line.hostname);
      if (!place) continue;
      SlotSet& claimed = view.claimed_by_shard[place->first];
      claimed = claimed | line.slots;
    }
  }
  SettleOwnership(view);
  FindAbsent(observation, view);
  for (size_t i = 1; i < view.answering.size() && view.disagreement.empty(); ++i) {
    view.disagreement = DescribeDifference(view, *view.answering[0], *view.answering[i]);
  }
  return view;
}

}  // namespace slotwright
