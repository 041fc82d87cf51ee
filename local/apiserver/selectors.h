// Label and field selectors, as kubectl and controllers write them.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "local/apiserver/api_status.h"

namespace slotwright::local::apiserver {

/// "a=b,c!=d,e in (f,g),h notin (i),j,!k". A value type; the empty one matches everything.
class LabelSelector {
 public:
  [[nodiscard]] static ApiResult<LabelSelector> Parse(const std::string& text);
  /// From a metav1.LabelSelector object (matchLabels, matchExpressions).
  [[nodiscard]] static ApiResult<LabelSelector> FromObject(const Json& selector);

  [[nodiscard]] bool Matches(const Json& object) const;
  [[nodiscard]] bool empty() const { return requirements_.empty(); }

 private:
  enum class Operator { kIn, kNotIn, kExists, kDoesNotExist };
  struct Requirement {
    std::string key;
    Operator op;
    std::vector<std::string> values;
  };
  friend class SelectorParser;

  std::vector<Requirement> requirements_;
};

/// "metadata.name=a,status.phase!=Running". Only paths in `supported` are accepted, as each resource of a real server
/// supports its own few.
class FieldSelector {
 public:
  [[nodiscard]] static ApiResult<FieldSelector> Parse(const std::string& text,
                                                      const std::vector<std::string>& supported);

  [[nodiscard]] bool Matches(const Json& object) const;
  [[nodiscard]] bool empty() const { return terms_.empty(); }

 private:
  struct Term {
    std::vector<std::string> path;
    bool equal;
    std::string value;
  };
  std::vector<Term> terms_;
};

}  // namespace slotwright::local::apiserver
