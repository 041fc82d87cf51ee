// One leader among the replicas of an operator, by a Lease (coordination.k8s.io/v1), as client-go does it.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <random>
#include <stop_token>
#include <string>

#include "reconciler/base/clock.h"
#include "reconciler/base/log.h"
#include "reconciler/kube/client.h"

namespace reconciler {

class EventRecorder;
class RuntimeMetrics;

struct LeaderElectionOptions {
  ObjectKey lease;
  std::string identity;                                ///< Unique for each process: "<host>_<uuid>".
  Duration lease_duration = std::chrono::seconds(15);  ///< Written in whole seconds, rounded up.
  Duration renew_deadline = std::chrono::seconds(10);
  Duration retry_period = std::chrono::seconds(2);
  RuntimeMetrics* metrics = nullptr;
  EventRecorder* events = nullptr;  ///< Tells on the Lease who leads, as client-go's resourcelock does.
  std::optional<unsigned> seed;     ///< Of the jitter; none: random.
};

/// Assumptions: clocks of different machines may differ, their rates hardly: only "the record has not changed for
/// lease_duration since I last saw it change" counts. Not fenced: two leaders are possible for a moment, so every
/// destructive action needs its own precondition.
/// Acquire, Hold and Release are for one thread; the rest is thread-safe.
class LeaderElector {
 public:
  /// The elector makes a client of its own for each attempt, since no request may last longer than the lease allows:
  /// timeout and stop of `client_options` are replaced. `clock` outlives the elector.
  /// REQUIRES: lease_duration > renew_deadline > 1.2 x retry_period.
  LeaderElector(std::shared_ptr<Transport> transport, Client::Options client_options, LeaderElectionOptions options,
                Clock& clock = SystemClock());

  /// Blocks until the lease is ours (true) or `stop` fires (false).
  [[nodiscard]] bool Acquire(std::stop_token stop);
  /// Keeps the lease. Returns true when `stop` fired: let that be only after all work has stopped, since nobody renews
  /// the lease from then on. Returns false when the lease is lost: somebody else holds it, or the last renewal is
  /// renew_deadline ago. Then stop working at once.
  [[nodiscard]] bool Hold(std::stop_token stop);
  /// Gives the lease back so that the next leader need not wait. Only after all work has stopped. Does nothing if the
  /// lease is not ours. Blocks for at most half of renew_deadline.
  void Release();

  /// False from the moment at which another may take the lease, even before Hold notices; also after this process was
  /// suspended. While its whole machine sleeps the clock stands still, so for what it slept there may be two leaders.
  [[nodiscard]] bool IsLeader() const;
  /// False if we hold the lease but could not renew it for longer than it lasts: for /healthz.
  [[nodiscard]] bool Healthy() const;

 private:
  enum class Attempt { kOurs, kTheirs };
  /// Of all requests of one attempt together.
  struct Limits {
    MonotonicTime until;
    std::stop_token stop = {};
  };
  /// kTheirs: another holds the lease. An error: that could not be told, or a write of ours failed.
  [[nodiscard]] Result<Attempt> TryAcquireOrRenew(const Limits& limits);
  [[nodiscard]] Result<void> Write(const Limits& limits, Json record, bool create);
  [[nodiscard]] Result<void> WriteRelease(const Limits& limits);
  [[nodiscard]] Client MakeClient(const Limits& limits) const;
  [[nodiscard]] Duration RequestTimeout() const;
  [[nodiscard]] Json Record() const;
  void Observe(Json lease);
  [[nodiscard]] bool HeldByUs() const;
  [[nodiscard]] bool HeldByOther() const;
  [[nodiscard]] MonotonicTime RenewedAt() const;
  void SetLeading(bool leading, LogLevel level, const std::string& why);

  const std::shared_ptr<Transport> transport_;
  const Client::Options client_options_;
  const LeaderElectionOptions options_;
  Clock& clock_;
  std::minstd_rand random_;
  std::atomic<bool> leading_ = false;
  Json observed_;                ///< The lease as last read; null if never.
  MonotonicTime observed_at_{};  ///< When its record last changed before our eyes.
  std::atomic<MonotonicTime::rep> renewed_at_ = 0;
};

}  // namespace reconciler
