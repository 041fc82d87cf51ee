// What the pods of a cluster mount: the ConfigMap with redis.conf and the scripts.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "controllers/api/redis_cluster.h"

namespace slotwright {

[[nodiscard]] reconciler::Json ConfigMap(const RedisCluster& cluster);
/// The cluster with the specification that its ConfigMap was made from, which was valid; nothing if it is not noted
/// there.
[[nodiscard]] std::optional<RedisCluster> AsWritten(RedisCluster cluster, const reconciler::Json& config_map);

/// RedisConf with these live directives instead of the specified ones.
[[nodiscard]] std::string RedisConf(const RedisCluster& cluster,
                                    const std::map<std::string, std::string>& live_directives);
/// What the redis.conf in a ConfigMap of ours says.
[[nodiscard]] std::map<std::string, std::string> DirectivesIn(const reconciler::Json& config_map);

/// The directives that take effect only when a server starts.
[[nodiscard]] std::map<std::string, std::string> RestartDirectives(const RedisCluster& cluster);
/// RestartDirectives as options of redis-server, a word each: "--io-threads 4" is read as that line of redis.conf would
/// be (main() in src/server.c of Redis and Valkey).
[[nodiscard]] std::vector<std::string> StartOptions(const RedisCluster& cluster);

[[nodiscard]] std::chrono::milliseconds NodeTimeout(const RedisCluster& cluster);

/// repl-diskless-sync-delay of a node that nobody may copy yet; no value that anybody would choose.
inline constexpr const char* kQuarantineDelay = "1000000000";
/// The same of a node that was reset because it leaves for good: the sign goes with its process.
inline constexpr const char* kLeavingDelay = "1000000001";
/// The directives that make the quarantine, with the values that end it. The delay comes last: it is what tells.
[[nodiscard]] std::vector<std::pair<std::string, std::string>> DirectivesOfQuarantine(const RedisCluster& cluster);

/// How long a master that died waits before it starts again, so that a replica can be elected meanwhile.
[[nodiscard]] int FailoverWaitSeconds(const RedisCluster& cluster);

}  // namespace slotwright
