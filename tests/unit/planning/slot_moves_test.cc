// The arithmetic of moving slots: even, with the fewest moves, and the same whenever it is asked.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <random>

#include "controllers/plan/slot_moves.h"
#include "tests/unit/planning/world.h"

namespace slotwright::testing {
namespace {

using Owners = std::map<NodeId, SlotSet>;

SlotSet Slots(int first, int last) {
  SlotSet set;
  set.Add(SlotRange{static_cast<Slot>(first), static_cast<Slot>(last)});
  return set;
}

Owners EvenOwners(int masters) {
  Owners owners;
  for (int i = 0; i < masters; ++i) owners[IdOf("m" + std::to_string(100 + i))].Add(InitialSlots(i, masters));
  return owners;
}

int Moved(const std::vector<SlotMove>& moves) {
  int moved = 0;
  for (const auto& move : moves) moved += move.slots.size();
  return moved;
}

// Carries all moves out and checks that each source owns what it gives.
void Carry(const std::vector<SlotMove>& moves, Owners& all) {
  for (const auto& move : moves) {
    EXPECT_EQ((all[move.from] & move.slots), move.slots);
    EXPECT_NE(move.from, move.to);
    all[move.from] = all[move.from] - move.slots;
    all[move.to] = all[move.to] | move.slots;
  }
}

TEST(IsEven, CountsFromTheMeanAndToleratesARemainder) {
  EXPECT_TRUE(IsEven(EvenOwners(3), 1));
  EXPECT_TRUE(IsEven(EvenOwners(1000), 1));
  Owners owners = EvenOwners(4);  // 4096 each
  const NodeId first = owners.begin()->first;
  const NodeId last = owners.rbegin()->first;
  const SlotSet some = Slots(0, 81);  // 2.0 %
  owners[first] = owners[first] - some;
  owners[last] = owners[last] | some;
  EXPECT_FALSE(IsEven(owners, 2));
  EXPECT_TRUE(IsEven(owners, 3));
  owners[IdOf("new")] = {};
  EXPECT_FALSE(IsEven(owners, 100)) << "a master without slots is never fine";
}

TEST(MovesToEven, GivesANewMasterItsShareWithTheFewestMoves) {
  Owners owners = EvenOwners(3);
  owners[IdOf("new")] = {};
  const auto moves = MovesToEven(owners, {});
  EXPECT_EQ(Moved(moves), 4096);
  Carry(moves, owners);
  for (const auto& [id, slots] : owners) EXPECT_EQ(slots.size(), 4096);
}

TEST(MovesToEven, KeepsWhatStaysInOneRange) {
  Owners owners = EvenOwners(3);
  owners[IdOf("new")] = {};
  Carry(MovesToEven(owners, {}), owners);
  owners.erase(IdOf("new"));
  for (const auto& [id, slots] : owners) EXPECT_EQ(slots.Ranges().size(), 1U) << slots.ToString();
}

TEST(MovesToEven, DoesNothingToEvenOwners) { EXPECT_TRUE(MovesToEven(EvenOwners(7), {}).empty()); }

TEST(MovesToEven, EmptiesThoseThatLeave) {
  Owners owners = EvenOwners(5);
  Owners leaving;
  for (int i = 0; i < 2; ++i) {
    leaving.insert(*owners.rbegin());
    owners.erase(std::prev(owners.end()));
  }
  const auto moves = MovesToEven(owners, leaving);
  EXPECT_EQ(Moved(moves), leaving.begin()->second.size() + leaving.rbegin()->second.size());
  Owners all = owners;
  all.insert(leaving.begin(), leaving.end());
  Carry(moves, all);
  for (const auto& [id, slots] : leaving) EXPECT_TRUE(all[id].empty());
  for (const auto& [id, slots] : owners) EXPECT_NEAR(all[id].size(), 16384 / 3, 1);
}

TEST(MovesToEmpty, LeavesUnevenOwnersAloneOtherwise) {
  Owners owners = {{IdOf("a"), Slots(0, 9999)}, {IdOf("b"), Slots(10000, 14999)}};
  const Owners leaving = {{IdOf("c"), Slots(15000, 16383)}};
  const auto moves = MovesToEmpty(owners, leaving);
  EXPECT_EQ(Moved(moves), 1384);
  for (const auto& move : moves) {
    EXPECT_EQ(move.from, IdOf("c"));
    EXPECT_EQ(move.to, IdOf("b")) << "who has least";
  }
}

// Any owners, cut off anywhere and planned anew: it ends even, and nobody's slot is moved twice.
TEST(MovesToEven, ConvergesWhereverItIsInterrupted) {
  std::mt19937 random(7);
  for (int round = 0; round < 200; ++round) {
    const int masters = 1 + static_cast<int>(random() % 12);
    Owners owners;
    for (int i = 0; i < masters; ++i) owners[IdOf("m" + std::to_string(100 + i))] = {};
    for (int slot = 0; slot < kSlotCount; slot += 64) {
      auto owner = owners.begin();
      std::advance(owner, random() % (1 + random() % static_cast<unsigned>(masters)));
      owner->second.Add(SlotRange{static_cast<Slot>(slot), static_cast<Slot>(slot + 63)});
    }
    int moved = 0;
    // No fewer can be moved than those that are too many; the largest keep what is left over by the division.
    std::vector<int> sizes;
    for (const auto& [id, slots] : owners) sizes.push_back(slots.size());
    std::ranges::sort(sizes, std::greater());
    int needed = 0;
    for (int i = 0; i < masters; ++i) {
      needed += std::max(0, sizes[static_cast<size_t>(i)] - kSlotCount / masters - (i < kSlotCount % masters ? 1 : 0));
    }
    EXPECT_EQ(Moved(MovesToEven(owners, {})), needed);
    for (int slice = 0; slice < 100; ++slice) {
      auto moves = MovesToEven(owners, {});
      if (moves.empty()) break;
      if (moves.size() > 1) moves.resize(1 + random() % moves.size());
      moved += Moved(moves);
      Carry(moves, owners);
    }
    EXPECT_TRUE(IsEven(owners, 1));
    EXPECT_LE(std::abs(moved - needed), masters) << "the remainder may go to another owner";
  }
}

}  // namespace
}  // namespace slotwright::testing
