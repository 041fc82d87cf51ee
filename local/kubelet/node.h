// The Node object of this machine, and which pods it takes.
#pragma once

#include <string>

#include "reconciler/base/clock.h"
#include "reconciler/kube/types.h"

namespace slotwright::local {

inline constexpr const char* kHostIp = "127.0.0.1";

/// Labels, capacity as the machine has it, and Ready=True since `now`.
[[nodiscard]] reconciler::Json NodeObject(const std::string& name, const std::string& pod_cidr,
                                          reconciler::WallTime now);

/// Why a scheduler would not place `pod` on a node with these labels: nodeSelector and required node affinity. Empty:
/// it fits.
[[nodiscard]] std::string WhyNotOn(const reconciler::Json& node, const reconciler::Json& pod);

}  // namespace slotwright::local
