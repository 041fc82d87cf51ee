// Structural schemas of CustomResourceDefinitions: validation, defaults, pruning. All functions are pure.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "local/apiserver/api_status.h"
#include "local/apiserver/cel.h"

namespace slotwright::local::apiserver {

/// One x-kubernetes-validations entry.
struct ValidationRule {
  std::string text;
  CelExpression rule;
  std::string message;
  std::optional<CelExpression> message_expression;
  std::string reason = "FieldValueInvalid";
  std::string field_path;  ///< ".spec.x", relative to the schema's place; empty: the place itself.
  bool optional_old_self = false;
};

enum class ListType { kAtomic, kSet, kMap };

/// A node of an openAPIV3Schema, immutable once parsed.
struct Schema {
  std::string type;  ///< Empty with int_or_string or preserve_unknown_fields.
  std::string format;
  bool nullable = false;
  bool int_or_string = false;
  bool preserve_unknown_fields = false;
  bool embedded_resource = false;
  bool atomic_map = false;
  std::optional<Json> default_value;
  Json enum_values;  ///< Null: anything.
  std::optional<Json> minimum, maximum, multiple_of;
  bool exclusive_minimum = false, exclusive_maximum = false;
  std::optional<size_t> min_length, max_length, min_items, max_items, min_properties, max_properties;
  std::string pattern;
  std::function<bool(const std::string&)> matches_pattern;
  std::vector<std::string> required;
  std::map<std::string, std::shared_ptr<const Schema>> properties;
  std::shared_ptr<const Schema> additional_properties;
  std::shared_ptr<const Schema> items;
  ListType list_type = ListType::kAtomic;
  std::vector<std::string> list_map_keys;
  std::vector<ValidationRule> rules;
  std::vector<std::shared_ptr<const Schema>> all_of, any_of, one_of;
  std::shared_ptr<const Schema> negated;

  /// The schema of a field, if it has one.
  [[nodiscard]] const Schema* Field(const std::string& name) const;
};

/// Refuses what a real server refuses and, besides, every keyword that it does not understand: no part of a schema is
/// ever ignored silently. `field` is the schema's place in the CustomResourceDefinition.
[[nodiscard]] std::shared_ptr<const Schema> ParseSchema(const Json& schema, const std::string& field, Causes& causes);

/// `old` is the value before an update or null. What did not change is not held against an update (ratcheting).
void ValidateAgainst(const Schema& schema, const Json& value, const Json* old, const std::string& field,
                     Causes& causes);
/// True if there are x-kubernetes-validations anywhere in it.
[[nodiscard]] bool HasRules(const Schema& schema);
/// The x-kubernetes-validations of the schema and all below it. Only for values that ValidateAgainst found right.
void ValidateRules(const Schema& schema, const Json& value, const Json* old, const std::string& field, Causes& causes);

/// Fills in defaults; null for a field that has a default and is not nullable counts as absent.
void ApplyDefaults(const Schema& schema, Json& value);

/// Removes what the schema does not know; returns the removed fields ("spec.mastrs").
std::vector<std::string> Prune(const Schema& schema, Json& object);

/// "spec" and "masters" give "spec.masters"; an empty parent gives the name alone.
[[nodiscard]] std::string ChildField(const std::string& parent, const std::string& name);
/// The identity of an element of a list map: its key fields only, as a JSON object.
[[nodiscard]] Json ListMapKey(const std::vector<std::string>& keys, const Json& element);

}  // namespace slotwright::local::apiserver
