// How lists and maps inside an object merge: by key, as a set, or as one value. For patches and field ownership.
#pragma once

#include <string>
#include <vector>

#include "local/apiserver/resource.h"

namespace slotwright::local::apiserver {

/// A place inside an object together with what is known about its type. Cheap to copy; must not outlive the resource.
class MergeType {
 public:
  /// The root of an object of that resource.
  explicit MergeType(const Resource& resource);

  [[nodiscard]] MergeType Field(const std::string& name) const;
  [[nodiscard]] MergeType Element() const;
  /// For a list here. A list map's keys are filled in where `ListKeys` gives some.
  [[nodiscard]] ListType list_type() const;
  [[nodiscard]] std::vector<std::string> ListKeys() const;
  /// A map here is one value.
  [[nodiscard]] bool IsAtomicMap() const;
  /// The key by which strategic merge patches tell elements apart; empty: the list is replaced.
  [[nodiscard]] std::string PatchMergeKey() const;

 private:
  MergeType(const Schema* schema, bool builtin, std::string parent, std::string name)
      : schema_(schema), builtin_(builtin), parent_(std::move(parent)), name_(std::move(name)) {}

  const Schema* schema_;  ///< Of custom resources; null where nothing is known.
  bool builtin_;          ///< Built-in types, and metadata of all types: known by the names of fields.
  std::string parent_;
  std::string name_;
};

/// The key fields of an element; an absent "protocol" counts as TCP, its default in every built-in list.
[[nodiscard]] Json ElementKey(const std::vector<std::string>& keys, const Json& element);

}  // namespace slotwright::local::apiserver
