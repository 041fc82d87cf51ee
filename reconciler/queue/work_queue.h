// What is to be reconciled: keys, each at most once in the queue and never twice at work.
#pragma once

#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <utility>

#include "reconciler/base/clock.h"
#include "reconciler/kube/types.h"

namespace reconciler {

class RuntimeMetrics;

/// Guarantees, as client-go's workqueue: first come first served; a key added many times while it waits comes out once;
/// a key added while it is at work comes out again after Done; two threads never work on one key.
/// Delays: of several pending delayed adds of one key the earliest wins. An immediate add drops a pending delay:
/// whoever works on the key then decides anew when to look again. Thread-safe.
class WorkQueue {
 public:
  struct Options {
    std::string name;
    Duration base_delay = std::chrono::milliseconds(5);  ///< First retry; doubles with every failure in a row.
    Duration max_delay = std::chrono::seconds(5);        ///< As often as what is well is looked at.
    RuntimeMetrics* metrics = nullptr;                   ///< Outlives the queue.
  };

  explicit WorkQueue(Options options, Clock& clock = SystemClock());

  void Add(const ObjectKey& key);
  /// A delay of zero or less is an immediate add.
  void AddAfter(const ObjectKey& key, Duration delay);
  /// After base_delay x 2^failures of this key, not before `at_least` (what a server asked for), but no later than
  /// max_delay: what a reconcile looks at need not be that server's.
  void AddRateLimited(const ObjectKey& key, Duration at_least = {});
  /// Forgives the failures of this key.
  void Forget(const ObjectKey& key);
  [[nodiscard]] int Failures(const ObjectKey& key) const;

  /// Waits for a key; nothing when `stop` fires. Every key that comes out must be given back with Done.
  [[nodiscard]] std::optional<ObjectKey> Get(std::stop_token stop);
  /// Without waiting.
  [[nodiscard]] std::optional<ObjectKey> TryGet();
  /// REQUIRES: `key` came out and was not given back yet.
  void Done(const ObjectKey& key);

  [[nodiscard]] size_t Depth() const;
  /// When the next delayed key is due; nothing if none waits.
  [[nodiscard]] std::optional<MonotonicTime> NextDue() const;
  /// The longest time that a key has been at work, and the sum over all keys at work.
  struct Unfinished {
    Duration longest{};
    Duration sum{};
  };
  [[nodiscard]] Unfinished UnfinishedWork() const;

 private:
  // REQUIRES for all of these: mutex_ is held.
  void Enqueue(const ObjectKey& key);
  void MakeReady(const ObjectKey& key);
  void MoveDue();
  [[nodiscard]] std::optional<ObjectKey> Pop();
  void Schedule(const ObjectKey& key, Duration delay);
  void Unschedule(const ObjectKey& key);
  void ReportDepth() const;

  const Options options_;
  Clock& clock_;
  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<ObjectKey> ready_;
  std::set<ObjectKey> dirty_;  ///< Waits in ready_, or will once it is done.
  std::map<ObjectKey, MonotonicTime> processing_;
  std::map<ObjectKey, MonotonicTime> added_at_;
  std::map<ObjectKey, MonotonicTime> delayed_;
  std::set<std::pair<MonotonicTime, ObjectKey>> by_due_time_;  ///< The same as delayed_, soonest first.
  std::map<ObjectKey, int> failures_;
};

}  // namespace reconciler
