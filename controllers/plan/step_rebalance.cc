// Moves slots: off shards that leave, onto new ones, and wherever they are uneven. One slice, then the world is looked
// at again; the moves are computed anew from where the slots are then.
#include <fmt/format.h>

#include <set>

#include "controllers/plan/outdated.h"
#include "controllers/plan/planner.h"
#include "controllers/plan/slot_moves.h"
#include "controllers/plan/waiting.h"
#include "controllers/topology/text.h"

namespace slotwright::steps {

using text::Counted;

namespace {

std::pair<int, int> ReleaseOf(const ServerInfo& server) {
  const auto numbers = text::Split(server.version, '.');
  const auto number = [&](size_t i) {
    return i < numbers.size() ? text::ParseInteger<int>(numbers[i]).value_or(0) : 0;
  };
  return {number(0), number(1)};
}

// Or may be given some at any moment: Valkey knows that directive since 9, and to an older one it means nothing.
bool MayHaveSeveralDatabases(const RedisClusterSpec& spec, const ServerInfo& source) {
  if (source.several_databases) return true;
  if (source.engine != "valkey" || ReleaseOf(source).first < 9) return false;
  const auto found = spec.config.find("cluster-databases");
  return found != spec.config.end() && text::ParseInteger<int>(found->second).value_or(0) != 1;
}

// Different sources work at the same time; one source serves one target, as each move blocks it for moments. Not more
// than are carried out at once: a look must not have to wait for slices that follow each other.
std::vector<Action> OneForEachSource(const Observation& observation, const ClusterView& view,
                                     std::vector<SlotMove> moves) {
  constexpr size_t kMost = 16;
  // Each time others come first, so that some that cannot be done keep nobody from a turn.
  if (moves.size() > kMost) {
    const auto turn =
        observation.now.time_since_epoch() / std::chrono::seconds(1) % static_cast<std::int64_t>(moves.size());
    std::ranges::rotate(moves, moves.begin() + turn);
  }
  std::vector<Action> actions;
  std::set<NodeId> sources;
  for (const auto& move : moves) {
    if (actions.size() == kMost) break;
    const NodeView& source = *view.by_id.at(move.from);
    if (!sources.insert(move.from).second || !view.KeepsItsEpoch(source)) continue;
    actions.emplace_back(
        MigrateSlots{.from = RefTo(source),
                     .to = RefTo(*view.by_id.at(move.to)),
                     .slots = move.slots,
                     .method = observation.cluster.spec.rebalance.method,
                     .several_databases = MayHaveSeveralDatabases(observation.cluster.spec, source.server)});
  }
  return actions;
}

// By what their releases promise: a patch changes no format.
bool IsNewer(const ServerInfo& server, const ServerInfo& than) {
  return server.engine == than.engine ? ReleaseOf(server) > ReleaseOf(than) : server.engine == "valkey";
}

// A server cannot read what a newer one serialises ("DUMP payload version or checksum are wrong"): its pod is replaced
// first, if it is going to be.
bool IsForLater(const Observation& observation, const ClusterView& view, const SlotMove& move) {
  const NodeView& target = *view.by_id.at(move.to);
  if (!IsNewer(view.by_id.at(move.from)->server, target.server)) return false;
  const PodView* pod = observation.FindPod(target.pod);
  return pod != nullptr && observation.cluster.spec.update != UpdateStrategy::kManual &&
         PodTemplate(observation.cluster).IsOutdated(*pod);
}

}  // namespace

std::optional<Plan> Rebalance(const Observation& observation, const ClusterView& view) {
  const auto& spec = observation.cluster.spec;
  std::map<NodeId, SlotSet> staying;
  std::map<NodeId, SlotSet> leaving = view.owned;
  for (int shard = 0; shard < spec.masters; ++shard) {
    const NodeView* head = view.HeadOf(shard);
    if (head == nullptr) return std::nullopt;
    staying[head->id()] = view.owned.contains(head->id()) ? view.owned.at(head->id()) : SlotSet();
    leaving.erase(head->id());
  }
  const bool even = IsEven(staying, spec.rebalance.threshold_percent);
  if (leaving.empty() && (even || !spec.rebalance.automatic)) return std::nullopt;

  auto moves = spec.rebalance.automatic ? MovesToEven(staying, leaving) : MovesToEmpty(staying, leaving);
  int left = 0;
  for (const auto& move : moves) left += move.slots.size();
  std::erase_if(moves, [&](const SlotMove& move) { return IsForLater(observation, view, move); });
  if (moves.empty()) return std::nullopt;
  const std::string why = leaving.empty() ? "they are uneven over " + Counted(staying.size(), "master", "masters")
                                          : Counted(leaving.size(), "master leaves", "masters leave");
  const char* reason = leaving.empty() ? "Rebalancing" : "DrainingMasters";
  std::string message = fmt::format("{} slots are to be moved: {}", left, why);
  auto actions = OneForEachSource(observation, view, moves);
  Plan plan = actions.empty()
                  ? WaitForRedis(observation, "rebalance", reason,
                                 message + "; waiting until their owners have epochs of their own that all know")
                  : Do("rebalance", reason, std::move(message), std::move(actions));
  plan.migration = MigrationProgress{.slots_left = left};
  return plan;
}

std::optional<Plan> AwaitMigrations(const Observation& observation, const ClusterView& view) {
  constexpr std::chrono::seconds kPatience{10};
  std::vector<Action> cancelling;
  const NodeView* first = nullptr;
  for (const NodeView* node : view.answering) {
    if (node->active_migrations == 0) continue;
    if (first == nullptr) first = node;
    if (node->server.engine == "redis") cancelling.emplace_back(EndImports{RefTo(*node)});
  }
  if (first == nullptr) return std::nullopt;
  Plan wait = WaitForRedis(observation, "rebalance", "Rebalancing",
                           fmt::format("{} takes part in a slot migration of the servers' own that nothing asks for "
                                       "any more; waiting for its end",
                                       first->pod));
  wait.until_it_stands = true;
  // Redis tries one that fails again every second, for ever.
  if (cancelling.empty() || !Stands(observation, wait, kPatience)) return wait;
  wait.actions = std::move(cancelling);
  wait.look_again = kHealthPoll;
  return wait;
}

}  // namespace slotwright::steps
