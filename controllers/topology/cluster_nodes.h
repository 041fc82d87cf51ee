// What one node says about all nodes: CLUSTER NODES of every Redis >= 6.2 and Valkey 7.2-9.1, as values.
#pragma once

#include <compare>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "controllers/topology/slots.h"

namespace slotwright {

/// The 40 lower-case hex digits by which a node is known for life (a HARD reset or a lost nodes.conf gives a new one).
class NodeId {
 public:
  NodeId() = default;
  [[nodiscard]] static std::optional<NodeId> Parse(std::string_view text);

  [[nodiscard]] const std::string& ToString() const { return hex_; }
  /// The first eight digits, for people.
  [[nodiscard]] std::string Short() const { return hex_.substr(0, 8); }
  [[nodiscard]] bool empty() const { return hex_.empty(); }
  friend auto operator<=>(const NodeId&, const NodeId&) = default;

 private:
  explicit NodeId(std::string hex) : hex_(std::move(hex)) {}
  std::string hex_;
};

/// Where a node listens for clients. `host` is an IP literal, IPv6 without brackets.
struct Endpoint {
  std::string host;
  int port = 0;

  [[nodiscard]] std::string ToString() const;  ///< "10.0.0.1:6379", "[fd00::1]:6379".
  friend auto operator<=>(const Endpoint&, const Endpoint&) = default;
};

/// Flags of a CLUSTER NODES line; unknown ones are ignored, as newer servers may add some.
struct NodeFlags {
  bool myself = false;
  bool master = false;   ///< "master" or "primary".
  bool replica = false;  ///< "slave" or "replica".
  bool pfail = false;    ///< "fail?": this viewer alone cannot reach it.
  bool fail = false;     ///< "fail": the majority of masters agreed.
  bool handshake = false;
  bool noaddr = false;
  friend bool operator==(const NodeFlags&, const NodeFlags&) = default;
};

/// "[93-<-id]" on the receiving node, "[93->-id]" on the giving node: an unfinished slot migration.
struct OpenSlot {
  enum class Direction { kImporting, kMigrating };
  Slot slot = 0;
  Direction direction = Direction::kImporting;
  NodeId peer;
  friend bool operator==(const OpenSlot&, const OpenSlot&) = default;
};

struct NodeLine {
  NodeId id;
  Endpoint endpoint;     ///< Empty host if unknown ("noaddr", or not yet heard of).
  int bus_port = 0;      ///< 0 if not said (servers before 4.0).
  std::string hostname;  ///< cluster-announce-hostname (7.0+), empty if none.
  NodeFlags flags;
  std::optional<NodeId> master;  ///< Of a replica.
  std::uint64_t config_epoch = 0;
  bool link_connected = false;
  SlotSet slots;
  std::vector<OpenSlot> open_slots;  ///< Only servers' own lines carry them.
  friend bool operator==(const NodeLine&, const NodeLine&) = default;
};

/// One node's view. Exactly one line is `myself`; ids are unique.
struct NodeTable {
  std::vector<NodeLine> lines;

  /// REQUIRES: a table as ParseClusterNodes makes them, not an empty one.
  [[nodiscard]] const NodeLine& myself() const;
  [[nodiscard]] const NodeLine* Find(const NodeId& id) const;
  friend bool operator==(const NodeTable&, const NodeTable&) = default;
};

/// Parses the bulk string of CLUSTER NODES. The error names the line and what is wrong with it. Accepts `\n` and
/// `\r\n`,
/// ",hostname" and ",key=value" after the address (nodes.conf style), and skips a "vars" line. Never throws, whatever
/// the input. Source: redis src/cluster_legacy.c, clusterGenNodeDescription.
[[nodiscard]] std::expected<NodeTable, std::string> ParseClusterNodes(std::string_view text);

/// CLUSTER INFO; missing fields stay at their defaults.
struct ClusterInfo {
  bool state_ok = false;
  int known_nodes = 0;
  std::uint64_t current_epoch = 0;
  std::uint64_t my_epoch = 0;
  /// Slot migrations of the servers' own, of Redis 8.4 and newer; Valkey does not say here.
  int active_migrations = 0;
  friend bool operator==(const ClusterInfo&, const ClusterInfo&) = default;
};
[[nodiscard]] ClusterInfo ParseClusterInfo(std::string_view text);

/// From INFO (sections server, replication, persistence, memory, keyspace as far as present).
struct ServerInfo {
  std::string engine = "redis";  ///< "redis" or "valkey".
  std::string version;           ///< redis_version, or valkey_version where there is one.
  std::string run_id;
  std::int64_t uptime_seconds = 0;
  bool loading = false;
  bool master_role = true;
  std::string master_host;
  int master_port = 0;
  bool master_link_up = false;  ///< Of a replica.
  bool master_sync_in_progress = false;
  /// master_link_down_since_seconds; -1 while the link is up, and of a process that never had a link.
  std::int64_t master_link_down_seconds = -1;
  std::int64_t master_repl_offset = 0;
  std::int64_t replica_offset = 0;  ///< slave_repl_offset.
  std::int64_t keys = 0;            ///< Sum over the databases.
  bool several_databases = false;   ///< Another one than database 0 has keys.
  std::int64_t used_memory = 0;
  std::int64_t maxmemory = 0;  ///< 0: none.
  std::string maxmemory_policy;
  /// A rewrite of its append-only files is under way, or due: until their first one is over they have nothing.
  bool rewrites_aof = false;
  bool aof_enabled = false;
  /// Connected replicas of its own, or taken for such, whose full synchronisation has not begun (slaveN:
  /// state=wait_bgsave; redis src/server.c, genRedisInfoString). It cannot be told reliably who they are: addresses are
  /// those of connections.
  int replicas_waiting = 0;
  /// The last write to the append-only files: with these on all writes are refused (MISCONF).
  bool append_failed = false;
  bool save_failed = false;  ///< The last RDB file: the same, if the server is to save any.

  [[nodiscard]] std::string Release() const { return engine + " " + version; }
  /// In this life of its process; of a replica.
  [[nodiscard]] bool NeverHadALink() const { return !master_link_up && master_link_down_seconds < 0; }
  friend bool operator==(const ServerInfo&, const ServerInfo&) = default;
};
[[nodiscard]] ServerInfo ParseServerInfo(std::string_view text);

}  // namespace slotwright
