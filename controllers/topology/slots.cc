// Slot sets as sorted ranges, the first layout of a cluster, and the hash of a key.
#include "controllers/topology/slots.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <cmath>
#include <iterator>

namespace slotwright {

std::string SlotRange::ToString() const {
  return first == last ? std::to_string(first) : fmt::format("{}-{}", first, last);
}

namespace {

// Appends a range that does not begin before the last one, and melts what touches.
void Append(std::vector<SlotRange>& ranges, SlotRange range) {
  if (!ranges.empty() && range.first <= ranges.back().last + 1) {
    ranges.back().last = std::max(ranges.back().last, range.last);
  } else {
    ranges.push_back(range);
  }
}

}  // namespace

SlotSet::SlotSet(const std::vector<SlotRange>& ranges) {
  for (const SlotRange range : ranges) Add(range);
}

SlotSet SlotSet::All() { return SlotSet({{0, kSlotCount - 1}}); }

void SlotSet::Add(SlotRange range) {
  assert(range.first <= range.last && range.last < kSlotCount);
  // Everything from the first range that touches the new one to the last such range becomes one.
  const auto begin = std::ranges::lower_bound(ranges_, range.first, {}, [](SlotRange r) { return r.last + 1; });
  auto end = begin;
  for (; end != ranges_.end() && end->first <= range.last + 1; ++end) {
    range.first = std::min(range.first, end->first);
    range.last = std::max(range.last, end->last);
  }
  if (begin == end) {
    ranges_.insert(begin, range);
  } else {
    *begin = range;
    ranges_.erase(begin + 1, end);
  }
}

void SlotSet::Remove(Slot slot) {
  const auto range = std::ranges::lower_bound(ranges_, slot, {}, &SlotRange::last);
  if (range == ranges_.end() || range->first > slot) return;
  if (range->first == range->last) {
    ranges_.erase(range);
  } else if (slot == range->first) {
    ++range->first;
  } else if (slot == range->last) {
    --range->last;
  } else {
    const SlotRange before{range->first, static_cast<Slot>(slot - 1)};
    range->first = static_cast<Slot>(slot + 1);
    ranges_.insert(range, before);
  }
}

bool SlotSet::Contains(Slot slot) const {
  const auto after = std::ranges::upper_bound(ranges_, slot, {}, &SlotRange::first);
  return after != ranges_.begin() && std::prev(after)->last >= slot;
}

int SlotSet::size() const {
  int size = 0;
  for (const SlotRange range : ranges_) size += range.size();
  return size;
}

SlotSet SlotSet::operator|(const SlotSet& other) const {
  std::vector<SlotRange> all;
  std::ranges::merge(ranges_, other.ranges_, std::back_inserter(all));
  SlotSet result;
  for (const SlotRange range : all) Append(result.ranges_, range);
  return result;
}

SlotSet SlotSet::operator&(const SlotSet& other) const {
  SlotSet result;
  for (auto a = ranges_.begin(), b = other.ranges_.begin(); a != ranges_.end() && b != other.ranges_.end();) {
    const SlotRange common{std::max(a->first, b->first), std::min(a->last, b->last)};
    if (common.first <= common.last) result.ranges_.push_back(common);
    (a->last < b->last ? a : b)++;
  }
  return result;
}

SlotSet SlotSet::operator-(const SlotSet& other) const {
  SlotSet result;
  auto cut = other.ranges_.begin();
  for (SlotRange range : ranges_) {
    int first = range.first;
    while (cut != other.ranges_.end() && cut->last < first) ++cut;
    for (auto c = cut; c != other.ranges_.end() && c->first <= range.last; ++c) {
      if (c->first > first) result.ranges_.push_back({static_cast<Slot>(first), static_cast<Slot>(c->first - 1)});
      first = c->last + 1;
    }
    if (first <= range.last) result.ranges_.push_back({static_cast<Slot>(first), range.last});
  }
  return result;
}

std::vector<Slot> SlotSet::Slots() const {
  std::vector<Slot> slots;
  for (const SlotRange range : ranges_) {
    for (int slot = range.first; slot <= range.last; ++slot) slots.push_back(static_cast<Slot>(slot));
  }
  return slots;
}

std::string SlotSet::ToString() const {
  std::string text;
  for (const SlotRange range : Ranges()) text += (text.empty() ? "" : " ") + range.ToString();
  return text;
}

SlotRange InitialSlots(int index, int masters) {
  assert(0 <= index && index < masters && masters <= kSlotCount);
  // In float and by addition, as redis-cli does it (clusterManagerCommandCreate): the same numbers come out, rounding
  // errors included. In double they would not, at 107 masters for instance.
  const float per_master = kSlotCount / static_cast<float>(masters);
  float cursor = 0;
  long first = 0;
  for (int i = 0;; ++i, cursor += per_master) {
    // That a slot is left for each later master is ours; it makes no difference up to 1,000 masters.
    const long most = kSlotCount - (masters - i);
    const long last = i == masters - 1 ? kSlotCount - 1 : std::clamp(std::lround(cursor + per_master - 1), first, most);
    if (i == index) return {static_cast<Slot>(first), static_cast<Slot>(last)};
    first = last + 1;
  }
}

Slot KeySlot(std::string_view key) {
  const auto open = key.find('{');
  if (open != std::string_view::npos) {
    const auto close = key.find('}', open + 1);
    if (close != std::string_view::npos && close > open + 1) key = key.substr(open + 1, close - open - 1);
  }
  std::uint32_t crc = 0;
  for (const char c : key) {
    crc ^= static_cast<std::uint32_t>(static_cast<unsigned char>(c)) << 8;
    for (int bit = 0; bit < 8; ++bit) crc = ((crc << 1) ^ ((crc & 0x8000) != 0 ? 0x1021 : 0)) & 0xffff;
  }
  return static_cast<Slot>(crc % kSlotCount);
}

}  // namespace slotwright
