// A TCP server that answers as a test wants it to, which no real Redis would.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "controllers/topology/cluster_nodes.h"

namespace slotwright::testing {

/// The server's end of one connection; it is closed when the script returns. All calls end when the server does.
class FakeConnection {
 public:
  explicit FakeConnection(int socket) : socket_(socket) {}

  /// Which connection to this server it is, from 0.
  int number = 0;

  /// Reads on until what this call has read ends with `end`; false if the other side closed before.
  bool ReadUntil(std::string_view end);
  /// Reads one command without arguments, like "PING".
  bool ReadCommand(std::string_view word) { return ReadUntil(std::string(word) + "\r\n"); }
  void Send(std::string_view bytes) const;
  /// Waits until the other side's kernel has all that was sent.
  void AwaitDelivery() const;
  /// Waits until the other side has closed; true also for a reset.
  void AwaitClose();
  /// By the last ReadUntil, and since.
  [[nodiscard]] const std::string& received() const { return received_; }

 private:
  int socket_;
  std::string received_;
};

/// Listens on a fresh address and runs `script` for every connection, each in a thread of its own.
class FakeServer {
 public:
  using Script = std::function<void(FakeConnection&)>;

  explicit FakeServer(Script script);
  ~FakeServer();
  FakeServer(const FakeServer&) = delete;
  FakeServer& operator=(const FakeServer&) = delete;

  [[nodiscard]] const Endpoint& endpoint() const { return endpoint_; }
  [[nodiscard]] int accepted() const { return accepted_; }
  /// How many scripts have come to their end.
  [[nodiscard]] int finished() const { return finished_; }

 private:
  void Accept();

  const Script script_;
  Endpoint endpoint_;
  int listener_;
  std::atomic<bool> stopping_{false};
  std::atomic<int> accepted_{0};
  std::atomic<int> finished_{0};
  std::mutex mutex_;
  std::vector<int> sockets_;          // guarded by mutex_
  std::vector<std::thread> scripts_;  // of the accepting thread until it has ended
  std::thread acceptor_;
};

/// An address whose connection attempts get no answer at all, as if the packets were lost.
class BlackHole {
 public:
  BlackHole();
  ~BlackHole();
  BlackHole(const BlackHole&) = delete;
  BlackHole& operator=(const BlackHole&) = delete;
  [[nodiscard]] const Endpoint& endpoint() const { return endpoint_; }

 private:
  Endpoint endpoint_;
  std::vector<int> sockets_;
};

/// Polls until `condition` holds; false if it does not within five seconds.
[[nodiscard]] bool Eventually(const std::function<bool()>& condition);

}  // namespace slotwright::testing
