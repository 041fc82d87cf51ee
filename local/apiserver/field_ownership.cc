// See field_ownership.h. Semantics: kubernetes.io/docs/reference/using-api/server-side-apply.
#include "local/apiserver/field_ownership.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <map>
#include <set>

#include "local/apiserver/field_set.h"

namespace slotwright::local::apiserver {

using reconciler::StringAt;

namespace {

struct Entry {
  FieldManager manager;
  FieldSet fields;
  Json untouched;  // the whole entry as it was, instead of fields, where none of them can have changed
};

bool SameManager(const FieldManager& a, const FieldManager& b) {
  return a.name == b.name && a.operation == b.operation && a.subresource == b.subresource;
}

// `read`: whether the fields of an entry are of interest.
std::vector<Entry> ReadEntries(const Json* object, const std::function<bool(const FieldManager&, const Json&)>& read) {
  std::vector<Entry> entries;
  const Json* list = object == nullptr ? nullptr : reconciler::ValueAt(*object, {"metadata", "managedFields"});
  if (list == nullptr || !list->is_array()) return entries;
  for (const auto& one : *list) {
    Entry entry{{StringAt(one, {"manager"}), StringAt(one, {"operation"}), StringAt(one, {"subresource"}),
                 StringAt(one, {"apiVersion"}), StringAt(one, {"time"})},
                {},
                {}};
    const Json fields = one.value("fieldsV1", Json::object());
    if (read(entry.manager, fields)) {
      entry.fields = FromFieldsV1(fields);
    } else {
      entry.untouched = one;
    }
    entries.push_back(std::move(entry));
  }
  return entries;
}

std::vector<Entry> ReadEntries(const Json* object) {
  return ReadEntries(object, [](const FieldManager&, const Json&) { return true; });
}

Json WriteEntries(const std::vector<Entry>& entries) {
  Json list = Json::array();
  for (const auto& [manager, fields, untouched] : entries) {
    if (!untouched.is_null()) list.push_back(untouched);
    if (fields.empty()) continue;
    Json entry = {{"manager", manager.name}, {"operation", manager.operation}, {"apiVersion", manager.api_version},
                  {"time", manager.time},    {"fieldsType", "FieldsV1"},       {"fieldsV1", ToFieldsV1(fields)}};
    if (!manager.subresource.empty()) entry["subresource"] = manager.subresource;
    list.push_back(std::move(entry));
  }
  return list;
}

Entry& EntryOf(std::vector<Entry>& entries, const FieldManager& manager) {
  const auto found = std::ranges::find_if(entries, [&](const Entry& e) { return SameManager(e.manager, manager); });
  if (found != entries.end()) return *found;
  return entries.emplace_back(Entry{manager, {}, {}});
}

// Identity and what the server sets belong to nobody.
bool IsOfTheServer(const std::string& field) {
  static const std::set<std::string> kOfTheServer = {"name",
                                                     "namespace",
                                                     "uid",
                                                     "resourceVersion",
                                                     "generation",
                                                     "creationTimestamp",
                                                     "selfLink",
                                                     "deletionTimestamp",
                                                     "deletionGracePeriodSeconds",
                                                     "managedFields"};
  return kOfTheServer.contains(field);
}

// Fields that are the same in two objects; most updates touch a small part of an object. Of those that differ, their
// own fields that are the same.
struct SameFields {
  std::set<std::string> whole;
  std::map<std::string, std::set<std::string>> parts;

  [[nodiscard]] bool Contains(const std::string& field, const std::string& part) const {
    const auto found = parts.find(field);
    return found != parts.end() && found->second.contains(part);
  }
  [[nodiscard]] bool Contains(const FieldPath& path) const {
    const std::string field = path.front().substr(2);
    return whole.contains(field) || (path.size() > 1 && Contains(field, path[1].substr(2)));
  }
};

// What people and controllers write, without the fields of `same`.
Json OwnablePart(const Json& object, const SameFields& same = {}) {
  Json part = Json::object();
  for (const auto& [name, value] : object.items()) {
    if (name == "apiVersion" || name == "kind" || same.whole.contains(name)) continue;
    if (name != "metadata" && !same.parts.contains(name)) {
      part[name] = value;
      continue;
    }
    for (const auto& [field, text] : value.items()) {
      const bool is_left_out = (name == "metadata" && IsOfTheServer(field)) || same.Contains(name, field);
      if (!is_left_out) part[name][field] = text;
    }
  }
  return part;
}

std::set<std::string> SameIn(const Json& a, const Json& b) {
  std::set<std::string> same;
  for (const auto& [name, value] : a.items()) {
    const auto other = b.find(name);
    if (other != b.end() && *other == value) same.insert(name);
  }
  return same;
}

SameFields FindSame(const Json& a, const Json& b, const MergeType& type) {
  SameFields same{.whole = SameIn(a, b), .parts = {}};
  for (const auto& [name, value] : a.items()) {
    const auto other = b.find(name);
    if (other == b.end() || !value.is_object() || !other->is_object() || same.whole.contains(name)) continue;
    if (value.empty() || other->empty()) continue;  // an empty one is a field itself
    if (!type.Field(name).IsAtomicMap()) same.parts[name] = SameIn(value, *other);
  }
  return same;
}

bool SameAt(const Json& a, const Json& b, const FieldPath& path) {
  const Json* left = Find(a, path);
  const Json* right = Find(b, path);
  if (left == nullptr || right == nullptr) return left == right;
  // An element of a keyed list is itself a member: its fields are members of their own.
  return path.back().starts_with("k:") || *left == *right;
}

Json MergeApplied(const Json& live, const Json& applied, const MergeType& type) {
  if (applied.is_object() && live.is_object() && !type.IsAtomicMap()) {
    Json merged = live;
    for (const auto& [name, value] : applied.items()) {
      merged[name] = merged.contains(name) ? MergeApplied(merged[name], value, type.Field(name)) : value;
    }
    return merged;
  }
  if (!applied.is_array() || !live.is_array() || type.list_type() == ListType::kAtomic) return applied;
  Json merged = live;
  for (const auto& element : applied) {
    const auto found = std::ranges::find_if(merged, [&](const Json& one) {
      return type.list_type() == ListType::kSet
                 ? one == element
                 : ElementKey(type.ListKeys(), one) == ElementKey(type.ListKeys(), element);
    });
    if (found == merged.end()) {
      merged.push_back(element);
    } else if (type.list_type() == ListType::kMap) {
      *found = MergeApplied(*found, element, type.Element());
    }
  }
  return merged;
}

struct FieldConflict {
  FieldManager manager;
  FieldPath path;
};

ApiError ConflictError(const Resource& resource, const std::string& name, const std::vector<FieldConflict>& conflicts) {
  std::string text;
  Json causes = Json::array();
  for (const auto& [manager, path] : conflicts) {
    std::string who = fmt::format("conflict with {}", Json(manager.name).dump());
    if (!manager.subresource.empty()) who += fmt::format(" with subresource {}", Json(manager.subresource).dump());
    if (manager.operation == "Update") who += fmt::format(" using {}", manager.api_version);
    causes.push_back({{"reason", "FieldManagerConflict"}, {"message", who}, {"field", ToString(path)}});
    text += conflicts.size() == 1 ? fmt::format("{}: {}", who, ToString(path))
                                  : fmt::format("\n{}: {}", who, ToString(path));
  }
  Json details = {{"name", name}, {"kind", resource.type.plural}, {"causes", causes}};
  if (!resource.type.group.empty()) details["group"] = resource.type.group;
  return MakeError(
      409, "Conflict",
      fmt::format("Apply failed with {} conflict{}: {}", conflicts.size(), conflicts.size() == 1 ? "" : "s", text),
      details);
}

std::vector<FieldConflict> FindConflicts(const std::vector<Entry>& entries, const FieldManager& manager,
                                         const FieldSet& wanted, const Json& live, const Json& applied) {
  std::vector<FieldConflict> conflicts;
  for (const auto& entry : entries) {
    if (SameManager(entry.manager, manager)) continue;
    for (const auto& path : entry.fields) {
      if (wanted.contains(path) && !SameAt(live, applied, path)) conflicts.push_back({entry.manager, path});
    }
  }
  return conflicts;
}

// Without its key fields an element that somebody else keeps would be nobody.
bool IsKeyOfElement(const FieldPath& path) {
  if (path.size() < 2 || !path[path.size() - 2].starts_with("k:")) return false;
  return Json::parse(path[path.size() - 2].substr(2)).contains(path.back().substr(2));
}

bool OwnedByOthers(const std::vector<Entry>& entries, const FieldManager& manager, const FieldPath& path) {
  return std::ranges::any_of(entries, [&](const Entry& entry) {
    if (SameManager(entry.manager, manager)) return false;
    return std::ranges::any_of(entry.fields, [&](const FieldPath& owned) {
      return owned.size() >= path.size() && std::equal(path.begin(), path.end(), owned.begin());
    });
  });
}

}  // namespace

Json OwnersAfterUpdate(const Resource& resource, const Json* before, const Json& after, const FieldManager& manager) {
  const MergeType type(resource);
  const auto same = before == nullptr ? SameFields{} : FindSame(*before, after, type);
  const Json now = OwnablePart(after, same);
  const Json then = before == nullptr ? Json::object() : OwnablePart(*before, same);
  const FieldSet fields_now = FieldsOf(now, type);
  FieldSet changed;
  for (const auto& path : fields_now) {
    if (Find(then, path) == nullptr || !SameAt(then, now, path)) changed.insert(path);
  }
  const auto touches = [&](const FieldManager& of, const Json& fields) {
    return SameManager(of, manager) || std::ranges::any_of(fields.items(), [&](const auto& field) {
             return !same.whole.contains(field.key().substr(2));
           });
  };
  auto entries = ReadEntries(before, touches);
  for (auto& entry : entries) {
    const bool own = SameManager(entry.manager, manager);
    std::erase_if(entry.fields, [&](const FieldPath& path) {
      if (same.Contains(path)) return false;
      return Find(now, path) == nullptr || (!own && changed.contains(path));
    });
  }
  if (!changed.empty()) {
    Entry& own = EntryOf(entries, manager);
    own.manager = manager;
    own.fields.insert(changed.begin(), changed.end());
  }
  return WriteEntries(entries);
}

ApiResult<Applied> Apply(const Resource& resource, const Json* live, const Json& applied, const FieldManager& manager,
                         bool force) {
  const MergeType type(resource);
  const Json wanted_part = OwnablePart(applied);
  const FieldSet wanted = FieldsOf(wanted_part, type);
  auto entries = ReadEntries(live);
  const Json base = live == nullptr ? Json::object() : *live;
  const auto conflicts = FindConflicts(entries, manager, wanted, base, wanted_part);
  if (!conflicts.empty() && !force) {
    return std::unexpected(ConflictError(resource, reconciler::KeyOf(applied).name, conflicts));
  }
  Json merged = MergeApplied(base, applied, type);
  Entry& own = EntryOf(entries, manager);
  const FieldSet before = std::exchange(own.fields, wanted);
  // In order, so that an element of a list goes as a whole before its fields are looked at.
  for (const auto& path : before) {
    if (!wanted.contains(path) && !IsKeyOfElement(path) && !OwnedByOthers(entries, manager, path)) Remove(merged, path);
  }
  if (before != wanted) own.manager = manager;
  for (const auto& [other, path] : conflicts) EntryOf(entries, other).fields.erase(path);
  return Applied{std::move(merged), WriteEntries(entries)};
}

}  // namespace slotwright::local::apiserver
