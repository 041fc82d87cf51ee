// A door to Redis that shuts when another operator may be at work.
#pragma once

#include <functional>
#include <vector>

#include "controllers/redis/commander.h"

namespace slotwright {

/// While `may_act` is false every request gets kFenced, and nothing is sent. What began before goes on until its budget
/// is over.
class FencedCommander final : public Commander {
 public:
  /// `door` outlives it. `may_act` is called from any thread.
  FencedCommander(Commander& door, std::function<bool()> may_act) : door_(door), may_act_(std::move(may_act)) {}

  [[nodiscard]] std::vector<NodeResult> Run(const std::vector<NodeRequest>& requests,
                                            std::chrono::milliseconds budget) override {
    if (may_act_()) return door_.Run(requests, budget);
    const RedisError error{RedisError::Kind::kFenced, "this operator leads no more; nothing was sent"};
    return {requests.size(), std::unexpected(error)};
  }

 private:
  Commander& door_;
  const std::function<bool()> may_act_;
};

}  // namespace slotwright
