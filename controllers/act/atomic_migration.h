// Slots that the servers move by themselves: what the two protocols for it have in common, and which one both ends
// know.
#pragma once

#include <array>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include "controllers/act/slot_mover.h"
#include "controllers/plan/plan.h"
#include "controllers/redis/commander.h"
#include "reconciler/base/clock.h"

namespace slotwright {

/// CLUSTER MIGRATESLOTS is Valkey's (9.0), told to the source; CLUSTER MIGRATION IMPORT is Redis's (8.4), told to the
/// target. In both a job goes on in the servers when the slice is over or the operator dies; whoever comes next finds
/// it there and waits for it instead of starting another one.
enum class AtomicDialect { kNone, kMigrateSlots, kImport };

/// A way to the two ends of a move. Values of the caller's; nothing is kept.
struct AtomicLink {
  Commander& commander;
  reconciler::Clock& clock;
  const std::string& password;
  const SlotMover::EffectHook& after_effect;
  std::chrono::milliseconds node_timeout{5000};

  /// The answer, which may be an error reply; otherwise which pod did not answer, and why.
  [[nodiscard]] std::expected<Reply, std::string> Ask(const NodeRef& node, Command command) const;
  /// The same of both ends at once: of the source, then of the target.
  [[nodiscard]] std::expected<std::array<Reply, 2>, std::string> AskBoth(const MigrateSlots& move,
                                                                         const Command& command) const;
  /// Sends what changes something.
  [[nodiscard]] std::expected<Reply, std::string> Tell(const NodeRef& node, Command command) const;
};

/// What both ends say that they know, by COMMAND INFO and not by their versions. An end that does not answer now is an
/// error and not an end that knows nothing: a hiccup must not begin the classic way in the middle of a job.
[[nodiscard]] std::expected<AtomicDialect, std::string> DialectOf(const AtomicLink& link, const MigrateSlots& move);

/// Valkey's way (atomic_valkey.cc): starts the move, or goes on waiting for what the source gives away already, until
/// `deadline`. A job that fails is over: the next look starts another one.
[[nodiscard]] MoveProgress MoveByMigrateSlots(const AtomicLink& link, const MigrateSlots& move,
                                              reconciler::MonotonicTime deadline);

/// Whether the last three jobs by which a node of Valkey was to give slots away all failed. There are such that always
/// do: more is written meanwhile than the output buffer takes. Only such as followed each other within ten minutes
/// count, and none of which the target was busy.
[[nodiscard]] bool KeepsFailing(const AtomicLink& link, const NodeRef& source);

/// Redis's way (atomic_redis.cc), until `deadline`. A node takes part in one task at a time, as target or as source, so
/// a task that is there already, ours of an earlier life or anybody's, is waited for. The target itself tries a failed
/// one again every second, for ever; hence
///  - one that moves nothing at the moment and that this move contradicts (other slots of that source, or slots for the
///    node that shall give) is cancelled at once: it was begun for a specification that has changed since, and nobody
///    else would ever end it. One that is really under way is let finish, which is soon and loses nothing; then the
///    slots are evened from where they are;
///  - one that was tried again 30 times is cancelled and said, whoever began it: each attempt starts from nothing, so
///    nothing is lost, and other sources get their turn at that target.
/// A target whose source serves another one just now fails and tries again too; that is waiting and no error.
[[nodiscard]] MoveProgress MoveByImport(const AtomicLink& link, const MigrateSlots& move,
                                        reconciler::MonotonicTime deadline);

/// Cancels what MoveByImport or a person left on a node of Redis and what moves nothing at the moment: Redis refuses
/// the classic way for slots that any task names, a failed one too. With `only_hopeless` what was tried again 30 times
/// in vain. Empty, or what went wrong.
[[nodiscard]] std::string CancelImports(const AtomicLink& link, const NodeRef& node, bool only_hopeless);

/// Of these slots on that node; 0 if it does not answer.
[[nodiscard]] std::int64_t CountKeys(const AtomicLink& link, const NodeRef& node, const SlotSet& slots);

/// "0-99 200-200", as both protocols name slots; nothing if it makes no sense.
[[nodiscard]] std::optional<SlotSet> ParseSlotRanges(std::string_view ranges);

/// A value in a map, which RESP2 sends as a flat array of names and values; nil if it is not there.
[[nodiscard]] const Reply& FieldOf(const Reply& map, std::string_view name);

}  // namespace slotwright
