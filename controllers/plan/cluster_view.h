// All nodes' views put together: who is a member, who owns which slot, and where the nodes disagree.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "controllers/observe/observation.h"

namespace slotwright {

/// A value derived from an Observation; refers into it, so the Observation must outlive it.
struct ClusterView {
  std::vector<const NodeView*> answering;  ///< NodeView::Answers(), sorted by shard and index.
  std::map<NodeId, const NodeView*> by_id;

  /// Slots that anybody claims for anybody, dead nodes included: these are never given away.
  SlotSet claimed;
  /// Slots that an answering node says it owns itself, and whose claim no answering node contradicts with a higher
  /// epoch.
  std::map<NodeId, SlotSet> owned;
  SlotSet covered;  ///< Union of `owned`.
  /// Slots that anybody claims for a node of that shard, told by hostnames. No entry: a shard of which nobody says so.
  std::map<int, SlotSet> claimed_by_shard;

  /// Nodes that answering nodes list, that do not answer themselves and are not pods' nodes of this round: dead or gone
  /// (their hostname says that they were ours), or strangers (it says otherwise).
  struct Absent {
    NodeId id;
    std::string hostname;
    std::set<NodeId> masters;             ///< Of which it was a replica, by what viewers say.
    SlotSet slots;                        ///< It owns, by what any viewer says.
    bool unreachable_everywhere = false;  ///< Every viewer flags it fail, or fail? for lack of a majority.
    bool connected = false;               ///< Some viewer has a connection to it and gets answers.
    bool has_live_replicas = false;
    bool removed = false;    ///< Its pod was taken away and will not be made again.
    bool replaced = false;   ///< Its pod lives on under another id.
    bool inherited = false;  ///< Another node of its shard owns slots: it was elected, and has what this one had.
    [[nodiscard]] bool OwnsSlots() const { return !slots.empty(); }
    /// Some of them nobody else serves. Who was cut off may still give it what has long had another owner.
    [[nodiscard]] bool IsMissed(const SlotSet& served) const { return !(slots - served).empty(); }
    /// Nobody needs it: all that is left to do is to forget it.
    [[nodiscard]] bool LeftOver() const { return !OwnsSlots() && !has_live_replicas && (removed || replaced); }
    std::vector<const NodeView*> viewers;  ///< Those that list it, handshakes left out.
  };
  std::vector<Absent> absent;
  [[nodiscard]] bool IsLeftOver(const NodeId& id) const;

  /// The answering node of that shard which owns slots; the one with most if there are several; null if none.
  [[nodiscard]] const NodeView* MasterOf(int shard) const;
  /// MasterOf, or for a shard that owns nothing yet the node that its others replicate or should. Null while slots of
  /// the shard belong to a node that does not answer.
  [[nodiscard]] const NodeView* HeadOf(int shard) const;
  /// The highest epoch that anybody has heard of: whoever takes a higher one shares it with nobody.
  [[nodiscard]] std::uint64_t HighestEpoch() const;
  /// Whether `master` keeps its epoch as long as nobody asks it to take another. Of two masters with the same epoch one
  /// takes a higher one by itself, at any moment (clusterHandleConfigEpochCollision), and who has not heard of an epoch
  /// may take it. A master with a new epoch takes back what it still calls its own: in the middle of a migration also a
  /// slot whose keys it has given away, and the new owner deletes them.
  [[nodiscard]] bool KeepsItsEpoch(const NodeView& master) const;
  /// Empty if all answering nodes list the same members with the same roles and slots, not counting what is left over;
  /// else a sentence about the first difference.
  std::string disagreement;
};

/// CLUSTER SET-CONFIG-EPOCH is refused by who has an epoch or knows somebody.
[[nodiscard]] bool TakesEpoch(const NodeView& node);

/// No pod is without a node that answers: what else the tables list is none of them.
[[nodiscard]] bool EveryPodAnswers(const Observation& observation, const ClusterView& view);

/// The same but for those for which there is no room, and which have nothing.
[[nodiscard]] bool EveryPodWithDataAnswers(const Observation& observation, const ClusterView& view);

/// A node of ours that does not accept the password, if as many of ours do not as do. Whom the others reach over the
/// bus, which needs none, is ours. Whom they do not may be somebody else's server, at the address of a pod that is
/// gone. Who is not of these counts as silent.
[[nodiscard]] const NodeView* WhoRefusesThePassword(const Observation& observation, const ClusterView& view);

/// The answering nodes reach it over the bus.
[[nodiscard]] bool IsConnected(const Observation& observation, const ClusterView& view, const NodeView& node);

/// Without a password that they accept nothing is known about the nodes.
[[nodiscard]] bool NodesCouldBeAsked(const Observation& observation, const ClusterView& view);

[[nodiscard]] ClusterView Merge(const Observation& observation);

}  // namespace slotwright
