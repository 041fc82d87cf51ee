// An indexed, read-only copy of one resource type, kept fresh by a Reflector, that tells handlers what changed.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "reconciler/kube/types.h"

namespace reconciler {

/// Called without locks held, by the reflector's thread. `before` is null for an addition, `after` for a removal.
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
  /// True once the first list is in.
  [[nodiscard]] bool HasSynced() const;
  [[nodiscard]] const ResourceType& type() const { return type_; }

  /// For the reflector: the whole new content at once. Handlers hear only the differences: an object with the same uid
  /// and resourceVersion is none, another uid under the same key is a removal and then an addition. By one thread at a
  /// time, as handlers would hear of changes in the wrong order otherwise.
  void Replace(std::vector<Json> objects);
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
  // REQUIRES: mutex_ is held.
  [[nodiscard]] Change Put(const ObjectKey& key, ObjectPtr after);
  void Notify(const Change& change) const;

  const ResourceType type_;
  std::vector<ChangeHandler> handlers_;
  mutable std::mutex mutex_;
  std::map<ObjectKey, ObjectPtr> objects_;
  std::map<std::string, Index> indexes_;
  bool synced_ = false;
};

}  // namespace reconciler
