// Which pods there should be at the moment: those of the specification, and those that a change needs for a while.
#pragma once

#include "controllers/observe/observation.h"
#include "controllers/plan/cluster_view.h"

namespace slotwright {

/// While a master that has neither a replica nor storage runs an older specification its shard should have one pod more
/// than the specification says: its data is nowhere else, so the new pod copies it, takes over, and hands back to the
/// first one's successor. That shard, one at a time; -1 if there is none.
[[nodiscard]] int ShardWithAStandIn(const Observation& observation);

/// Whether there should be a pod with that place now: by the specification, or as a stand-in.
[[nodiscard]] bool IsWanted(const Observation& observation, int shard, int index);

/// Whether its volume is there, and is to stay.
[[nodiscard]] bool HasVolume(const Observation& observation, int shard, int index);

/// Whether there is no such claim, not even one that is being deleted.
[[nodiscard]] bool HasNoClaim(const Observation& observation, int shard, int index);

/// Whether the pod has nothing to start from, and something has kept it from running for a minute (no machine has room
/// for it): it is not to be waited for to know what its shard has, or to serve that again.
[[nodiscard]] bool HasNothingYet(const Observation& observation, const PodView& pod);

/// Whether a pod with that place would be made anew if it were gone, as far as its shard needs it: of a shard that is
/// to go only over the claim that it has.
[[nodiscard]] bool CanBeMadeAnew(const Observation& observation, int shard, int index);

/// Whether the dead node of that place owned slots that nobody serves now, or was the last replica of who did, and its
/// volume is there: it has what perhaps nobody else has. One too many comes back for it, and hands over before it goes.
[[nodiscard]] bool HasUnservedSlots(const Observation& observation, const ClusterView& view, int shard, int index);

/// A pod of ours in such a place, which is not on its way out.
[[nodiscard]] bool IsToBeKept(const Observation& observation, const PodView& pod);

/// Another wanted pod of its shard that Kubernetes does not call ready, for which a disruption budget would spare it;
/// null if there is none.
[[nodiscard]] const PodView* UnreadyBeside(const Observation& observation, const PodView& pod);

/// Whether a replica that has nothing that others need may be ended beside what the others of its shard are: one that
/// is not ready itself must not wait for another one that is not.
[[nodiscard]] bool MayEndBeside(const Observation& observation, const PodView& replica, const NodeView& master);

}  // namespace slotwright
