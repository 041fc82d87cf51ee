// The metrics that every controller-runtime operator exports, with their standard names and buckets, on prometheus-cpp.
#pragma once

#include <memory>
#include <string>

#include "reconciler/base/clock.h"

namespace prometheus {
class Registry;
}

namespace reconciler {

class WorkQueue;

/// Thread-safe. Series of a controller, a queue or a lease exist with value 0 from Register… on, so that rate() and
/// alerts work from the first scrape. Registering a name again changes nothing, and whatever is counted for a name that
/// was never registered registers it.
class RuntimeMetrics {
 public:
  explicit RuntimeMetrics(std::shared_ptr<prometheus::Registry> registry);
  ~RuntimeMetrics();

  void RegisterController(const std::string& name, int max_concurrent_reconciles);
  enum class ReconcileResult { kSuccess, kRequeueAfter, kError, kTerminalError, kPanic };
  void ReconcileStarted(const std::string& controller);
  void ReconcileDone(const std::string& controller, ReconcileResult result, Duration took);

  void RegisterQueue(const std::string& name);
  void QueueAdded(const std::string& name);
  void QueueRetried(const std::string& name);
  void QueueDepth(const std::string& name, size_t depth);
  void QueueTook(const std::string& name, Duration waited);
  void QueueWorked(const std::string& name, Duration worked);
  /// Refreshes the unfinished-work gauges of a queue at every scrape. `queue` must outlive the last Text().
  void ObserveUnfinished(const std::string& name, const WorkQueue& queue);

  void RequestDone(const std::string& code, const std::string& method, const std::string& host, Duration took);

  void RegisterLease(const std::string& name);
  void LeaderStatus(const std::string& name, bool leading);

  /// The whole registry in the Prometheus text format, process_* metrics from /proc/self included.
  [[nodiscard]] std::string Text();
  [[nodiscard]] const std::shared_ptr<prometheus::Registry>& registry() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace reconciler
