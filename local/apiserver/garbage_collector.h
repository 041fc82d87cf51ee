// Deletes what nobody owns any more, and lets owners go once their dependents are gone.
#pragma once

#include <map>
#include <set>
#include <string>

#include "local/apiserver/objects.h"

namespace slotwright::local::apiserver {

/// Acts at once and in order, where a real cluster takes a moment. See
/// kubernetes.io/docs/concepts/architecture/garbage-collection.
class GarbageCollector {
 public:
  explicit GarbageCollector(ObjectApi& objects) : objects_(objects) {}

  /// Keeps the graph; must see each change exactly once and in order.
  void Track(const Change& change);
  /// What follows from a change that was tracked.
  void Process(const Change& change);

 private:
  struct Node {
    Table table;
    ObjectKey key;
    friend auto operator<=>(const Node&, const Node&) = default;
  };
  struct OwnerState {
    Json solid = Json::array();  ///< References to owners that live on.
    bool dangling = false;       ///< At least one owner is gone.
    bool waiting = false;        ///< At least one owner waits for this dependent to go.
  };

  void CollectIfUnowned(const Node& dependent);
  [[nodiscard]] OwnerState OwnersOf(const Node& dependent, const Json& object) const;
  void DeleteDependents(const Node& owner, const Json& object);
  void OrphanDependents(const Node& owner, const Json& object);
  void DropFinalizer(const Node& node, const std::string& finalizer);
  [[nodiscard]] std::set<Node> DependentsOf(const std::string& uid) const;

  ObjectApi& objects_;
  std::map<std::string, Node> live_;                  ///< By uid.
  std::map<std::string, std::set<Node>> dependents_;  ///< By the owner's uid.
};

}  // namespace slotwright::local::apiserver
