// Which pods do not run what the specification says, and what can be changed without new ones.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "controllers/observe/observation.h"
#include "controllers/plan/plan.h"

namespace slotwright {

/// What pods are to be now; worked out once for all of them.
class PodTemplate {
 public:
  explicit PodTemplate(const RedisCluster& cluster);

  /// The pod must be replaced to become what it should be. REQUIRES: it is one that the specification asks for.
  [[nodiscard]] bool IsOutdated(const PodView& pod) const;
  /// Nothing if the server has it all. `run_id` is the server's: one that restarted may have read another file. An
  /// outdated pod keeps its maxmemory, as its memory limit is an older one too.
  [[nodiscard]] std::optional<LiveChange> LiveChangeOf(const PodView& pod, const std::string& run_id) const;

 private:
  std::string hash_;
  std::map<std::string, std::string> live_directives_;
};

}  // namespace slotwright
