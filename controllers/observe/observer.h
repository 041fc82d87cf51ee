// Fills an Observation: Kubernetes from the caches, Redis by asking every node at once.
#pragma once

#include <map>
#include <mutex>
#include <string>

#include "controllers/observe/observation.h"
#include "controllers/redis/commander.h"
#include "reconciler/cache/informer.h"
#include "reconciler/kube/client.h"

namespace slotwright {

/// The caches that a controller of RedisClusters needs. Secrets are not among them: they are read by name.
struct Caches {
  reconciler::Informer clusters;
  reconciler::Informer pods;
  reconciler::Informer services;
  reconciler::Informer config_maps;
  reconciler::Informer budgets;
  reconciler::Informer claims;

  Caches();
  /// For starting reflectors and checking sync.
  [[nodiscard]] std::vector<reconciler::Informer*> All();
};

/// A look at a cluster together with the password that it was made with, which must not become part of the value.
struct Look {
  Observation observation;
  std::string password;
};

/// Thread-safe.
class Observer {
 public:
  /// All outlive the observer.
  Observer(const reconciler::Client& client, const Caches& caches, Commander& commander, reconciler::Clock& clock);

  /// Nodes that have not answered within `budget` count as silent.
  [[nodiscard]] reconciler::Result<Look> Observe(const RedisCluster& cluster,
                                                 std::chrono::milliseconds budget = std::chrono::milliseconds(500));
  /// The next Observe of that cluster reads its Secret again.
  void ForgetPassword(const reconciler::ObjectKey& cluster);

 private:
  struct CachedPassword {
    PasswordView view;
    std::string password;
    reconciler::MonotonicTime read_at{};
    bool doubtful = false;  // a server has refused it since
    std::string cluster_uid;
    std::string secret;
    std::string key;
  };
  void DoubtPassword(const reconciler::ObjectKey& cluster);
  [[nodiscard]] CachedPassword ReadPassword(const RedisCluster& cluster);
  void CollectObjects(Observation& observation) const;
  void CollectPods(Observation& observation) const;
  [[nodiscard]] reconciler::Result<void> AskNodes(Look& look, std::chrono::milliseconds budget);
  void CountMigrations(Look& look, std::chrono::milliseconds budget);
  void CountKeysInOpenSlots(Look& look, std::chrono::milliseconds budget);

  const reconciler::Client& client_;
  const Caches& caches_;
  Commander& commander_;
  reconciler::Clock& clock_;
  std::mutex refresh_mutex_;  // only ever tried, so that it may be taken while the other one is held, and the reverse
  std::mutex mutex_;
  std::map<reconciler::ObjectKey, CachedPassword> passwords_;
};

/// Of the answer to Valkey's CLUSTER GETSLOTMIGRATIONS: maps, each with a "state".
[[nodiscard]] int CountActiveMigrations(const Reply& reply);

/// Fills `node` from the replies to CLUSTER NODES, CLUSTER INFO, INFO and CONFIG GET repl-diskless-sync-delay, in which
/// quarantines are told. `hostname` is what its pod announces.
void ReadReplies(const std::vector<Reply>& replies, const std::string& hostname, NodeView& node);

}  // namespace slotwright
