// Defaults and pruning (apiextensions-apiserver/pkg/apiserver/schema/{defaulting,pruning}).
#include <fmt/format.h>

#include "local/apiserver/schema.h"

namespace slotwright::local::apiserver {

namespace {

bool IsTypeMeta(const std::string& name) { return name == "apiVersion" || name == "kind" || name == "metadata"; }

void PruneAt(const Schema& schema, Json& value, const std::string& field, bool is_resource,
             std::vector<std::string>& pruned) {
  if (value.is_array()) {
    if (schema.items == nullptr) return;
    for (size_t i = 0; i < value.size(); ++i) {
      PruneAt(*schema.items, value[i], fmt::format("{}[{}]", field, i), schema.items->embedded_resource, pruned);
    }
    return;
  }
  if (!value.is_object()) return;
  for (auto entry = value.begin(); entry != value.end();) {
    const std::string child = ChildField(field, entry.key());
    const bool type_meta = is_resource && IsTypeMeta(entry.key());
    const Schema* child_schema = schema.Field(entry.key());
    if (!type_meta && child_schema != nullptr) {
      PruneAt(*child_schema, entry.value(), child, child_schema->embedded_resource, pruned);
      ++entry;
    } else if (type_meta || schema.preserve_unknown_fields) {
      ++entry;
    } else {
      pruned.push_back(child);
      entry = value.erase(entry);
    }
  }
}

}  // namespace

void ApplyDefaults(const Schema& schema, Json& value) {
  if (value.is_array()) {
    if (schema.items == nullptr) return;
    for (auto& element : value) ApplyDefaults(*schema.items, element);
    return;
  }
  if (!value.is_object()) return;
  for (const auto& [name, property] : schema.properties) {
    if (!property->default_value) continue;
    const auto found = value.find(name);
    if (found == value.end() || (found->is_null() && !property->nullable)) value[name] = *property->default_value;
  }
  for (auto entry = value.begin(); entry != value.end(); ++entry) {
    const Schema* child = schema.Field(entry.key());
    if (child == nullptr) continue;
    if (entry.value().is_null() && !child->nullable && child->default_value) entry.value() = *child->default_value;
    ApplyDefaults(*child, entry.value());
  }
}

std::vector<std::string> Prune(const Schema& schema, Json& object) {
  std::vector<std::string> pruned;
  PruneAt(schema, object, "", true, pruned);
  return pruned;
}

}  // namespace slotwright::local::apiserver
