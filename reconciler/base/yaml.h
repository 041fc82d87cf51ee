// YAML documents as JSON values, with the scalar rules of kubectl.
#pragma once

#include <string>
#include <vector>

#include "reconciler/base/error.h"
#include "reconciler/kube/types.h"

namespace reconciler {

/// All documents of a text, empty ones left out. JSON is YAML too. kInvalid names line and column. Plain scalars become
/// null, booleans (yes/no/on/off included, as kubectl reads them), integers and floats where they look like it.
[[nodiscard]] Result<std::vector<Json>> ParseYaml(const std::string& text);

/// ParseYaml of a file; its name is part of every error.
[[nodiscard]] Result<std::vector<Json>> ReadYamlFile(const std::string& path);

}  // namespace reconciler
