// EventLoop over boost::asio::io_context.
#include "local/kubelet/event_loop.h"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <utility>

namespace slotwright::local {

namespace asio = boost::asio;

// A cancelled wait may already be queued as a success, so that only the missing task tells.
struct Timer::State {
  asio::steady_timer timer;
  EventLoop::Task task;
};

Timer::Timer() = default;
Timer::Timer(std::shared_ptr<State> state) : state_(std::move(state)) {}
Timer::~Timer() { Cancel(); }
Timer::Timer(Timer&&) noexcept = default;

Timer& Timer::operator=(Timer&& other) noexcept {
  if (this != &other) {
    Cancel();
    state_ = std::move(other.state_);
  }
  return *this;
}

void Timer::Cancel() {
  if (state_ == nullptr) return;
  state_->task = nullptr;
  state_->timer.cancel();
  state_.reset();
}

struct EventLoop::Impl {
  asio::io_context context{1};
  asio::executor_work_guard<asio::io_context::executor_type> guard = asio::make_work_guard(context);
};

EventLoop::EventLoop() : impl_(std::make_unique<Impl>()) {}
EventLoop::~EventLoop() = default;

void EventLoop::Post(Task task) { asio::post(impl_->context, std::move(task)); }

Timer EventLoop::After(reconciler::Duration delay, Task task) {
  auto state = std::make_shared<Timer::State>(asio::steady_timer(impl_->context, delay), std::move(task));
  state->timer.async_wait([state](const boost::system::error_code&) {
    if (state->task == nullptr) return;
    // The task may destroy the timer it belongs to.
    const Task due = std::exchange(state->task, nullptr);
    due();
  });
  return Timer(state);
}

void EventLoop::Run() {
  impl_->context.restart();
  impl_->context.run();
}

void EventLoop::Stop() { impl_->context.stop(); }

asio::io_context& EventLoop::context() { return impl_->context; }

}  // namespace slotwright::local
