// The syntax tree between the CEL parser and the CEL evaluator.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "reconciler/kube/types.h"

namespace slotwright::local::apiserver {

enum class CelKind {
  kLiteral,    ///< value
  kVariable,   ///< name
  kSelect,     ///< children[0].name
  kIndex,      ///< children[0][children[1]]
  kHas,        ///< has(children[0]), which is a kSelect
  kUnary,      ///< name is "!" or "-"
  kBinary,     ///< name is the operator
  kCondition,  ///< children[0] ? children[1] : children[2]
  kList,       ///< children
  kMap,        ///< key, value, key, value, …
  kCall,       ///< name(children…); of a method, children[0] is the receiver
  kMacro,      ///< children[0].name(variable, children[1][, children[2]])
};

struct CelNode {
  CelKind kind = CelKind::kLiteral;
  std::string name;
  std::string variable;
  reconciler::Json value;
  std::function<bool(const std::string&)> pattern;  ///< Of matches() with a literal.
  std::vector<std::shared_ptr<const CelNode>> children;
};

}  // namespace slotwright::local::apiserver
