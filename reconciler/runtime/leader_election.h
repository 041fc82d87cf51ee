// One leader among the replicas of an operator, by a Lease (coordination.k8s.io/v1), as client-go does it.
#pragma once

#include <atomic>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>

#include "reconciler/base/clock.h"
#include "reconciler/kube/client.h"

namespace reconciler {

class RuntimeMetrics;

struct LeaderElectionOptions {
  ObjectKey lease;
  std::string identity;  ///< Unique for each process: "<host>_<uuid>".
  Duration lease_duration = std::chrono::seconds(15);
  Duration renew_deadline = std::chrono::seconds(10);
  Duration retry_period = std::chrono::seconds(2);
  RuntimeMetrics* metrics = nullptr;
};

/// Assumptions: clocks of different machines may differ, their rates hardly: only "the record has not changed for
/// lease_duration since I last saw it change" counts. Not fenced: two leaders are possible for a moment, so every
/// destructive action needs its own precondition.
class LeaderElector {
 public:
  /// `client` and `clock` outlive the elector. REQUIRES: lease_duration > renew_deadline > 1.2 x retry_period.
  LeaderElector(const Client& client, LeaderElectionOptions options, Clock& clock = SystemClock());

  /// Blocks until the lease is ours (true) or `stop` fires (false).
  [[nodiscard]] bool Acquire(std::stop_token stop);
  /// Keeps the lease. Returns true when `stop` fired, false when the lease is lost: then stop working at once.
  [[nodiscard]] bool Hold(std::stop_token stop);
  /// Gives the lease back so that the next leader need not wait. Only after all work has stopped.
  void Release();

  [[nodiscard]] bool IsLeader() const { return leading_; }
  /// False if we hold the lease but could not renew it for longer than it lasts: for /healthz.
  [[nodiscard]] bool Healthy() const;

 private:
  [[nodiscard]] Result<bool> TryAcquireOrRenew();

  const Client& client_;
  const LeaderElectionOptions options_;
  Clock& clock_;
  std::atomic<bool> leading_ = false;
  Json observed_;               ///< The lease as last read; null if never.
  MonotonicTime observed_at_{};  ///< When its record last changed before our eyes.
  std::atomic<MonotonicTime::rep> renewed_at_ = 0;
};

}  // namespace reconciler
