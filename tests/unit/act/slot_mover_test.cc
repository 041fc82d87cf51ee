// How long the rounds of a migration by keys take: so long clients of the source wait.
#include "controllers/act/slot_mover.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <numeric>
#include <optional>

#include "tests/unit/act/import_model.h"

namespace slotwright {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::Le;

// A source whose every key takes its time to serialise, and a target that takes them.
class SlowSource : public Commander {
 public:
  explicit SlowSource(SteppingClock& clock) : clock_(clock) {}

  std::vector<NodeResult> Run(const std::vector<NodeRequest>& requests, milliseconds) override {
    std::vector<NodeResult> results;
    const auto start = clock_.Now();
    std::int64_t moved = 0;
    std::ptrdiff_t gifts = 0;
    for (const auto& request : requests) {
      std::vector<Reply> replies;
      if (request.expected.ToString() == std::string(40, 'b')) gifts += std::ranges::count_if(request.commands, IsGift);
      for (const auto& command : request.commands) replies.push_back(Execute(command, moved, request.expected));
      results.emplace_back(std::move(replies));
    }
    most_given_to_target = std::max(most_given_to_target, gifts);
    if (moved > 0) {
      rounds.push_back(clock_.Now() - start);
      moved_keys.push_back(moved);
    }
    return results;
  }

  std::map<Slot, std::int64_t> keys;
  reconciler::Duration time_of_a_key{};
  std::vector<reconciler::Duration> rounds;  ///< Of those in which keys moved.
  std::vector<std::int64_t> moved_keys;      ///< In each of them.
  std::string as_others_see_it = "master";
  int given = 0;
  std::ptrdiff_t most_given_to_target = 0;  ///< In one exchange.
  int nodes = 2;                            ///< Of the cluster.
  /// If there is one: every MIGRATE but the first fails, and this is what it says of their keys.
  std::optional<Reply> says_of_keys;
  int tries = 0;  ///< To move keys.
  int drops = 0;  ///< Of copies at the target.

 private:
  static bool IsGift(const Command& command) { return command.size() > 3 && command[3] == "NODE"; }
  Reply Execute(const Command& command, std::int64_t& moved, const NodeId& asked) {
    given += IsGift(command) ? 1 : 0;
    if (says_of_keys) {
      tries += command[0] == "MIGRATE" ? 1 : 0;
      drops += command[0] == "UNLINK" ? 1 : 0;
      if (command[0] == "MIGRATE" && tries > 1) return {.type = Reply::Type::kError, .text = "IOERR timeout reading"};
      if (command[0] == "EXISTS") return *says_of_keys;
      if (command[0] == "ASKING") return {.type = Reply::Type::kStatus, .text = "OK"};
    }
    if (command[0] == "MIGRATE") {
      const auto first = std::ranges::find(command, "KEYS") + 1;
      const auto count = command.end() - first;
      keys[static_cast<Slot>(std::stoi(*first))] -= count;
      moved += count;
      clock_.RunFor(count * time_of_a_key);
    } else if (command[1] == "NODES") {
      const std::string a(40, 'a');
      const std::string b(40, 'b');
      const bool source = asked.ToString() == a;
      std::string text = fmt::format("{} 10.0.0.1:6379@16379 {} - 0 0 1 connected 0-16383", a,
                                     source ? "myself,master" : as_others_see_it);
      for (const auto& [slot, count] : keys) text += source ? fmt::format(" [{}->-{}]", slot, b) : "";
      text += fmt::format("\n{} 10.0.0.2:6379@16379 {}master - 0 0 2 connected\n", b, source ? "" : "myself,");
      for (int i = 2; i < nodes; ++i) {
        text += fmt::format("{:040x} 10.0.1.{}:6379@16379 slave {} 0 0 2 connected\n", i, i, b);
      }
      return {.type = Reply::Type::kString, .text = std::move(text)};
    } else if (command[1] == "COUNTKEYSINSLOT") {
      return {.type = Reply::Type::kInteger, .integer = keys[static_cast<Slot>(std::stoi(command[2]))]};
    } else if (command[1] == "GETKEYSINSLOT") {
      const auto count = std::min<std::int64_t>(std::stoll(command[3]), keys[static_cast<Slot>(std::stoi(command[2]))]);
      return {.type = Reply::Type::kArray,
              .elements = {static_cast<size_t>(count), {.type = Reply::Type::kString, .text = command[2]}}};
    }
    return {.type = Reply::Type::kStatus, .text = "OK"};
  }

  SteppingClock& clock_;
};

class Rounds : public ::testing::Test {
 protected:
  void MoveAll() {
    SlotSet slots;
    for (const auto& [slot, keys] : source_.keys) slots.Add(slot);
    const std::int64_t all = std::accumulate(source_.keys.begin(), source_.keys.end(), std::int64_t{0},
                                             [](std::int64_t sum, const auto& slot) { return sum + slot.second; });
    SlotMover mover(source_, clock_, "", nullptr, seconds(5));
    const auto progress = mover.Move({from_, to_, slots}, clock_.Now() + seconds(3600));
    EXPECT_EQ(progress.error, "");
    EXPECT_EQ(progress.keys, all);
  }

  const NodeRef from_{"a", *NodeId::Parse(std::string(40, 'a')), {"10.0.0.1", 6379}};
  const NodeRef to_{"b", *NodeId::Parse(std::string(40, 'b')), {"10.0.0.2", 6379}};
  SteppingClock clock_;
  SlowSource source_{clock_};
};

TEST_F(Rounds, TakeNoLongerThanClientsMayWait) {
  for (Slot slot = 0; slot < 200; ++slot) source_.keys[slot] = slot % 50 == 49 ? 1000 : 60;
  for (const auto time : {microseconds(50), microseconds(1000), microseconds(10'000)}) {
    SCOPED_TRACE(time.count());
    const auto keys = source_.keys;
    source_.time_of_a_key = time;
    source_.rounds.clear();
    MoveAll();
    source_.keys = keys;
    ASSERT_GT(source_.rounds.size(), 50U);
    EXPECT_THAT(source_.rounds, Each(Le(2 * milliseconds(10))));
  }
}

TEST_F(Rounds, GrowWhileKeysAreQuick) {
  for (Slot slot = 0; slot < 200; ++slot) source_.keys[slot] = 1000;
  source_.time_of_a_key = microseconds(2);
  MoveAll();
  EXPECT_EQ(source_.moved_keys.front(), 1);
  EXPECT_GE(*std::ranges::max_element(source_.moved_keys), 3000);
}

// Who gets a slot tells all the others at once, and its clients wait for that.
TEST_F(Rounds, GiveAsManyEmptySlotsAtOnceAsThereAreFewNodesToBeTold) {
  for (Slot slot = 0; slot < 1000; ++slot) source_.keys[slot] = 0;
  const auto all_in_portions_of = [&](int nodes) {
    source_.nodes = nodes;
    source_.given = 0;
    source_.most_given_to_target = 0;
    MoveAll();
    EXPECT_EQ(source_.given, 2 * 1000);  // told to both
    return source_.most_given_to_target;
  };
  const int among_six = all_in_portions_of(6);
  EXPECT_LE(among_six, 133);
  EXPECT_GE(among_six, 64);
  EXPECT_LE(all_in_portions_of(60), 13);
  EXPECT_LE(all_in_portions_of(1000), 8);  // before it knows how many there are
}

// It may be cut off from those who have elected another one, and not know it.
TEST_F(Rounds, GiveNothingAwayOfASourceThatTheTargetCallsFailed) {
  source_.keys[7] = 10;
  source_.as_others_see_it = "master,fail";
  SlotSet slots;
  slots.Add(Slot{7});
  SlotMover mover(source_, clock_, "", nullptr, seconds(5));
  EXPECT_EQ(mover.Move({from_, to_, slots}, clock_.Now() + seconds(10)).error, "a is no master any more");
  EXPECT_EQ(source_.given, 0);
}

// Of keys whose MIGRATE failed the source may say that it has them, or has them no more, or that it cannot say.
class DropCopies : public Rounds {
 protected:
  void MoveIfTheSourceSays(Reply of_a_key) {
    source_.says_of_keys = std::move(of_a_key);
    SlotMover mover(source_, clock_, "", nullptr, seconds(5));
    EXPECT_THAT(mover.Move({from_, to_, SlotSet({SlotRange{0, 9}})}, clock_.Now() + seconds(1)).error,
                HasSubstr("IOERR"));
  }
  DropCopies() {
    for (Slot slot = 0; slot < 10; ++slot) source_.keys[slot] = 1;
  }
};

TEST_F(DropCopies, OfKeysThatTheSourceStillHas) {
  MoveIfTheSourceSays({.type = Reply::Type::kInteger, .integer = 1});
  EXPECT_EQ(source_.tries, 1 + 4 + 1);
  EXPECT_EQ(source_.drops, 2 * (4 + 1)) << "twice: the target may have been late";
}

TEST_F(DropCopies, OfNoneThatTheSourceHasNoMore) {
  MoveIfTheSourceSays({.type = Reply::Type::kError, .text = "ASK 7 10.0.0.2:6379"});
  EXPECT_EQ(source_.tries, 1 + 4 + 1) << "four at once, then one by one";
  EXPECT_EQ(source_.drops, 0);
}

TEST_F(DropCopies, AndSendsNothingUntilTheSourceCanSay) {
  MoveIfTheSourceSays({.type = Reply::Type::kError, .text = "CLUSTERDOWN The cluster is down"});
  EXPECT_EQ(source_.tries, 1 + 4);
  EXPECT_EQ(source_.drops, 0);
}

}  // namespace
}  // namespace slotwright
