// The commands of those actions that one exchange with one node carries out.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "controllers/plan/plan.h"
#include "controllers/redis/commander.h"

namespace slotwright {

struct NodeCommands {
  const NodeRef* node = nullptr;  ///< None: an action on Kubernetes, or one of several exchanges.
  std::vector<Command> commands;
  std::string_view harmless;  ///< A part of the error replies that say that the effect is there already.
};

/// `action` outlives the result.
[[nodiscard]] NodeCommands CommandsFor(const Action& action);

[[nodiscard]] Command AddSlots(const SlotSet& slots);

/// The server has begun to since the last look. The next one sees that and waits, and what was asked is then planned
/// anew.
[[nodiscard]] bool IsLoading(const Reply& reply);

/// Empty if every reply is fine.
[[nodiscard]] std::string ErrorOf(const NodeResult& result, std::string_view harmless = "");

}  // namespace slotwright
