// What runs in a pod around its server.
#pragma once

#include <array>
#include <utility>

namespace slotwright {

/// The files of scripts/, as they were at build time: (name, text).
extern const std::array<std::pair<const char*, const char*>, 6> kScripts;

}  // namespace slotwright
