// The controller of RedisClusters: observe, plan, act, report; one round for each call.
#pragma once

#include <functional>
#include <memory>
#include <stop_token>

#include "controllers/act/executor.h"
#include "controllers/observe/observer.h"
#include "controllers/plan/planner.h"
#include "controllers/status/last_written.h"
#include "reconciler/queue/work_queue.h"
#include "reconciler/runtime/controller.h"
#include "reconciler/runtime/event_recorder.h"

namespace slotwright {

class ClusterMetrics;

/// Thread-safe for different keys; a work queue never hands out one key twice.
class RedisClusterController {
 public:
  struct Dependencies {
    const reconciler::Client& client;
    Caches& caches;
    Commander& commander;
    reconciler::EventRecorder& events;
    reconciler::Clock& clock;
    ClusterMetrics* metrics = nullptr;
    Executor::Options executor;
  };
  explicit RedisClusterController(Dependencies dependencies);

  /// Makes every change of a RedisCluster, or of what it owns, wake it up. Before the reflectors start.
  void WireEvents(reconciler::WorkQueue& queue);

  [[nodiscard]] reconciler::Result<reconciler::ReconcileOutcome> Reconcile(const reconciler::ObjectKey& key,
                                                                           std::stop_token stop);

 private:
  void Report(const Observation& observation, const Plan& plan, const std::vector<Outcome>& outcomes,
              const std::string& failure, const reconciler::Json& object);
  [[nodiscard]] reconciler::Result<reconciler::ReconcileOutcome> Again(const reconciler::Error& error,
                                                                       const RedisCluster& cluster);
  /// `version`: of the resource as last read or written; what this write makes of it comes back.
  [[nodiscard]] reconciler::Result<void> WriteStatus(const Observation& observation, const ClusterView& view,
                                                     const Plan& plan, std::string& version);

  Dependencies deps_;
  Observer observer_;
  Executor executor_;
  LastWritten statuses_;
  LastWritten config_maps_;
};

}  // namespace slotwright
