// The copy itself: content and indexes change together under one lock, handlers hear of it when readers may go on.
#include "reconciler/cache/informer.h"

#include <algorithm>
#include <cassert>
#include <utility>

namespace reconciler {

namespace {

bool SameObject(const Json& one, const Json& other) { return UidOf(one) == UidOf(other); }

/// Lists and new watches tell again what is known; the API server changes the version with every write.
bool SameVersion(const Json& one, const Json& other) {
  const std::string version = ResourceVersionOf(one);
  return !version.empty() && SameObject(one, other) && version == ResourceVersionOf(other);
}

/// Without what only the API server reads, which is as much again as the rest of many objects.
ObjectPtr Kept(Json object) {
  if (object.contains("metadata")) object["metadata"].erase("managedFields");
  return std::make_shared<const Json>(std::move(object));
}

}  // namespace

void Informer::AddHandler(ChangeHandler handler) { handlers_.push_back(std::move(handler)); }

void Informer::AddIndex(const std::string& name, IndexFunction function) {
  const std::lock_guard lock(mutex_);
  assert(objects_.empty());  // An index that lacks what came before it would answer wrongly for ever.
  indexes_[name].function = std::move(function);
}

ObjectPtr Informer::Get(const ObjectKey& key) const {
  const std::lock_guard lock(mutex_);
  const auto found = objects_.find(key);
  return found == objects_.end() ? nullptr : found->second;
}

std::vector<ObjectPtr> Informer::List() const {
  const std::lock_guard lock(mutex_);
  std::vector<ObjectPtr> list;
  list.reserve(objects_.size());
  for (const auto& [key, object] : objects_) list.push_back(object);
  return list;
}

std::vector<ObjectPtr> Informer::ByIndex(const std::string& index, const std::string& value) const {
  const std::lock_guard lock(mutex_);
  const auto found = indexes_.find(index);
  assert(found != indexes_.end());  // "Nothing there" would be a dangerous answer to a misspelt name.
  std::vector<ObjectPtr> list;
  const auto entries = found->second.entries.find(value);
  if (entries == found->second.entries.end()) return list;
  list.reserve(entries->second.size());
  for (const auto& [key, object] : entries->second) list.push_back(object);
  return list;
}

bool Informer::HasSynced() const {
  const std::lock_guard lock(mutex_);
  return !scopes_.empty() && std::ranges::all_of(scopes_, [](const auto& scope) { return scope.second; });
}

void Informer::AddScope(const std::string& ns) {
  const std::lock_guard lock(mutex_);
  scopes_.emplace(ns, false);
  assert(ScopesAreDisjoint());
}

// A list of all namespaces would remove what the reflector of a single one has added.
bool Informer::ScopesAreDisjoint() const { return scopes_.size() == 1 || !scopes_.contains(""); }

void Informer::Replace(std::vector<Json> objects, const std::string& scope) {
  const std::lock_guard writing(writing_);
  std::vector<Change> changes;
  {
    const std::lock_guard lock(mutex_);
    std::map<ObjectKey, ObjectPtr> gone;
    // All objects of a namespace are neighbours; without a scope, all objects are.
    for (auto it = objects_.lower_bound({scope, ""}); it != objects_.end(); ++it) {
      if (!scope.empty() && it->first.ns != scope) break;
      gone.insert(gone.end(), *it);
    }
    for (Json& object : objects) {
      const ObjectKey key = KeyOf(object);
      gone.erase(key);
      changes.push_back(Put(key, Kept(std::move(object))));
    }
    for (const auto& [key, object] : gone) changes.push_back(Put(key, nullptr));
    scopes_[scope] = true;
    assert(ScopesAreDisjoint());
  }
  for (const Change& change : changes) Notify(change);
}

void Informer::Upsert(Json object) {
  const std::lock_guard writing(writing_);
  const ObjectKey key = KeyOf(object);
  Change change;
  {
    const std::lock_guard lock(mutex_);
    change = Put(key, Kept(std::move(object)));
  }
  Notify(change);
}

void Informer::Remove(const ObjectKey& key) {
  const std::lock_guard writing(writing_);
  Change change;
  {
    const std::lock_guard lock(mutex_);
    change = Put(key, nullptr);
  }
  Notify(change);
}

Informer::Change Informer::Put(const ObjectKey& key, ObjectPtr after) {
  ObjectPtr before;
  if (const auto found = objects_.find(key); found != objects_.end()) before = found->second;
  if (before && after && SameVersion(*before, *after)) return {};

  for (auto& [name, index] : indexes_) {
    if (before) index.Remove(key, *before);
    if (after) index.Add(key, after);
  }
  if (after) {
    objects_[key] = after;
  } else {
    objects_.erase(key);
  }
  return {std::move(before), std::move(after)};
}

void Informer::Index::Add(const ObjectKey& key, const ObjectPtr& object) {
  for (const std::string& value : function(*object)) entries[value][key] = object;
}

void Informer::Index::Remove(const ObjectKey& key, const Json& object) {
  for (const std::string& value : function(object)) {
    const auto found = entries.find(value);
    if (found == entries.end()) continue;
    found->second.erase(key);
    if (found->second.empty()) entries.erase(found);
  }
}

void Informer::Notify(const Change& change) const {
  const auto tell = [this](const ObjectPtr& before, const ObjectPtr& after) {
    if (!before && !after) return;
    for (const ChangeHandler& handler : handlers_) handler(before, after);
  };
  if (change.before && change.after && !SameObject(*change.before, *change.after)) {
    tell(change.before, nullptr);  // A namesake took its place: the old object's end must not go unnoticed.
    tell(nullptr, change.after);
  } else {
    tell(change.before, change.after);
  }
}

}  // namespace reconciler
