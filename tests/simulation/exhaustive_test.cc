// For every effect of a workload: the operator dies right after it, or is never told that it happened. In the end all
// is as if nothing had been.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <iterator>

#include "reconciler/base/log.h"
#include "tests/simulation/world.h"

namespace slotwright::simulation {
namespace {

using reconciler::Json;
using std::chrono::seconds;

struct Workload {
  const char* name;
  Json before;
  Json after;  ///< null: the creation itself is the workload, or what happens.
  bool valkey = false;
  void (*happens)(World&) = nullptr;
  const char* reaches = "";  ///< One of its effects, without which it were not what it is for.
};

enum class Fault { kNone, kCrash, kLostReply };

class Exhaustive : public ::testing::TestWithParam<Workload> {
 protected:
  void SetUp() override { reconciler::ConfigureLog(reconciler::LogLevel::kError, reconciler::LogFormat::kText); }

  // Gives the number of effects of the workload; the end state and problems are compared inside.
  static int Run(const Workload& workload, Fault fault, int effect, std::string& end_state) {
    World world(11);
    if (workload.valkey) world.UseValkey();
    int before = 0;
    const auto arm = [&] {
      if (fault == Fault::kCrash) world.effects.crash_after = before + effect;
      if (fault == Fault::kLostReply) world.effects.lose_reply_of = before + effect;
    };
    const bool is_creation = workload.after.is_null() && workload.happens == nullptr;
    if (is_creation) arm();
    world.Apply(workload.before);
    EXPECT_TRUE(world.Converges(seconds(300))) << world.ReadyMessage();
    if (!is_creation) {
      world.StartClients();
      world.Run(seconds(2));
      before = world.effects.count();
      arm();
      if (workload.happens != nullptr) workload.happens(world);
      if (!workload.after.is_null()) world.Apply(workload.after);
      // By then the status is not from before.
      if (workload.happens != nullptr) world.Run(seconds(14));
      EXPECT_TRUE(world.Converges(seconds(300))) << world.ReadyMessage();
      world.StopClients();
      const auto lost = world.LostWrites(workload.happens != nullptr);
      EXPECT_TRUE(lost.empty()) << lost.front();
    }
    const int count = world.effects.count() - before;
    const auto& log = world.effects.log();
    EXPECT_TRUE(std::any_of(log.begin() + before, log.end(),
                            [&](const auto& what) { return what.find(workload.reaches) != std::string::npos; }))
        << "it does not come to " << workload.reaches;
    world.Run(seconds(12));
    EXPECT_TRUE(world.StaysSilent(seconds(10))) << world.effects.log().back();
    EXPECT_TRUE(world.violations().empty()) << world.violations().front();
    auto wrong = world.Differences();
    std::ranges::copy(world.MisconfiguredServers(seconds(0)), std::back_inserter(wrong));
    EXPECT_TRUE(wrong.empty()) << wrong.front();
    end_state = world.EndState();
    return count;
  }
};

TEST_P(Exhaustive, ACrashOrALostReplyAfterAnyEffectChangesNothingInTheEnd) {
  std::string expected;
  const int effects = Run(GetParam(), Fault::kNone, 0, expected);
  ASSERT_GT(effects, 3);
  for (const Fault fault : {Fault::kCrash, Fault::kLostReply}) {
    for (int effect = 1; effect <= effects; ++effect) {
      std::string end_state;
      SCOPED_TRACE((fault == Fault::kCrash ? "dies after effect " : "is not told of effect ") + std::to_string(effect));
      Run(GetParam(), fault, effect, end_state);
      EXPECT_EQ(end_state, expected);
      if (HasFailure()) return;
    }
  }
}

const Json kThree = {{"masters", 3}, {"replicasPerMaster", 1}};
const Json kAlone = {{"masters", 3}, {"replicasPerMaster", 0}};
const Json kFour = {{"masters", 4}, {"replicasPerMaster", 1}};
const Json kStored = {{"masters", 3}, {"replicasPerMaster", 0}, {"storage", {{"size", "1Gi"}, {"retain", "Delete"}}}};
const Json kCopied = {{"masters", 3}, {"replicasPerMaster", 1}, {"storage", {{"size", "1Gi"}, {"retain", "Delete"}}}};
const Json kOne = {{"masters", 1}, {"replicasPerMaster", 1}};
const Json kForgiving = {{"masters", 3}, {"replicasPerMaster", 0}, {"healing", {{"lostShard", "AssignEmpty"}}}};

void Await(World& world, const std::function<bool()>& happened) {
  for (int i = 0; i < 10'000 && !happened(); ++i) world.Run(milliseconds(5));
}

void PauseInTheMiddle(World& world) {
  world.Apply({{"masters", 4}});
  Await(world, [&] { return world.NodeOf("demo-3-0") != nullptr; });
  // Else one slice moves all slots before the operator hears of the pause.
  world.SlowDown("demo-3-0", milliseconds(450), seconds(30));
  Await(world, [&] { return world.Topology().find("shard 3: 0 slots") == std::string::npos; });
  world.Pause(true);
  world.Run(seconds(6));  // the slice ends
  EXPECT_EQ(world.Topology().find("its share"), std::string::npos) << "it was paused too late";
  const int begun = world.effects.count();
  world.Run(seconds(8));
  const auto& log = world.effects.log();
  EXPECT_TRUE(std::all_of(log.begin() + begun, log.end(), [](const auto& what) { return what.ends_with("/status"); }))
      << log.back();
  world.Pause(false);
}

int SlotsOf(World& world, const char* pod) {
  const Node* node = world.NodeOf(pod);
  return node == nullptr ? -1 : node->me().slots.size();
}

// Both stop where some slots have moved and others have not; then the specification says again what it said before.
void ScaleOutHalfWay(World& world) {
  world.Apply({{"masters", 4}});
  Await(world, [&] { return world.NodeOf("demo-3-0") != nullptr; });
  world.SlowDown("demo-3-0", milliseconds(450), seconds(20));
  Await(world, [&] { return SlotsOf(world, "demo-3-0") > 0; });
  EXPECT_LT(SlotsOf(world, "demo-3-0"), kSlotCount / 4) << "all have moved";
}

void ScaleInHalfWay(World& world) {
  world.SlowDown("demo-3-0", milliseconds(450), seconds(20));
  world.Apply({{"masters", 3}});
  Await(world, [&] { return SlotsOf(world, "demo-3-0") < kSlotCount / 4; });
  EXPECT_GT(SlotsOf(world, "demo-3-0"), 0) << "all have moved";
}

INSTANTIATE_TEST_SUITE_P(
    Workloads, Exhaustive,
    ::testing::Values(
        Workload{"Creation", kThree, nullptr}, Workload{"ScaleOut", kThree, {{"masters", 4}}},
        Workload{"ScaleIn", kFour, {{"masters", 3}}},
        Workload{"ScaleOutOfValkey", kThree, {{"masters", 4}}, true, nullptr, "MIGRATESLOTS"},
        Workload{"ScaleInOfValkey", kFour, {{"masters", 3}}, true, nullptr, "MIGRATESLOTS"},
        Workload{"MoreReplicas", kThree, {{"replicasPerMaster", 2}}},
        Workload{"NoReplicas", kThree, {{"replicasPerMaster", 0}}},
        Workload{"NewImage", kThree, {{"image", "redis:7.2"}}},
        Workload{"NewImageOfTheOnlyCopy", kAlone, {{"image", "redis:7.2"}}},
        Workload{"LiveConfig", kThree, {{"config", {{"maxmemory-policy", "allkeys-lru"}}}}},
        Workload{"ScaleInWithStorage", kStored, {{"masters", 2}}},
        Workload{"NewImageWithStorage", kStored, {{"image", "redis:7.2"}}},
        Workload{"RevertedScaleOut", kAlone, {{"masters", 3}}, false, ScaleOutHalfWay, "SETSLOT"},
        Workload{"RevertedScaleIn",
                 {{"masters", 4}, {"replicasPerMaster", 0}},
                 {{"masters", 4}},
                 false,
                 ScaleInHalfWay,
                 "SETSLOT"},
        Workload{"MasterDies", kThree, nullptr, false, [](World& world) { world.KillContainer("demo-0-0"); }},
        Workload{"AllPodsGo", kStored, nullptr, false, [](World& world) { world.DeleteAllPods(); }},
        Workload{"SlotsMovedByHand", kThree, nullptr, false, [](World& world) { world.MoveSlotsByHand(600, true); }},
        Workload{"MajorityDies", kThree, nullptr, false,
                 [](World& world) {
                   world.KillContainer("demo-0-0");
                   world.KillContainer("demo-1-0");
                 },
                 "CLUSTER FAILOVER TAKEOVER"},
        Workload{"MachinesOfTheMajorityAreLost", kThree, nullptr, false,
                 [](World& world) {
                   world.LoseMachine(0);
                   world.LoseMachine(2);
                 },
                 "CLUSTER FAILOVER TAKEOVER"},
        Workload{"LostShardIsServedEmpty", kForgiving, nullptr, false,
                 [](World& world) { world.KillContainer("demo-0-0"); }, "CLUSTER ADDSLOTSRANGE"},
        Workload{"MasterLosesItsVolume", kCopied, nullptr, false,
                 [](World& world) { world.KillContainer("demo-0-0", true); }, "CLUSTER REPLICATE"},
        Workload{"PausedScaleOut", kAlone, nullptr, false, PauseInTheMiddle},
        Workload{"MoreStorage", kStored, {{"storage", {{"size", "2Gi"}}}}, false, nullptr, "persistentvolumeclaims"},
        Workload{"ConfigThatNeedsARestart", kOne, {{"config", {{"databases", "20"}}}}, false, nullptr, "eviction"}),
    [](const auto& param_info) { return param_info.param.name; });

}  // namespace
}  // namespace slotwright::simulation
