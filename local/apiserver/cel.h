// The part of CEL that x-kubernetes-validations of this project's schemas need; everything else is refused when parsed.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "reconciler/base/error.h"
#include "reconciler/kube/types.h"

namespace slotwright::local::apiserver {

struct CelNode;

/// A value type; cheap to copy. Understood: literals of all kinds, lists, maps, == != < <= > >= && || ! ?: in + - * /
/// %, field access, index, has(), size(), int(), string(), double(), startsWith, endsWith, contains, matches, all,
/// exists, exists_one, filter, map, self and oldSelf. Types are checked when evaluated, not when parsed. See
/// https://kubernetes.io/docs/reference/using-api/cel/.
class CelExpression {
 public:
  /// kInvalid with the position and the reason.
  [[nodiscard]] static reconciler::Result<CelExpression> Parse(const std::string& text);

  /// `old_self` may be null unless UsesOldSelf(). kInvalid for what CEL calls an error: a missing key, a type mismatch.
  [[nodiscard]] reconciler::Result<reconciler::Json> Evaluate(const reconciler::Json& self,
                                                              const reconciler::Json* old_self) const;
  [[nodiscard]] bool UsesOldSelf() const;

  /// Calls `visit` with the names of each chain of field accesses that begins at self or oldSelf, for checks against a
  /// schema: {"spec", "masters"}.
  void VisitSelfPaths(const std::function<void(const std::vector<std::string>& path)>& visit) const;

 private:
  std::shared_ptr<const CelNode> root_;
};

/// A regular expression that takes linear time whatever the input is, as RE2 does for a real server.
[[nodiscard]] reconciler::Result<std::function<bool(const std::string&)>> CompilePattern(const std::string& pattern);

}  // namespace slotwright::local::apiserver
