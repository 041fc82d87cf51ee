// See slot_mover.h.
#include "controllers/act/slot_mover.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <map>
#include <string_view>

#include "controllers/topology/text.h"

namespace slotwright {

namespace {

constexpr size_t kSlotsOfABatch = 256;
constexpr std::int64_t kMostKeysOfARound = 20'000;
constexpr std::int64_t kNewKeys = 16;
// A target is now and then away for a moment, as when it forks.
constexpr std::chrono::milliseconds kLeastTimeout{100};
// Of the node timeouts that count here. A longer one may not have reached the servers yet, and clients wait as well.
constexpr std::chrono::milliseconds kShortest{500};
constexpr std::chrono::milliseconds kLongest{5000};
constexpr std::chrono::milliseconds kPatience{5000};
constexpr std::chrono::milliseconds kSlow{3000};  // of a target that may still be busy with a large key
constexpr std::int64_t kLarge = 16 << 20;         // a smaller key is not what took so long
// As many as the commander keeps open.
constexpr size_t kMostLanes = 4;
constexpr size_t kCommandsOfALane = 2;
// Who gets a slot tells every node at once, and its clients wait for that: with 256 slots in one pipeline 15 ms in a
// cluster of 6 nodes and 150 to 240 ms in one of 60 (measured, Redis 7.0.15). So many of these messages take 10 ms.
constexpr size_t kMessagesAtOnce = 800;

Command SetSlot(Slot slot, const char* state, const NodeId& node) {
  return {"CLUSTER", "SETSLOT", std::to_string(slot), state, node.ToString()};
}

Command Migrate(const NodeRef& to, const std::string& password, const std::vector<Reply>& keys,
                std::chrono::milliseconds timeout) {
  // REPLACE: while the source owns the slot it serves what it still has, so a copy at the target is from an earlier
  // try.
  Command command = {
      "MIGRATE", to.endpoint.host, std::to_string(to.endpoint.port), "", "0", std::to_string(timeout.count()),
      "REPLACE"};
  if (!password.empty()) command.insert(command.end(), {"AUTH", password});
  command.emplace_back("KEYS");
  for (const Reply& key : keys) command.push_back(key.text);
  return command;
}

// The keys of MIGRATEs that failed on the way, or of which nothing was heard.
std::vector<std::string> DoubtfulKeys(const std::map<Slot, std::vector<Reply>>& sent,
                                      const std::vector<Reply>& replies) {
  std::vector<std::string> keys;
  size_t i = 0;
  for (const auto& [slot, names] : sent) {
    const bool failed = i >= replies.size() || replies[i].text.starts_with("IOERR");
    ++i;
    if (!failed) continue;
    for (const Reply& name : names) keys.push_back(name.text);
  }
  return keys;
}

// Of CLIENT LIST: "id=7 addr=10.0.0.1:4321 … cmd=restore-asking …".
bool IsMigrate(std::string_view client, const std::string& source) {
  constexpr auto kLastCommands = std::to_array<std::string_view>({"NULL", "auth", "select", "restore-asking"});
  const auto value_of = [&](std::string_view name) {
    const size_t at = client.find(name);
    if (at == std::string_view::npos) return std::string_view();
    const auto value = client.substr(at + name.size());
    return value.substr(0, value.find(' '));
  };
  const auto address = value_of(" addr=");
  return client.starts_with("id=") && address.substr(0, address.rfind(':')) == source &&
         std::ranges::find(kLastCommands, value_of(" cmd=")) != kLastCommands.end();
}

// What a node did not do: it gave no answer, or an error; empty if all is fine.
std::string ProblemOf(const NodeRef& node, const NodeResult& result) {
  if (!result) return fmt::format("{}: {}", node.pod, result.error().message);
  const auto failed = std::ranges::find_if(*result, &Reply::IsError);
  if (failed == result->end()) return "";
  const bool is_full = failed->text.find("OOM command not allowed") != std::string::npos;
  return fmt::format(
      "{}: {}{}", node.pod, failed->text,
      is_full ? "; who is to take the keys is full: raise spec.config.maxmemory, which takes no restart" : "");
}

}  // namespace

struct SlotMover::Batch {
  std::vector<Slot> slots;
  std::map<Slot, std::int64_t> keys;  // of each slot, as counted before it was opened
  bool finished = false;              // the source has no keys of them any more
};

SlotMover::SlotMover(Commander& commander, reconciler::Clock& clock, std::string password, EffectHook after_effect,
                     std::chrono::milliseconds node_timeout)
    : commander_(commander),
      clock_(clock),
      password_(std::move(password)),
      after_effect_(std::move(after_effect)),
      node_timeout_(std::clamp(node_timeout, kShortest, kLongest)) {}

// The source stands still for as long as MIGRATE waits for a target that hangs, and for as many as it has read already,
// one after the other. All together they must end before others take the source for dead.
std::chrono::milliseconds SlotMover::TimeoutOf(size_t migrations) const {
  return std::clamp(node_timeout_ * 4 / 5 / static_cast<std::int64_t>(migrations), kLeastTimeout,
                    node_timeout_ * 2 / 5);
}

std::string SlotMover::Send(const NodeRef& node, std::vector<Command> commands, std::vector<Reply>& replies,
                            std::chrono::milliseconds patience) {
  const auto results = commander_.Run({{node.endpoint, password_, std::move(commands), node.id}}, patience);
  if (after_effect_) after_effect_();
  if (results[0]) replies = *results[0];
  return ProblemOf(node, results[0]);
}

// Valkey 8 and newer answer SETSLOT only once their replicas have it, and on one connection one after the other. On
// four that is eight times as fast; elsewhere it makes no difference. Each slot is named once, so their order is free.
std::string SlotMover::SetSlots(const NodeRef& node, const std::vector<Command>& commands) {
  const size_t lanes = std::clamp<size_t>(commands.size() / kCommandsOfALane, 1, kMostLanes);
  std::vector<NodeRequest> requests(lanes, {node.endpoint, password_, {}, node.id});
  for (size_t i = 0; i < commands.size(); ++i) requests[i % lanes].commands.push_back(commands[i]);
  const auto results = commander_.Run(requests, kPatience);
  if (after_effect_) after_effect_();
  for (const auto& result : results) {
    if (auto problem = ProblemOf(node, result); !problem.empty()) return problem;
  }
  return "";
}

// As many slots as one round of keys has room for, at least one. Counts are only estimates of the work: they may be
// old.
std::string SlotMover::Choose(const NodeRef& source, std::vector<Slot>& waiting, Batch& batch) {
  if (!waiting.empty() && !counts_.contains(waiting.front())) {
    const size_t candidates = std::min(waiting.size(), kSlotsOfABatch);
    std::vector<Command> commands;
    for (size_t i = 0; i < candidates; ++i) {
      commands.push_back({"CLUSTER", "COUNTKEYSINSLOT", std::to_string(waiting[i])});
    }
    std::vector<Reply> replies;
    if (auto problem = Send(source, std::move(commands), replies); !problem.empty()) return problem;
    for (size_t i = 0; i < candidates; ++i) counts_[waiting[i]] = replies[i].integer;
  }
  std::int64_t keys = 0;
  while (batch.slots.size() < waiting.size()) {
    const Slot slot = waiting[batch.slots.size()];
    const auto counted = counts_.find(slot);
    if (counted == counts_.end()) break;
    keys += counted->second;
    if (keys > round_keys_ && !batch.slots.empty()) break;
    batch.slots.push_back(slot);
    batch.keys[slot] = counted->second;
  }
  waiting.erase(waiting.begin(), waiting.begin() + static_cast<std::ptrdiff_t>(batch.slots.size()));
  return "";
}

// Whether what looked empty is so at its owner, and still is. A master that was replaced since it opened the slots (it
// is drained, a person sends CLUSTER FAILOVER) is empty of what clients wrote to its successor. One that was cut off
// from the others may not know of that; they call it failed before they elect anybody, and so does the target.
std::string SlotMover::WhyNotToGive(const MigrateSlots& move, std::span<const Slot> slots) {
  std::vector<Command> questions = {{"CLUSTER", "NODES"}};
  for (const Slot slot : slots) questions.push_back({"CLUSTER", "COUNTKEYSINSLOT", std::to_string(slot)});
  const auto results = commander_.Run({{move.from.endpoint, password_, std::move(questions), move.from.id},
                                       {move.to.endpoint, password_, {{"CLUSTER", "NODES"}}, move.to.id}},
                                      kPatience);
  if (after_effect_) after_effect_();
  for (const auto& [node, result] : {std::pair(&move.from, &results[0]), std::pair(&move.to, &results[1])}) {
    if (auto problem = ProblemOf(*node, *result); !problem.empty()) return problem;
  }
  const auto own = ParseClusterNodes(results[0]->front().text);
  const auto others = ParseClusterNodes(results[1]->front().text);
  if (!own || !others) return fmt::format("CLUSTER NODES makes no sense: {}", own ? others.error() : own.error());
  nodes_ = own->lines.size();
  const NodeLine* known = others->Find(move.from.id);
  if (!own->myself().flags.master || known == nullptr || !known->flags.master || known->flags.fail) {
    return fmt::format("{} is no master any more", move.from.pod);
  }
  SlotSet given;
  for (const auto& open : own->myself().open_slots) {
    if (open.direction == OpenSlot::Direction::kMigrating && open.peer == move.to.id) given.Add(open.slot);
  }
  for (size_t i = 0; i < slots.size(); ++i) {
    const Slot slot = slots[i];
    if (!own->myself().slots.Contains(slot) || !given.Contains(slot)) {
      return fmt::format("{} does not give slot {} to {} any more", move.from.pod, slot, move.to.pod);
    }
    if (results[0]->at(i + 1).integer > 0) return fmt::format("{} has keys of slot {} again", move.from.pod, slot);
  }
  return "";
}

// Gives the slots of a finished batch to the target and opens those of the next one, with as few exchanges as can be:
// the target is busy with other sources too.
//
// The target first, both times: it takes a higher epoch and tells everybody; if the source gave up first and the target
// died, the slot would belong to nobody (redis#7116). And from MIGRATING on the source sends clients there.
std::string SlotMover::Turn(const MigrateSlots& move, const Batch& finished, const Batch& next) {
  std::vector<Command> target;
  std::span<const Slot> left = finished.slots;
  while (!left.empty()) {
    if (!target.empty()) {
      if (auto problem = SetSlots(move.to, target); !problem.empty()) return problem;
      target.clear();
    }
    const auto portion = left.first(std::clamp<size_t>(kMessagesAtOnce / nodes_, 1, left.size()));
    if (auto problem = WhyNotToGive(move, portion); !problem.empty()) return problem;
    for (const Slot slot : portion) target.push_back(SetSlot(slot, "NODE", move.to.id));
    left = left.subspan(portion.size());
  }
  std::vector<Command> source;
  for (const Slot slot : finished.slots) source.push_back(SetSlot(slot, "NODE", move.to.id));
  for (const Slot slot : next.slots) {
    target.push_back(SetSlot(slot, "IMPORTING", move.from.id));
    source.push_back(SetSlot(slot, "MIGRATING", move.to.id));
  }
  if (target.empty()) return "";
  if (auto problem = SetSlots(move.to, target); !problem.empty()) return problem;
  auto problem = SetSlots(move.from, source);
  // It has heard of the loss of its last slot already (redis#9223), and no other one is to be opened.
  const bool has_left = next.slots.empty() && problem.find("Please use SETSLOT only with masters") != std::string::npos;
  return has_left ? "" : problem;
}

// A round is what clients of the source wait for. It begins with one key, which may be a large one, and grows fast. One
// with few keys says nothing about how many more there could be.
void SlotMover::Adapt(std::int64_t keys, reconciler::Duration took) {
  const double factor =
      std::chrono::duration<double>(kRoundTime) / std::max<reconciler::Duration>(took, std::chrono::microseconds(1));
  if (factor > 1 && keys < round_keys_ / 2) return;
  const double wanted = static_cast<double>(keys) * std::clamp(factor, 0.25, 4.0);
  round_keys_ = std::clamp(static_cast<std::int64_t>(wanted), std::int64_t{1}, kMostKeysOfARound);
}

// A MIGRATE of which the source has despaired may be on its way still: what the network lost is sent again seconds
// later, and would put an old value over what clients have written to the target by then. So its connections are ended
// there, known by the source's address and by what they did last; a person's at the source are not among them.
std::string SlotMover::EndMigrates(const MigrateSlots& move) {
  std::vector<Reply> replies;
  if (auto problem = Send(move.to, {{"CLIENT", "LIST", "TYPE", "normal"}}, replies, kSlow); !problem.empty())
    return problem;
  std::vector<Command> kills;
  for (const auto line : text::Split(replies.front().text, '\n')) {
    if (IsMigrate(line, move.from.endpoint.host)) {
      kills.push_back({"CLIENT", "KILL", "ID", std::string(line.substr(3, line.find(' ') - 3))});
    }
  }
  return kills.empty() ? "" : Send(move.to, std::move(kills), replies, kSlow);
}

// Slots that are open already were left so by an error, or by an operator that died: perhaps in the middle of a
// MIGRATE.
std::string SlotMover::EndWhatWasLeft(const MigrateSlots& move) {
  std::vector<Reply> replies;
  if (auto problem = Send(move.to, {{"CLUSTER", "NODES"}}, replies); !problem.empty()) return problem;
  const auto table = ParseClusterNodes(replies.front().text);
  if (!table) return table.error();
  const bool goes_on = std::ranges::any_of(table->myself().open_slots,
                                           [&](const OpenSlot& open) { return move.slots.Contains(open.slot); });
  return goes_on ? EndMigrates(move) : "";
}

// A target that was too slow may have taken a key after all, when nobody waited for it any more. That copy does no harm
// while the source has the key, but clients that delete it there would find it at the target. So it is dropped, while
// the source holds back writes: else a client might delete the key and write it anew, at the target, between our
// question and what we do. Twice, as the target may not have come to it yet the first time.
std::optional<std::vector<std::string>> SlotMover::DropCopies(const MigrateSlots& move, std::vector<std::string> keys) {
  constexpr std::chrono::milliseconds kBetween{100};
  constexpr std::chrono::milliseconds kQuick{500};
  const auto resume = [&] {
    std::vector<Reply> ignored;
    (void)Send(move.from, {{"CLIENT", "UNPAUSE"}}, ignored, kQuick);
  };
  std::vector<Reply> replies;
  for (int round = 0; round < 2 && !keys.empty(); ++round) {
    clock_.SleepFor(kBetween, {});
    if (!EndMigrates(move).empty()) return std::nullopt;
    std::vector<Command> questions = {{"CLIENT", "PAUSE", "5000", "WRITE"}};  // longer than what follows
    for (const auto& key : keys) questions.push_back({"EXISTS", key});
    const auto start = clock_.Now();
    replies.clear();
    (void)Send(move.from, std::move(questions), replies, kQuick);  // of keys that it has not it says ASK
    if (replies.empty() || replies[0].IsError()) {
      resume();  // it may be late with what we asked
      return std::nullopt;
    }
    // That it has not the key it says by ASK, or by 0 where the slot is open no more.
    const bool all_known = replies.size() == keys.size() + 1 && std::ranges::none_of(replies, [](const Reply& reply) {
                             return reply.IsError() && !reply.text.starts_with("ASK");
                           });
    if (!all_known) {
      resume();
      return std::nullopt;
    }
    std::vector<std::string> left;
    std::vector<Command> drops;
    for (size_t i = 1; i < replies.size(); ++i) {
      if (replies[i].integer != 1) continue;
      drops.push_back({"ASKING"});
      drops.push_back({"UNLINK", keys[i - 1]});
      left.push_back(std::move(keys[i - 1]));
    }
    // A drop that comes late could meet the key that was moved after all: its answer is waited for.
    const bool in_time = clock_.Now() - start < 2 * kQuick;
    const bool dropped = drops.empty() || (in_time && Send(move.to, std::move(drops), replies, kSlow).empty());
    resume();
    if (!dropped) return std::nullopt;
    keys = std::move(left);
  }
  return keys;
}

std::string SlotMover::DescribeLargest(const MigrateSlots& move, const std::vector<std::string>& keys) {
  std::vector<Command> questions;
  for (const auto& key : keys) questions.push_back({"MEMORY", "USAGE", key});
  std::vector<Reply> sizes;
  if (!keys.empty()) (void)Send(move.from, std::move(questions), sizes);  // a key may have gone meanwhile
  const auto largest = std::ranges::max_element(sizes, {}, &Reply::integer);
  if (largest == sizes.end() || largest->integer < kLarge) return "";
  const std::string& key = keys[static_cast<size_t>(largest - sizes.begin())];
  std::string name = key.substr(0, 100);
  std::ranges::replace_if(name, [](unsigned char c) { return std::isprint(c) == 0; }, '?');
  return fmt::format(
      "the key \"{}\" of slot {} ({} MB) cannot be moved to {} within {} ms, and clients of {} wait while that is "
      "tried; split it or delete it",
      name, KeySlot(key), largest->integer >> 20, move.to.pod, TimeoutOf(1).count(), move.from.pod);
}

std::string SlotMover::MoveKeys(const MigrateSlots& move, Batch& batch, reconciler::MonotonicTime limit,
                                MoveProgress& progress) {
  // All of them, whatever was counted before: only from MIGRATING on can the source get no new keys.
  std::vector<Slot> open = batch.slots;
  // Keys that a look found, to be moved by one of the next rounds; after each MIGRATE the slot is looked at again.
  std::map<Slot, std::vector<Reply>> found;
  while (!open.empty()) {
    if (clock_.Now() >= limit) return "";
    std::map<Slot, std::vector<Reply>> sent;
    while (!found.empty() && sent.size() < most_at_once_) sent.insert(found.extract(found.begin()));
    std::vector<Command> commands;
    std::int64_t keys = 0;
    for (const auto& [slot, names] : sent) {
      commands.push_back(Migrate(move.to, password_, names, TimeoutOf(sent.size())));
      keys += static_cast<std::int64_t>(names.size());
    }
    std::erase_if(open, [&](Slot slot) { return found.contains(slot); });
    for (const Slot slot : open) {
      // What was counted and a few that have come since; a slot that is more than a round by itself takes several.
      const auto most = std::min(batch.keys[slot] + kNewKeys, round_keys_);
      commands.push_back({"CLUSTER", "GETKEYSINSLOT", std::to_string(slot), std::to_string(most)});
    }
    std::vector<Reply> replies;
    const auto start = clock_.Now();
    auto problem = Send(move.from, std::move(commands), replies);
    const auto took = clock_.Now() - start;
    if (!problem.empty()) {
      const auto left = DropCopies(move, DoubtfulKeys(sent, replies));
      const bool was_slow = problem.find("IOERR") != std::string::npos && left;
      if (was_slow && sent.size() > 1) {
        // One by one they may take longer, and the slice as well: else the next one would begin like this one.
        most_at_once_ = 1;
        limit = std::max(limit, clock_.Now() + TimeoutOf(1));
        found.clear();
        open = batch.slots;
        continue;
      }
      if (auto large = was_slow ? DescribeLargest(move, *left) : ""; !large.empty()) {
        progress.too_large = true;
        return large;
      }
      return problem;
    }
    if (keys > 0) Adapt(keys, took);
    // Each gets less time then.
    if (sent.size() == most_at_once_ && took < TimeoutOf(2 * most_at_once_)) {
      most_at_once_ = std::min<size_t>(2 * most_at_once_, static_cast<size_t>(node_timeout_ * 4 / 5 / kLeastTimeout));
    }
    progress.keys += keys;
    for (size_t i = 0; i < open.size(); ++i) {
      auto& look = replies[sent.size() + i];
      if (!look.elements.empty()) found[open[i]] = std::move(look.elements);
    }
    open.clear();
    for (const auto& [slot, names] : found) open.push_back(slot);
  }
  batch.finished = true;
  return "";
}

MoveProgress SlotMover::Move(const MigrateSlots& move, reconciler::MonotonicTime deadline) {
  MoveProgress progress;
  if (progress.error = EndWhatWasLeft(move); !progress.error.empty()) return progress;
  std::vector<Slot> waiting = move.slots.Slots();
  const auto limit = deadline + (deadline - clock_.Now());
  Batch batch;
  while (true) {
    Batch next;
    if (clock_.Now() < deadline) progress.error = Choose(move.from, waiting, next);
    if (progress.error.empty()) progress.error = Turn(move, batch, next);
    if (!progress.error.empty()) return progress;
    progress.slots += static_cast<int>(batch.slots.size());
    if (next.slots.empty()) return progress;
    batch = std::move(next);
    progress.error = MoveKeys(move, batch, limit, progress);
    if (!progress.error.empty() || !batch.finished) return progress;
  }
}

}  // namespace slotwright
