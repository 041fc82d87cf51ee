// The cells of built-in resources, worded as k8s.io/kubernetes/pkg/printers/internalversion does it.
#pragma once

#include <string>

#include "local/apiserver/resource.h"
#include "reconciler/base/clock.h"

namespace slotwright::local::apiserver {

[[nodiscard]] Json BuiltinCells(const Resource& resource, const Json& object, reconciler::WallTime now);
/// The age that an RFC 3339 time has, or "<unknown>".
[[nodiscard]] std::string AgeSince(const std::string& time, reconciler::WallTime now);

}  // namespace slotwright::local::apiserver
