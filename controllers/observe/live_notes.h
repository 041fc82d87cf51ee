// What the operator notes on a pod of the directives that its server took without a restart.
#pragma once

#include <map>
#include <set>
#include <string>

namespace slotwright {

/// annotations::kLiveConfig as a value. Whenever the operator dies, it claims no more than is true.
struct LiveNotes {
  std::map<std::string, std::string> directives;  ///< What the server has.
  std::set<std::string> unknown;                  ///< It has them, or not: they were being set when somebody died.
  std::string run_id;                             ///< Of the process that they were set on; "": the pod was made so.
  std::map<std::string, std::string> refused;     ///< What it was asked to take last, and did not.

  [[nodiscard]] bool Has(const std::string& name, const std::string& value) const;
  /// From now on nobody knows the value of that directive.
  void Doubt(const std::string& name);
};

/// Of what nobody can read nothing is known.
[[nodiscard]] LiveNotes ParseLiveNotes(const std::string& annotation);
/// {"hz":"10","loglevel":null,"@run":"9e3e…","@refused":{"maxmemory-policy":"x"}}
[[nodiscard]] std::string ToString(const LiveNotes& notes);

}  // namespace slotwright
