// The operator's way to the simulated nodes.
#pragma once

#include <span>

#include "controllers/redis/commander.h"
#include "tests/simulation/effects.h"
#include "tests/simulation/sim_redis.h"

namespace slotwright::simulation {

class SimCommander final : public Commander {
 public:
  /// Around all that the operator sends to one node at once, if some of it changes something.
  using Inspector =
      std::function<void(const Node& node, std::span<const Command> commands, const std::function<void()>& carry_out)>;

  SimCommander(Bus& bus, Effects& effects, Inspector inspector)
      : bus_(bus), effects_(effects), inspector_(std::move(inspector)) {}

  std::vector<NodeResult> Run(const std::vector<NodeRequest>& requests, milliseconds budget) override;

 private:
  [[nodiscard]] NodeResult Ask(const NodeRequest& request);

  Bus& bus_;
  Effects& effects_;
  Inspector inspector_;
};

}  // namespace slotwright::simulation
