// Real redis-server (or valkey-server) processes for tests, on addresses of 127.78.0.0/16.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <expected>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "controllers/topology/cluster_nodes.h"

namespace slotwright::testing {

/// An address that neither this process nor another test process that runs now has got before; its bus port
/// (port + 10000) is free as well.
[[nodiscard]] Endpoint FreshEndpoint();

struct RedisProcessOptions {
  std::string binary = "redis-server";  ///< A path, or a name to look up in PATH.
  Endpoint endpoint = FreshEndpoint();
  std::vector<std::string> arguments;  ///< Like "--cluster-enabled", "yes"; they win over ours.
  std::filesystem::path directory;     ///< Where it keeps its files; empty: a temporary one, removed at the end.
};

/// One server process. It is killed by pid at the end, and by the kernel if the test dies. REQUIRES: the thread that
/// starts it lives as long as the process shall.
class RedisProcess {
 public:
  /// Starts it and returns at once; the error says why there is no process.
  [[nodiscard]] static std::expected<std::unique_ptr<RedisProcess>, std::string> Launch(RedisProcessOptions options);
  /// Launch, and wait until it answers.
  [[nodiscard]] static std::expected<std::unique_ptr<RedisProcess>, std::string> Start(
      RedisProcessOptions options, std::chrono::milliseconds patience = std::chrono::seconds(20));
  ~RedisProcess();
  RedisProcess(const RedisProcess&) = delete;
  RedisProcess& operator=(const RedisProcess&) = delete;

  /// Waits until PING is answered by whatever (an error such as NOAUTH is an answer). The error holds the server's log.
  [[nodiscard]] std::expected<void, std::string> AwaitReady(std::chrono::milliseconds patience) const;

  void Signal(int signal) const;
  /// Kills it (SIGKILL) and waits for its end. Harmless when it has ended.
  void Kill();

  [[nodiscard]] pid_t pid() const { return pid_; }
  [[nodiscard]] const Endpoint& endpoint() const { return options_.endpoint; }
  [[nodiscard]] const std::filesystem::path& directory() const { return options_.directory; }
  [[nodiscard]] std::string Log() const;

 private:
  RedisProcess(RedisProcessOptions options, bool owns_directory, pid_t pid)
      : options_(std::move(options)), owns_directory_(owns_directory), pid_(pid) {}

  RedisProcessOptions options_;
  bool owns_directory_;
  pid_t pid_;  // 0 once it has ended
};

}  // namespace slotwright::testing
