// Slots that Redis 8.4 moves by itself, against a model of it (import_model.h), and the choice among the three ways.
#include "controllers/act/migrate.h"

#include <gmock/gmock.h>

#include "tests/unit/act/import_model.h"

namespace slotwright {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::AllOf;
using ::testing::HasSubstr;

SlotSet Slots(int first, int last) { return SlotSet({{static_cast<Slot>(first), static_cast<Slot>(last)}}); }

// Three masters: "a" gives, "b" has next to nothing, "c" gives too.
class MigrateTest : public ::testing::Test {
 protected:
  // One slice, as one look of the operator has it.
  MoveProgress Slice(const ImportModel::Node& from, const ImportModel::Node& to, const SlotSet& slots,
                     MigrationMethod method = MigrationMethod::kAuto) {
    return Migrate(link_, {from.ref, to.ref, slots, method}, seconds(1));
  }
  MoveProgress Slice() { return Slice(a_, b_, kWanted, method_); }

  /// As the operator does, with the world looked at between the slices; what was said on the way.
  std::vector<std::string> MoveAll(seconds within) {
    std::vector<std::string> said;
    const auto limit = clock_.Now() + within;
    while (clock_.Now() < limit && !(a_.owned & kWanted).empty()) {
      const auto progress = Slice(a_, b_, a_.owned & kWanted);
      if (!progress.error.empty()) said.push_back(progress.error);
      clock_.RunFor(milliseconds(progress.error.empty() ? 10 : 500));
    }
    clock_.RunFor(model_.gossip);  // the last slice may have ended before
    return said;
  }
  void ExpectMoved() {
    EXPECT_TRUE((a_.owned & kWanted).empty()) << a_.owned.ToString();
    EXPECT_EQ(b_.owned & kWanted, kWanted);
    EXPECT_FALSE(a_.task) << "the source has not finished: " << a_.task->state;
    EXPECT_FALSE(b_.task) << b_.task->state;
  }
  // What somebody else tells a server.
  void Tell(ImportModel::Node& node, const Command& command) { EXPECT_FALSE(model_.Execute(node, command).IsError()); }

  const SlotSet kWanted = Slots(0, 99) | Slots(200, 200);
  const std::string password_;
  const SlotMover::EffectHook after_effect_ = [this] { ++effects_; };
  SteppingClock clock_;
  ImportModel model_{clock_};
  ImportModel::Node& a_ = model_.Add("demo-0-0", Slots(0, 7999));
  ImportModel::Node& b_ = model_.Add("demo-1-0", Slots(8000, 8000));
  ImportModel::Node& c_ = model_.Add("demo-2-0", Slots(8001, 16383));
  AtomicLink link_{model_, clock_, password_, after_effect_};
  MigrationMethod method_ = MigrationMethod::kAuto;
  int effects_ = 0;
};

TEST_F(MigrateTest, ImportsAllRangesByOneCommandToTheTarget) {
  const auto progress = Slice();
  EXPECT_EQ(progress.error, "");
  EXPECT_EQ(progress.slots, 101);
  ExpectMoved();
  EXPECT_EQ(model_.CountOf("demo-1-0: CLUSTER MIGRATION IMPORT 0 99 200 200"), 1);
  EXPECT_EQ(effects_, 1);
}

TEST_F(MigrateTest, IsNotDoneBeforeTheSourceKnowsIt) {
  model_.gossip = milliseconds(500);
  EXPECT_EQ(Slice().slots, 101);
  ExpectMoved();
}

TEST_F(MigrateTest, GoesOnInTheServersWhenTheSliceIsOver) {
  model_.transfer = seconds(5);
  const auto first = Slice();
  EXPECT_EQ(first.error, "");
  EXPECT_EQ(first.slots, 0);
  EXPECT_EQ(MoveAll(seconds(10)), std::vector<std::string>());
  ExpectMoved();
  EXPECT_EQ(model_.CountOf("IMPORT"), 1);
}

TEST_F(MigrateTest, FindsWhatItBeganInAnEarlierLifeAndWaits) {
  Tell(b_, {"CLUSTER", "MIGRATION", "IMPORT", "0", "99", "200", "200"});
  const auto progress = Slice();
  EXPECT_EQ(progress.error, "");
  EXPECT_EQ(progress.slots, 0) << "whoever began it counts it";
  ExpectMoved();
  EXPECT_EQ(model_.CountOf("IMPORT"), 0);
}

TEST_F(MigrateTest, LostAnswerToImportBeginsNoSecondOne) {
  model_.transfer = seconds(3);
  model_.lose_reply_to = "IMPORT";
  EXPECT_THAT(Slice().error, HasSubstr("demo-1-0: no answer in time"));
  EXPECT_EQ(MoveAll(seconds(10)), std::vector<std::string>());
  ExpectMoved();
  EXPECT_EQ(model_.CountOf("IMPORT"), 1);
}

TEST_F(MigrateTest, FailureIsSaidAndLeftToTheTargetToTryAgain) {
  model_.attempts_that_fail = 2;
  const auto said = MoveAll(seconds(20));
  ASSERT_FALSE(said.empty());
  EXPECT_THAT(said[0], AllOf(HasSubstr("demo-1-0 could not take the slots 0-99 200 over and tries again every second"),
                             HasSubstr("RDB channel - Connection is closed")));
  ExpectMoved();
  EXPECT_EQ(model_.CountOf("IMPORT"), 1);
  EXPECT_EQ(model_.CountOf("CANCEL"), 0);
}

TEST_F(MigrateTest, OneThatNeverSucceedsIsBegunAnewAfterThirtyRetries) {
  model_.attempts_that_fail = 1'000'000;
  const auto said = MoveAll(seconds(45));
  EXPECT_EQ(model_.CountOf("CANCEL"), 1);
  EXPECT_EQ(model_.CountOf("IMPORT"), 2);
  EXPECT_THAT(said, ::testing::Contains(HasSubstr("in 30 attempts and is told to give up")));
  EXPECT_EQ(a_.owned & kWanted, kWanted);
}

TEST_F(MigrateTest, SaysThatATargetDoesNotBegin) {
  b_.paused = true;
  EXPECT_THAT(Slice().error, HasSubstr("demo-1-0 does not begin"));
  b_.paused = false;
  EXPECT_EQ(MoveAll(seconds(5)), std::vector<std::string>());
  ExpectMoved();
}

TEST_F(MigrateTest, TargetThatTakesFromAnotherSourceIsWaitedFor) {
  model_.transfer = seconds(3);
  EXPECT_EQ(Slice(c_, b_, Slots(9000, 9009)).error, "");
  EXPECT_EQ(MoveAll(seconds(20)), std::vector<std::string>());
  ExpectMoved();
  EXPECT_EQ(b_.owned & Slots(9000, 9009), Slots(9000, 9009)) << "the other one was not disturbed";
}

TEST_F(MigrateTest, TwoSourcesTakeTurnsAtOneTarget) {
  model_.transfer = seconds(3);
  model_.attempts_that_fail = 1;
  const SlotSet others = Slots(9000, 9009);
  for (int round = 0; round < 20 && !((a_.owned & kWanted) | (c_.owned & others)).empty(); ++round) {
    if (const auto left = a_.owned & kWanted; !left.empty()) (void)Slice(a_, b_, left);
    if (const auto left = c_.owned & others; !left.empty()) (void)Slice(c_, b_, left);
  }
  clock_.RunFor(model_.gossip);
  ExpectMoved();
  EXPECT_EQ(b_.owned & others, others);
  EXPECT_EQ(model_.CountOf("IMPORT"), 2);
  EXPECT_EQ(model_.CountOf("CANCEL"), 0);
}

TEST_F(MigrateTest, OtherSourcesTaskThatFailsForAMomentIsNotCancelled) {
  Tell(b_, {"CLUSTER", "MIGRATION", "IMPORT", "9000", "9009"});
  model_.attempts_that_fail = 1;
  clock_.RunFor(milliseconds(300));
  ASSERT_EQ(b_.task->state, "failed");
  (void)Slice();
  EXPECT_EQ(model_.CountOf("CANCEL"), 0);
  EXPECT_EQ(MoveAll(seconds(20)), std::vector<std::string>());
  ExpectMoved();
  EXPECT_EQ(b_.owned & Slots(9000, 9009), Slots(9000, 9009));
}

TEST_F(MigrateTest, OtherSourcesTaskThatNeverSucceedsIsCancelledInTheEnd) {
  Tell(b_, {"CLUSTER", "MIGRATION", "IMPORT", "9000", "9009"});
  c_.silent = true;
  EXPECT_FALSE(MoveAll(seconds(60)).empty());
  ExpectMoved();
  EXPECT_EQ(model_.CountOf("CANCEL"), 1);
}

TEST_F(MigrateTest, WhoeverWasFasterByAMomentIsWaitedFor) {
  model_.on_command = [&](const Command& command) {
    if (command.size() < 3 || command[2] != "IMPORT") return;
    model_.on_command = nullptr;
    Tell(b_, {"CLUSTER", "MIGRATION", "IMPORT", "9000", "9009"});
  };
  const auto progress = Slice();
  EXPECT_EQ(progress.error, "");
  EXPECT_EQ(progress.slots, 0);
  EXPECT_EQ(MoveAll(seconds(5)), std::vector<std::string>());
  ExpectMoved();
}

TEST_F(MigrateTest, SourceThatServesAnotherTargetIsWaitedForWithoutComplaint) {
  model_.transfer = seconds(4);
  Tell(c_, {"CLUSTER", "MIGRATION", "IMPORT", "7000", "7009"});
  clock_.RunFor(milliseconds(50));
  EXPECT_EQ(MoveAll(seconds(20)), std::vector<std::string>());
  ExpectMoved();
  EXPECT_EQ(c_.owned & Slots(7000, 7009), Slots(7000, 7009));
}

TEST_F(MigrateTest, SourceThatIsBusyOnlyForTheTargetIsNoComplaint) {
  // The task towards c begins after our look and before the target asks the source.
  model_.transfer = seconds(45);
  model_.on_command = [&](const Command& command) {
    if (command.size() < 3 || command[2] != "IMPORT") return;
    model_.on_command = nullptr;
    Tell(c_, {"CLUSTER", "MIGRATION", "IMPORT", "7000", "7009"});
    clock_.RunFor(milliseconds(20));
  };
  EXPECT_EQ(MoveAll(seconds(120)), std::vector<std::string>());
  ExpectMoved();
  EXPECT_EQ(model_.CountOf("CANCEL"), 0);
}

TEST_F(MigrateTest, FailedTaskOfAnEarlierGoalIsCancelledAtOnce) {
  model_.attempts_that_fail = 1;
  Tell(b_, {"CLUSTER", "MIGRATION", "IMPORT", "0", "500"});
  clock_.RunFor(milliseconds(300));
  ASSERT_EQ(b_.task->state, "failed");
  EXPECT_EQ(MoveAll(seconds(3)), std::vector<std::string>());
  EXPECT_EQ(model_.CountOf("CANCEL"), 1);
  ExpectMoved();
  EXPECT_TRUE((b_.owned & Slots(100, 199)).empty()) << "what is no longer wanted stays";
}

TEST_F(MigrateTest, OnlyWhatIsTriedInVainIsEndedForAGoalThatAsksForNothing) {
  Tell(b_, {"CLUSTER", "MIGRATION", "IMPORT", "0", "500"});
  clock_.RunFor(milliseconds(50));
  EXPECT_EQ(CancelImports(link_, b_.ref, true), "");
  EXPECT_TRUE(b_.task) << "it is under way";
  model_.attempts_that_fail = 1'000'000;
  clock_.RunFor(milliseconds(300));
  Tell(c_, {"CLUSTER", "MIGRATION", "IMPORT", "600", "700"});
  clock_.RunFor(milliseconds(700));
  EXPECT_EQ(CancelImports(link_, c_.ref, true), "");
  ASSERT_TRUE(c_.task) << "it may succeed the next time";
  clock_.RunFor(seconds(60));
  EXPECT_EQ(CancelImports(link_, c_.ref, true), "");
  EXPECT_FALSE(c_.task);
  clock_.RunFor(seconds(5));
  EXPECT_FALSE(c_.task) << "it is not tried again";
}

TEST_F(MigrateTest, TaskOfAnEarlierGoalThatIsUnderWayMayFinish) {
  Tell(b_, {"CLUSTER", "MIGRATION", "IMPORT", "0", "500"});
  clock_.RunFor(milliseconds(50));
  EXPECT_EQ(Slice().error, "");
  EXPECT_EQ(model_.CountOf("CANCEL"), 0);
  EXPECT_EQ(b_.owned & Slots(0, 500), Slots(0, 500));
}

TEST_F(MigrateTest, NodeThatShallGiveStopsTryingToTake) {
  model_.attempts_that_fail = 1;
  Tell(a_, {"CLUSTER", "MIGRATION", "IMPORT", "9000", "9009"});
  clock_.RunFor(milliseconds(300));
  ASSERT_EQ(a_.task->state, "failed");
  EXPECT_EQ(MoveAll(seconds(3)), std::vector<std::string>());
  EXPECT_EQ(model_.CountOf("demo-0-0: CLUSTER MIGRATION CANCEL"), 1);
  ExpectMoved();
}

TEST_F(MigrateTest, SaysThatWritesMayBeLostIfTheSourceHadStoppedWaiting) {
  model_.source_stops_waiting = true;
  const auto progress = Slice();
  EXPECT_EQ(progress.slots, 101);
  EXPECT_THAT(progress.error, AllOf(HasSubstr("demo-0-0 had stopped waiting"), HasSubstr("lost")));
}

TEST_F(MigrateTest, CancelledByAPersonIsSaid) {
  model_.transfer = seconds(5);
  model_.on_command = [&](const Command&) {
    if (clock_.Now() < reconciler::MonotonicTime(seconds(1000)) + milliseconds(500)) return;
    model_.on_command = nullptr;
    Tell(b_, {"CLUSTER", "MIGRATION", "CANCEL", "ID", b_.task->id});
  };
  EXPECT_THAT(Slice().error, HasSubstr("was cancelled: Cancelled due to user request"));
}

TEST_F(MigrateTest, TargetThatWasRestartedHasForgottenIt) {
  model_.transfer = seconds(5);
  model_.on_command = [&](const Command&) {
    if (clock_.Now() < reconciler::MonotonicTime(seconds(1000)) + milliseconds(500)) return;
    model_.on_command = nullptr;
    model_.Restart(b_);
  };
  EXPECT_THAT(Slice().error, HasSubstr("demo-1-0 has forgotten the migration"));
  EXPECT_EQ(MoveAll(seconds(20)), std::vector<std::string>());
  ExpectMoved();
}

TEST_F(MigrateTest, ServersRefusalIsPassedOnWithTheNameOfThePod) {
  const auto progress = Slice(a_, b_, Slots(7999, 8001));
  EXPECT_EQ(progress.error, "demo-1-0: ERR slots belong to different source nodes");
}

// Which of the ways is taken. What a node knows is asked of it.
struct Choice {
  const char* name;
  std::set<std::string> source_knows;
  std::set<std::string> target_knows;
  MigrationMethod method;
  const char* first_command;  // after COMMAND INFO
  const char* error;
};

class ChoiceTest : public MigrateTest, public ::testing::WithParamInterface<Choice> {};

TEST_P(ChoiceTest, FollowsTheSpecificationAndBothEnds) {
  const Choice& choice = GetParam();
  a_.knows = choice.source_knows;
  b_.knows = choice.target_knows;
  method_ = choice.method;
  const auto progress = Slice();
  EXPECT_THAT(progress.error, HasSubstr(choice.error));
  std::string first;
  for (const auto& line : model_.log) {
    const bool is_asked_always =
        line.find("COMMAND INFO") != std::string::npos || line.find("FUNCTION LIST") != std::string::npos;
    if (first.empty() && !is_asked_always) first = line;
  }
  EXPECT_EQ(first.empty(), *choice.first_command == '\0') << first;
  EXPECT_THAT(first, HasSubstr(choice.first_command));
}

const std::set<std::string> kOld;
const std::set<std::string> kRedis = {"cluster|migration"};
const std::set<std::string> kValkey = {"cluster|migrateslots"};
constexpr const char* kNotBoth = "spec.rebalance.method: \"Atomic\": demo-0-0 and demo-1-0 do not both know";

INSTANTIATE_TEST_SUITE_P(
    All, ChoiceTest,
    ::testing::Values(
        Choice{"AutoByRedis", kRedis, kRedis, MigrationMethod::kAuto, "CLUSTER MIGRATION STATUS ALL", ""},
        Choice{"AtomicByRedis", kRedis, kRedis, MigrationMethod::kAtomic, "CLUSTER MIGRATION STATUS ALL", ""},
        Choice{"AutoByValkey", kValkey, kValkey, MigrationMethod::kAuto, "CLUSTER GETSLOTMIGRATIONS", "unknown"},
        Choice{"AutoWithAnOldSource", kOld, kRedis, MigrationMethod::kAuto, "CLUSTER NODES", ""},
        Choice{"AutoWithAnOldTarget", kRedis, kOld, MigrationMethod::kAuto, "CLUSTER NODES", ""},
        Choice{"AutoBetweenTheTwo", kRedis, kValkey, MigrationMethod::kAuto, "CLUSTER NODES", ""},
        Choice{"AtomicWithAnOldSource", kOld, kRedis, MigrationMethod::kAtomic, "", kNotBoth},
        Choice{"AtomicWithAnOldTarget", kValkey, kOld, MigrationMethod::kAtomic, "", kNotBoth},
        Choice{"KeysThoughBothCould", kRedis, kRedis, MigrationMethod::kKeys, "CLUSTER NODES", ""}),
    [](const auto& param_info) { return param_info.param.name; });

// The model, but for a source of Valkey whose jobs have ended as said, the newest first.
class ValkeyWithJobs final : public Commander {
 public:
  explicit ValkeyWithJobs(ImportModel& model) : model_(model) {}
  std::vector<NodeResult> Run(const std::vector<NodeRequest>& requests, milliseconds budget) override {
    const Command& command = requests[0].commands[0];
    const auto text = [](const std::string& value) { return Reply{.type = Reply::Type::kString, .text = value}; };
    if (command[0] == "TIME") {
      return {std::vector{Reply{.type = Reply::Type::kArray, .elements = {text(std::to_string(now)), text("0")}}}};
    }
    if (command.size() < 2 || command[1] != "GETSLOTMIGRATIONS") return model_.Run(requests, budget);
    Reply jobs{.type = Reply::Type::kArray};
    for (const auto& state : states) {
      Reply job{.type = Reply::Type::kArray};
      const std::string name = std::to_string(jobs.elements.size());
      for (const auto& word :
           {std::string("name"), name, std::string("operation"), std::string("EXPORT"), std::string("state"), state}) {
        job.elements.push_back({.type = Reply::Type::kString, .text = word});
      }
      // They took five minutes each.
      const auto end = 1000 - 300 * static_cast<std::int64_t>(jobs.elements.size());
      job.elements.push_back(text("last_update_time"));
      job.elements.push_back({.type = Reply::Type::kInteger, .integer = end});
      job.elements.push_back(text("create_time"));
      job.elements.push_back({.type = Reply::Type::kInteger, .integer = end - 300});
      job.elements.push_back(text("message"));
      job.elements.push_back(text(message));
      jobs.elements.push_back(std::move(job));
    }
    return {std::vector<Reply>{jobs}};
  }
  std::vector<std::string> states;
  std::string message = "Unexpected error";
  std::int64_t now = 1000;

 private:
  ImportModel& model_;
};

// More is written meanwhile than its output buffer takes, a module does not take part: it would be so for ever.
TEST_F(MigrateTest, AutoGoesOnByKeysOnceThreeJobsOfValkeyHaveFailed) {
  a_.knows = b_.knows = kValkey;
  ValkeyWithJobs valkey(model_);
  const AtomicLink link{valkey, clock_, password_, after_effect_};
  bool several = false;
  const auto asks_for_a_job = [&](std::vector<std::string> states, MigrationMethod method) {
    model_.log.clear();
    valkey.states = std::move(states);
    (void)Migrate(link,
                  {.from = a_.ref, .to = b_.ref, .slots = kWanted, .method = method, .several_databases = several},
                  seconds(1));
    return model_.CountOf("MIGRATESLOTS SLOTSRANGE") > 0;
  };
  EXPECT_TRUE(asks_for_a_job({}, MigrationMethod::kAuto));
  EXPECT_TRUE(asks_for_a_job({"failed", "failed"}, MigrationMethod::kAuto));
  EXPECT_TRUE(asks_for_a_job({"success", "failed", "failed", "failed"}, MigrationMethod::kAuto));
  EXPECT_TRUE(asks_for_a_job({"failed", "failed", "failed"}, MigrationMethod::kAtomic));
  EXPECT_FALSE(asks_for_a_job({"failed", "failed", "failed", "success"}, MigrationMethod::kAuto));
  EXPECT_GT(model_.CountOf("SETSLOT"), 0);
  valkey.now = 1600;
  EXPECT_TRUE(asks_for_a_job({"failed", "failed", "failed"}, MigrationMethod::kAuto)) << "that was long ago";
  valkey.now = 1000;
  valkey.message = "Slots are being manually imported";
  EXPECT_TRUE(asks_for_a_job({"failed", "failed", "failed"}, MigrationMethod::kAuto)) << "by keys of another source";
  valkey.message = "Unexpected error";
  several = true;
  EXPECT_TRUE(asks_for_a_job({"failed", "failed", "failed"}, MigrationMethod::kAuto)) << "the others would be lost";
  a_.knows = b_.knows = kOld;
  EXPECT_THAT(
      Migrate(
          link,
          {.from = a_.ref, .to = b_.ref, .slots = kWanted, .method = MigrationMethod::kAuto, .several_databases = true},
          seconds(1))
          .error,
      HasSubstr("cluster-databases"));
}

TEST_F(MigrateTest, EndThatDoesNotAnswerForAMomentIsNoReasonToMoveKeyByKey) {
  model_.lose_reply_to = "COMMAND";
  EXPECT_THAT(Slice().error, HasSubstr("demo-0-0: no answer in time"));
  EXPECT_EQ(model_.CountOf("SETSLOT"), 0);
}

TEST_F(MigrateTest, KeysChosenBecauseImportNeverSucceedsIsNotStuckBehindIt) {
  model_.attempts_that_fail = 1'000'000;
  EXPECT_NE(Slice().error, "");
  EXPECT_NE(Slice(a_, b_, kWanted, MigrationMethod::kKeys).error, "") << "the servers refuse SETSLOT";
  EXPECT_EQ(model_.CountOf("CANCEL"), 2) << "each end refuses for itself";
  EXPECT_EQ(Slice(a_, b_, kWanted, MigrationMethod::kKeys).error, "");
  ExpectMoved();
}

TEST_F(MigrateTest, KeysLetAnImportFinishThatIsUnderWay) {
  model_.transfer = seconds(3);
  EXPECT_EQ(Slice().error, "");
  EXPECT_THAT(Slice(a_, b_, kWanted, MigrationMethod::kKeys).error, HasSubstr("active atomic slot migration"));
  EXPECT_EQ(model_.CountOf("CANCEL"), 0);
}

}  // namespace
}  // namespace slotwright
