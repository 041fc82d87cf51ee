// Takes a key, calls, and decides when the key comes again.
#include "reconciler/runtime/controller.h"

#include <fmt/format.h>

#include <exception>
#include <thread>
#include <utility>
#include <vector>

#include "reconciler/base/log.h"
#include "reconciler/metrics/runtime_metrics.h"

namespace reconciler {

using Outcome = RuntimeMetrics::ReconcileResult;

Controller::Controller(Options options, WorkQueue& queue, ReconcileFunction reconcile, RuntimeMetrics* metrics,
                       Clock& clock)
    : options_(std::move(options)), queue_(queue), reconcile_(std::move(reconcile)), metrics_(metrics), clock_(clock) {
  if (metrics_ != nullptr) metrics_->RegisterController(options_.name, options_.workers);
}

void Controller::Run(std::stop_token stop) {
  std::vector<std::jthread> workers;
  for (int i = 0; i < options_.workers; ++i) {
    workers.emplace_back([this, stop] {
      while (const auto key = queue_.Get(stop)) Process(*key, stop);
    });
  }
}

bool Controller::RunOne(std::stop_token stop) {
  const auto key = queue_.TryGet();
  if (key) Process(*key, stop);
  return key.has_value();
}

void Controller::Process(const ObjectKey& key, const std::stop_token& stop) {
  if (metrics_ != nullptr) metrics_->ReconcileStarted(options_.name);
  const MonotonicTime started = clock_.Now();
  const Attempt attempt = CallReconcile(key, stop);
  const Outcome outcome = attempt.result ? Succeeded(key, *attempt.result) : Failed(key, attempt, stop);
  if (metrics_ != nullptr) metrics_->ReconcileDone(options_.name, outcome, clock_.Now() - started);
  queue_.Done(key);
}

Controller::Attempt Controller::CallReconcile(const ObjectKey& key, const std::stop_token& stop) const {
  const auto threw = [](std::string_view what) {
    return Attempt{.result = Fail(ErrorKind::kInternal, fmt::format("uncaught exception: {}", what)), .threw = true};
  };
  try {
    return {.result = reconcile_(key, stop)};
  } catch (const std::exception& exception) {
    return threw(exception.what());
  } catch (...) {
    return threw("of an unknown type");
  }
}

Outcome Controller::Succeeded(const ObjectKey& key, const ReconcileOutcome& outcome) {
  queue_.Forget(key);
  if (!outcome.requeue_after) return Outcome::kSuccess;
  queue_.AddAfter(key, *outcome.requeue_after);
  return Outcome::kRequeueAfter;
}

Outcome Controller::Failed(const ObjectKey& key, const Attempt& attempt, const std::stop_token& stop) {
  const Error& error = attempt.result.error();
  if (error.kind == ErrorKind::kCancelled && stop.stop_requested()) {
    queue_.Add(key);  // It was us who ended it. Whoever reads the queue next begins anew.
    return Outcome::kRequeueAfter;
  }
  const bool terminal = error.kind == ErrorKind::kInvalid;
  if (terminal) {
    queue_.Forget(key);
  } else {
    queue_.AddRateLimited(key, error.retry_after.value_or(std::chrono::milliseconds(0)));
  }
  Log(LogLevel::kError, "reconcile failed",
      {{"controller", options_.name},
       {"object", key.ToString()},
       {"kind", std::string(ToString(error.kind))},
       {"error", error.message},
       {"failures", std::to_string(queue_.Failures(key))},
       {"next", terminal ? "when it changes" : "retry"}});
  if (attempt.threw) return Outcome::kPanic;
  return terminal ? Outcome::kTerminalError : Outcome::kError;
}

}  // namespace reconciler
