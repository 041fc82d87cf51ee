// Commands to many nodes at once under one deadline: the only door to Redis.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <string>
#include <vector>

#include "controllers/topology/cluster_nodes.h"

namespace slotwright {

/// An answer of the server. A nested error (inside an array) is a value like any other.
struct Reply {
  enum class Type { kNil, kStatus, kString, kInteger, kError, kArray };
  Type type = Type::kNil;
  std::string text;  ///< Of kStatus, kString and kError.
  std::int64_t integer = 0;
  std::vector<Reply> elements;

  [[nodiscard]] bool IsError() const { return type == Type::kError; }
  [[nodiscard]] bool IsOk() const { return type == Type::kStatus && text == "OK"; }
  friend bool operator==(const Reply&, const Reply&) = default;
};

struct RedisError {
  enum class Kind {
    kConnect,   ///< Nobody listens there, the connection was refused, or the node does not say which it is. No effects.
    kDeadline,  ///< It accepted the connection, or not even that, and did not answer in time. Effects are unknown.
    kIo,        ///< The connection broke. Effects are unknown.
    kAuth,      ///< It answered WRONGPASS or NOAUTH: perhaps a stranger, perhaps a changed password. No effects.
    kStranger,  ///< Another node than the expected one has that address now. No effects.
    kFenced,    ///< Another operator may lead: it was not even asked. No effects, and nothing is known of it.
    kProtocol,  ///< It does not speak RESP2, or its answer is beyond all bounds. Effects are unknown.
  };
  Kind kind = Kind::kConnect;
  std::string message;
};

/// The words of one command, as bytes.
using Command = std::vector<std::string>;

/// Pipelined commands for one node. An empty password means no AUTH. REQUIRES: commands of at least one word that are
/// answered exactly once and leave the connection as it was (no SUBSCRIBE, MONITOR, SELECT, READONLY, open MULTI): it
/// is used again by others.
struct NodeRequest {
  Endpoint endpoint;
  std::string password;
  std::vector<Command> commands;
  /// Not empty: the commands are sent only over a connection on which CLUSTER MYID gave this id. Addresses are reused.
  NodeId expected = {};
};

/// One reply for each command, in order; error replies of the server are replies, not errors.
using NodeResult = std::expected<std::vector<Reply>, RedisError>;

/// Thread-safe.
class Commander {
 public:
  virtual ~Commander() = default;

  /// Asks all at once and returns as soon as each has answered or failed, or `budget` is over: those that have not
  /// answered by then get kDeadline, and what the others said is kept. results[i] answers requests[i].
  [[nodiscard]] virtual std::vector<NodeResult> Run(const std::vector<NodeRequest>& requests,
                                                    std::chrono::milliseconds budget) = 0;
};

struct TcpCommanderOptions {
  std::chrono::milliseconds idle_timeout{30'000};  ///< An unused connection is kept this long.
  std::size_t kept_per_node = 4;                   ///< Unused connections kept for one endpoint and password.
  std::size_t largest_answer = 64U << 20U;         ///< Bytes of all replies of one NodeRequest together.
};

/// Over TCP with kept connections, RESP by hiredis, on one thread of its own. A kept connection that the other side has
/// closed is replaced before anything is written to it. One that turns out to be broken after that, even before the
/// first byte of an answer, is NOT retried silently: the caller decides. A new connection authenticates first: no
/// command reaches a server that refuses the password. REQUIRES of the destructor: no Run is under way.
[[nodiscard]] std::unique_ptr<Commander> MakeTcpCommander(const TcpCommanderOptions& options = {});

}  // namespace slotwright
