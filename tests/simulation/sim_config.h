// What a simulated server has been configured with, and what it does not take.
#pragma once

#include <map>
#include <string>

#include "reconciler/kube/types.h"

namespace slotwright::simulation {

using Directives = std::map<std::string, std::string>;

/// No server takes this as a maxmemory-policy, or as its number of databases.
inline constexpr const char* kRefusedValue = "nonsense";

/// Why a server does not take them, in its words; "" if it does.
[[nodiscard]] std::string RefusalOf(const Directives& directives);

/// Those among the arguments of a pod's container ("--databases 20").
[[nodiscard]] Directives DirectivesAmong(const reconciler::Json& arguments);

}  // namespace slotwright::simulation
