// An indexed, read-only copy of one resource type, kept fresh by Reflectors, that tells handlers what changed.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "reconciler/kube/types.h"

namespace reconciler {

/// Called by a reflector's thread, for one change at a time and in the order of the changes. May read the informer.
/// `before` is null for an addition, `after` for a removal.
using ChangeHandler = std::function<void(const ObjectPtr& before, const ObjectPtr& after)>;
/// The index values of an object; none means "not in this index".
using IndexFunction = std::function<std::vector<std::string>(const Json& object)>;

/// Thread-safe. The content lags behind the API server; decide as if each answer could be old.
class Informer {
 public:
  explicit Informer(ResourceType type) : type_(std::move(type)) {}

  /// Both before the reflector starts.
  void AddHandler(ChangeHandler handler);
  void AddIndex(const std::string& name, IndexFunction function);

  [[nodiscard]] ObjectPtr Get(const ObjectKey& key) const;
  [[nodiscard]] std::vector<ObjectPtr> List() const;
  /// REQUIRES: AddIndex was called for `index`.
  [[nodiscard]] std::vector<ObjectPtr> ByIndex(const std::string& index, const std::string& value) const;
  /// True once the first list of every scope is in.
  [[nodiscard]] bool HasSynced() const;
  [[nodiscard]] const ResourceType& type() const { return type_; }

  /// For a reflector, before any of them starts: announces a namespace to be filled; empty: all of them.
  /// REQUIRES: no scope holds objects of another one.
  void AddScope(const std::string& ns);
  /// For a reflector: the whole new content of its scope at once; other scopes are not touched. Handlers hear only the
  /// differences: an object with the same uid and resourceVersion is none, another uid under the same key is a removal
  /// and then an addition.
  void Replace(std::vector<Json> objects, const std::string& scope = "");
  void Upsert(Json object);
  void Remove(const ObjectKey& key);

 private:
  struct Index {
    IndexFunction function;
    std::unordered_map<std::string, std::map<ObjectKey, ObjectPtr>> entries;

    void Add(const ObjectKey& key, const ObjectPtr& object);
    void Remove(const ObjectKey& key, const Json& object);
  };
  struct Change {
    ObjectPtr before;
    ObjectPtr after;
  };
  // REQUIRES for both: mutex_ is held.
  [[nodiscard]] bool ScopesAreDisjoint() const;
  [[nodiscard]] Change Put(const ObjectKey& key, ObjectPtr after);
  void Notify(const Change& change) const;

  const ResourceType type_;
  std::vector<ChangeHandler> handlers_;
  std::mutex writing_;  ///< Held while handlers hear of a change, so that they hear of it before the next one.
  mutable std::mutex mutex_;
  std::map<ObjectKey, ObjectPtr> objects_;
  std::map<std::string, Index> indexes_;
  std::map<std::string, bool> scopes_;  ///< True: listed.
};

}  // namespace reconciler
