// A local Kubernetes with the operator in it for one test, and questions that only real nodes can answer.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "controllers/redis/commander.h"
#include "local/local_cluster.h"
#include "operator/inspect.h"
#include "operator/operator_process.h"
#include "tests/support/engines.h"

namespace slotwright::testing {

using namespace std::chrono_literals;

/// Kubernetes and, unless told otherwise, an operator. Everything is gone when it is destroyed.
class Harness {
 public:
  Harness();
  ~Harness();

  void StartOperator();
  void StopOperator();
  /// What all operators have asked of the API server that is not a question, as "PATCH /api/v1/…".
  [[nodiscard]] std::vector<std::string> Changes() const;
  /// Of the operator that is started next.
  [[nodiscard]] OperatorOptions& options() { return options_; }

  [[nodiscard]] const reconciler::Client& client() const { return *client_; }
  [[nodiscard]] local::LocalCluster& cluster() { return *cluster_; }
  /// Port of the operator's server for "health" or "metrics"; 0 before it listens.
  [[nodiscard]] int PortOf(const std::string& what) const;

  /// Creates a RedisCluster "demo" in the namespace default; `spec` is merged over masters/replicas/image.
  void Create(int masters, int replicas, const reconciler::Json& spec = reconciler::Json::object(),
              const std::string& image = TestImage(), const std::string& name = "demo");
  void PatchSpec(const reconciler::Json& spec, const std::string& name = "demo");
  void Delete(const std::string& name = "demo");
  void SetPaused(bool paused, const std::string& name = "demo");
  /// Deletes the cluster: no object of it may be left but so many claims, and no server.
  void ExpectDeletionLeaves(size_t claims, const std::string& name = "demo");

  /// The condition of that type, {} if there is none.
  [[nodiscard]] reconciler::Json Condition(const std::string& type, const std::string& name = "demo") const;
  [[nodiscard]] std::string ReadyReason(const std::string& name = "demo") const;

  /// Polls until it holds; false after `patience`.
  static bool Eventually(const std::function<bool()>& holds, std::chrono::milliseconds patience = 30s);
  /// Ready=True for the newest generation.
  [[nodiscard]] bool BecomesReady(const std::string& name = "demo", std::chrono::milliseconds patience = 60s) const;

  /// A fresh look at the real nodes, around the operator.
  [[nodiscard]] Inspection Look(const std::string& name = "demo") const;
  /// Runs a command on every node of the cluster; results in the order of Look().observation.nodes.
  [[nodiscard]] std::vector<NodeResult> AskAll(const Command& command, const std::string& name = "demo") const;
  /// One command on one node.
  [[nodiscard]] Reply Ask(const Endpoint& endpoint, const Command& command, const std::string& name = "demo") const;
  [[nodiscard]] std::string Password(const std::string& name = "demo") const;

  /// What must hold of every created cluster: every slot has one owner, everybody agrees, members are exactly the pods'
  /// nodes, no node was ever flushed or reset. Empty: fine.
  [[nodiscard]] std::string ViolatedPromise(const std::string& name = "demo") const;

 private:
  std::string state_dir_;
  std::unique_ptr<local::LocalCluster> cluster_;
  std::unique_ptr<reconciler::Client> client_;
  std::unique_ptr<Commander> commander_;
  OperatorOptions options_;
  mutable std::mutex mutex_;
  std::map<std::string, int> ports_;
  std::vector<std::string> changes_;
  std::jthread operator_;
};

}  // namespace slotwright::testing
