// Slots that Valkey moves by itself, on the model that conformance/redis_model holds to real servers.
#include "controllers/act/atomic_migration.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/simulation/sim_redis.h"

namespace slotwright::simulation {
namespace {

using std::chrono::seconds;
using ::testing::EndsWith;

// Two masters that know each other; the first owns everything. A third node replicates it.
class AtomicMigration : public ::testing::Test, public Commander {
 protected:
  void SetUp() override {
    bus_.valkey = true;
    for (const char* name : {"a", "b", "c"}) {
      nodes_.push_back(&bus_.Start({"10.0.0." + std::to_string(nodes_.size() + 1), 6379}, name, "", std::nullopt));
    }
    (void)nodes_[0]->Execute({"CLUSTER", "ADDSLOTSRANGE", "0", "16383"}, false);
    for (const char* peer : {"10.0.0.2", "10.0.0.3"})
      (void)nodes_[0]->Execute({"CLUSTER", "MEET", peer, "6379"}, false);
    simulator_.RunFor(seconds(5));
    ASSERT_TRUE(nodes_[2]->Execute({"CLUSTER", "REPLICATE", nodes_[0]->id().ToString()}, false).IsOk());
    ASSERT_EQ(nodes_[0]->Execute({"APPEND", "hello", "a"}, false).integer, 1);
    simulator_.RunFor(seconds(5));
  }

  std::vector<NodeResult> Run(const std::vector<NodeRequest>& requests, std::chrono::milliseconds) override {
    std::vector<NodeResult> results;
    for (const auto& request : requests) {
      results.emplace_back(bus_.At(request.endpoint)->ExecutePipeline(request.commands));
    }
    return results;
  }

  // Slot 866 is that of "hello".
  MoveProgress MoveTo(size_t target, Duration patience = seconds(10)) {
    const auto ref = [&](size_t i) { return NodeRef{nodes_[i]->hostname(), nodes_[i]->id(), nodes_[i]->endpoint()}; };
    const AtomicLink link{*this, simulator_, password_, hook_};
    return MoveByMigrateSlots(link, {ref(0), ref(target), SlotSet({SlotRange{800, 899}})}, simulator_.Now() + patience);
  }

  Simulator simulator_{1};
  Bus bus_{simulator_, milliseconds(5000)};
  std::vector<Node*> nodes_;
  const std::string password_;
  const SlotMover::EffectHook hook_;
};

TEST_F(AtomicMigration, MovesSlotsWithTheirKeys) {
  const auto moved = MoveTo(1);
  EXPECT_EQ(moved.error, "");
  EXPECT_EQ(moved.slots, 100);
  EXPECT_EQ(nodes_[1]->Execute({"GET", "hello"}, false).text, "a");
  EXPECT_EQ(nodes_[0]->KeyCount(), 0);
}

// As an operator does that died, or whose slice was over.
TEST_F(AtomicMigration, IsTakenUpWhereItIs) {
  EXPECT_EQ(MoveTo(1, milliseconds(5)).slots, 0);
  const auto moved = MoveTo(1);
  EXPECT_EQ(moved.error, "");
  EXPECT_EQ(moved.slots, 100) << "they are counted by whoever sees its end";
  EXPECT_EQ(nodes_[1]->me().slots.size(), 100);
  EXPECT_EQ(nodes_[1]->Execute({"CLUSTER", "GETSLOTMIGRATIONS"}, false).elements.size(), 1U);
}

TEST_F(AtomicMigration, SaysInOneLineWhyItFailed) {
  EXPECT_THAT(MoveTo(2).error, EndsWith("-ERR Slot migration can only be used on primary nodes."));
  EXPECT_EQ(nodes_[0]->me().slots.size(), kSlotCount);
}

}  // namespace
}  // namespace slotwright::simulation
