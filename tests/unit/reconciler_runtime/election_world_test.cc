// Several electors over one lease, with broken networks and clocks that somebody sets.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

#include "tests/unit/reconciler_runtime/replica.h"

namespace reconciler {
namespace {

/// Three replicas; at each moment some link may break or heal and some calendar may jump.
class ElectionWorld {
 public:
  explicit ElectionWorld(unsigned seed) : random_(seed) {
    for (unsigned i = 0; i < kReplicas; ++i) {
      replicas_.push_back(
          std::make_unique<Replica>(std::string(1, static_cast<char>('a' + i)), api_, clock_, seed * 10 + i));
    }
    for (auto& replica : replicas_) replica->Start();
  }

  void RunWithFaults(int steps) {
    for (int step = 0; step < steps && !testing::Test::HasFailure(); ++step) {
      Step();
      if (random_() % 8 == 0) Pick().link->SetFault(static_cast<Fault>(random_() % 5));
      if (random_() % 8 == 0) Pick().clock.StepWall(std::chrono::minutes(static_cast<int>(random_() % 2000) - 1000));
    }
  }
  void RunWithoutFaults(int steps) {
    for (auto& replica : replicas_) replica->link->SetFault(Fault::kNone);
    for (int step = 0; step < steps; ++step) Step();
  }
  [[nodiscard]] int Leaders() const {
    return static_cast<int>(
        std::ranges::count_if(replicas_, [](auto& replica) { return replica->elector.IsLeader(); }));
  }
  [[nodiscard]] int Terms() const {
    int terms = 0;
    for (const auto& replica : replicas_) terms += replica->terms;
    return terms;
  }

 private:
  static constexpr unsigned kReplicas = 3;

  void Step() {
    ASSERT_TRUE(clock_.AwaitSleepers(kReplicas));
    EXPECT_LE(Leaders(), 1);
    EXPECT_LE(std::ranges::count_if(replicas_, [](auto& replica) { return replica->working.load(); }), 1);
    ASSERT_TRUE(clock_.AdvanceToNextWake(kReplicas));
  }
  Replica& Pick() { return *replicas_[random_() % kReplicas]; }

  std::minstd_rand random_;
  FakeClock clock_;
  std::shared_ptr<FakeApi> api_ = std::make_shared<FakeApi>();
  std::vector<std::unique_ptr<Replica>> replicas_;
};

class ElectionWorldTest : public testing::TestWithParam<unsigned> {};

TEST_P(ElectionWorldTest, NeverHasTwoLeadersAndHasOneOnceAllIsWell) {
  ElectionWorld world(GetParam());
  world.RunWithFaults(400);
  EXPECT_GT(world.Terms(), 2) << "the faults did not make leadership change hands";
  world.RunWithoutFaults(60);
  EXPECT_EQ(world.Leaders(), 1);
}

INSTANTIATE_TEST_SUITE_P(Seeds, ElectionWorldTest, testing::Range(1U, 7U));

}  // namespace
}  // namespace reconciler
