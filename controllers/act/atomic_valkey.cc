// CLUSTER MIGRATESLOTS and GETSLOTMIGRATIONS of Valkey 9 (its src/cluster_migrateslots.c). See atomic_migration.h.
#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "controllers/act/atomic_migration.h"
#include "controllers/topology/text.h"

namespace slotwright {

namespace {

constexpr std::chrono::milliseconds kPoll{10};

struct Job {
  std::string name;
  SlotSet slots;
  std::chrono::seconds took{0};  ///< As the server's clock has it, which counts whole seconds.
  std::int64_t began = 0;        ///< Seconds since 1970, by that clock.
  std::int64_t ended = 0;
  std::string state;
  std::string message;
  [[nodiscard]] bool active() const { return state != "success" && state != "failed" && state != "cancelled"; }
};

// The source's own exports, the newest first as the server gives them; an error text otherwise.
std::expected<std::vector<Job>, std::string> Exports(const AtomicLink& link, const NodeRef& source) {
  const auto reply = link.Ask(source, {"CLUSTER", "GETSLOTMIGRATIONS"});
  if (!reply) return std::unexpected(reply.error());
  if (reply->IsError()) return std::unexpected(fmt::format("{}: {}", source.pod, reply->text));
  std::vector<Job> jobs;
  for (const Reply& entry : reply->elements) {
    if (FieldOf(entry, "operation").text != "EXPORT") continue;
    // It may quote the target's answer as it came, with its end of line.
    std::string_view message = FieldOf(entry, "message").text;
    const auto took = FieldOf(entry, "last_update_time").integer - FieldOf(entry, "create_time").integer;
    jobs.push_back({.name = FieldOf(entry, "name").text,
                    .slots = ParseSlotRanges(FieldOf(entry, "slot_ranges").text).value_or(SlotSet()),
                    .took = std::chrono::seconds(took),
                    .began = FieldOf(entry, "create_time").integer,
                    .ended = FieldOf(entry, "last_update_time").integer,
                    .state = FieldOf(entry, "state").text,
                    .message = text::ForMessage(text::TakeLine(message))});
  }
  return jobs;
}

std::string Start(const AtomicLink& link, const MigrateSlots& move) {
  Command command = {"CLUSTER", "MIGRATESLOTS", "SLOTSRANGE"};
  for (const SlotRange range : move.slots.Ranges()) {
    command.push_back(std::to_string(range.first));
    command.push_back(std::to_string(range.last));
  }
  command.insert(command.end(), {"NODE", move.to.id.ToString()});
  const auto started = link.Tell(move.from, std::move(command));
  if (!started) return started.error();
  return started->IsError() ? fmt::format("{}: {}", move.from.pod, started->text) : "";
}

}  // namespace

bool KeepsFailing(const AtomicLink& link, const NodeRef& source) {
  constexpr size_t kEnough = 3;
  constexpr std::int64_t kLately = 600;
  const auto jobs = Exports(link, source);
  if (!jobs || jobs->size() < kEnough) return false;
  const auto now = link.Ask(source, {"TIME"});
  if (!now || now->elements.empty()) return false;
  auto next = text::ParseInteger<std::int64_t>(now->elements[0].text).value_or(0);
  return std::ranges::all_of(std::span(*jobs).first(kEnough), [&](const Job& job) {
    const bool target_was_busy = job.message.find("manually") != std::string::npos;  // by keys, from another source
    const auto pause = std::exchange(next, job.began) - job.ended;                   // however long it took itself
    return job.state == "failed" && !target_was_busy && pause < kLately;
  });
}

MoveProgress MoveByMigrateSlots(const AtomicLink& link, const MigrateSlots& move, reconciler::MonotonicTime deadline) {
  auto jobs = Exports(link, move.from);
  if (!jobs) return {.error = jobs.error()};
  std::set<std::string> ended;
  for (const auto& job : *jobs) {
    if (!job.active()) ended.insert(job.name);
  }
  const bool under_way = ended.size() < jobs->size();
  if (!under_way) {
    if (auto problem = Start(link, move); !problem.empty()) return {.error = std::move(problem)};
  }
  while (link.clock.Now() < deadline) {
    jobs = Exports(link, move.from);
    if (!jobs) return {.error = jobs.error()};
    const auto running = std::ranges::find_if(*jobs, &Job::active);
    if (running == jobs->end()) {
      const auto ours = std::ranges::find_if(*jobs, [&](const Job& job) { return !ended.contains(job.name); });
      if (ours == jobs->end()) return {};  // the source has forgotten it
      if (ours->state == "success") {
        return {.slots = ours->slots.size(), .keys = CountKeys(link, move.to, ours->slots), .took = ours->took};
      }
      return {.error = fmt::format("the migration {} on {}: {}", ours->state, move.from.pod, ours->message)};
    }
    link.clock.SleepFor(kPoll, {});
  }
  return {};
}

}  // namespace slotwright
