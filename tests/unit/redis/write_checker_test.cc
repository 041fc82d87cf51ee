// The tests' own writers: what they do not notice, no test notices.
#include "tests/support/write_checker.h"

#include <gtest/gtest.h>
#include <signal.h>

#include "tests/support/redis_process.h"

namespace slotwright::testing {
namespace {

using namespace std::chrono_literals;

TEST(WriteChecker, CountsNoProgressOfBeforeAndAWaitThatNothingHasEnded) {
  const auto server = RedisProcess::Start({});
  ASSERT_TRUE(server) << server.error();
  constexpr int kWriters = 2;
  constexpr int kKeysEach = 100;
  WriteChecker writers("", {(*server)->endpoint()}, kWriters, kKeysEach);
  ASSERT_TRUE(writers.AwaitEachKey(10s));
  std::this_thread::sleep_for(100ms);
  writers.Stop();
  const auto before = writers.Verify();
  EXPECT_EQ(before.first_problem, "");
  EXPECT_EQ(before.lost, 0);
  EXPECT_GT(before.least_progress, 0);
  EXPECT_LE(kWriters * (before.least_progress + kKeysEach), before.acknowledged) << "each key was waited for";
  EXPECT_LT(before.worst_gap_ms, 1900);

  (*server)->Signal(SIGSTOP);
  writers.Resume();
  EXPECT_FALSE(writers.AwaitEachKey(1s));
  writers.Stop();  // once they have waited for 2 s
  (*server)->Signal(SIGCONT);
  const auto after = writers.Verify();
  EXPECT_EQ(after.acknowledged, before.acknowledged);
  EXPECT_EQ(after.unknown, kWriters);
  EXPECT_EQ(after.least_progress, 0);
  EXPECT_GT(after.worst_gap_ms, 1900);
}

// As after the loss of all pods, and here of what they had.
TEST(WriteChecker, FindsNodesThatAreAllElsewhereAndSaysWhatIsLost) {
  auto first = RedisProcess::Start({});
  ASSERT_TRUE(first) << first.error();
  const auto second = RedisProcess::Start({});
  ASSERT_TRUE(second) << second.error();
  WriteChecker writers("", {(*first)->endpoint()}, 2, 10, [&] { return std::vector{(*second)->endpoint()}; });
  ASSERT_TRUE(writers.AwaitEachKey(10s));
  (*first)->Kill();
  ASSERT_TRUE(writers.AwaitEachKey(10s));
  writers.Stop();
  const auto report = writers.Verify();
  EXPECT_EQ(report.first_problem, "");
  EXPECT_EQ(report.keys, 20);
  EXPECT_GE(report.lost, 20) << "one of each key at least";
  EXPECT_NE(report.first_loss, "");
}

}  // namespace
}  // namespace slotwright::testing
