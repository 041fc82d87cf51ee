// What becomes of a key after each kind of outcome, and how workers start and end.
#include "reconciler/runtime/controller.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <prometheus/registry.h>

#include <atomic>
#include <stdexcept>
#include <thread>

#include "tests/unit/fakes/fake_clock.h"

namespace reconciler {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

const ObjectKey kKey{"ns", "demo"};

class ControllerTest : public testing::Test {
 protected:
  /// Reconciles kKey once with `reconcile`.
  void ReconcileOnce(ReconcileFunction reconcile, std::stop_token stop = {}) {
    Controller controller({.name = "test"}, queue_, std::move(reconcile), &metrics_, clock_);
    queue_.Add(kKey);
    ASSERT_TRUE(controller.RunOne(std::move(stop)));
  }
  [[nodiscard]] std::optional<Duration> ComesAgainAfter() const {
    if (const auto due = queue_.NextDue()) return *due - clock_.Now();
    return std::nullopt;
  }

  FakeClock clock_;
  RuntimeMetrics metrics_{std::make_shared<prometheus::Registry>()};
  WorkQueue queue_{{.name = "test", .base_delay = 5ms}, clock_};
};

struct OutcomeCase {
  std::string name;
  ReconcileFunction reconcile;
  std::optional<Duration> comes_again_after;
  int failures = 0;
  std::vector<std::string> metrics;
};

std::string Counted(const std::string& what) { return "controller_runtime_" + what; }
const std::string kErrorCounted = Counted("reconcile_total{controller=\"test\",result=\"error\"} 1");
const std::string kErrorsCounted = Counted("reconcile_errors_total{controller=\"test\"} 1");

const OutcomeCase kOutcomes[] = {
    {.name = "SuccessWaitsForTheNextEvent",
     .reconcile = [](auto&, auto) { return ReconcileOutcome{}; },
     .comes_again_after = std::nullopt,
     .metrics = {Counted("reconcile_total{controller=\"test\",result=\"success\"} 1")}},
    {.name = "ARequestedTimeIsKept",
     .reconcile = [](auto&, auto) { return ReconcileOutcome{.requeue_after = 30s}; },
     .comes_again_after = 30s,
     .metrics = {Counted("reconcile_total{controller=\"test\",result=\"requeue_after\"} 1")}},
    {.name = "AnErrorIsTriedAgain",
     .reconcile = [](auto&, auto) -> Result<ReconcileOutcome> { return Fail(ErrorKind::kUnavailable, "away"); },
     .comes_again_after = 5ms,
     .failures = 1,
     .metrics = {kErrorCounted, kErrorsCounted, Counted("terminal_reconcile_errors_total{controller=\"test\"} 0")}},
    {.name = "AnInvalidObjectWaitsForItsNextEvent",
     .reconcile = [](auto&, auto) -> Result<ReconcileOutcome> { return Fail(ErrorKind::kInvalid, "bad"); },
     .comes_again_after = std::nullopt,
     .metrics = {kErrorCounted, kErrorsCounted, Counted("terminal_reconcile_errors_total{controller=\"test\"} 1")}},
    {.name = "RetryAfterIsHonoured",
     .reconcile = [](auto&, auto) -> Result<ReconcileOutcome> {
       return std::unexpected(Error{ErrorKind::kTooManyRequests, "slow down", 4s});
     },
     .comes_again_after = 4s,
     .failures = 1,
     .metrics = {kErrorCounted}},
    {.name = "AnExceptionIsAnError",
     .reconcile = [](auto&, auto) -> Result<ReconcileOutcome> { throw std::runtime_error("boom"); },
     .comes_again_after = 5ms,
     .failures = 1,
     .metrics = {kErrorCounted, kErrorsCounted, Counted("reconcile_panics_total{controller=\"test\"} 1")}},
    {.name = "AnythingThrownIsAnError",
     .reconcile = [](auto&, auto) -> Result<ReconcileOutcome> { throw 42; },
     .comes_again_after = 5ms,
     .failures = 1,
     .metrics = {Counted("reconcile_panics_total{controller=\"test\"} 1")}},
};

class ControllerOutcomeTest : public ControllerTest, public testing::WithParamInterface<OutcomeCase> {};

TEST_P(ControllerOutcomeTest, DecidesWhenTheKeyComesAgainAndIsCounted) {
  ReconcileOnce(GetParam().reconcile);
  EXPECT_EQ(ComesAgainAfter(), GetParam().comes_again_after);
  EXPECT_EQ(queue_.Failures(kKey), GetParam().failures);
  EXPECT_EQ(queue_.UnfinishedWork().sum, Duration(0));
  for (const auto& line : GetParam().metrics) EXPECT_THAT(metrics_.Text(), HasSubstr(line));
  EXPECT_THAT(metrics_.Text(), HasSubstr("controller_runtime_active_workers{controller=\"test\"} 0"));
}

INSTANTIATE_TEST_SUITE_P(Outcomes, ControllerOutcomeTest, testing::ValuesIn(kOutcomes),
                         [](const auto& test) { return test.param.name; });

TEST_F(ControllerTest, SuccessForgivesFailures) {
  const auto fail = [](auto&, auto) -> Result<ReconcileOutcome> { return Fail(ErrorKind::kConflict, "changed"); };
  ReconcileOnce(fail);
  ReconcileOnce(fail);
  EXPECT_EQ(ComesAgainAfter(), Duration(10ms));
  ReconcileOnce([](auto&, auto) { return ReconcileOutcome{.requeue_after = 1s}; });
  EXPECT_EQ(queue_.Failures(kKey), 0);
  EXPECT_EQ(ComesAgainAfter(), Duration(1s));
}

TEST_F(ControllerTest, RunOneSaysWhetherThereWasAnythingToDo) {
  Controller controller({.name = "test"}, queue_, [](auto&, auto) { return ReconcileOutcome{}; }, nullptr, clock_);
  EXPECT_FALSE(controller.RunOne({}));
  queue_.Add(kKey);
  EXPECT_TRUE(controller.RunOne({}));
  EXPECT_FALSE(controller.RunOne({}));
}

TEST_F(ControllerTest, MeasuresTheTimeOfAReconcile) {
  ReconcileOnce([this](auto&, auto) {
    clock_.Advance(3s);
    return ReconcileOutcome{};
  });
  EXPECT_THAT(metrics_.Text(), HasSubstr("controller_runtime_reconcile_time_seconds_sum{controller=\"test\"} 3\n"));
}

TEST_F(ControllerTest, AReconcileThatShutdownCutShortIsNoFailureAndIsNotForgotten) {
  std::stop_source stop;
  ReconcileOnce(
      [&](auto&, auto) -> Result<ReconcileOutcome> {
        stop.request_stop();
        return Fail(ErrorKind::kCancelled, "stopped");
      },
      stop.get_token());
  EXPECT_EQ(queue_.Failures(kKey), 0);
  EXPECT_EQ(queue_.Depth(), 1U);
  EXPECT_THAT(metrics_.Text(), HasSubstr("controller_runtime_reconcile_errors_total{controller=\"test\"} 0"));
}

TEST_F(ControllerTest, ShutdownReachesAReconcile) {
  std::atomic<bool> started = false;
  const auto wait_for_stop = [&](auto&, std::stop_token stop) -> Result<ReconcileOutcome> {
    started = true;
    while (!stop.stop_requested()) std::this_thread::yield();
    return Fail(ErrorKind::kCancelled, "told to stop");
  };
  Controller controller({.name = "test"}, queue_, wait_for_stop, &metrics_, clock_);
  queue_.Add(kKey);
  std::jthread runner([&](std::stop_token stop) { controller.Run(std::move(stop)); });
  while (!started) std::this_thread::yield();
  runner.request_stop();
  runner.join();
  EXPECT_EQ(queue_.Failures(kKey), 0);
}

TEST_F(ControllerTest, WorksOnSeveralKeysAtOnce) {
  constexpr int kWorkers = 3;
  std::atomic<int> together = 0;
  const auto meet = [&](auto&, auto) {
    ++together;
    while (together < kWorkers) std::this_thread::yield();  // Only if all workers come does any leave.
    return ReconcileOutcome{};
  };
  Controller controller({.name = "test", .workers = kWorkers}, queue_, meet, &metrics_, clock_);
  for (int i = 0; i < kWorkers; ++i) queue_.Add({"ns", std::to_string(i)});
  std::jthread runner([&](std::stop_token stop) { controller.Run(std::move(stop)); });
  while (together < kWorkers) std::this_thread::yield();
}

TEST_F(ControllerTest, RunWaitsForWhatIsAtWork) {
  std::atomic<bool> started = false;
  std::atomic<bool> may_finish = false;
  std::atomic<bool> finished = false;
  const auto slow = [&](auto&, auto) {
    started = true;
    while (!may_finish) std::this_thread::yield();
    finished = true;
    return ReconcileOutcome{};
  };
  Controller controller({.name = "test", .workers = 2}, queue_, slow, &metrics_, clock_);
  queue_.Add(kKey);
  std::atomic<bool> returned = false;
  std::jthread runner([&](std::stop_token stop) {
    controller.Run(std::move(stop));
    EXPECT_TRUE(finished);
    returned = true;
  });
  while (!started) std::this_thread::yield();
  runner.request_stop();
  EXPECT_FALSE(returned);
  may_finish = true;
  runner.join();
  EXPECT_TRUE(returned);
}

}  // namespace
}  // namespace reconciler
