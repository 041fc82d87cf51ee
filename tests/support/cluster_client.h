// A plain cluster client, as an application has one: follows MOVED and ASK, waits when told to.
#pragma once

#include <chrono>
#include <expected>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "controllers/redis/commander.h"

namespace slotwright::testing {

/// Thread-safe; each call blocks its thread.
class ClusterClient {
 public:
  /// Looks up where the nodes are, as applications do by the name of a Service.
  using Finder = std::function<std::vector<Endpoint>()>;

  /// `seeds` are asked for the way when nothing else is known; what `find` says as well, once nobody answers any more.
  ClusterClient(std::string password, std::vector<Endpoint> seeds, Finder find = {});

  struct Failure {
    bool may_have_happened = false;
    std::string message;
  };
  /// One command on the key in its second word. Refused connections and refusals of the server (MOVED, ASK, TRYAGAIN,
  /// CLUSTERDOWN, LOADING, MASTERDOWN, READONLY) are tried again until `patience` is over; a connection that breaks
  /// after the command was sent is not.
  [[nodiscard]] std::expected<Reply, Failure> Execute(const Command& command, std::chrono::milliseconds patience);

  /// SETs key:0 … key:(count-1) to `bytes` bytes, many at a time. The first problem, or empty.
  [[nodiscard]] std::string Fill(int count, int bytes);

 private:
  [[nodiscard]] Endpoint WayTo(Slot slot);
  /// Asks somebody who the nodes are now, at most every 50 ms: in time all addresses may be new ones.
  void Refresh(bool learn_ways = false);
  /// Under mutex_.
  void Remember(const Endpoint& node);
  void Learn(Slot slot, const Endpoint& endpoint);
  void Unlearn(Slot slot);

  const std::string password_;
  const Finder find_;
  std::unique_ptr<Commander> commander_;
  std::mutex mutex_;
  std::map<Slot, Endpoint> ways_;
  std::vector<Endpoint> nodes_;  // all that were ever heard of: redirections may be all one hears for long
  size_t next_node_ = 0;
  std::chrono::steady_clock::time_point refreshed_;
};

}  // namespace slotwright::testing
