// How slots are moved: by the servers themselves or key by key, as the specification and both ends allow.
#pragma once

#include "controllers/act/atomic_migration.h"

namespace slotwright {

/// One slice, of that time from its first slot on. Auto: the servers' own way where both ends know the same one.
/// Atomic: that or nothing. Keys: SlotMover.
[[nodiscard]] MoveProgress Migrate(const AtomicLink& link, const MigrateSlots& move, reconciler::Duration slice);

}  // namespace slotwright
