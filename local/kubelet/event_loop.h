// The one thread in which all pods are looked after: tasks, timers and file descriptors, on Boost.Asio.
#pragma once

#include <functional>
#include <memory>

#include "reconciler/base/clock.h"

namespace boost::asio {
class io_context;  // NOLINT(readability-identifier-naming)
}

namespace slotwright::local {

/// A pending call. Destroying or cancelling it in the loop's thread guarantees that the call does not come any more.
class Timer {
 public:
  Timer();
  ~Timer();
  Timer(Timer&&) noexcept;
  Timer& operator=(Timer&&) noexcept;

  void Cancel();

 private:
  friend class EventLoop;
  struct State;
  explicit Timer(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

class EventLoop {
 public:
  using Task = std::function<void()>;

  EventLoop();
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  /// Runs `task` soon, in the loop's thread, in the order of the calls. Thread-safe. What is posted after the loop
  /// stopped is never run.
  void Post(Task task);

  /// Only in the loop's thread, or while nobody runs the loop.
  [[nodiscard]] Timer After(reconciler::Duration delay, Task task);

  /// Runs tasks in the caller's thread until Stop is called during it. May be called again.
  void Run();
  /// Thread-safe.
  void Stop();

  /// For what waits on sockets and file descriptors in this loop.
  [[nodiscard]] boost::asio::io_context& context();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace slotwright::local
