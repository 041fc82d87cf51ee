// Fills an Informer, or one namespace of it: list once, watch from there, and get over every way in which a watch can
// end.
#pragma once

#include <mutex>
#include <optional>
#include <random>
#include <stop_token>
#include <string>

#include "reconciler/base/clock.h"
#include "reconciler/cache/informer.h"
#include "reconciler/kube/client.h"

namespace reconciler {

struct ReflectorOptions {
  std::string ns;  ///< The informer's scope that is ours. Empty: all namespaces.
  std::string label_selector;
  Duration initial_backoff = std::chrono::milliseconds(800);  ///< Doubles up to max_backoff, with jitter, as client-go.
  Duration max_backoff = std::chrono::seconds(30);
  Duration backoff_reset_after = std::chrono::seconds(120);  ///< Health that long forgives all failures.
  /// A watch that ends sooner without having told anything has failed, however politely it ended. A simulation whose
  /// watches end when there is nothing more to tell sets zero.
  Duration shortest_watch = std::chrono::seconds(1);
  std::optional<unsigned> seed;  ///< Of jitter and server timeouts; none: random.
};

/// Guarantees: after a successful round our scope of the informer holds every object of the server's state at some
/// moment, and later moments follow in order. 410 means a new list. A refused or broken watch is resumed from the last
/// resourceVersion.
class Reflector {
 public:
  /// `client`, `informer` and `clock` outlive the reflector. Of one informer, all are made before the first one runs.
  Reflector(const Client& client, Informer& informer, ReflectorOptions options, Clock& clock = SystemClock());

  /// Until `stop` fires; never gives up before.
  void Run(std::stop_token stop);

  /// One list if needed, then one watch to its end: what Run does in a loop, for simulations. False: it failed and the
  /// caller should wait NextDelay().
  bool RunOnce(std::stop_token stop);
  /// Grows with every call. At least what the server asked for (Retry-After).
  [[nodiscard]] Duration NextDelay();

  /// False from a failed list or watch until the next successful list, watch event (a bookmark a minute when nothing
  /// else happens) or proper end of a watch; feeds /readyz.
  [[nodiscard]] bool Healthy() const;
  [[nodiscard]] std::string LastError() const;

 private:
  struct WatchStats {
    bool told_something = false;
    bool was_short = false;
  };
  [[nodiscard]] Result<void> List(const std::stop_token& stop);
  [[nodiscard]] Result<void> Watch(std::stop_token stop, WatchStats& stats);
  void Apply(WatchEvent event);
  /// True if the watch may be resumed, or replaced by a list, at once.
  [[nodiscard]] bool AfterWatch(const Result<void>& ended, const WatchStats& stats, bool just_listed);
  void Failed(const Error& error);
  void SetHealthy();

  const Client& client_;
  Informer& informer_;
  const ReflectorOptions options_;
  Clock& clock_;
  std::string resource_version_;  ///< The last one seen; empty: none yet.
  bool must_list_ = true;
  static constexpr std::chrono::seconds kFirstList{10};
  Duration list_timeout_ = kFirstList;
  Duration backoff_;
  std::optional<MonotonicTime> last_failure_;
  std::optional<Duration> retry_after_;
  std::minstd_rand random_;
  mutable std::mutex mutex_;  ///< Guards last_error_, which /readyz reads.
  std::string last_error_ = "not listed yet";
};

}  // namespace reconciler
