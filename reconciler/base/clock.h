// The only door to time: production reads the machine's clocks, a simulation brings its own.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <stop_token>
#include <string>

namespace reconciler {

using Duration = std::chrono::nanoseconds;
/// Never goes back, and stands still while the machine sleeps; for deadlines and intervals.
using MonotonicTime = std::chrono::time_point<std::chrono::steady_clock, Duration>;
/// Calendar time; for what people and the Kubernetes API read.
using WallTime = std::chrono::sys_time<std::chrono::microseconds>;

/// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual MonotonicTime Now() const = 0;
  [[nodiscard]] virtual WallTime WallNow() const = 0;
  /// Waits on `condition` until it is notified, `until` has come or `stop` fires. Spurious returns are allowed.
  virtual void WaitUntil(std::unique_lock<std::mutex>& lock, std::condition_variable_any& condition,
                         std::stop_token stop, MonotonicTime until) = 0;

  /// Returns early, with false, when `stop` fires.
  bool SleepFor(Duration duration, const std::stop_token& stop);
};

/// The machine's clocks; lives for the whole process.
[[nodiscard]] Clock& SystemClock();

/// RFC 3339 in UTC with whole seconds ("2026-11-23T06:00:00Z", metav1.Time).
[[nodiscard]] std::string FormatTime(WallTime time);
/// RFC 3339 in UTC with microseconds ("2026-11-23T06:00:00.000000Z", metav1.MicroTime).
[[nodiscard]] std::string FormatMicroTime(WallTime time);
/// Parses both; the epoch for anything else.
[[nodiscard]] WallTime ParseTime(const std::string& text);

}  // namespace reconciler
