// Moves slots with their keys from one live master to another, in slices of time.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "controllers/act/outcome.h"
#include "controllers/plan/plan.h"
#include "controllers/redis/commander.h"
#include "reconciler/base/clock.h"

namespace slotwright {

/// The classic migration (Redis specification, "Live reshard"): the target is told IMPORTING, the source MIGRATING,
/// keys follow by MIGRATE, then the slot is given to the target on the target first. Whoever dies in between leaves
/// slots that the next look finds open and finishes.
///
/// Clients of the source wait while it serialises keys, so the rounds adapt to take about `kRoundTime`; those of the
/// target wait while it tells all nodes what it got, so that is done in portions. Slots without keys cost a few round
/// trips for hundreds of them.
class SlotMover {
 public:
  static constexpr std::chrono::milliseconds kRoundTime{10};

  /// Called after every exchange with a node; a test dies here.
  using EffectHook = std::function<void()>;
  SlotMover(Commander& commander, reconciler::Clock& clock, std::string password, EffectHook after_effect,
            std::chrono::milliseconds node_timeout);

  /// Begins no further slot after `deadline`, and leaves a slot with very many keys open after twice that time.
  [[nodiscard]] MoveProgress Move(const MigrateSlots& move, reconciler::MonotonicTime deadline);

 private:
  struct Batch;
  /// Sends to one node; empty if all replies are fine, else the first problem.
  std::string Send(const NodeRef& node, std::vector<Command> commands, std::vector<Reply>& replies,
                   std::chrono::milliseconds patience = std::chrono::seconds(5));
  /// The same for SETSLOTs.
  std::string SetSlots(const NodeRef& node, const std::vector<Command>& commands);
  std::string Choose(const NodeRef& source, std::vector<Slot>& waiting, Batch& batch);
  /// Empty if the source owns these slots still, gives them to the target, and has no keys of them.
  std::string WhyNotToGive(const MigrateSlots& move, std::span<const Slot> slots);
  std::string Turn(const MigrateSlots& move, const Batch& finished, const Batch& next);
  std::string MoveKeys(const MigrateSlots& move, Batch& batch, reconciler::MonotonicTime limit, MoveProgress& progress);
  void Adapt(std::int64_t keys, reconciler::Duration took);
  /// How long MIGRATE may take if so many are sent at once.
  [[nodiscard]] std::chrono::milliseconds TimeoutOf(size_t migrations) const;
  std::string EndMigrates(const MigrateSlots& move);
  std::string EndWhatWasLeft(const MigrateSlots& move);
  /// After a MIGRATE that failed or was not answered. Of these keys, those that the source has still; nothing if one of
  /// both does not answer.
  std::optional<std::vector<std::string>> DropCopies(const MigrateSlots& move, std::vector<std::string> keys);
  /// Names the largest one, if that explains why it could not be moved.
  std::string DescribeLargest(const MigrateSlots& move, const std::vector<std::string>& keys);

  Commander& commander_;
  reconciler::Clock& clock_;
  const std::string password_;
  const EffectHook after_effect_;
  const std::chrono::milliseconds node_timeout_;
  size_t most_at_once_ = 4;  // MIGRATEs; they become more while they are quick
  std::int64_t round_keys_ = 1;
  size_t nodes_ = 100;  // of the cluster; many, until the first look tells
  std::map<Slot, std::int64_t> counts_;
};

}  // namespace slotwright
