// What became of one action.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "reconciler/base/clock.h"
#include "reconciler/kube/types.h"

namespace slotwright {

/// What one slice of a migration did.
struct MoveProgress {
  int slots = 0;          ///< Wholly moved.
  std::int64_t keys = 0;  ///< Moved, also of slots that are not finished.
  /// What that took, if it began before this slice: a server's own job tells nothing until it is done.
  reconciler::Duration took{0};
  std::string error;       ///< Empty: as far as the time allowed.
  bool too_large = false;  ///< That is so because of a key that takes too long; it is named.
};

struct Outcome {
  std::string action;  ///< ToString of the action.
  std::string error;   ///< Empty: done, or found done.
  /// Why trying again will not help: "NameTaken", an object that we need is somebody else's; "PodRefused", the API
  /// server takes no pod that is as the specification says. Else empty.
  std::string refusal;
  MoveProgress moved;  ///< Of MigrateSlots.
  /// Of EnsureObject, for an object that existed, and of RecordFormed: what the API server has now.
  std::optional<reconciler::Json> written;
};

}  // namespace slotwright
