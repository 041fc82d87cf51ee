// See atomic_migration.h.
#include "controllers/act/atomic_migration.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

namespace slotwright {

namespace {

constexpr std::chrono::milliseconds kAnswerWithin{2000};
constexpr std::chrono::milliseconds kPoll{10};

std::string FieldOf(const Reply& map, std::string_view name) {
  for (size_t i = 0; i + 1 < map.elements.size(); i += 2) {
    if (map.elements[i].text == name) return map.elements[i + 1].text;
  }
  return "";
}

}  // namespace

AtomicMigration::AtomicMigration(Commander& commander, reconciler::Clock& clock, std::string password,
                                 EffectHook after_effect)
    : commander_(commander), clock_(clock), password_(std::move(password)), after_effect_(std::move(after_effect)) {}

NodeResult AtomicMigration::Ask(const NodeRef& node, Command command) const {
  return commander_.Run({{node.endpoint, password_, {std::move(command)}, node.id}}, kAnswerWithin)[0];
}

bool AtomicMigration::IsPossible(const MigrateSlots& move) const {
  return std::ranges::all_of(std::array{&move.from, &move.to}, [this](const NodeRef* node) {
    const auto known = Ask(*node, {"COMMAND", "INFO", "cluster|migrateslots"});
    // One element for each name, nil for an unknown one.
    return known && !known->front().elements.empty() && !known->front().elements.front().elements.empty();
  });
}

std::expected<std::vector<AtomicMigration::Job>, std::string> AtomicMigration::Exports(const NodeRef& source) const {
  const auto reply = Ask(source, {"CLUSTER", "GETSLOTMIGRATIONS"});
  if (!reply) return std::unexpected(reply.error().message);
  if (reply->front().IsError()) return std::unexpected(reply->front().text);
  std::vector<Job> jobs;
  for (const Reply& entry : reply->front().elements) {
    if (FieldOf(entry, "operation") != "EXPORT") continue;
    jobs.push_back({FieldOf(entry, "name"), FieldOf(entry, "state"), FieldOf(entry, "message")});
  }
  return jobs;
}

MoveProgress AtomicMigration::Move(const MigrateSlots& move, reconciler::MonotonicTime deadline) const {
  auto jobs = Exports(move.from);
  if (!jobs) return {.error = jobs.error()};
  std::set<std::string> ended;
  for (const auto& job : *jobs) {
    if (!job.active()) ended.insert(job.name);
  }
  const bool under_way = ended.size() < jobs->size();
  if (!under_way) {
    Command command = {"CLUSTER", "MIGRATESLOTS", "SLOTSRANGE"};
    for (const SlotRange range : move.slots.Ranges()) {
      command.push_back(std::to_string(range.first));
      command.push_back(std::to_string(range.last));
    }
    command.insert(command.end(), {"NODE", move.to.id.ToString()});
    const auto started = Ask(move.from, std::move(command));
    if (after_effect_) after_effect_();
    if (!started) return {.error = started.error().message};
    if (started->front().IsError()) return {.error = started->front().text};
  }
  while (clock_.Now() < deadline) {
    jobs = Exports(move.from);
    if (!jobs) return {.error = jobs.error()};
    const auto running = std::ranges::find_if(*jobs, &Job::active);
    if (running == jobs->end()) {
      const auto ours = std::ranges::find_if(*jobs, [&](const Job& job) { return !ended.contains(job.name); });
      if (ours != jobs->end() && ours->state != "success") {
        return {.error = fmt::format("the migration {} on {}: {}", ours->state, move.from.pod, ours->message)};
      }
      return {.slots = under_way ? 0 : move.slots.size()};
    }
    clock_.SleepFor(kPoll, {});
  }
  return {};
}

}  // namespace slotwright
