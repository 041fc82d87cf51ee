// Workers that take keys from a queue and reconcile them, with back-off, metrics and caught exceptions.
#pragma once

#include <functional>
#include <optional>
#include <stop_token>
#include <string>

#include "reconciler/base/error.h"
#include "reconciler/metrics/runtime_metrics.h"
#include "reconciler/queue/work_queue.h"

namespace reconciler {

/// What to do with a key after a reconcile that went well.
struct ReconcileOutcome {
  std::optional<Duration> requeue_after;  ///< Nothing: wait for the next event.
};

/// Must be idempotent and must not branch on why it was called. kInvalid errors are terminal: the key waits for its
/// next event; every other error is tried again with back-off, and not before its retry_after. An exception counts as
/// an error. `stop` fires at shutdown: come back soon then.
using ReconcileFunction = std::function<Result<ReconcileOutcome>(const ObjectKey& key, std::stop_token stop)>;

class Controller {
 public:
  struct Options {
    std::string name;
    int workers = 4;
  };

  /// `queue` and `metrics` (may be null) outlive the controller.
  Controller(Options options, WorkQueue& queue, ReconcileFunction reconcile, RuntimeMetrics* metrics,
             Clock& clock = SystemClock());

  /// Runs `workers` threads until `stop` fires, then waits for what is at work.
  void Run(std::stop_token stop);
  /// One key, if one is ready: for simulations. False if there was none.
  bool RunOne(std::stop_token stop);

 private:
  void Process(const ObjectKey& key, const std::stop_token& stop);
  struct Attempt {
    Result<ReconcileOutcome> result;
    bool threw = false;
  };
  [[nodiscard]] Attempt CallReconcile(const ObjectKey& key, const std::stop_token& stop) const;
  // Both decide when the key comes again, and say what to count.
  RuntimeMetrics::ReconcileResult Succeeded(const ObjectKey& key, const ReconcileOutcome& outcome);
  RuntimeMetrics::ReconcileResult Failed(const ObjectKey& key, const Attempt& attempt, const std::stop_token& stop);

  const Options options_;
  WorkQueue& queue_;
  const ReconcileFunction reconcile_;
  RuntimeMetrics* const metrics_;
  Clock& clock_;
};

}  // namespace reconciler
