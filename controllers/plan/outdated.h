// Which pods do not run what the specification says, and what can be changed without new ones.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "controllers/observe/observation.h"

namespace slotwright {

/// The pod must be replaced to become what it should be. REQUIRES: it is one that the specification asks for.
[[nodiscard]] bool IsOutdated(const RedisCluster& cluster, const PodView& pod);

/// What is to be changed on a running server and noted on its pod.
struct LiveChange {
  std::map<std::string, std::string> directives;
  std::string note;
};
/// Nothing if the server has it all. `run_id` is the server's: one that restarted may have read an older file.
[[nodiscard]] std::optional<LiveChange> LiveChangeOf(const RedisCluster& cluster, const PodView& pod,
                                                     const std::string& run_id);

}  // namespace slotwright
