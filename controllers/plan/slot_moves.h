// Which slots go where, as arithmetic on sets: for rebalancing, for new masters and for those that leave.
#pragma once

#include <map>
#include <vector>

#include "controllers/topology/cluster_nodes.h"

namespace slotwright {

struct SlotMove {
  NodeId from;
  NodeId to;
  SlotSet slots;
  friend bool operator==(const SlotMove&, const SlotMove&) = default;
};

/// True if every owner has its share: within `threshold_percent` of the mean, and nobody has none.
[[nodiscard]] bool IsEven(const std::map<NodeId, SlotSet>& owners, int threshold_percent);

/// The fewest slots to move so that all `staying` have the same number, give or take one, and `leaving` have none. The
/// same input gives the same moves, and what is left of them if some were done. REQUIRES: staying is not empty.
[[nodiscard]] std::vector<SlotMove> MovesToEven(const std::map<NodeId, SlotSet>& staying,
                                                const std::map<NodeId, SlotSet>& leaving);

/// Only empties `leaving`, onto those that have least. REQUIRES: staying is not empty.
[[nodiscard]] std::vector<SlotMove> MovesToEmpty(const std::map<NodeId, SlotSet>& staying,
                                                 const std::map<NodeId, SlotSet>& leaving);

}  // namespace slotwright
