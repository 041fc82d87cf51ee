// Fills an Informer: list once, watch from there, and get over every way in which a watch can end.
#pragma once

#include <functional>
#include <optional>
#include <random>
#include <stop_token>
#include <string>

#include "reconciler/base/clock.h"
#include "reconciler/cache/informer.h"
#include "reconciler/kube/client.h"

namespace reconciler {

struct ReflectorOptions {
  std::string ns;  ///< Empty: all namespaces.
  std::string label_selector;
  std::string field_selector;
  Duration initial_backoff = std::chrono::milliseconds(800);  ///< Doubles up to max_backoff, with jitter, as client-go.
  Duration max_backoff = std::chrono::seconds(30);
  Duration backoff_reset_after = std::chrono::seconds(120);   ///< Health that long forgives all failures.
};

/// Guarantees: after a successful round the informer holds every object of the server's state at some moment, and later
/// moments follow in order. 410 means a new list. A refused or broken watch is resumed from the last resourceVersion.
class Reflector {
 public:
  /// `client`, `informer` and `clock` outlive the reflector.
  Reflector(const Client& client, Informer& informer, ReflectorOptions options, Clock& clock = SystemClock());

  /// Until `stop` fires; never gives up before.
  void Run(std::stop_token stop);

  /// One list if needed, then one watch to its end: what Run does in a loop, for simulations. False: it failed and the
  /// caller should wait NextDelay().
  bool RunOnce(std::stop_token stop);
  [[nodiscard]] Duration NextDelay();

  /// False from a failed list or watch until the next success; feeds /readyz.
  [[nodiscard]] bool Healthy() const;
  [[nodiscard]] std::string LastError() const;

 private:
  [[nodiscard]] Result<void> List(std::stop_token stop);
  [[nodiscard]] Result<void> Watch(std::stop_token stop);
  void SetError(std::string error);

  const Client& client_;
  Informer& informer_;
  const ReflectorOptions options_;
  Clock& clock_;
  std::optional<std::string> resource_version_;  ///< Nothing: list first.
  bool list_from_store_ = false;                 ///< The next list must not be served from the server's cache.
  Duration backoff_;
  MonotonicTime last_failure_{};
  std::minstd_rand random_;
  mutable std::mutex mutex_;
  std::string last_error_ = "not listed yet";
};

}  // namespace reconciler
