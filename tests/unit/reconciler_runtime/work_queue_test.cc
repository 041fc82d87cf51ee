// The queue's guarantees, one by one and then all at once with many threads.
#include "reconciler/queue/work_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <functional>
#include <random>
#include <thread>

#include "tests/unit/fakes/fake_clock.h"

namespace reconciler {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;

const ObjectKey kA{"ns", "a"};
const ObjectKey kB{"ns", "b"};
const ObjectKey kC{"ns", "c"};

class WorkQueueTest : public testing::Test {
 protected:
  /// All that is ready now, each given back at once.
  std::vector<std::string> Drain() {
    std::vector<ObjectKey> out;
    while (auto key = queue_.TryGet()) out.push_back(*key);
    std::vector<std::string> names;
    for (const auto& key : out) {
      names.push_back(key.name);
      queue_.Done(key);
    }
    return names;
  }

  FakeClock clock_;
  WorkQueue queue_{{.name = "test", .base_delay = 5ms, .max_delay = 30s}, clock_};
};

TEST_F(WorkQueueTest, FirstComeFirstServed) {
  for (const auto& key : {kC, kA, kB}) queue_.Add(key);
  EXPECT_EQ(queue_.Depth(), 3U);
  EXPECT_THAT(Drain(), ElementsAre("c", "a", "b"));
  EXPECT_EQ(queue_.Depth(), 0U);
}

TEST_F(WorkQueueTest, AKeyAddedManyTimesWhileItWaitsComesOutOnce) {
  for (int i = 0; i < 5; ++i) queue_.Add(kA);
  EXPECT_THAT(Drain(), ElementsAre("a"));
}

TEST_F(WorkQueueTest, AKeyAddedWhileItIsAtWorkComesOutAgainOnlyAfterDone) {
  queue_.Add(kA);
  ASSERT_EQ(queue_.TryGet(), kA);
  queue_.Add(kA);
  queue_.Add(kA);
  EXPECT_EQ(queue_.TryGet(), std::nullopt);
  queue_.Done(kA);
  EXPECT_THAT(Drain(), ElementsAre("a"));
}

TEST_F(WorkQueueTest, AKeyThatBecomesDueWhileItIsAtWorkComesOutAgainOnlyAfterDone) {
  queue_.Add(kA);
  ASSERT_EQ(queue_.TryGet(), kA);
  queue_.AddAfter(kA, 1s);
  clock_.Advance(2s);
  EXPECT_EQ(queue_.TryGet(), std::nullopt);
  queue_.Done(kA);
  EXPECT_THAT(Drain(), ElementsAre("a"));
}

TEST_F(WorkQueueTest, ADelayedKeyComesOutWhenItIsDueAndNotBefore) {
  queue_.AddAfter(kA, 10s);
  EXPECT_EQ(queue_.NextDue(), clock_.Now() + 10s);
  clock_.Advance(10s - 1ns);
  EXPECT_THAT(Drain(), IsEmpty());
  clock_.Advance(1ns);
  EXPECT_THAT(Drain(), ElementsAre("a"));
  EXPECT_EQ(queue_.NextDue(), std::nullopt);
}

TEST_F(WorkQueueTest, DueKeysComeOutInTheOrderOfTheirTimes) {
  queue_.AddAfter(kA, 3s);
  queue_.AddAfter(kB, 1s);
  queue_.AddAfter(kC, 2s);
  clock_.Advance(5s);
  EXPECT_THAT(Drain(), ElementsAre("b", "c", "a"));
}

TEST_F(WorkQueueTest, TheEarliestOfSeveralDelaysWins) {
  for (const auto delay : {20s, 5s, 60s}) queue_.AddAfter(kA, delay);
  EXPECT_EQ(queue_.NextDue(), clock_.Now() + 5s);
  clock_.Advance(5s);
  EXPECT_THAT(Drain(), ElementsAre("a"));
  clock_.Advance(100s);
  EXPECT_THAT(Drain(), IsEmpty());
}

TEST_F(WorkQueueTest, AnImmediateAddDropsAPendingDelay) {
  queue_.AddAfter(kA, 5s);
  queue_.Add(kA);
  EXPECT_THAT(Drain(), ElementsAre("a"));
  clock_.Advance(100s);
  EXPECT_THAT(Drain(), IsEmpty());
}

TEST_F(WorkQueueTest, ADelayOfNothingIsAnImmediateAdd) {
  queue_.AddAfter(kB, 5s);
  queue_.AddAfter(kA, 0s);
  queue_.AddAfter(kB, -1s);
  EXPECT_THAT(Drain(), ElementsAre("a", "b"));
}

TEST_F(WorkQueueTest, FailuresDoubleTheDelayUpToItsLimit) {
  for (const Duration expected : {Duration(5ms), Duration(10ms), Duration(20ms), Duration(40ms)}) {
    queue_.AddRateLimited(kA);
    EXPECT_EQ(*queue_.NextDue() - clock_.Now(), expected);
    clock_.Advance(expected);
    EXPECT_THAT(Drain(), ElementsAre("a"));
  }
  EXPECT_EQ(queue_.Failures(kA), 4);
  for (int i = 0; i < 100; ++i) {
    queue_.Add(kA);  // Drops the pending delay.
    queue_.AddRateLimited(kA);
  }
  EXPECT_EQ(*queue_.NextDue() - clock_.Now(), Duration(30s));
}

TEST_F(WorkQueueTest, FailuresOfOneKeyAreNotAnothers) {
  for (int i = 0; i < 5; ++i) queue_.AddRateLimited(kA);
  queue_.AddRateLimited(kB);
  clock_.Advance(5ms);
  EXPECT_EQ(queue_.Failures(kB), 1);
  EXPECT_THAT(Drain(), ElementsAre("a", "b"));
}

TEST_F(WorkQueueTest, ForgetForgives) {
  for (int i = 0; i < 5; ++i) queue_.AddRateLimited(kA);
  queue_.Add(kA);
  Drain();
  queue_.Forget(kA);
  EXPECT_EQ(queue_.Failures(kA), 0);
  queue_.AddRateLimited(kA);
  EXPECT_EQ(*queue_.NextDue() - clock_.Now(), Duration(5ms));
}

TEST_F(WorkQueueTest, ARetryComesNotBeforeTheServerWantsIt) {
  queue_.AddRateLimited(kA, 7s);
  EXPECT_EQ(*queue_.NextDue() - clock_.Now(), Duration(7s));
  queue_.AddRateLimited(kB, 1h);
  queue_.Add(kA);
  Drain();
  EXPECT_EQ(*queue_.NextDue() - clock_.Now(), Duration(30s)) << "it is not that server alone that is looked at";
}

TEST_F(WorkQueueTest, SaysHowLongKeysAreAtWork) {
  EXPECT_EQ(queue_.UnfinishedWork().sum, Duration(0));
  queue_.Add(kA);
  queue_.Add(kB);
  ASSERT_TRUE(queue_.TryGet());
  clock_.Advance(3s);
  ASSERT_TRUE(queue_.TryGet());
  clock_.Advance(1s);
  EXPECT_EQ(queue_.UnfinishedWork().longest, Duration(4s));
  EXPECT_EQ(queue_.UnfinishedWork().sum, Duration(5s));
  queue_.Done(kA);
  EXPECT_EQ(queue_.UnfinishedWork().longest, Duration(1s));
  queue_.Done(kB);
}

TEST_F(WorkQueueTest, GetWaitsForAnAdd) {
  std::jthread waiter([&](const std::stop_token& stop) { EXPECT_EQ(queue_.Get(stop), kA); });
  ASSERT_TRUE(clock_.AwaitSleepers(1));
  queue_.Add(kA);
  waiter.join();
}

TEST_F(WorkQueueTest, GetWaitsForADelayEvenIfThatCameWhileItWaited) {
  std::jthread waiter([&](const std::stop_token& stop) { EXPECT_EQ(queue_.Get(stop), kA); });
  ASSERT_TRUE(clock_.AwaitSleepers(1));
  queue_.AddAfter(kA, 10s);
  clock_.Advance(10s);
  waiter.join();
}

TEST_F(WorkQueueTest, ADelayedKeyFindsAWorkerAlthoughTheOneThatKnewOfItIsBusy) {
  std::atomic<int> got = 0;
  std::vector<std::jthread> waiters;
  for (int i = 0; i < 2; ++i) {
    waiters.emplace_back([&](const std::stop_token& stop) {
      if (queue_.Get(stop)) ++got;  // Never given back: this worker stays busy.
    });
  }
  ASSERT_TRUE(clock_.AwaitSleepers(2));
  queue_.AddAfter(kA, 10s);
  ASSERT_TRUE(clock_.AwaitSleepers(2));
  queue_.Add(kB);
  while (got == 0) std::this_thread::yield();
  clock_.Advance(10s);
  for (auto& waiter : waiters) waiter.join();
  EXPECT_EQ(got, 2);
}

TEST_F(WorkQueueTest, StopEndsGet) {
  std::jthread waiter([&](const std::stop_token& stop) { EXPECT_EQ(queue_.Get(stop), std::nullopt); });
  ASSERT_TRUE(clock_.AwaitSleepers(1));
  waiter.request_stop();
  waiter.join();
}

TEST_F(WorkQueueTest, NothingComesOutOnceStopped) {
  std::stop_source stop;
  stop.request_stop();
  queue_.Add(kA);
  EXPECT_EQ(queue_.Get(stop.get_token()), std::nullopt);
  EXPECT_EQ(queue_.Depth(), 1U);
}

/// Two threads that hand a key back and forth, each asleep until the other is done: a wake-up that gets lost ends the
/// game.
void PlayPingPong(const std::function<void(WorkQueue& queue)>& serve) {
  constexpr int kRallies = 200;
  WorkQueue ping({.name = "ping"});
  WorkQueue pong({.name = "pong"});
  std::stop_source whistle;
  std::atomic<int> hits = 0;
  const auto play = [&](WorkQueue& mine, WorkQueue& theirs) {
    while (const auto key = mine.Get(whistle.get_token())) {
      mine.Done(*key);
      ++hits;
      serve(theirs);
    }
  };
  std::jthread one([&] { play(ping, pong); });
  std::jthread other([&] { play(pong, ping); });
  serve(ping);
  const auto give_up = std::chrono::steady_clock::now() + 20s;
  while (hits < kRallies && std::chrono::steady_clock::now() < give_up) std::this_thread::yield();
  whistle.request_stop();
  EXPECT_GE(hits, kRallies);
}

TEST(WorkQueueThreads, WakesUpForAnAddOnTheMachinesClock) {
  PlayPingPong([](WorkQueue& queue) { queue.Add(kA); });
}

TEST(WorkQueueThreads, WakesUpForADelayOnTheMachinesClock) {
  PlayPingPong([](WorkQueue& queue) { queue.AddAfter(kA, 100us); });
}

/// Producers write and then add, workers read and then finish: at the end the last write of each key must have been
/// read.
class QueueTorture {
 public:
  void Run() {
    {
      std::vector<std::jthread> workers;
      for (int i = 0; i < kWorkers; ++i) workers.emplace_back([this] { Work(); });
      std::vector<std::jthread> producers;
      for (unsigned i = 0; i < kProducers; ++i) producers.emplace_back([this, i] { Produce(i); });
      producers.clear();  // joins
      AwaitQuiet();
      stop_.request_stop();
    }
    for (int i = 0; i < kKeys; ++i) EXPECT_EQ(read_[i], written_[i]) << "an add of key " << i << " was lost";
  }

 private:
  static constexpr int kKeys = 13;
  static constexpr int kWorkers = 4;
  static constexpr unsigned kProducers = 3;
  static constexpr int kRounds = 3000;

  static ObjectKey Key(int index) { return {"", std::to_string(index)}; }

  void Produce(unsigned seed) {
    std::minstd_rand random(seed + 1);
    for (int round = 0; round < kRounds; ++round) {
      const int index = static_cast<int>(random() % kKeys);
      ++written_[index];
      switch (random() % 3) {
        case 0:
          queue_.Add(Key(index));
          break;
        case 1:
          queue_.AddAfter(Key(index), std::chrono::milliseconds(random() % 50));
          break;
        default:
          queue_.AddRateLimited(Key(index));
      }
      if (random() % 7 == 0) queue_.Forget(Key(index));
      if (random() % 5 == 0) clock_.Advance(1ms);
    }
  }

  void Work() {
    while (const auto key = queue_.Get(stop_.get_token())) {
      const int index = std::stoi(key->name);
      EXPECT_EQ(at_work_[index].exchange(1), 0) << "two workers on one key";
      read_[index] = written_[index].load();
      at_work_[index] = 0;
      queue_.Done(*key);
    }
  }

  void AwaitQuiet() {
    const auto give_up = std::chrono::steady_clock::now() + 30s;
    while (std::chrono::steady_clock::now() < give_up) {
      clock_.Advance(1s);
      const bool quiet = queue_.Depth() == 0 && !queue_.NextDue() && queue_.UnfinishedWork().sum == Duration(0);
      if (quiet && read_ == written_) return;
      std::this_thread::yield();
    }
  }

  struct Counter : std::atomic<int> {
    Counter() : std::atomic<int>(0) {}
    using std::atomic<int>::operator=;
    friend bool operator==(const Counter& one, const Counter& other) { return one.load() == other.load(); }
  };
  FakeClock clock_;
  WorkQueue queue_{{.name = "torture", .base_delay = 1ms, .max_delay = 100ms}, clock_};
  std::stop_source stop_;
  std::array<Counter, kKeys> written_;
  std::array<Counter, kKeys> read_;
  std::array<Counter, kKeys> at_work_;
};

TEST(WorkQueueThreads, NoAddIsLostAndNoKeyIsWorkedOnTwiceAtOnce) { QueueTorture().Run(); }

}  // namespace
}  // namespace reconciler
