// A new node at a dead master's address is kept from those who would copy its emptiness.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/planning/world.h"

namespace slotwright::testing {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

class Quarantine : public ::testing::Test {
 protected:
  // The master's pod was made anew at the address that the old one had: nobody ever calls the old node failed.
  Quarantine() {
    world_.Reincarnate("demo-1-0");
    world_.JoinAgain("demo-1-0");
    for (auto& node : world_.observation.nodes) {
      for (auto& line : node.table->lines) {
        if (line.id != IdOf("demo-1-0")) continue;
        line.flags.noaddr = true;
        line.flags.fail = line.flags.pfail = false;
        line.endpoint = {};
      }
    }
    auto& replica = world_.Node("demo-1-1").server;
    replica.master_link_up = false;
    replica.master_link_down_seconds = 1;
  }
  World world_ = World::Healthy();
};

TEST_F(Quarantine, LastsWhileAReplicaOfTheDeadMasterMayFollowItsAddressAndTheReplicaTakesOver) {
  world_.Node("demo-1-1").server.keys = 100;
  EXPECT_THAT(world_.Actions(), ElementsAre(HasSubstr("let demo-1-1 (64656d6f) take over from its dead master")));
}

// It missed one look, and of its master the others have never heard (simulation, seed 733276).
TEST(QuarantineOfANewMaster, LastsWhileWhoIsSilentMayFollowAMasterThatNobodyElseKnows) {
  World world = World::Healthy(1, 1);
  world.Reincarnate("demo-0-0");
  world.Node("demo-0-0").quarantined = true;
  world.Node("demo-0-1").table.reset();
  world.Node("demo-0-1").error = "no answer in time";
  EXPECT_THAT(world.Actions(), Not(Contains(HasSubstr("let replicas copy"))));
}

TEST_F(Quarantine, AReplicaThatWasInSyncWithAnEmptyMasterTakesOverToo) {
  EXPECT_THAT(world_.Actions(), ElementsAre(HasSubstr("take over from its dead master")));
}

TEST_F(Quarantine, AReplicaThatNeverHadALinkKnowsNothing) {
  world_.Node("demo-1-1").server.master_link_down_seconds = -1;
  const Plan plan = world_.MakePlan();
  ASSERT_TRUE(plan.refusal) << plan.message;
  EXPECT_EQ(plan.refusal->reason, "DataLost");
  world_.observation.cluster.ready_at.clear();
  EXPECT_THAT(world_.Actions(), ElementsAre(HasSubstr("take over from its dead master")))
      << "nobody was told yet that the cluster is ready";
}

// The master died before it told its replica of its slots; another one has heard of them.
TEST_F(Quarantine, AReplicaThatNeverHeardOfItsMastersSlotsIsNotWaitedFor) {
  for (auto& node : world_.observation.nodes) {
    if (node.pod == "demo-2-0") continue;
    for (auto& line : node.table->lines) {
      if (line.id == IdOf("demo-1-0")) line.slots = {};
    }
  }
  const Plan plan = world_.MakePlan();
  ASSERT_TRUE(plan.refusal) << plan.message;
  EXPECT_EQ(plan.refusal->reason, "DataLost");
  world_.observation.cluster.ready_at.clear();
  EXPECT_THAT(world_.Actions(), Contains(HasSubstr("forget"))) << "then its slots are given away again";
  EXPECT_THAT(world_.Actions(), Not(Contains(HasSubstr("take over"))));
  world_.Node("demo-1-1").server.keys = 1;
  EXPECT_THAT(world_.Actions(), Not(Contains(HasSubstr("forget")))) << "it may be a copy";
}

// The master died before demo-0-0 had met it, so demo-0-0 has no vote for its replica.
TEST_F(Quarantine, OfAMasterThatTooFewKnewEndsWithATakeover) {
  std::erase_if(world_.Node("demo-0-0").table->lines, [](const auto& line) { return line.id == IdOf("demo-1-0"); });
  world_.Line("demo-0-0", "demo-1-1").master.reset();
  EXPECT_THAT(world_.Actions(), ElementsAre(HasSubstr("without votes")));
}

TEST_F(Quarantine, EndsWithTheSlotsOfTheDeadMaster) {
  for (auto& node : world_.observation.nodes) {
    for (auto& line : node.table->lines) {
      if (line.id == IdOf("demo-1-1")) {
        line.flags.master = true;
        line.flags.replica = false;
        line.master.reset();
        line.slots.Add(InitialSlots(1, 3));
      }
      if (line.id == IdOf("demo-1-0")) line.slots = {};
    }
  }
  world_.Node("demo-1-1").server = {.version = "7.0.15"};
  // Its own first life is nobody's master any more; the second one replicates its successor.
  auto& again = world_.Node("demo-1-0").table->lines[0];
  again.flags = {.myself = true, .replica = true};
  again.master = IdOf("demo-1-1");
  world_.Node("demo-1-0").server.master_role = false;
  EXPECT_THAT(world_.Actions(), Not(Contains(HasSubstr("let replicas copy demo-1-0")))) << "it has nothing yet";
  world_.Node("demo-1-0").server.master_link_up = true;
  EXPECT_THAT(world_.Actions(), Contains(HasSubstr("let replicas copy demo-1-0")));
}

// Simulation, seed 616760: it came back with its data, at the address that a master of another shard had until it died.
TEST(QuarantineOfANodeWithData, LastsWhileSomebodyFollowsItsAddressByMistake) {
  World world = World::Healthy(3, 1);
  world.Kill("demo-1-0");
  auto& node = world.Node("demo-0-0");
  node.quarantined = true;
  node.server.keys = 100;
  auto& copy = world.Node("demo-2-1");
  copy.quarantined = true;
  copy.server.keys = 100;
  copy.server.uptime_seconds = 61;
  auto& replica = world.Node("demo-1-1").server;
  replica.master_host = node.endpoint.host;
  replica.master_port = node.endpoint.port;
  EXPECT_THAT(world.Actions(), Not(Contains(HasSubstr("let replicas copy"))));
  replica.master_host = "10.9.9.9";
  EXPECT_THAT(world.Actions(), Not(Contains(HasSubstr("let replicas copy"))))
      << "demo-1-0 may follow it, and is silent";
  node.server.uptime_seconds = 61;
  EXPECT_THAT(world.Actions(), Contains(HasSubstr("let replicas copy demo-0-0")))
      << "its own replicas must not wait for whatever else is wrong";
  EXPECT_THAT(world.Actions(), Not(Contains(HasSubstr("let replicas copy demo-2-1")))) << "nobody waits for it";
}

// A single look that it misses would have it copy the data of another shard over the last copy of its own.
TEST(QuarantineOfANodeWithData, LastsWhileWhoMayFollowItIsAboutToAnswer) {
  World world = World::Healthy(3, 1);
  world.Kill("demo-1-0");
  world.Kill("demo-1-1");
  auto& node = world.Node("demo-0-0");
  node.quarantined = true;
  node.server.keys = 100;
  node.server.uptime_seconds = 1000;
  const auto ends = Contains(HasSubstr("let replicas copy demo-0-0"));
  ASSERT_THAT(world.Actions(), ends);

  world.Node("demo-1-1").loading = true;
  EXPECT_THAT(world.Actions(), Not(ends)) << "it loads its data";
  world.Node("demo-1-1").loading = false;

  auto& pod = world.Pod("demo-1-1");
  pod.container_changed = world.observation.now - std::chrono::seconds(59);
  EXPECT_THAT(world.Actions(), Not(ends)) << "it has just started or ended";
  pod.container_changed -= std::chrono::seconds(2);
  EXPECT_THAT(world.Actions(), ends);

  const bool was_connected = std::exchange(world.Line("demo-0-0", "demo-1-1").link_connected, true);
  world.Line("demo-0-0", "demo-1-1").flags.fail = false;
  EXPECT_THAT(world.Actions(), Not(ends)) << "the others reach it: it only missed a look";
  world.Line("demo-0-0", "demo-1-1").link_connected = was_connected;
  world.Line("demo-0-0", "demo-1-1").flags.fail = true;

  node.server.replicas_waiting = 1;
  EXPECT_THAT(world.Actions(), Not(ends)) << "somebody waits for its data who is none of its own";
  auto& own = world.Node("demo-0-1").server;
  own.master_link_up = false;
  own.master_host = node.endpoint.host;
  own.master_port = node.endpoint.port;
  EXPECT_THAT(world.Actions(), ends);
}

}  // namespace
}  // namespace slotwright::testing
