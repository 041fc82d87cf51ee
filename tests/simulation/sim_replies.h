// What simulated nodes answer with.
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "controllers/redis/commander.h"
#include "controllers/topology/slots.h"
#include "controllers/topology/text.h"

namespace slotwright::simulation {

inline Reply Ok() { return {.type = Reply::Type::kStatus, .text = "OK"}; }
inline Reply Error(std::string text) { return {.type = Reply::Type::kError, .text = std::move(text)}; }
inline Reply Text(std::string text) { return {.type = Reply::Type::kString, .text = std::move(text)}; }
inline Reply Number(std::int64_t number) { return {.type = Reply::Type::kInteger, .integer = number}; }

inline std::optional<Slot> SlotFrom(const std::string& text) {
  const auto slot = text::ParseInteger<int>(text);
  return slot && *slot >= 0 && *slot < kSlotCount ? std::optional(static_cast<Slot>(*slot)) : std::nullopt;
}

inline Reply BadSlot() { return Error("ERR Invalid or out of range slot"); }

}  // namespace slotwright::simulation
