// See simulator.h.
#include "tests/simulation/simulator.h"

namespace slotwright::simulation {

reconciler::WallTime Simulator::WallNow() const {
  const auto origin = std::chrono::sys_days(std::chrono::year(2026) / 11 / 23);
  return reconciler::WallTime(origin) + std::chrono::duration_cast<std::chrono::microseconds>(now_.time_since_epoch());
}

void Simulator::WaitUntil(std::unique_lock<std::mutex>& lock, std::condition_variable_any&, std::stop_token,
                          MonotonicTime until) {
  lock.unlock();
  RunUntil(until);
  lock.lock();
}

void Simulator::After(Duration delay, std::function<void()> event) {
  events_.emplace(std::pair(now_ + delay, next_event_++), std::move(event));
}

void Simulator::RunUntil(MonotonicTime time) {
  while (!events_.empty() && events_.begin()->first.first <= time) {
    auto first = events_.extract(events_.begin());
    now_ = std::max(now_, first.key().first);
    first.mapped()();
  }
  now_ = std::max(now_, time);
}

int Simulator::Random(int low, int high) {
  return low + static_cast<int>(random_() % static_cast<std::uint64_t>(high - low + 1));
}

}  // namespace slotwright::simulation
