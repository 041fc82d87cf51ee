// See field_set.h. Notation: sigs.k8s.io/structured-merge-diff/fieldpath/serialize.go.
#include "local/apiserver/field_set.h"

#include <fmt/format.h>

#include <algorithm>

namespace slotwright::local::apiserver {

namespace {

void Collect(const Json& value, const MergeType& type, FieldPath& path, FieldSet& fields) {
  if (value.is_object() && !value.empty() && !type.IsAtomicMap()) {
    for (const auto& [name, child] : value.items()) {
      path.push_back("f:" + name);
      Collect(child, type.Field(name), path, fields);
      path.pop_back();
    }
    return;
  }
  if (value.is_array() && type.list_type() != ListType::kAtomic) {
    const bool is_map = type.list_type() == ListType::kMap;
    for (const auto& element : value) {
      path.push_back(is_map ? "k:" + ElementKey(type.ListKeys(), element).dump() : "v:" + element.dump());
      fields.insert(path);
      if (is_map) Collect(element, type.Element(), path, fields);
      path.pop_back();
    }
    return;
  }
  fields.insert(path);
}

// The place of an element in a list; the size if it is not there.
size_t IndexOf(const Json& list, const std::string& step) {
  const Json wanted = Json::parse(step.substr(2), nullptr, false);
  size_t index = 0;
  for (; index < list.size(); ++index) {
    const Json& element = list[index];
    if (step[0] == 'v' && element == wanted) break;
    if (step[0] != 'k' || !element.is_object() || !wanted.is_object()) continue;
    std::vector<std::string> keys;
    for (const auto& [key, value] : wanted.items()) keys.push_back(key);
    if (ElementKey(keys, element) == wanted) break;
  }
  return index;
}

template <typename JsonType>
JsonType* Step(JsonType& value, const std::string& step) {
  if (step.starts_with("f:")) {
    const std::string name = step.substr(2);
    return value.is_object() && value.contains(name) ? &value[name] : nullptr;
  }
  if (!value.is_array()) return nullptr;
  const size_t index = IndexOf(value, step);
  return index < value.size() ? &value[index] : nullptr;
}

void FromTrie(const Json& trie, FieldPath& path, FieldSet& fields) {
  if (trie.empty() && !path.empty()) fields.insert(path);
  for (const auto& [step, child] : trie.items()) {
    if (step == ".") {
      fields.insert(path);
      continue;
    }
    path.push_back(step);
    FromTrie(child, path, fields);
    path.pop_back();
  }
}

}  // namespace

FieldSet FieldsOf(const Json& object, const MergeType& type) {
  FieldSet fields;
  FieldPath path;
  Collect(object, type, path, fields);
  fields.erase(FieldPath{});
  return fields;
}

const Json* Find(const Json& object, const FieldPath& path) {
  const Json* value = &object;
  for (const auto& step : path) {
    value = Step(*value, step);
    if (value == nullptr) return nullptr;
  }
  return value;
}

void Remove(Json& object, const FieldPath& path) {
  Json* parent = &object;
  for (size_t i = 0; i + 1 < path.size(); ++i) {
    parent = Step(*parent, path[i]);
    if (parent == nullptr) return;
  }
  const std::string& last = path.back();
  if (last.starts_with("f:")) {
    if (parent->is_object()) parent->erase(last.substr(2));
  } else if (parent->is_array()) {
    const size_t index = IndexOf(*parent, last);
    if (index < parent->size()) parent->erase(index);
  }
}

Json ToFieldsV1(const FieldSet& fields) {
  Json root = Json::object();
  for (const auto& path : fields) {
    Json* at = &root;
    for (const auto& step : path) {
      at = &(*at)[step];
      if (at->is_null()) *at = Json::object();
    }
    // A member with members below it says so; the set is sorted, so a path comes before all that it is a prefix of.
    const auto next = fields.upper_bound(path);
    const bool has_children =
        next != fields.end() && next->size() > path.size() && std::equal(path.begin(), path.end(), next->begin());
    if (has_children) (*at)["."] = Json::object();
  }
  return root;
}

FieldSet FromFieldsV1(const Json& fields) {
  FieldSet set;
  FieldPath path;
  if (fields.is_object()) FromTrie(fields, path, set);
  return set;
}

std::string ToString(const FieldPath& path) {
  std::string text;
  for (const auto& step : path) {
    const std::string rest = step.substr(2);
    if (step[0] == 'f') {
      text += "." + rest;
    } else if (step[0] == 'v') {
      text += fmt::format("[={}]", rest);
    } else {
      std::string keys;
      const Json parsed = Json::parse(rest, nullptr, false);
      for (const auto& [name, value] : parsed.items()) {
        keys += fmt::format("{}{}={}", keys.empty() ? "" : ",", name, value.dump());
      }
      text += fmt::format("[{}]", keys);
    }
  }
  return text;
}

}  // namespace slotwright::local::apiserver
