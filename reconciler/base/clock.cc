// The machine's clocks, and RFC 3339.
#include "reconciler/base/clock.h"

#include <fmt/format.h>

#include <cctype>
#include <cstdio>
#include <utility>

namespace reconciler {

namespace {

class MachineClock final : public Clock {
 public:
  MonotonicTime Now() const override { return std::chrono::steady_clock::now(); }
  WallTime WallNow() const override {
    return std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::system_clock::now());
  }
  void WaitUntil(std::unique_lock<std::mutex>& lock, std::condition_variable_any& condition, std::stop_token stop,
                 MonotonicTime until) override {
    // A predicate that is false once: any notification returns to the caller, who knows what it waits for.
    bool woken = false;
    condition.wait_until(lock, stop, until, [&woken] { return std::exchange(woken, true); });
  }
};

struct CivilTime {
  std::chrono::year_month_day date;
  std::chrono::hh_mm_ss<std::chrono::microseconds> time;
};

CivilTime Split(WallTime time) {
  const auto day = std::chrono::floor<std::chrono::days>(time);
  return {std::chrono::year_month_day(day), std::chrono::hh_mm_ss<std::chrono::microseconds>(time - day)};
}

std::string FormatSeconds(const CivilTime& civil) {
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", static_cast<int>(civil.date.year()),
                     static_cast<unsigned>(civil.date.month()), static_cast<unsigned>(civil.date.day()),
                     civil.time.hours().count(), civil.time.minutes().count(), civil.time.seconds().count());
}

}  // namespace

bool Clock::SleepFor(Duration duration, const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any condition;
  std::unique_lock lock(mutex);
  const auto until = Now() + duration;
  while (!stop.stop_requested() && Now() < until) WaitUntil(lock, condition, stop, until);
  return !stop.stop_requested();
}

Clock& SystemClock() {
  static MachineClock clock;
  return clock;
}

std::string FormatTime(WallTime time) { return FormatSeconds(Split(time)) + "Z"; }

std::string FormatMicroTime(WallTime time) {
  const CivilTime civil = Split(time);
  return fmt::format("{}.{:06}Z", FormatSeconds(civil), civil.time.subseconds().count());
}

WallTime ParseTime(const std::string& text) {
  int year = 0;
  unsigned month = 0;
  unsigned day = 0;
  int hour = 0;
  int minute = 0;
  int second = 0;
  int length = 0;
  if (std::sscanf(text.c_str(), "%4d-%2u-%2uT%2d:%2d:%2d%n", &year, &month, &day, &hour, &minute, &second, &length) !=
      6) {
    return {};
  }
  const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(month), std::chrono::day(day)};
  if (!date.ok()) return {};
  std::chrono::microseconds fraction{0};
  auto position = static_cast<size_t>(length);
  if (position < text.size() && text[position] == '.') {
    std::chrono::microseconds unit{100000};
    for (++position; position < text.size() && std::isdigit(static_cast<unsigned char>(text[position])) != 0;
         ++position) {
      fraction += unit * (text[position] - '0');
      unit /= 10;
    }
  }
  return std::chrono::sys_days(date) + std::chrono::hours(hour) + std::chrono::minutes(minute) +
         std::chrono::seconds(second) + fraction;
}

}  // namespace reconciler
