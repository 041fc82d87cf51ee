// How soon to look again, and how a step says that it waits or refuses.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "controllers/observe/observation.h"
#include "controllers/plan/plan.h"

namespace slotwright {

/// When all is well: Redis tells nobody when something breaks, so we ask.
inline constexpr std::chrono::milliseconds kHealthPoll{5000};

// status.operation.step is the `reason` of the plan that was reported last ("MajorityLost"), not the name of its `step`
// ("takeover"), and status.operation.reason is its `message`.

/// For how long the status has named the same step; zero where nothing is under way.
[[nodiscard]] std::chrono::milliseconds TimeInStep(const Observation& observation);

/// Polls Redis quickly while something is under way, and less often the longer it has been waiting for the same: each
/// fiftieth of that time, at least 20 ms, at most 2 s. A wait becomes longer by 2 % at most, and a hundred nodes are
/// not asked a thousand times for what takes them 20 s.
[[nodiscard]] std::chrono::milliseconds PollInterval(const Observation& observation);

/// Nothing to do but wait for Redis.
[[nodiscard]] Plan WaitForRedis(const Observation& observation, std::string step, std::string reason,
                                std::string message);
/// Plans of the same reason have been reported for that long; after three seconds it is no moment between two answers.
[[nodiscard]] bool HasLasted(const Observation& observation, const std::string& plan_reason,
                             std::chrono::milliseconds time = std::chrono::seconds(3));
/// The same has been waited for with the same words for that long, so nothing moves. The plan that waits says so with
/// `until_it_stands`.
[[nodiscard]] bool Stands(const Observation& observation, const Plan& waiting, std::chrono::milliseconds time);
/// Nothing to do until Kubernetes calls that pod ready; the pod watch wakes us.
[[nodiscard]] Plan WaitForReadiness(std::string step, std::string reason, const PodView& pod);
/// Until that node's append-only files are rewritten: then what it has survives it. Nothing if it rewrites none, or has
/// not come to an end with that for ten minutes: what is to be done may be what helps it.
[[nodiscard]] std::optional<Plan> WaitForAppendOnlyFiles(const Observation& observation, std::string step,
                                                         std::string reason, const NodeView& node);
/// Why the pod does not run, and where its server has said more.
[[nodiscard]] std::string DescribeTrouble(const PodView& pod);
/// Something that only a person, or another program, can put right.
[[nodiscard]] Plan Refuse(std::string step, const std::string& reason, const std::string& message);
/// Whether slots whose data is gone may be served again, empty: by policy, or while nobody was told yet that the
/// cluster is ready, unless it was made over volumes that were there before.
[[nodiscard]] bool MayServeEmpty(const Observation& observation);
/// Refuses to go on silently about slots whose data is gone.
[[nodiscard]] Plan RefuseLostData(std::string step, const SlotSet& lost);
/// Actions to carry out now; then look again at once.
[[nodiscard]] Plan Do(std::string step, std::string reason, std::string message, std::vector<Action> actions);
/// Actions whose effect takes its time, or that may have to be repeated: then look again after PollInterval.
[[nodiscard]] Plan DoAndPoll(const Observation& observation, std::string step, std::string reason, std::string message,
                             std::vector<Action> actions);

[[nodiscard]] NodeRef RefTo(const NodeView& node);

}  // namespace slotwright
