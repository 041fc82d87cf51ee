// Masters that pile up are spread again, one hand-over at a time.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "tests/unit/planning/world.h"

namespace slotwright::testing {
namespace {

using reconciler::Json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr const char* kHost = "kubernetes.io/hostname";
constexpr const char* kZone = "topology.kubernetes.io/zone";

class Spread : public ::testing::Test {
 protected:
  Spread() { SetReadySince("2026-11-23T05:00:00Z"); }

  void SetReadySince(const std::string& time) {
    world_.observation.now = reconciler::ParseTime("2026-11-23T06:00:00Z");
    world_.observation.cluster.status["conditions"] =
        Json::array({{{"type", "Ready"}, {"status", "True"}, {"lastTransitionTime", time}}});
  }
  void Place(const std::map<std::string, std::string>& nodes, const char* key = kHost) {
    for (const auto& [pod, node] : nodes) world_.Pod(pod).domains[key] = node;
  }

  // Two masters on a, one of which has its replica on c, where no master is.
  void PileUp() {
    Place({{"demo-0-0", "a"},
           {"demo-0-1", "b"},
           {"demo-1-0", "a"},
           {"demo-1-1", "c"},
           {"demo-2-0", "b"},
           {"demo-2-1", "a"}});
  }

  World world_ = World::Healthy();
};

TEST_F(Spread, HandsOneMasterOfAFullNodeToItsReplicaOnAFreeOne) {
  PileUp();
  EXPECT_THAT(world_.Actions(), ElementsAre(HasSubstr("let demo-1-1")));
  EXPECT_THAT(world_.MakePlan().message, HasSubstr("2 of 3 masters are in kubernetes.io/hostname a"));
}

TEST_F(Spread, WaitsForNothingBeforeTheClusterIsReadyForTheFirstTime) {
  PileUp();
  world_.observation.cluster.status.erase("conditions");
  EXPECT_THAT(world_.Actions(), IsEmpty()) << "it was Ready before";
  world_.observation.cluster.ready_at.clear();
  for (auto& pod : world_.observation.pods) pod.ready = false;  // kubelets have not asked yet
  EXPECT_THAT(world_.Actions(), ElementsAre(HasSubstr("let demo-1-1")));
}

TEST_F(Spread, IsContentWhereNobodyHasMoreThanItsShare) {
  Place({{"demo-0-0", "a"},
         {"demo-0-1", "b"},
         {"demo-1-0", "b"},
         {"demo-1-1", "a"},
         {"demo-2-0", "a"},
         {"demo-2-1", "b"}});
  EXPECT_TRUE(world_.MakePlan().settled) << "two of three masters on one of two nodes";
  Place({{"demo-0-1", "a"}, {"demo-1-0", "a"}, {"demo-2-1", "a"}});
  EXPECT_TRUE(world_.MakePlan().settled) << "there is only one node";
}

// Nobody on a has a replica on c, but who is on b has.
TEST_F(Spread, MakesRoomFirstWhereTheWayIsLonger) {
  Place({{"demo-0-0", "a"},
         {"demo-0-1", "b"},
         {"demo-1-0", "a"},
         {"demo-1-1", "b"},
         {"demo-2-0", "b"},
         {"demo-2-1", "c"}});
  EXPECT_THAT(world_.Actions(), ElementsAre(HasSubstr("let demo-2-1")));
  Place({{"demo-2-0", "c"}, {"demo-2-1", "b"}});
  EXPECT_THAT(world_.Actions(), ElementsAre(HasSubstr("let demo-0-1"))) << "b is free now";
}

// a and b are in the east, c and d in the west.
TEST_F(Spread, ChangesNothingThatAMoreImportantKeySees) {
  world_.observation.cluster.spec.placement.topology_keys = {kZone, kHost};
  world_.TakePodsAsDesired();
  Place({{"demo-0-0", "a"},
         {"demo-0-1", "d"},
         {"demo-1-0", "a"},
         {"demo-1-1", "b"},
         {"demo-2-0", "c"},
         {"demo-2-1", "b"}});
  EXPECT_THAT(world_.Actions(), ElementsAre(HasSubstr("let demo-0-1"))) << "zones are not known";
  Place({{"demo-0-0", "east"},
         {"demo-0-1", "west"},
         {"demo-1-0", "east"},
         {"demo-1-1", "east"},
         {"demo-2-0", "west"},
         {"demo-2-1", "east"}},
        kZone);
  EXPECT_THAT(world_.Actions(), ElementsAre(HasSubstr("let demo-1-1"))) << "no master goes to the west";
  Place({{"demo-2-0", "east"}, {"demo-2-1", "west"}}, kZone);
  EXPECT_THAT(world_.Actions(), ElementsAre(HasSubstr("let demo-0-1"))) << "three of three are in the east";
}

TEST_F(Spread, WaitsAWhileAfterEachChange) {
  PileUp();
  SetReadySince("2026-11-23T05:59:31Z");
  EXPECT_THAT(world_.Actions(), IsEmpty());
  SetReadySince("2026-11-23T05:59:30Z");
  EXPECT_EQ(world_.MakePlan().step, "spread");
}

TEST_F(Spread, IsNotHeldUpByARefusedChangeOfTheStorage) {
  PileUp();
  const auto refused_since = [&](const char* reason, const char* time) {
    world_.observation.cluster.status["conditions"] =
        Json::array({{{"type", "Ready"}, {"status", "False"}, {"lastTransitionTime", "2026-11-23T05:00:00Z"}},
                     {{"type", "Degraded"}, {"status", "True"}, {"reason", reason}, {"lastTransitionTime", time}}});
    return world_.MakePlan().step;
  };
  EXPECT_EQ(refused_since("StorageCannotShrink", "2026-11-23T05:59:30Z"), "spread");
  EXPECT_NE(refused_since("StorageCannotShrink", "2026-11-23T05:59:31Z"), "spread");
  EXPECT_NE(refused_since("PodRefused", "2026-11-23T05:59:30Z"), "spread");
}

TEST_F(Spread, EvensDomainsOfWhichOneHasTwoMore) {
  world_ = World::Healthy(4, 1);
  SetReadySince("2026-11-23T05:00:00Z");
  Place({{"demo-0-0", "a"},
         {"demo-0-1", "c"},
         {"demo-1-0", "a"},
         {"demo-1-1", "c"},
         {"demo-2-0", "b"},
         {"demo-2-1", "c"},
         {"demo-3-0", "b"},
         {"demo-3-1", "c"}});
  EXPECT_THAT(world_.Actions(), ElementsAre(HasSubstr("let demo-0-1"))) << "two, two and none";
  Place({{"demo-0-0", "c"}, {"demo-0-1", "a"}});
  EXPECT_TRUE(world_.MakePlan().settled) << "one, two and one";
}

TEST_F(Spread, LeavesItToPeopleIfTheySaySo) {
  PileUp();
  world_.observation.cluster.spec.placement.spread_masters = false;
  EXPECT_TRUE(world_.MakePlan().settled);
}

TEST_F(Spread, NeverHandsOverToAReplicaThatIsNotReady) {
  PileUp();
  world_.Pod("demo-1-1").ready = false;
  EXPECT_THAT(world_.Actions(), IsEmpty());
}

}  // namespace
}  // namespace slotwright::testing
