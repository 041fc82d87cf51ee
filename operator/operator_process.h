// The operator as one object: caches, queue, controller, events, leader election, health, and the order of their ends.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "controllers/act/executor.h"
#include "reconciler/base/error.h"
#include "reconciler/kube/transport.h"

namespace slotwright {

struct OperatorOptions {
  /// To watch; empty: all, which needs a ClusterRole. Otherwise a Role in each of them and one in lease_namespace do.
  std::vector<std::string> namespaces;
  std::string metrics_address = ":8080";  ///< "host:port"; an empty host is every address; "0": none.
  std::string health_address = ":8081";
  int workers = 10;
  bool leader_elect = true;
  std::string lease_namespace = "default";
  std::string lease_name = "slotwright.dev";
  std::string identity;  ///< Empty: host name and a random part.
  /// See reconciler::LeaderElectionOptions.
  std::chrono::milliseconds lease_duration{15'000};
  std::chrono::milliseconds renew_deadline{10'000};
  std::chrono::milliseconds retry_period{2'000};
  /// /readyz asks the API server whether it is there if it has not answered anything for that long.
  std::chrono::milliseconds contact_life{10'000};
  Executor::Options executor;
  /// Called once for each server that listens: "metrics" or "health", and its port.
  std::function<void(const std::string& what, int port)> on_listen;
};

/// Runs until `stop` fires; then every worker finishes its round and the lease is released. Who loses the lease, as in
/// an outage of the API server, stands by for it with empty caches. Errors say why it could not start.
[[nodiscard]] reconciler::Result<void> RunOperator(const std::shared_ptr<reconciler::Transport>& transport,
                                                   const OperatorOptions& options, std::stop_token stop);

}  // namespace slotwright
