// See migrate.h.
#include "controllers/act/migrate.h"

#include <fmt/format.h>

namespace slotwright {

namespace {

MoveProgress MoveByKeys(const AtomicLink& link, const MigrateSlots& move, reconciler::MonotonicTime deadline) {
  auto progress =
      SlotMover(link.commander, link.clock, link.password, link.after_effect, link.node_timeout).Move(move, deadline);
  // Redis refuses SETSLOT for slots of a migration of its own, and tries one that fails for ever. Whoever chose Keys
  // because of that must not be stuck behind it.
  if (progress.error.find("active atomic slot migration") != std::string::npos) {
    for (const NodeRef& node : {move.from, move.to}) {
      if (const auto problem = CancelImports(link, node, false); !problem.empty()) progress.error = problem;
    }
  }
  return progress;
}

// A new master has none of the cluster's functions, as they are no keys. Its clients would find them missing. REPLACE:
// several sources may do this for a target at the same time.
std::string BringFunctionsAlong(const AtomicLink& link, const MigrateSlots& move) {
  const auto known = link.Ask(move.to, {"FUNCTION", "LIST"});
  if (!known || known->IsError() || !known->elements.empty()) return "";
  const auto theirs = link.Ask(move.from, {"FUNCTION", "LIST"});
  if (!theirs || theirs->IsError() || theirs->elements.empty()) return "";
  const auto dump = link.Ask(move.from, {"FUNCTION", "DUMP"});
  if (!dump || dump->IsError()) return dump ? fmt::format("{}: {}", move.from.pod, dump->text) : dump.error();
  const auto restored = link.Tell(move.to, {"FUNCTION", "RESTORE", dump->text, "REPLACE"});
  if (!restored) return restored.error();
  if (!restored->IsError()) return "";
  return fmt::format("{} does not take the functions of {}: {}", move.to.pod, move.from.pod, restored->text);
}

// What is asked before the first slot may take a slow node all of a slice, and again the next time.
MoveProgress MoveSlots(const AtomicLink& link, const MigrateSlots& move, reconciler::Duration slice) {
  const auto by_keys = [&] { return MoveByKeys(link, move, link.clock.Now() + slice); };
  if (move.method == MigrationMethod::kKeys) return by_keys();
  const auto dialect = DialectOf(link, move);
  if (!dialect) return {.error = dialect.error()};
  const bool may_go_by_keys = move.method == MigrationMethod::kAuto && !move.several_databases;
  if (*dialect == AtomicDialect::kMigrateSlots && may_go_by_keys && KeepsFailing(link, move.from)) return by_keys();
  if (*dialect == AtomicDialect::kMigrateSlots) return MoveByMigrateSlots(link, move, link.clock.Now() + slice);
  if (*dialect == AtomicDialect::kImport) return MoveByImport(link, move, link.clock.Now() + slice);
  if (may_go_by_keys) return by_keys();
  return {.error = fmt::format("spec.rebalance.method: \"{}\": {} and {} do not both know CLUSTER MIGRATESLOTS "
                               "(Valkey 9 and newer) or CLUSTER MIGRATION (Redis 8.4 and newer){}",
                               move.method == MigrationMethod::kAuto ? "Auto" : "Atomic", move.from.pod, move.to.pod,
                               move.several_databases
                                   ? ", and there may be keys in several databases (spec.config.cluster-databases), of "
                                     "which MIGRATE would lose all but the first's"
                                   : "; set it to Auto")};
}

}  // namespace

MoveProgress Migrate(const AtomicLink& link, const MigrateSlots& move, reconciler::Duration slice) {
  if (auto problem = BringFunctionsAlong(link, move); !problem.empty()) return {.error = std::move(problem)};
  return MoveSlots(link, move, slice);
}

}  // namespace slotwright
