// Which pods there should be at the moment: those of the specification, and those that a change needs for a while.
#pragma once

#include "controllers/observe/observation.h"

namespace slotwright {

/// How many pods `shard` should have now. As many as the specification says, but while a master that has neither a
/// replica nor storage runs an older specification its shard has one more: its data is nowhere else, so the new pod
/// copies it, takes over, and hands back to the first one's successor. One shard at a time. REQUIRES: shard < masters.
[[nodiscard]] int PodsWanted(const Observation& observation, int shard);

/// Whether there should be a pod with that place now.
[[nodiscard]] bool IsWanted(const Observation& observation, int shard, int index);

/// Another wanted pod of its shard that Kubernetes does not call ready, for which a disruption budget would spare it;
/// null if there is none.
[[nodiscard]] const PodView* UnreadyBeside(const Observation& observation, const PodView& pod);

}  // namespace slotwright
