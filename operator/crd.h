// The CustomResourceDefinition of crds/redisclusters.yaml, built into the program.
#pragma once

#include <string_view>

namespace slotwright {

extern const std::string_view kCrdYaml;

}  // namespace slotwright
