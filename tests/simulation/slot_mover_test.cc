// The mover against clients that write at the worst moment.
#include "controllers/act/slot_mover.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/simulation/sim_redis.h"

namespace slotwright::simulation {
namespace {

using std::chrono::seconds;

// Two masters that know each other; the first owns everything.
class MoverTest : public ::testing::Test, public Commander {
 protected:
  void SetUp() override {
    source_ = &bus_.Start({"10.0.0.1", 6379}, "a", "", std::nullopt);
    target_ = &bus_.Start({"10.0.0.2", 6379}, "b", "", std::nullopt);
    (void)source_->Execute({"CLUSTER", "ADDSLOTSRANGE", "0", "16383"}, false);
    (void)source_->Execute({"CLUSTER", "MEET", "10.0.0.2", "6379"}, false);
    simulator_.RunFor(seconds(5));
    ASSERT_TRUE(source_->state_ok());
  }

  std::vector<NodeResult> Run(const std::vector<NodeRequest>& requests, std::chrono::milliseconds) override {
    std::vector<NodeResult> results;
    for (const auto& request : requests) {
      Node* node = bus_.At(request.endpoint);
      connections_ = std::max(connections_, requests.size());
      results.emplace_back(node->ExecutePipeline(request.commands));
      if (after_) after_(request.commands.front());
    }
    return results;
  }

  MoveProgress Move(Slot last = 300) {
    SlotSet slots;
    slots.Add(SlotRange{0, last});
    SlotMover mover(*this, simulator_, "", nullptr, seconds(5));
    return mover.Move({{"a", source_->id(), source_->endpoint()}, {"b", target_->id(), target_->endpoint()}, slots},
                      simulator_.Now() + seconds(60));
  }

  // A key of slots 0-300.
  static std::string SomeKey() {
    for (int i = 0;; ++i) {
      std::string key = "k" + std::to_string(i);
      if (KeySlot(key) <= 300) return key;
    }
  }

  Simulator simulator_{1};
  Bus bus_{simulator_, milliseconds(5000)};
  Node* source_ = nullptr;
  Node* target_ = nullptr;
  size_t connections_ = 0;  // used at once
  std::function<void(const Command&)> after_;
};

// Found by the simulation: a slot that was counted as empty was given away together with a key that came later.
TEST_F(MoverTest, TakesAKeyAlongThatComesAfterTheCount) {
  const std::string key = SomeKey();
  after_ = [&](const Command& command) {
    if (command[1] == "COUNTKEYSINSLOT") (void)source_->Execute({"APPEND", key, "acknowledged"}, false);
    if (command[1] == "COUNTKEYSINSLOT") after_ = nullptr;
  };
  const auto progress = Move();
  EXPECT_EQ(progress.error, "");
  EXPECT_EQ(progress.slots, 301);
  EXPECT_EQ(target_->Execute({"GET", key}, false).text, "acknowledged");
}

// Found by reading: drained in the middle of it, the source was empty of what clients wrote to its successor, and the
// target took the slots from that one.
TEST_F(MoverTest, GivesNoSlotAwayOfASourceThatWasReplacedMeanwhile) {
  Node& replica = bus_.Start({"10.0.0.3", 6379}, "a1", "", std::nullopt);
  (void)replica.Execute({"CLUSTER", "MEET", "10.0.0.1", "6379"}, false);
  simulator_.RunFor(seconds(5));
  ASSERT_TRUE(replica.Execute({"CLUSTER", "REPLICATE", source_->id().ToString()}, false).IsOk());
  simulator_.RunFor(seconds(5));
  const std::string key = SomeKey();
  after_ = [&](const Command& command) {
    if (command[1] != "GETKEYSINSLOT" || replica.me().master) return;
    ASSERT_TRUE(replica.Execute({"CLUSTER", "FAILOVER", "TAKEOVER"}, false).IsOk());
    simulator_.RunFor(seconds(1));
    (void)replica.Execute({"APPEND", key, "acknowledged"}, false);
    ASSERT_EQ(replica.Execute({"GET", key}, false).text, "acknowledged");
  };
  const auto progress = Move();
  EXPECT_EQ(progress.error, "a is no master any more");
  EXPECT_EQ(progress.slots, 0);
  simulator_.RunFor(seconds(5));
  EXPECT_EQ(replica.Execute({"GET", key}, false).text, "acknowledged");
}

TEST_F(MoverTest, GivesNoSlotAwayThatItsSourceWasToldToKeep) {
  after_ = [&](const Command& command) {
    if (command[1] != "GETKEYSINSLOT") return;
    (void)source_->Execute({"CLUSTER", "SETSLOT", "7", "STABLE"}, false);
  };
  const auto progress = Move();
  EXPECT_EQ(progress.error, "a does not give slot 7 to b any more");
  EXPECT_TRUE(source_->me().slots.Contains(7));
}

TEST_F(MoverTest, MovesManyKeysOfOneSlotInSeveralRounds) {
  const std::string tag = SomeKey();
  for (int i = 0; i < 1000; ++i) (void)source_->Execute({"APPEND", "{" + tag + "}" + std::to_string(i), "v"}, false);
  const auto progress = Move();
  EXPECT_EQ(progress.keys, 1000);
  EXPECT_EQ(source_->KeyCount(), 0);
  EXPECT_EQ(target_->KeyCount(), 1000);
}

// Given away, the slot would lose the keys that the source still has.
TEST_F(MoverTest, LeavesASlotOpenOfWhichTheTimeDoesNotTakeAllKeys) {
  const std::string tag = SomeKey();
  for (int i = 0; i < 1000; ++i) (void)source_->Execute({"APPEND", "{" + tag + "}" + std::to_string(i), "v"}, false);
  after_ = [&](const Command& command) {
    if (command[0] == "MIGRATE") simulator_.RunFor(seconds(120));
  };
  const auto progress = Move();
  EXPECT_EQ(progress.error, "");
  EXPECT_GT(source_->KeyCount(), 0);
  EXPECT_GT(target_->KeyCount(), 0);
  EXPECT_TRUE(source_->disk().migrating.contains(KeySlot(tag)));
  EXPECT_FALSE(target_->me().slots.Contains(KeySlot(tag)));
}

TEST_F(MoverTest, MovesManySlotsOverSeveralConnections) {
  constexpr Slot kLast = 1999;
  int moved = 0;
  for (int i = 0; i < 5000; ++i) {
    const std::string key = "k" + std::to_string(i);
    (void)source_->Execute({"APPEND", key, "v"}, false);
    moved += KeySlot(key) <= kLast ? 1 : 0;
  }
  const auto progress = Move(kLast);
  EXPECT_EQ(progress.error, "");
  EXPECT_EQ(progress.slots, kLast + 1);
  EXPECT_EQ(connections_, 4U);
  EXPECT_EQ(target_->KeyCount(), moved);
  EXPECT_EQ(source_->KeyCount(), 5000 - moved);
  EXPECT_EQ(target_->me().slots, SlotSet({SlotRange{0, kLast}}));
  for (const Node* node : {source_, target_}) {
    EXPECT_TRUE(node->disk().importing.empty() && node->disk().migrating.empty()) << node->hostname();
  }
}

}  // namespace
}  // namespace slotwright::simulation
