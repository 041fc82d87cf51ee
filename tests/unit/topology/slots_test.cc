// Slot sets, the first layout and the hash of a key.
#include "controllers/topology/slots.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bitset>
#include <cmath>
#include <random>

namespace slotwright {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;

using Bits = std::bitset<kSlotCount>;

Bits ToBits(const SlotSet& set) {
  Bits bits;
  for (int slot = 0; slot < kSlotCount; ++slot) bits[slot] = set.Contains(static_cast<Slot>(slot));
  return bits;
}

// A set and the same by the simplest means, from random ranges and single slots.
std::pair<SlotSet, Bits> RandomSet(std::mt19937& random) {
  SlotSet set;
  Bits bits;
  for (int i = static_cast<int>(random() % 12); i > 0; --i) {
    const int first = static_cast<int>(random() % kSlotCount);
    const int longest = random() % 2 == 0 ? 3 : 3000;
    const int last = std::min(kSlotCount - 1, first + static_cast<int>(random() % longest));
    if (random() % 4 == 0) {
      set.Remove(static_cast<Slot>(first));
      bits.reset(first);
      continue;
    }
    set.Add(SlotRange{static_cast<Slot>(first), static_cast<Slot>(last)});
    for (int slot = first; slot <= last; ++slot) bits.set(slot);
  }
  return {set, bits};
}

TEST(SlotRange, IsPrintedLikeRedisPrintsIt) {
  EXPECT_EQ((SlotRange{0, 5460}.ToString()), "0-5460");
  EXPECT_EQ((SlotRange{7, 7}.ToString()), "7");
  EXPECT_EQ((SlotRange{0, 5460}.size()), 5461);
}

TEST(SlotSet, MeltsTouchingAndOverlappingRangesInWhateverOrderTheyCome) {
  const struct {
    std::vector<SlotRange> added;
    std::string printed;
  } cases[] = {
      {{}, ""},
      {{{5, 5}}, "5"},
      {{{0, 1}, {2, 3}}, "0-3"},
      {{{2, 3}, {0, 1}}, "0-3"},
      {{{0, 1}, {3, 4}}, "0-1 3-4"},
      {{{0, 1}, {3, 4}, {2, 2}}, "0-4"},
      {{{10, 20}, {12, 14}}, "10-20"},
      {{{12, 14}, {10, 20}}, "10-20"},
      {{{1, 1}, {3, 3}, {5, 5}, {7, 7}, {2, 6}}, "1-7"},
      {{{16383, 16383}, {0, 0}}, "0 16383"},
      {{{0, 16383}, {5, 5}}, "0-16383"},
  };
  for (const auto& c : cases) EXPECT_EQ(SlotSet(c.added).ToString(), c.printed);
}

TEST(SlotSet, AgreesWithABitsetInEveryOperation) {
  std::mt19937 random(1);
  for (int round = 0; round < 200; ++round) {
    const auto [a, a_bits] = RandomSet(random);
    const auto [b, b_bits] = RandomSet(random);
    ASSERT_EQ(ToBits(a), a_bits);
    ASSERT_EQ(a.size(), static_cast<int>(a_bits.count()));
    ASSERT_EQ(a.empty(), a_bits.none());
    ASSERT_EQ(ToBits(a | b), a_bits | b_bits);
    ASSERT_EQ(ToBits(a & b), a_bits & b_bits);
    ASSERT_EQ(ToBits(a - b), a_bits & ~b_bits);
    ASSERT_EQ(a == b, a_bits == b_bits);
    // The fewest ranges: none touches the next. Only so does == compare sets.
    for (const SlotSet& set : {a | b, a & b, a - b}) {
      const std::vector<SlotRange>& ranges = set.Ranges();
      for (std::size_t i = 1; i < ranges.size(); ++i) ASSERT_GT(ranges[i].first, ranges[i - 1].last + 1);
      ASSERT_EQ(SlotSet(ranges), set);
    }
  }
}

TEST(SlotSet, OfAllSlotsLacksNone) {
  EXPECT_EQ(SlotSet::All().size(), kSlotCount);
  EXPECT_EQ((SlotSet::All() - SlotSet({{0, 16383}})), SlotSet());
}

TEST(SlotSet, GivesItsRangesEvenWhenItIsATemporary) {
  std::vector<SlotRange> seen;
  for (const SlotRange range : (SlotSet::All() - SlotSet({{1, 2}})).Ranges()) seen.push_back(range);
  EXPECT_THAT(seen, ElementsAre(SlotRange{0, 0}, SlotRange{3, 16383}));
}

TEST(InitialSlots, AreThoseOfRedisCli) {
  EXPECT_EQ(InitialSlots(0, 3), (SlotRange{0, 5460}));
  EXPECT_EQ(InitialSlots(1, 3), (SlotRange{5461, 10922}));
  EXPECT_EQ(InitialSlots(2, 3), (SlotRange{10923, 16383}));

  for (int masters = 1; masters <= 1000; masters += masters < 50 ? 1 : 19) {
    const float per_master = 16384 / static_cast<float>(masters);
    float cursor = 0;
    std::vector<SlotRange> expected;
    std::vector<SlotRange> actual;
    for (long i = 0, first = 0; i < masters; ++i, cursor += per_master) {
      long last = std::lround(cursor + per_master - 1);
      if (last > 16384 || i == masters - 1) last = 16383;
      if (last < first) last = first;
      expected.push_back({static_cast<Slot>(first), static_cast<Slot>(last)});
      first = last + 1;
      actual.push_back(InitialSlots(static_cast<int>(i), masters));
    }
    ASSERT_THAT(actual, ElementsAreArray(expected)) << masters << " masters";
  }
}

TEST(InitialSlots, GiveEverySlotToOneMasterHoweverManyThereAre) {
  for (const int masters : {1, 2, 7, 999, 1000, 1001, 2048}) {
    int next = 0;
    for (int i = 0; i < masters; ++i) {
      const SlotRange range = InitialSlots(i, masters);
      ASSERT_EQ(range.first, next);
      ASSERT_GE(range.last, range.first);
      next = range.last + 1;
    }
    ASSERT_EQ(next, kSlotCount);
  }
  for (const int masters : {16382, 16383, 16384}) {  // here float alone would run past the end
    ASSERT_EQ(InitialSlots(masters - 1, masters).last, 16383);
    ASSERT_EQ(InitialSlots(masters - 2, masters).last + 1, InitialSlots(masters - 1, masters).first);
  }
}

TEST(KeySlot, IsTheOneThatClusterKeyslotGives) {
  const struct {
    std::string key;
    Slot slot;
  } cases[] = {
      {"123456789", 0x31C3},  // the check value of CRC16/XMODEM in the specification
      {"", 0},
      {"foo", 12182},
      {"bar", 5061},
      {"{foo}bar", 12182},
      {"bar{foo}", 12182},
      {"{foo}{bar}", 12182},
      {"user{{bar}}zap", KeySlot("{bar")},
      {"foo{bar}{zap}", 5061},
      {std::string("foo{bar}\0\n\xff", 11), 5061},
  };
  for (const auto& c : cases) EXPECT_EQ(KeySlot(c.key), c.slot) << c.key;
}

TEST(KeySlot, HashesTheWholeKeyWithoutATagThatIsClosedAndNotEmpty) {
  for (const std::string key : {"foo{}{bar}", "{}", "foo{bar", "foo}bar{", "}{", "a{"}) {
    // No way to say "ignore tags": the slot must differ from that of every other reading of the key.
    EXPECT_NE(KeySlot(key), KeySlot("bar")) << key;
    EXPECT_NE(KeySlot(key), KeySlot("")) << key;
  }
  EXPECT_EQ(KeySlot("foo{}{bar}"), 8363);  // as redis-server says
}

}  // namespace
}  // namespace slotwright
