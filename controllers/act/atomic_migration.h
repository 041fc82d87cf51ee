// Slots that the servers move by themselves: CLUSTER MIGRATESLOTS of Valkey 9 and newer.
#pragma once

#include <functional>
#include <string>

#include "controllers/act/slot_mover.h"
#include "controllers/plan/plan.h"
#include "controllers/redis/commander.h"
#include "reconciler/base/clock.h"

namespace slotwright {

/// A job goes on in the servers when the slice is over or the operator dies; whoever comes next finds it in CLUSTER
/// GETSLOTMIGRATIONS of the source and waits for it instead of starting another one.
class AtomicMigration {
 public:
  using EffectHook = SlotMover::EffectHook;
  AtomicMigration(Commander& commander, reconciler::Clock& clock, std::string password, EffectHook after_effect);

  /// Whether both ends say that they can, by COMMAND INFO and not by their versions.
  [[nodiscard]] bool IsPossible(const MigrateSlots& move) const;

  /// Starts the move, or goes on waiting for what the source is giving away already, until `deadline`.
  [[nodiscard]] MoveProgress Move(const MigrateSlots& move, reconciler::MonotonicTime deadline) const;

 private:
  struct Job {
    std::string name;
    std::string state;
    std::string message;
    [[nodiscard]] bool active() const { return state != "success" && state != "failed" && state != "cancelled"; }
  };
  [[nodiscard]] NodeResult Ask(const NodeRef& node, Command command) const;
  /// The source's own exports, oldest last as the server gives them; an error text otherwise.
  [[nodiscard]] std::expected<std::vector<Job>, std::string> Exports(const NodeRef& source) const;

  Commander& commander_;
  reconciler::Clock& clock_;
  const std::string password_;
  const EffectHook after_effect_;
};

}  // namespace slotwright
