// Masters pile up on a few Kubernetes nodes where replicas were elected or handed over to: they are spread again, by
// one orderly failover at a time, each after the cluster was well for a while.
#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <map>
#include <set>

#include "controllers/api/conditions.h"
#include "controllers/plan/planner.h"
#include "controllers/plan/waiting.h"

namespace slotwright::steps {

namespace {

constexpr std::chrono::seconds kBetween{30};

struct Move {
  const NodeView* master = nullptr;
  const NodeView* replica = nullptr;
};

// A refused change of the storage keeps Ready=False, and nothing from being done. Degraded tells how long that is so:
// it changes with each hand-over as Ready does otherwise.
bool HasBeenWellForLong(const Observation& observation) {
  const auto conditions = observation.cluster.status.value("conditions", reconciler::Json::array());
  const auto degraded = FindCondition(conditions, "Degraded");
  return HasBeenTrueFor(FindCondition(conditions, "Ready"), kBetween, observation.now) ||
         (HasBeenTrueFor(degraded, kBetween, observation.now) && degraded.value("reason", "").starts_with("Storage"));
}

// Where a pod is for one topology key: a Kubernetes node, a zone, … Empty if nobody says.
std::string DomainOf(const Observation& observation, const NodeView& node, const std::string& key) {
  const PodView* pod = observation.FindPod(node.pod);
  if (pod == nullptr) return "";
  const auto found = pod->domains.find(key);
  return found == pod->domains.end() ? "" : found->second;
}

// One topology key: which domain has how many masters, and which hand-overs there are.
class Topology {
 public:
  // Hand-overs that would change what a more important key (of `fixed`) sees are left out.
  Topology(const Observation& observation, const ClusterView& view, const std::string& key,
           const std::vector<std::string>& fixed)
      : observation_(observation), key_(key) {
    for (const NodeView* node : view.answering) masters_[Domain(*node)];
    for (const auto& [id, slots] : view.owned) {
      const NodeView* master = view.by_id.at(id);
      ++masters_[Domain(*master)];
      ++total_;
      for (const NodeView* replica : view.answering) {
        const PodView* pod = observation.FindPod(replica->pod);
        if (replica->me().master != id || !replica->InSync() || pod == nullptr) continue;
        // A new cluster waits for nobody's probes: it has no clients yet that could be sent elsewhere.
        if (!pod->ready && !observation.cluster.ready_at.empty()) continue;
        if (replica->server.rewrites_aof || RefusesWrites(observation.cluster, *replica)) continue;
        const bool stays = std::ranges::all_of(fixed, [&](const std::string& other) {
          return DomainOf(observation, *master, other) == DomainOf(observation, *replica, other);
        });
        if (stays) moves_[Domain(*master)].push_back({.master = master, .replica = replica});
      }
    }
  }

  // False if some pod's domain is not known.
  [[nodiscard]] bool IsKnown() const { return !masters_.contains(""); }

  // The last hand-over of the shortest chain from a domain to one that has at least two masters less. Once it is done
  // the chain is shorter by one, so that there is an end.
  [[nodiscard]] std::optional<Move> NextMove() const {
    for (const auto& [domain, count] : masters_) {
      if (const auto move = FirstTo(domain, count - 1)) return move;
    }
    return std::nullopt;
  }

  [[nodiscard]] std::string Describe(const Move& move) const {
    return fmt::format("{} of {} masters are in {} {}", masters_.at(Domain(*move.master)), total_, key_,
                       Domain(*move.master));
  }

 private:
  [[nodiscard]] std::string Domain(const NodeView& node) const { return DomainOf(observation_, node, key_); }

  [[nodiscard]] std::optional<Move> FirstTo(const std::string& start, int limit) const {
    std::set<std::string> seen = {start};
    std::deque<std::string> next = {start};
    while (!next.empty()) {
      const auto moves = moves_.find(next.front());
      next.pop_front();
      if (moves == moves_.end()) continue;
      for (const Move& move : moves->second) {
        const std::string to = Domain(*move.replica);
        if (masters_.at(to) < limit) return move;
        if (seen.insert(to).second) next.push_back(to);
      }
    }
    return std::nullopt;
  }

  const Observation& observation_;
  const std::string& key_;
  std::map<std::string, int> masters_;
  std::map<std::string, std::vector<Move>> moves_;
  int total_ = 0;
};

}  // namespace

std::optional<Plan> SpreadMasters(const Observation& observation, const ClusterView& view) {
  const auto& placement = observation.cluster.spec.placement;
  // Nobody writes before the cluster is Ready for the first time: then a hand-over costs nothing.
  const bool is_new = observation.cluster.ready_at.empty();
  if (!placement.spread_masters || (!is_new && !HasBeenWellForLong(observation))) return std::nullopt;
  std::vector<std::string> fixed;
  for (const auto& key : placement.topology_keys) {
    const Topology topology(observation, view, key, fixed);
    if (!topology.IsKnown()) continue;
    if (const auto move = topology.NextMove()) {
      return Do("spread", "SpreadingMasters",
                fmt::format("{} hands its shard over to {}: {}", move->master->pod, move->replica->pod,
                            topology.Describe(*move)),
                {Failover{RefTo(*move->replica), move->master->pod}});
    }
    fixed.push_back(key);
  }
  return std::nullopt;
}

}  // namespace slotwright::steps
