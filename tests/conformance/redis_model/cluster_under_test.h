// Redis Cluster processes that a script is played on: real ones, or those of the simulation.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "controllers/redis/commander.h"

namespace slotwright::redis_model {

using std::chrono::milliseconds;

/// Short, so that failures are noticed soon; long enough for a machine that is busy with other things.
inline constexpr milliseconds kNodeTimeout{1000};

/// Nodes are called 'A', 'B', … and keep their addresses in all their lives unless they are moved. Time passes in
/// Execute and WaitUntil only as far as the caller can tell.
class ClusterUnderTest {
 public:
  virtual ~ClusterUnderTest() = default;

  /// With what it had when it was killed, unless that was erased. Returns when it answers. REQUIRES: it does not run.
  virtual void Start(char node) = 0;
  /// As kill -9 does. REQUIRES: it runs.
  virtual void Kill(char node) = 0;
  /// Its nodes.conf and its data are gone: it will be a new node at the old address. REQUIRES: it does not run.
  virtual void Erase(char node) = 0;
  /// It will start at an address that nobody has had yet. REQUIRES: it does not run.
  virtual void Move(char node) = 0;
  [[nodiscard]] virtual Endpoint EndpointOf(char node) = 0;

  /// `asking`: ASKING came before it. An error reply if there is no answer.
  virtual Reply Execute(char node, const Command& command, bool asking) = 0;
  /// Whether the condition came true in time.
  virtual bool WaitUntil(const std::function<bool()>& condition, milliseconds limit) = 0;
  [[nodiscard]] virtual std::chrono::steady_clock::time_point Now() const = 0;
};

enum class Engine { kRedis, kValkey };

/// The model of tests/simulation on a simulated clock.
[[nodiscard]] std::unique_ptr<ClusterUnderTest> MakeSimulatedCluster(Engine engine);
/// Server processes with the directives of production.
[[nodiscard]] std::unique_ptr<ClusterUnderTest> MakeRealCluster(const std::string& program);
/// What is run for that engine: a redis-server 7.0, whatever redis-server there is where none is 7.0, or what
/// SLOTWRIGHT_MODEL_SERVER names instead; a valkey-server 9.1, empty if there is none.
[[nodiscard]] std::string ProgramOf(Engine engine);

[[nodiscard]] inline std::string HostnameFor(char node) { return std::string("node-") + node + ".test"; }
inline constexpr const char* kPassword = "model-password";

}  // namespace slotwright::redis_model
