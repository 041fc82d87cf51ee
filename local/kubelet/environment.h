// The environment variables of a container, from its specification and what that refers to.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "local/kubelet/expansion.h"
#include "local/kubelet/pod_facts.h"

namespace slotwright::local {

/// Variables in the order in which they were defined, each name once.
class Environment {
 public:
  void Set(const std::string& name, std::string value);
  [[nodiscard]] std::optional<std::string> Get(std::string_view name) const;
  [[nodiscard]] VariableLookup Lookup() const;
  [[nodiscard]] const std::vector<std::pair<std::string, std::string>>& variables() const { return variables_; }

 private:
  std::vector<std::pair<std::string, std::string>> variables_;
};

/// envFrom first, then env in its order; later definitions win. A value may use variables defined before it. kNotFound,
/// in the kubelet's words, when a ConfigMap, Secret or key is missing and not optional; kInvalid for what this kubelet
/// does not know. Keys of envFrom that cannot be names are left out.
[[nodiscard]] reconciler::Result<Environment> EnvironmentOf(const reconciler::Json& container, const PodFacts& facts);

}  // namespace slotwright::local
