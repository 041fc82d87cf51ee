// Hash slots: one slot, a range, and a set of them. Values without I/O.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace slotwright {

/// A hash slot, 0..16383 (Redis Cluster specification: CRC16(key) mod 16384).
using Slot = std::uint16_t;
inline constexpr int kSlotCount = 16384;

/// Both ends included, as Redis prints them: "0-5460", or "7" for a single slot.
struct SlotRange {
  Slot first = 0;
  Slot last = 0;

  [[nodiscard]] int size() const { return last - first + 1; }
  [[nodiscard]] std::string ToString() const;
  friend auto operator<=>(const SlotRange&, const SlotRange&) = default;
};

/// Any set of slots, kept as its fewest ranges and not as 16384 bits: every node describes every other one, and almost
/// all of these sets hold one range or none. REQUIRES of all: slots below kSlotCount, first <= last.
class SlotSet {
 public:
  SlotSet() = default;
  explicit SlotSet(const std::vector<SlotRange>& ranges);
  [[nodiscard]] static SlotSet All();

  void Add(Slot slot) { Add(SlotRange{slot, slot}); }
  void Add(SlotRange range);
  void Remove(Slot slot);
  [[nodiscard]] bool Contains(Slot slot) const;
  [[nodiscard]] int size() const;
  [[nodiscard]] bool empty() const { return ranges_.empty(); }

  [[nodiscard]] SlotSet operator|(const SlotSet& other) const;
  [[nodiscard]] SlotSet operator&(const SlotSet& other) const;
  [[nodiscard]] SlotSet operator-(const SlotSet& other) const;

  /// The fewest ranges, ascending.
  [[nodiscard]] const std::vector<SlotRange>& Ranges() const& { return ranges_; }
  [[nodiscard]] std::vector<SlotRange> Ranges() && { return std::move(ranges_); }
  /// Each of them, ascending.
  [[nodiscard]] std::vector<Slot> Slots() const;
  /// "0-5460 10923 16000-16383"; empty for none.
  [[nodiscard]] std::string ToString() const;
  friend bool operator==(const SlotSet&, const SlotSet&) = default;

 private:
  std::vector<SlotRange> ranges_;  // ascending, with a gap between any two
};

/// The range that `redis-cli --cluster create` gives to master `index` of `masters`: 0-5460, 5461-10922, 10923-16383
/// for three. REQUIRES: 0 <= index < masters <= 16384.
[[nodiscard]] SlotRange InitialSlots(int index, int masters);

/// The slot of a key: CRC16 (XMODEM) of the key, or of what stands between the first "{" and the next "}" if that is
/// not empty, mod 16384.
[[nodiscard]] Slot KeySlot(std::string_view key);

}  // namespace slotwright
