// Sets of field paths, as metadata.managedFields writes them down (fieldsV1).
#pragma once

#include <compare>
#include <set>
#include <string>
#include <vector>

#include "local/apiserver/list_semantics.h"

namespace slotwright::local::apiserver {

/// Path elements in the notation of fieldsV1: "f:spec", "k:{\"name\":\"redis\"}", "v:\"x\"".
using FieldPath = std::vector<std::string>;
using FieldSet = std::set<FieldPath>;

/// The leaves of an object: scalars, whole atomic lists and maps, empty maps, and each element of a keyed list itself.
[[nodiscard]] FieldSet FieldsOf(const Json& object, const MergeType& type);
/// The value at a path; null if there is none.
[[nodiscard]] const Json* Find(const Json& object, const FieldPath& path);
/// Removes the value at a path, if it is there.
void Remove(Json& object, const FieldPath& path);

[[nodiscard]] Json ToFieldsV1(const FieldSet& fields);
[[nodiscard]] FieldSet FromFieldsV1(const Json& fields);
/// ".spec.containers[name=\"redis\"].image", for messages.
[[nodiscard]] std::string ToString(const FieldPath& path);

}  // namespace slotwright::local::apiserver
