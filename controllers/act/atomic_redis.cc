// CLUSTER MIGRATION IMPORT, STATUS and CANCEL of Redis 8.4 (its src/cluster_asm.c). See atomic_migration.h.
//
// A task is known at both ends by one id. What ended, completed or canceled, is kept for a while; what failed at the
// target is not over, what failed at the source is: the target's next attempt begins it anew there.
#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "controllers/act/atomic_migration.h"
#include "controllers/topology/text.h"

namespace slotwright {

namespace {

constexpr std::chrono::milliseconds kPoll{10};
constexpr std::int64_t kMostRetries = 30;  // one a second

struct Task {
  bool at_target = false;  ///< Which end of the move says so.
  std::string id;
  SlotSet slots;
  std::string source;
  bool import = false;  ///< The node that says so receives; otherwise it gives.
  std::string state;
  std::string last_error;
  std::int64_t retries = 0;

  [[nodiscard]] bool ended() const {
    return state == "completed" || state == "canceled" || (!import && state == "failed");
  }
  /// Moves nothing at the moment, and perhaps never will.
  [[nodiscard]] bool idle() const { return state == "failed" || (import && state == "none"); }
  /// It was tried again and again, and not because somebody else has to be waited for.
  [[nodiscard]] bool hopeless() const;
};

// Replies and last errors that say: later. The source serves another target, or still deletes these slots' old keys.
bool SaysLater(std::string_view text) {
  return std::ranges::any_of(
      std::array{"ASM task is already in progress", "overlapping import exists", "Trim job in progress"},
      [&](std::string_view part) { return text.find(part) != std::string_view::npos; });
}

bool Task::hopeless() const { return import && idle() && retries >= kMostRetries && !SaysLater(last_error); }

Command StatusOf(std::vector<std::string> which) {
  Command command = {"CLUSTER", "MIGRATION", "STATUS"};
  std::ranges::move(which, std::back_inserter(command));
  return command;
}

std::expected<std::vector<Task>, std::string> ReadTasks(const Reply& reply, const NodeRef& node, bool at_target) {
  if (reply.IsError()) return std::unexpected(fmt::format("{}: {}", node.pod, reply.text));
  std::vector<Task> tasks;
  for (const Reply& entry : reply.elements) {
    auto slots = ParseSlotRanges(FieldOf(entry, "slots").text);
    if (!slots) {
      return std::unexpected(fmt::format("{}: a migration of the slots \"{}\" makes no sense", node.pod,
                                         text::ForMessage(FieldOf(entry, "slots").text)));
    }
    tasks.push_back({.at_target = at_target,
                     .id = FieldOf(entry, "id").text,
                     .slots = *std::move(slots),
                     .source = FieldOf(entry, "source").text,
                     .import = FieldOf(entry, "operation").text == "import",
                     .state = FieldOf(entry, "state").text,
                     .last_error = FieldOf(entry, "last_error").text,
                     .retries = FieldOf(entry, "retries").integer});
  }
  return tasks;
}

// What both ends say, the source first.
std::expected<std::vector<Task>, std::string> Look(const AtomicLink& link, const MigrateSlots& move,
                                                   std::vector<std::string> which) {
  const auto replies = link.AskBoth(move, StatusOf(std::move(which)));
  if (!replies) return std::unexpected(replies.error());
  auto tasks = ReadTasks((*replies)[0], move.from, false);
  if (!tasks) return tasks;
  auto at_target = ReadTasks((*replies)[1], move.to, true);
  if (!at_target) return at_target;
  std::ranges::move(*at_target, std::back_inserter(*tasks));
  return tasks;
}

// Empty, or what went wrong. One that has ended meanwhile is not found, which is fine.
std::string Cancel(const AtomicLink& link, const NodeRef& node, const Task& task) {
  const auto reply = link.Tell(node, {"CLUSTER", "MIGRATION", "CANCEL", "ID", task.id});
  if (!reply) return reply.error();
  return reply->IsError() ? fmt::format("{}: {}", node.pod, reply->text) : "";
}

// This move speaks for all that its source shall give to its target, and for its source: who gives does not take.
bool Contradicts(const MigrateSlots& move, const Task& task) {
  if (!task.at_target) return true;
  return task.source == move.from.id.ToString() && !(task.slots - move.slots).empty();
}

// Why a person sees no progress; empty if there may be some.
std::string ComplaintAbout(const MigrateSlots& move, const Task& task) {
  const std::string& pod = (task.at_target ? move.to : move.from).pod;
  if (!task.import || !task.idle() || SaysLater(task.last_error)) return "";
  if (task.state == "none") {
    return fmt::format(
        "{} does not begin to take the slots {} over: its clients are paused (CLIENT PAUSE, CLUSTER FAILOVER), it "
        "still deletes old keys of these slots, or one of its modules forbids it",
        pod, task.slots.ToString());
  }
  return fmt::format("{} could not take the slots {} over and tries again every second: {}", pod, task.slots.ToString(),
                     text::ForMessage(task.last_error));
}

// What our own task came to.
MoveProgress Verdict(const MigrateSlots& move, const Task* taken, const Task* given) {
  if (taken == nullptr) return {.error = fmt::format("{} has forgotten the migration: it was restarted", move.to.pod)};
  if (taken->state != "completed") {
    return {.error =
                fmt::format("the migration on {} was cancelled: {}", move.to.pod, text::ForMessage(taken->last_error))};
  }
  MoveProgress progress{.slots = move.slots.size()};
  if (given != nullptr && given->state != "completed") {
    progress.error = fmt::format(
        "{} has the slots {} now, but {} had stopped waiting for that and took writes again; those of the moments "
        "before are lost: {}",
        move.to.pod, move.slots.ToString(), move.from.pod, text::ForMessage(given->last_error));
  }
  return progress;
}

// Until both ends are done with the task: the next one must not begin before.
MoveProgress Await(const AtomicLink& link, const MigrateSlots& move, const std::string& id, bool ours,
                   reconciler::MonotonicTime deadline) {
  while (true) {
    const auto tasks = Look(link, move, {"ID", id});
    if (!tasks) return {.error = tasks.error()};
    const auto find = [&](bool import) {
      const auto found = std::ranges::find(*tasks, import, &Task::import);
      return found == tasks->end() ? nullptr : &*found;
    };
    const Task* taken = find(true);
    if (std::ranges::all_of(*tasks, &Task::ended)) {
      if (!ours) return {};
      auto progress = Verdict(move, taken, find(false));
      if (progress.slots > 0) progress.keys = CountKeys(link, move.to, move.slots);
      return progress;
    }
    if (link.clock.Now() >= deadline) return {.error = taken == nullptr ? "" : ComplaintAbout(move, *taken)};
    link.clock.SleepFor(kPoll, {});
  }
}

// Nothing if the nodes are free. What hinders is ended or waited for, see the header.
std::optional<MoveProgress> WhatIsThere(const AtomicLink& link, const MigrateSlots& move,
                                        reconciler::MonotonicTime deadline) {
  const auto tasks = Look(link, move, {"ALL"});
  if (!tasks) return MoveProgress{.error = tasks.error()};
  const Task* other = nullptr;
  for (const Task& task : *tasks) {
    if (task.ended()) continue;
    other = &task;
    if (!task.import || !task.idle()) continue;
    if (!task.hopeless() && !Contradicts(move, task)) continue;
    const NodeRef& node = task.at_target ? move.to : move.from;
    auto problem = Cancel(link, node, task);
    if (problem.empty() && task.hopeless()) {
      problem = fmt::format("{} could not take the slots {} over in {} attempts and is told to give up: {}", node.pod,
                            task.slots.ToString(), kMostRetries, text::ForMessage(task.last_error));
    }
    return MoveProgress{.error = std::move(problem)};
  }
  if (other == nullptr) return std::nullopt;
  return Await(link, move, other->id, false, deadline);
}

}  // namespace

MoveProgress MoveByImport(const AtomicLink& link, const MigrateSlots& move, reconciler::MonotonicTime deadline) {
  if (auto progress = WhatIsThere(link, move, deadline)) return *std::move(progress);
  Command command = {"CLUSTER", "MIGRATION", "IMPORT"};
  for (const SlotRange range : move.slots.Ranges()) {
    command.push_back(std::to_string(range.first));
    command.push_back(std::to_string(range.last));
  }
  const auto started = link.Tell(move.to, std::move(command));
  if (!started) return {.error = started.error()};
  if (!started->IsError()) return Await(link, move, started->text, true, deadline);
  if (!SaysLater(started->text)) return {.error = fmt::format("{}: {}", move.to.pod, started->text)};
  // Somebody was faster: two sources may serve one target.
  return WhatIsThere(link, move, deadline).value_or(MoveProgress{});
}

std::string CancelImports(const AtomicLink& link, const NodeRef& node, bool only_hopeless) {
  const auto reply = link.Ask(node, StatusOf({"ALL"}));
  if (!reply) return reply.error();
  const auto tasks = ReadTasks(*reply, node, true);
  if (!tasks) return tasks.error();
  for (const Task& task : *tasks) {
    if (only_hopeless ? !task.hopeless() : !task.idle()) continue;
    if (auto problem = Cancel(link, node, task); !problem.empty()) return problem;
  }
  return "";
}

}  // namespace slotwright
