// A queue, a set of what is wanted and a set of what is at work; plus a calendar of what is wanted later.
#include "reconciler/queue/work_queue.h"

#include <algorithm>
#include <cassert>

#include "reconciler/metrics/runtime_metrics.h"

namespace reconciler {

namespace {

/// Every waiter looks again that often, so that no arithmetic on a far future can overflow below.
constexpr Duration kLongestWait = std::chrono::hours(1);

}  // namespace

WorkQueue::WorkQueue(Options options, Clock& clock) : options_(std::move(options)), clock_(clock) {
  if (options_.metrics != nullptr) options_.metrics->RegisterQueue(options_.name);
}

void WorkQueue::Add(const ObjectKey& key) {
  const std::lock_guard lock(mutex_);
  Unschedule(key);
  Enqueue(key);
}

void WorkQueue::AddAfter(const ObjectKey& key, Duration delay) {
  if (delay <= Duration::zero()) return Add(key);
  const std::lock_guard lock(mutex_);
  Schedule(key, delay);
}

void WorkQueue::AddRateLimited(const ObjectKey& key, Duration at_least) {
  const std::lock_guard lock(mutex_);
  int& failures = failures_[key];
  Duration delay = options_.base_delay;
  for (int i = 0; i < failures && delay < options_.max_delay; ++i) delay *= 2;
  ++failures;
  Schedule(key, std::min(std::max(delay, at_least), options_.max_delay));
}

void WorkQueue::Forget(const ObjectKey& key) {
  const std::lock_guard lock(mutex_);
  failures_.erase(key);
}

int WorkQueue::Failures(const ObjectKey& key) const {
  const std::lock_guard lock(mutex_);
  const auto found = failures_.find(key);
  return found == failures_.end() ? 0 : found->second;
}

std::optional<ObjectKey> WorkQueue::Get(std::stop_token stop) {
  std::unique_lock lock(mutex_);
  while (!stop.stop_requested()) {
    MoveDue();
    if (auto key = Pop()) return key;
    MonotonicTime until = clock_.Now() + kLongestWait;
    if (!by_due_time_.empty()) until = std::min(until, by_due_time_.begin()->first);
    clock_.WaitUntil(lock, changed_, stop, until);
  }
  return std::nullopt;
}

std::optional<ObjectKey> WorkQueue::TryGet() {
  const std::lock_guard lock(mutex_);
  MoveDue();
  return Pop();
}

void WorkQueue::Done(const ObjectKey& key) {
  const std::lock_guard lock(mutex_);
  const auto found = processing_.find(key);
  assert(found != processing_.end());
  if (options_.metrics != nullptr) options_.metrics->QueueWorked(options_.name, clock_.Now() - found->second);
  processing_.erase(found);
  if (dirty_.contains(key)) MakeReady(key);
}

size_t WorkQueue::Depth() const {
  const std::lock_guard lock(mutex_);
  return ready_.size();
}

std::optional<MonotonicTime> WorkQueue::NextDue() const {
  const std::lock_guard lock(mutex_);
  if (by_due_time_.empty()) return std::nullopt;
  return by_due_time_.begin()->first;
}

WorkQueue::Unfinished WorkQueue::UnfinishedWork() const {
  const std::lock_guard lock(mutex_);
  const MonotonicTime now = clock_.Now();
  Unfinished unfinished;
  for (const auto& [key, started] : processing_) {
    unfinished.longest = std::max(unfinished.longest, now - started);
    unfinished.sum += now - started;
  }
  return unfinished;
}

void WorkQueue::Enqueue(const ObjectKey& key) {
  if (!dirty_.insert(key).second) return;
  added_at_[key] = clock_.Now();
  if (options_.metrics != nullptr) options_.metrics->QueueAdded(options_.name);
  if (!processing_.contains(key)) MakeReady(key);
}

void WorkQueue::MakeReady(const ObjectKey& key) {
  ready_.push_back(key);
  ReportDepth();
  // All, not one: the one woken may be stopping, or be the only one that knows of the next due time.
  changed_.notify_all();
}

void WorkQueue::MoveDue() {
  const MonotonicTime now = clock_.Now();
  while (!by_due_time_.empty() && by_due_time_.begin()->first <= now) {
    const ObjectKey key = by_due_time_.begin()->second;
    Unschedule(key);
    Enqueue(key);
  }
}

std::optional<ObjectKey> WorkQueue::Pop() {
  if (ready_.empty()) return std::nullopt;
  ObjectKey key = std::move(ready_.front());
  ready_.pop_front();
  const MonotonicTime now = clock_.Now();
  dirty_.erase(key);
  processing_[key] = now;
  const auto added = added_at_.extract(key);
  if (options_.metrics != nullptr) options_.metrics->QueueTook(options_.name, now - added.mapped());
  ReportDepth();
  return key;
}

void WorkQueue::Schedule(const ObjectKey& key, Duration delay) {
  if (options_.metrics != nullptr) options_.metrics->QueueRetried(options_.name);
  const MonotonicTime due = clock_.Now() + delay;
  if (const auto found = delayed_.find(key); found != delayed_.end() && found->second <= due) return;
  Unschedule(key);
  delayed_[key] = due;
  by_due_time_.emplace(due, key);
  changed_.notify_all();
}

void WorkQueue::Unschedule(const ObjectKey& key) {
  const auto found = delayed_.find(key);
  if (found == delayed_.end()) return;
  by_due_time_.erase({found->second, key});
  delayed_.erase(found);
}

void WorkQueue::ReportDepth() const {
  if (options_.metrics != nullptr) options_.metrics->QueueDepth(options_.name, ready_.size());
}

}  // namespace reconciler
