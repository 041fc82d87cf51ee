// How long a failover is waited for before another attempt may follow.
#include "controllers/act/orderly_failover.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "controllers/act/executor.h"
#include "tests/simulation/simulator.h"
#include "tests/unit/fakes/fake_transport.h"

namespace slotwright::simulation {
namespace {

const std::string kSelf(40, 'a');
const std::string kMaster(40, 'd');
constexpr const char* kTable =
    "{} 10.0.0.1:6379@16379 myself,slave {} 0 0 1 connected\n{} 10.0.0.2:6379@16379 master,fail - 0 0 1 connected\n";

Reply Text(const std::string& text) { return {.type = Reply::Type::kString, .text = text}; }

// A replica that is never elected.
class NeverElected final : public Commander {
 public:
  std::vector<NodeResult> Run(const std::vector<NodeRequest>& requests, milliseconds) override {
    const Command& command = requests[0].commands[0];
    if (command[0] == "ROLE") return {std::vector{Reply{.type = Reply::Type::kArray, .elements = {Text("slave")}}}};
    if (command[1] == "NODES") return {std::vector{Text(fmt::format(kTable, kSelf, kMaster, kMaster))}};
    ++attempts;
    return {std::vector{Reply{.type = Reply::Type::kStatus, .text = "OK"}}};
  }
  int attempts = 0;
};

// Simulation seed 1172: 2 of 4 masters had voted when a majority was not to be had; attempts 6.5 s apart then got the
// votes of one half each, for ever, since nobody votes twice for the same master's replicas within 2 node timeouts.
TEST(OrderlyFailover, IsNotTriedAgainBeforeThoseWhoVotedMayVoteAgain) {
  Simulator simulator(1);
  NeverElected commander;
  const auto api = std::make_shared<reconciler::FakeTransport>();
  api->on_send = [](const reconciler::HttpRequest&, std::stop_token) {
    return reconciler::HttpResponse{.status = 200, .body = "{}"};  // a pod that stays
  };
  const reconciler::Client client(api, {}, simulator);
  Executor executor(client, commander, simulator, {});
  RedisCluster cluster;
  cluster.name = "demo";
  cluster.spec.config["cluster-node-timeout"] = "10000";
  Plan plan;
  plan.actions = {Failover{.replica = {.pod = "demo-0-1"}, .forced = true, .master = *NodeId::Parse(kMaster)}};
  const auto start = simulator.Now();
  // The worker is soon free for whatever else has to be done for this cluster, and others.
  EXPECT_NE(executor.Carry(plan, cluster, "").at(0).error, "");
  EXPECT_LT(simulator.Now() - start, milliseconds(7000));
  while (commander.attempts == 1) {
    simulator.RunFor(milliseconds(500));
    EXPECT_NE(executor.Carry(plan, cluster, "").at(0).error, "");
  }
  EXPECT_GT(simulator.Now() - start, milliseconds(41'000));
  EXPECT_LT(simulator.Now() - start, milliseconds(49'000));
}

// It goes on by itself; that the operator ends is no failure of it.
TEST(OrderlyFailover, IsNotWaitedForByAnOperatorThatEnds) {
  Simulator simulator(1);
  NeverElected commander;
  const auto start = simulator.Now();
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(FailOver(commander, simulator, "", {}, stop.get_token()).error, "");
  EXPECT_EQ(commander.attempts, 1);
  EXPECT_LT(simulator.Now() - start, milliseconds(1000));
}

// It is busy with its promotion, or a packet is lost; who is silent for good did not say that it is still a replica.
TEST(OrderlyFailover, AsksAgainWhoDidNotAnswer) {
  class Busy final : public Commander {
   public:
    explicit Busy(int silent) : silent_(silent) {}
    std::vector<NodeResult> Run(const std::vector<NodeRequest>& requests, milliseconds) override {
      if (requests[0].commands[0][0] != "ROLE") return {std::vector{Text("OK")}};
      if (silent_-- > 0) return {std::unexpected(RedisError{RedisError::Kind::kDeadline, "no answer in time"})};
      return {std::vector{Reply{.type = Reply::Type::kArray, .elements = {Text("master")}}}};
    }

   private:
    int silent_;
  };
  Simulator simulator(1);
  for (const auto& [silent, error] : {std::pair(3, ""), std::pair(1000, "no answer in time")}) {
    Busy commander(silent);
    const auto result = FailOver(commander, simulator, "", {}, {});
    EXPECT_EQ(result.error, error);
    EXPECT_FALSE(result.undecided);
  }
}

}  // namespace
}  // namespace slotwright::simulation
