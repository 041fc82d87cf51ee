// See slot_mover.h.
#include "controllers/act/slot_mover.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace slotwright {

namespace {

constexpr size_t kSlotsOfABatch = 256;
constexpr std::int64_t kMostKeysOfARound = 20'000;
// Below every sensible node timeout: a source that waits longer would be taken for dead.
constexpr const char* kMigrateTimeoutMs = "2000";
constexpr std::chrono::milliseconds kPatience{5000};

Command SetSlot(Slot slot, const char* state, const NodeId& node) {
  return {"CLUSTER", "SETSLOT", std::to_string(slot), state, node.ToString()};
}

Command Migrate(const NodeRef& to, const std::string& password, const std::vector<Reply>& keys) {
  // REPLACE: while the source owns the slot it serves what it still has, so a copy at the target is from an earlier
  // try.
  Command command = {"MIGRATE",         to.endpoint.host, std::to_string(to.endpoint.port), "", "0",
                     kMigrateTimeoutMs, "REPLACE"};
  if (!password.empty()) command.insert(command.end(), {"AUTH", password});
  command.emplace_back("KEYS");
  for (const Reply& key : keys) command.push_back(key.text);
  return command;
}

}  // namespace

struct SlotMover::Batch {
  std::vector<Slot> slots;
  std::int64_t keys_moved = 0;
  bool finished = false;
};

SlotMover::SlotMover(Commander& commander, reconciler::Clock& clock, std::string password, EffectHook after_effect)
    : commander_(commander), clock_(clock), password_(std::move(password)), after_effect_(std::move(after_effect)) {}

std::string SlotMover::Send(const NodeRef& node, std::vector<Command> commands, std::vector<Reply>& replies) {
  const auto results = commander_.Run({{node.endpoint, password_, std::move(commands), node.id}}, kPatience);
  if (after_effect_) after_effect_();
  if (!results[0]) return fmt::format("{}: {}", node.pod, results[0].error().message);
  replies = *results[0];
  const auto failed = std::ranges::find_if(replies, &Reply::IsError);
  return failed == replies.end() ? "" : fmt::format("{}: {}", node.pod, failed->text);
}

// As many slots as one round of keys has room for, at least one.
std::string SlotMover::Choose(const NodeRef& source, std::vector<Slot>& waiting, Batch& batch) {
  const size_t candidates = std::min(waiting.size(), kSlotsOfABatch);
  std::vector<Command> counts;
  for (size_t i = 0; i < candidates; ++i) {
    counts.push_back({"CLUSTER", "COUNTKEYSINSLOT", std::to_string(waiting[i])});
  }
  std::vector<Reply> replies;
  if (auto problem = Send(source, std::move(counts), replies); !problem.empty()) return problem;
  std::int64_t keys = 0;
  for (size_t i = 0; i < candidates; ++i) {
    keys += replies[i].integer;
    if (keys > round_keys_ && !batch.slots.empty()) break;
    batch.slots.push_back(waiting[i]);
  }
  waiting.erase(waiting.begin(), waiting.begin() + static_cast<std::ptrdiff_t>(batch.slots.size()));
  return "";
}

// The target first: from MIGRATING on the source sends clients there.
std::string SlotMover::Open(const MigrateSlots& move, const Batch& batch) {
  std::vector<Command> importing;
  std::vector<Command> migrating;
  for (const Slot slot : batch.slots) {
    importing.push_back(SetSlot(slot, "IMPORTING", move.from.id));
    migrating.push_back(SetSlot(slot, "MIGRATING", move.to.id));
  }
  std::vector<Reply> replies;
  if (auto problem = Send(move.to, std::move(importing), replies); !problem.empty()) return problem;
  return Send(move.from, std::move(migrating), replies);
}

std::string SlotMover::MoveKeys(const MigrateSlots& move, Batch& batch, reconciler::MonotonicTime limit) {
  // All of them, whatever was counted before: only from MIGRATING on can the source get no new keys.
  std::vector<Slot> open = batch.slots;
  // Keys that the last look found, to be moved by the next round; after each MIGRATE the slot is looked at again.
  std::map<Slot, std::vector<Reply>> found;
  while (!open.empty()) {
    if (clock_.Now() >= limit) return "";
    std::vector<Command> commands;
    std::int64_t keys = 0;
    for (const Slot slot : open) {
      const auto known = found.find(slot);
      if (known != found.end()) {
        commands.push_back(Migrate(move.to, password_, known->second));
        keys += static_cast<std::int64_t>(known->second.size());
      }
    }
    const auto share = std::max<std::int64_t>(1, round_keys_ / static_cast<std::int64_t>(open.size()));
    for (const Slot slot : open) {
      commands.push_back({"CLUSTER", "GETKEYSINSLOT", std::to_string(slot), std::to_string(share)});
    }
    std::vector<Reply> replies;
    const size_t migrations = commands.size() - open.size();
    const auto start = clock_.Now();
    if (auto problem = Send(move.from, std::move(commands), replies); !problem.empty()) return problem;
    const auto took = std::chrono::duration_cast<std::chrono::microseconds>(clock_.Now() - start);
    batch.keys_moved += keys;
    if (keys > 0) {
      const double factor = static_cast<double>(std::chrono::microseconds(kRoundTime).count()) /
                            static_cast<double>(std::max<std::int64_t>(took.count(), 1));
      const double wanted = static_cast<double>(keys) * std::clamp(factor, 0.25, 2.0);
      round_keys_ = std::clamp(static_cast<std::int64_t>(wanted), std::int64_t{1}, kMostKeysOfARound);
    }
    std::vector<Slot> still_open;
    found.clear();
    for (size_t i = 0; i < open.size(); ++i) {
      auto& look = replies[migrations + i];
      if (look.elements.empty()) continue;
      found[open[i]] = std::move(look.elements);
      still_open.push_back(open[i]);
    }
    open = std::move(still_open);
  }
  batch.finished = true;
  return "";
}

// The target first: it takes a higher epoch and tells everybody. If the source gave up first and the target died, the
// slot would belong to nobody (redis#7116).
std::string SlotMover::Close(const MigrateSlots& move, const Batch& batch) {
  std::vector<Command> commands;
  for (const Slot slot : batch.slots) commands.push_back(SetSlot(slot, "NODE", move.to.id));
  std::vector<Reply> replies;
  if (auto problem = Send(move.to, commands, replies); !problem.empty()) return problem;
  auto problem = Send(move.from, std::move(commands), replies);
  // It has heard of it already, and of the loss of its last slot (redis#9223).
  return problem.find("Please use SETSLOT only with masters") != std::string::npos ? "" : problem;
}

MoveProgress SlotMover::Move(const MigrateSlots& move, reconciler::MonotonicTime deadline) {
  MoveProgress progress;
  std::vector<Slot> waiting = move.slots.Slots();
  const auto limit = deadline + (deadline - clock_.Now());
  while (!waiting.empty() && clock_.Now() < deadline && progress.error.empty()) {
    Batch batch;
    progress.error = Choose(move.from, waiting, batch);
    if (progress.error.empty()) progress.error = Open(move, batch);
    if (progress.error.empty()) progress.error = MoveKeys(move, batch, limit);
    progress.keys += batch.keys_moved;
    if (!progress.error.empty() || !batch.finished) break;
    progress.error = Close(move, batch);
    if (progress.error.empty()) progress.slots += static_cast<int>(batch.slots.size());
  }
  return progress;
}

}  // namespace slotwright
