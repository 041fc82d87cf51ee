// A clock that stands still until a test moves it. Threads may sleep on it; the test waits until they all do.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <set>
#include <thread>

#include "reconciler/base/clock.h"

namespace reconciler {

/// Thread-safe. Starts at a time of no meaning: 1000 s monotonic, 2026-01-01 on the wall.
class FakeClock : public Clock {
 public:
  [[nodiscard]] MonotonicTime Now() const override { return MonotonicTime(Duration(now_.load())); }
  [[nodiscard]] WallTime WallNow() const override {
    return WallTime(std::chrono::duration_cast<std::chrono::microseconds>(Duration(now_.load() + wall_offset_.load())));
  }

  void WaitUntil(std::unique_lock<std::mutex>& lock, std::condition_variable_any& condition, std::stop_token stop,
                 MonotonicTime until) override {
    if (stop.stop_requested() || Now() >= until) return;
    const Sleeper sleeper(*this, until);
    // Advance cannot know whom to notify without taking locks in the wrong order, so sleepers look for themselves. They
    // do so in the caller's loop: only the caller can tell whether a notification came while it was looking.
    condition.wait_for(lock, std::chrono::microseconds(200));
  }

  void Advance(Duration by) { now_ += by.count(); }
  /// Calendar time jumps, as when somebody sets it; intervals are not concerned.
  void StepWall(Duration by) { wall_offset_ += by.count(); }

  /// Waits until so many threads sleep towards a time that has not come yet. False if that does not happen.
  [[nodiscard]] bool AwaitSleepers(size_t count) {
    return WhenAsleep(count, [] {});
  }
  /// The same, and then moves to the moment at which the first of them wakes up, but not beyond `limit`.
  [[nodiscard]] bool AdvanceToNextWake(size_t count, MonotonicTime limit = MonotonicTime::max()) {
    return WhenAsleep(count, [&] {
      const MonotonicTime wake = std::min(*sleeping_.upper_bound(Now()), limit);
      now_ = wake.time_since_epoch().count();
    });
  }

 private:
  class Sleeper {
   public:
    Sleeper(FakeClock& clock, MonotonicTime until) : clock_(clock) {
      const std::lock_guard lock(clock_.mutex_);
      place_ = clock_.sleeping_.insert(until);
    }
    ~Sleeper() {
      const std::lock_guard lock(clock_.mutex_);
      clock_.sleeping_.erase(place_);
    }
    Sleeper(const Sleeper&) = delete;
    Sleeper& operator=(const Sleeper&) = delete;

   private:
    FakeClock& clock_;
    std::multiset<MonotonicTime>::iterator place_;
  };

  bool WhenAsleep(size_t count, const std::function<void()>& action) {
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (std::chrono::steady_clock::now() < give_up) {
      {
        const std::lock_guard lock(mutex_);
        const auto sleepers = std::distance(sleeping_.upper_bound(Now()), sleeping_.end());
        if (static_cast<size_t>(sleepers) >= count) {
          action();
          return true;
        }
      }
      std::this_thread::sleep_for(std::chrono::microseconds(20));
    }
    return false;
  }

  std::atomic<Duration::rep> now_ = Duration(std::chrono::seconds(1000)).count();
  std::atomic<Duration::rep> wall_offset_ =
      Duration(std::chrono::sys_days(std::chrono::year(2026) / 1 / 1).time_since_epoch()).count() -
      Duration(std::chrono::seconds(1000)).count();
  mutable std::mutex mutex_;
  std::multiset<MonotonicTime> sleeping_;
};

}  // namespace reconciler
