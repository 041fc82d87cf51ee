// How long a failover is waited for before another attempt may follow.
#include "controllers/act/orderly_failover.h"

#include <gtest/gtest.h>

#include "tests/simulation/simulator.h"

namespace slotwright::simulation {
namespace {

// A replica that is never elected.
class NeverElected final : public Commander {
 public:
  std::vector<NodeResult> Run(const std::vector<NodeRequest>& requests, milliseconds) override {
    const bool role = requests[0].commands[0][0] == "ROLE";
    attempts += role ? 0 : 1;
    Reply reply{.type = Reply::Type::kStatus, .text = "OK"};
    if (role) reply = {.type = Reply::Type::kArray, .elements = {{.type = Reply::Type::kString, .text = "slave"}}};
    return {std::vector<Reply>{reply}};
  }
  int attempts = 0;
};

// Simulation seed 1172: 2 of 4 masters had voted when a majority was not to be had; attempts 6.5 s apart then got the
// votes of one half each, for ever, since nobody votes twice for the same master's replicas within 2 node timeouts.
TEST(OrderlyFailover, IsNotTriedAgainBeforeThoseWhoVotedMayVoteAgain) {
  Simulator simulator(1);
  NeverElected commander;
  const auto start = simulator.Now();
  const std::string problem = FailOver(commander, simulator, "", {.forced = true}, milliseconds(5000));
  EXPECT_NE(problem, "");
  EXPECT_EQ(commander.attempts, 1);
  EXPECT_GT(simulator.Now() - start, milliseconds(10'000));
  EXPECT_LT(simulator.Now() - start, milliseconds(12'000));
}

// It goes on by itself; that the operator ends is no failure of it.
TEST(OrderlyFailover, IsNotWaitedForByAnOperatorThatEnds) {
  Simulator simulator(1);
  NeverElected commander;
  const auto start = simulator.Now();
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(FailOver(commander, simulator, "", {}, milliseconds(5000), stop.get_token()), "");
  EXPECT_EQ(commander.attempts, 1);
  EXPECT_LT(simulator.Now() - start, milliseconds(1000));
}

}  // namespace
}  // namespace slotwright::simulation
