// Files of Kubernetes objects, as kubectl apply -f takes them.
#pragma once

#include <string>
#include <vector>

#include "reconciler/base/error.h"
#include "reconciler/kube/types.h"

namespace slotwright {

/// The objects of a YAML file, one or more: each has apiVersion and kind as texts and metadata as a map. Errors name
/// the file and which of its documents is at fault.
[[nodiscard]] reconciler::Result<std::vector<reconciler::Json>> ReadManifest(const std::string& path);

}  // namespace slotwright
