// The JSONPath of printer columns and scale paths: fields, indexes, wildcards and equality filters.
#pragma once

#include <string>
#include <vector>

#include "reconciler/base/error.h"
#include "reconciler/kube/types.h"

namespace slotwright::local::apiserver {

/// ".status.conditions[?(@.type==\"Ready\")].status", ".metadata.labels['a\.b']", ".spec.ports[0].port", ".items[*].x".
class JsonPath {
 public:
  /// kInvalid for what is not understood.
  [[nodiscard]] static reconciler::Result<JsonPath> Parse(const std::string& text);

  /// The values found, in order; none where a field is missing.
  [[nodiscard]] std::vector<const reconciler::Json*> Find(const reconciler::Json& object) const;

 private:
  enum class StepKind { kField, kIndex, kWildcard, kFilter };
  struct Step {
    StepKind kind;
    std::string name;                 ///< Of kField.
    int index = 0;                    ///< Of kIndex; negative counts from the end.
    std::vector<std::string> filter;  ///< Of kFilter: the path below @.
    bool equal = true;                ///< Of kFilter: == or !=; without a value, existence.
    reconciler::Json value;           ///< Of kFilter.
    bool has_value = false;
  };
  friend class JsonPathParser;

  static void Apply(const Step& step, const reconciler::Json& value, std::vector<const reconciler::Json*>& found);

  std::vector<Step> steps_;
};

}  // namespace slotwright::local::apiserver
