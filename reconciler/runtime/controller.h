// Workers that take keys from a queue and reconcile them, with back-off, deadlines, metrics and caught exceptions.
#pragma once

#include <functional>
#include <optional>
#include <stop_token>
#include <string>

#include "reconciler/base/error.h"
#include "reconciler/queue/work_queue.h"

namespace reconciler {

class RuntimeMetrics;

/// What to do with a key after a reconcile that went well.
struct ReconcileOutcome {
  std::optional<Duration> requeue_after;  ///< Nothing: wait for the next event.
};

/// Must be idempotent and must not branch on why it was called. kInvalid errors are terminal: the key waits for its next
/// event; every other error is tried again with back-off.
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
  void Process(const ObjectKey& key, std::stop_token stop);

  const Options options_;
  WorkQueue& queue_;
  const ReconcileFunction reconcile_;
  RuntimeMetrics* const metrics_;
  Clock& clock_;
};

}  // namespace reconciler
