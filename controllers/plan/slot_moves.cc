// See slot_moves.h.
#include "controllers/plan/slot_moves.h"

#include <algorithm>
#include <cstdlib>

namespace slotwright {

namespace {

struct Receiver {
  NodeId id;
  int room = 0;
};

int TotalOf(const std::map<NodeId, SlotSet>& owners) {
  int total = 0;
  for (const auto& [id, slots] : owners) total += slots.size();
  return total;
}

// The last `count` slots: what stays is then the beginning of what was there, in as few ranges as before.
SlotSet LastSlots(const SlotSet& slots, int count) {
  SlotSet last;
  const auto& ranges = slots.Ranges();
  for (auto range = ranges.rbegin(); range != ranges.rend() && count > 0; ++range) {
    const int taken = std::min(count, range->size());
    last.Add(SlotRange{static_cast<Slot>(range->last - taken + 1), range->last});
    count -= taken;
  }
  return last;
}

// Fills the receivers one after another.
void Give(const NodeId& from, SlotSet surplus, std::vector<Receiver>& receivers, std::vector<SlotMove>& moves) {
  for (auto& receiver : receivers) {
    if (surplus.empty()) return;
    const int count = std::min(receiver.room, surplus.size());
    if (count <= 0) continue;
    const SlotSet part = LastSlots(surplus, count);
    moves.push_back({from, receiver.id, part});
    surplus = surplus - part;
    receiver.room -= count;
  }
}

}  // namespace

bool IsEven(const std::map<NodeId, SlotSet>& owners, int threshold_percent) {
  const int total = TotalOf(owners);
  const auto count = static_cast<int>(owners.size());
  return std::ranges::all_of(owners, [&](const auto& owner) {
    const int size = owner.second.size();
    if (size == 0) return false;
    // |size - mean| * 100 <= threshold * mean, without fractions; a difference of less than one slot is none.
    const int deviation = std::abs(size * count - total);
    return deviation < count || deviation * 100 <= threshold_percent * total;
  });
}

std::vector<SlotMove> MovesToEven(const std::map<NodeId, SlotSet>& staying, const std::map<NodeId, SlotSet>& leaving) {
  const int total = TotalOf(staying) + TotalOf(leaving);
  const auto count = static_cast<int>(staying.size());
  // Who has most keeps the remainder: that costs no move.
  std::vector<std::pair<int, NodeId>> by_size;
  for (const auto& [id, slots] : staying) by_size.emplace_back(-slots.size(), id);
  std::ranges::sort(by_size);
  std::vector<Receiver> receivers;
  std::vector<std::pair<NodeId, SlotSet>> givers;
  for (int i = 0; i < count; ++i) {
    const NodeId& id = by_size[static_cast<size_t>(i)].second;
    const SlotSet& slots = staying.at(id);
    const int share = total / count + (i < total % count ? 1 : 0);
    if (slots.size() < share) receivers.push_back({id, share - slots.size()});
    if (slots.size() > share) givers.emplace_back(id, LastSlots(slots, slots.size() - share));
  }
  for (const auto& [id, slots] : leaving) givers.emplace_back(id, slots);
  std::ranges::sort(receivers, std::greater(), &Receiver::room);
  std::vector<SlotMove> moves;
  for (const auto& [id, surplus] : givers) Give(id, surplus, receivers, moves);
  return moves;
}

std::vector<SlotMove> MovesToEmpty(const std::map<NodeId, SlotSet>& staying, const std::map<NodeId, SlotSet>& leaving) {
  int left = TotalOf(leaving);
  std::vector<Receiver> receivers;
  std::map<NodeId, int> sizes;
  for (const auto& [id, slots] : staying) {
    receivers.push_back({id, 0});
    sizes[id] = slots.size();
  }
  // Level by level: each slot's room goes to whoever has least then.
  for (; left > 0; --left) {
    auto& least = *std::ranges::min_element(receivers, {}, [&](const Receiver& r) { return sizes.at(r.id) + r.room; });
    ++least.room;
  }
  std::vector<SlotMove> moves;
  for (const auto& [id, slots] : leaving) Give(id, slots, receivers, moves);
  return moves;
}

}  // namespace slotwright
