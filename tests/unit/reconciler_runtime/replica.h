// One replica of an operator, on a machine of its own, for tests of leader election.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "reconciler/runtime/leader_election.h"
#include "tests/unit/fakes/fake_api.h"
#include "tests/unit/fakes/fake_clock.h"
#include "tests/unit/fakes/faulty_link.h"

namespace reconciler {

/// Another machine: the same passing of time, a calendar of its own.
class MachineClock : public Clock {
 public:
  explicit MachineClock(FakeClock& world) : world_(world) {}
  void StepWall(Duration by) { offset_ += std::chrono::duration_cast<std::chrono::microseconds>(by).count(); }
  [[nodiscard]] MonotonicTime Now() const override { return world_.Now(); }
  [[nodiscard]] WallTime WallNow() const override {
    return world_.WallNow() + std::chrono::microseconds(offset_.load());
  }
  void WaitUntil(std::unique_lock<std::mutex>& lock, std::condition_variable_any& condition, std::stop_token stop,
                 MonotonicTime until) override {
    world_.WaitUntil(lock, condition, std::move(stop), until);
  }

 private:
  FakeClock& world_;
  std::atomic<std::chrono::microseconds::rep> offset_ = 0;
};

/// Leads when it can, and starts again when it has lost.
class Replica {
 public:
  Replica(const std::string& identity, std::shared_ptr<FakeApi> api, FakeClock& world, unsigned seed,
          RuntimeMetrics* metrics = nullptr)
      : clock(world),
        link(std::make_shared<FaultyLink>(std::move(api), clock)),
        elector(link, {}, {.lease = {"ns", "op"}, .identity = identity, .metrics = metrics, .seed = seed}, clock) {}
  ~Replica() { Stop(); }

  void Start() {
    Stop();
    thread_ = std::jthread([this](const std::stop_token& stop) {
      while (elector.Acquire(stop)) {
        ++terms;
        working = true;
        const bool stopped = elector.Hold(stop);
        working = false;
        if (stopped) return;
        lost_at = clock.Now().time_since_epoch().count();
      }
    });
  }
  /// Without releasing the lease.
  void Stop() {
    if (!thread_.joinable()) return;
    thread_.request_stop();
    thread_.join();
  }
  [[nodiscard]] Duration LostAt() const { return Duration(lost_at.load()); }

  MachineClock clock;
  std::shared_ptr<FaultyLink> link;
  LeaderElector elector;
  std::atomic<bool> working = false;
  std::atomic<int> terms = 0;
  std::atomic<Duration::rep> lost_at = 0;

 private:
  std::jthread thread_;
};

}  // namespace reconciler
