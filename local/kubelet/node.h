// The Node object of this machine.
#pragma once

#include <string>

#include "reconciler/base/clock.h"
#include "reconciler/kube/types.h"

namespace slotwright::local {

inline constexpr const char* kHostIp = "127.0.0.1";

/// Labels, capacity as the machine has it, and Ready=True since `now`.
[[nodiscard]] reconciler::Json NodeObject(const std::string& name, const std::string& pod_cidr,
                                          reconciler::WallTime now);

}  // namespace slotwright::local
