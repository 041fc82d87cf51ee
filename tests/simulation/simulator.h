// Simulated time: events in order, one seed for all chance, and a clock that production code can wait on.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <random>
#include <utility>

#include "reconciler/base/clock.h"

namespace slotwright::simulation {

using reconciler::Duration;
using reconciler::MonotonicTime;
using std::chrono::milliseconds;

/// One thread only. Whoever waits on it makes the world go on.
class Simulator final : public reconciler::Clock {
 public:
  explicit Simulator(std::uint64_t seed) : random_(seed) {}

  [[nodiscard]] MonotonicTime Now() const override { return now_; }
  [[nodiscard]] reconciler::WallTime WallNow() const override;
  void WaitUntil(std::unique_lock<std::mutex>& lock, std::condition_variable_any& condition, std::stop_token stop,
                 MonotonicTime until) override;

  void After(Duration delay, std::function<void()> event);
  void RunUntil(MonotonicTime time);
  void RunFor(Duration duration) { RunUntil(now_ + duration); }

  /// Both ends included.
  [[nodiscard]] int Random(int low, int high);
  [[nodiscard]] milliseconds RandomMs(int low, int high) { return milliseconds(Random(low, high)); }

 private:
  MonotonicTime now_{std::chrono::hours(1000)};
  std::uint64_t next_event_ = 0;
  std::map<std::pair<MonotonicTime, std::uint64_t>, std::function<void()>> events_;
  std::mt19937_64 random_;
};

}  // namespace slotwright::simulation
