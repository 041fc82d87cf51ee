// See atomic_migration.h.
#include "controllers/act/atomic_migration.h"

#include <fmt/format.h>

#include <algorithm>

#include "controllers/topology/text.h"

namespace slotwright {

namespace {

constexpr std::chrono::milliseconds kAnswerWithin{2000};

std::string Silent(const NodeRef& node, const RedisError& error) {
  return fmt::format("{}: {}", node.pod, error.message);
}

// One element for each name that was asked for, nil for an unknown one.
bool Knows(const Reply& infos, size_t index) {
  return infos.elements.size() > index && !infos.elements[index].elements.empty();
}

}  // namespace

std::expected<Reply, std::string> AtomicLink::Ask(const NodeRef& node, Command command) const {
  auto result = commander.Run({{node.endpoint, password, {std::move(command)}, node.id}}, kAnswerWithin)[0];
  if (!result) return std::unexpected(Silent(node, result.error()));
  return std::move(result->front());
}

std::expected<std::array<Reply, 2>, std::string> AtomicLink::AskBoth(const MigrateSlots& move,
                                                                     const Command& command) const {
  auto results = commander.Run(
      {{move.from.endpoint, password, {command}, move.from.id}, {move.to.endpoint, password, {command}, move.to.id}},
      kAnswerWithin);
  if (!results[0]) return std::unexpected(Silent(move.from, results[0].error()));
  if (!results[1]) return std::unexpected(Silent(move.to, results[1].error()));
  return std::array{std::move(results[0]->front()), std::move(results[1]->front())};
}

std::expected<Reply, std::string> AtomicLink::Tell(const NodeRef& node, Command command) const {
  auto reply = Ask(node, std::move(command));
  if (after_effect) after_effect();
  return reply;
}

std::expected<AtomicDialect, std::string> DialectOf(const AtomicLink& link, const MigrateSlots& move) {
  const auto known = link.AskBoth(move, {"COMMAND", "INFO", "cluster|migrateslots", "cluster|migration"});
  if (!known) return std::unexpected(known.error());
  const auto both_know = [&](size_t index) {
    return std::ranges::all_of(*known, [&](const Reply& infos) { return Knows(infos, index); });
  };
  if (both_know(0)) return AtomicDialect::kMigrateSlots;
  if (both_know(1)) return AtomicDialect::kImport;
  return AtomicDialect::kNone;
}

std::int64_t CountKeys(const AtomicLink& link, const NodeRef& node, const SlotSet& slots) {
  NodeRequest request{node.endpoint, link.password, {}, node.id};
  for (const Slot slot : slots.Slots())
    request.commands.push_back({"CLUSTER", "COUNTKEYSINSLOT", std::to_string(slot)});
  if (request.commands.empty()) return 0;
  const auto counted = link.commander.Run({std::move(request)}, kAnswerWithin)[0];
  std::int64_t keys = 0;
  if (counted) {
    for (const Reply& count : *counted) keys += count.integer;
  }
  return keys;
}

std::optional<SlotSet> ParseSlotRanges(std::string_view ranges) {
  SlotSet slots;
  for (const auto range : text::Split(ranges, ' ')) {
    const auto first = text::ParseInteger<int>(text::NextField(range, '-'));
    const auto last = text::ParseInteger<int>(range.substr(std::min(range.find('-') + 1, range.size())));
    if (!first || !last || *first < 0 || *first > *last || *last >= kSlotCount) return std::nullopt;
    slots.Add(SlotRange{static_cast<Slot>(*first), static_cast<Slot>(*last)});
  }
  return slots;
}

const Reply& FieldOf(const Reply& map, std::string_view name) {
  static const Reply kNil;
  for (size_t i = 0; i + 1 < map.elements.size(); i += 2) {
    if (map.elements[i].text == name) return map.elements[i + 1];
  }
  return kNil;
}

}  // namespace slotwright
