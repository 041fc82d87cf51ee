// See garbage_collector.h. Rules: k8s.io/kubernetes/pkg/controller/garbagecollector/garbagecollector.go.
#include "local/apiserver/garbage_collector.h"

#include <algorithm>

namespace slotwright::local::apiserver {

using reconciler::StringAt;
using reconciler::UidOf;
using reconciler::ValueAt;

namespace {

constexpr const char* kForeground = "foregroundDeletion";
constexpr const char* kOrphan = "orphan";

bool HasFinalizer(const Json& object, const std::string& name) {
  const Json* finalizers = ValueAt(object, {"metadata", "finalizers"});
  return finalizers != nullptr && std::ranges::find(*finalizers, Json(name)) != finalizers->end();
}

const Json& OwnersIn(const Json& object) {
  static const Json kNone = Json::array();
  const Json* owners = ValueAt(object, {"metadata", "ownerReferences"});
  return owners == nullptr ? kNone : *owners;
}

bool Blocks(const Json& object, const std::string& owner_uid) {
  return std::ranges::any_of(OwnersIn(object), [&owner_uid](const Json& owner) {
    const Json* blocks = ValueAt(owner, {"blockOwnerDeletion"});
    return StringAt(owner, {"uid"}) == owner_uid && blocks != nullptr && *blocks == true;
  });
}

}  // namespace

void GarbageCollector::Track(const Change& change) {
  const Node node{change.table, change.key};
  if (change.before != nullptr) {
    for (const auto& owner : OwnersIn(*change.before)) dependents_[StringAt(owner, {"uid"})].erase(node);
    live_.erase(UidOf(*change.before));
  }
  if (change.after == nullptr) return;
  live_[UidOf(*change.after)] = node;
  for (const auto& owner : OwnersIn(*change.after)) dependents_[StringAt(owner, {"uid"})].insert(node);
}

void GarbageCollector::Process(const Change& change) {
  const Node node{change.table, change.key};
  if (change.after != nullptr) {
    const ObjectPtr current = objects_.store().Get(change.table, change.key);
    if (current == nullptr) return;
    if (!OwnersIn(*current).empty()) CollectIfUnowned(node);
    if (!reconciler::IsBeingDeleted(*current)) return;
    if (HasFinalizer(*current, kOrphan)) OrphanDependents(node, *current);
    if (HasFinalizer(*current, kForeground)) DeleteDependents(node, *current);
    return;
  }
  for (const auto& dependent : DependentsOf(UidOf(*change.before))) CollectIfUnowned(dependent);
  for (const auto& reference : OwnersIn(*change.before)) {
    const auto owner = live_.find(StringAt(reference, {"uid"}));
    if (owner == live_.end()) continue;
    const Node owner_node = owner->second;
    const ObjectPtr object = objects_.store().Get(owner_node.table, owner_node.key);
    if (object != nullptr && reconciler::IsBeingDeleted(*object) && HasFinalizer(*object, kForeground)) {
      DeleteDependents(owner_node, *object);
    }
  }
}

std::set<GarbageCollector::Node> GarbageCollector::DependentsOf(const std::string& uid) const {
  const auto found = dependents_.find(uid);
  return found == dependents_.end() ? std::set<Node>{} : found->second;
}

GarbageCollector::OwnerState GarbageCollector::OwnersOf(const Node& dependent, const Json& object) const {
  OwnerState state;
  for (const auto& reference : OwnersIn(object)) {
    const auto resource =
        objects_.registry().ForKind(StringAt(reference, {"apiVersion"}), StringAt(reference, {"kind"}));
    // An owner of an unknown kind, or one that a cluster-wide object cannot have, is never taken for gone.
    if (resource == nullptr || (resource->type.namespaced && dependent.key.ns.empty())) {
      state.solid.push_back(reference);
      continue;
    }
    const ObjectKey key{resource->type.namespaced ? dependent.key.ns : "", StringAt(reference, {"name"})};
    const ObjectPtr owner = objects_.store().Get(resource->table(), key);
    if (owner == nullptr || UidOf(*owner) != StringAt(reference, {"uid"})) {
      state.dangling = true;
    } else if (reconciler::IsBeingDeleted(*owner) && HasFinalizer(*owner, kForeground)) {
      state.waiting = true;
    } else {
      state.solid.push_back(reference);
    }
  }
  return state;
}

void GarbageCollector::CollectIfUnowned(const Node& dependent) {
  const ObjectPtr object = objects_.store().Get(dependent.table, dependent.key);
  const auto resource = objects_.registry().ForTable(dependent.table);
  if (object == nullptr || resource == nullptr || reconciler::IsBeingDeleted(*object)) return;
  const OwnerState state = OwnersOf(dependent, *object);
  if (!state.dangling && !state.waiting) return;
  if (!state.solid.empty()) {
    Json changed = *object;
    changed["metadata"]["ownerReferences"] = state.solid;
    objects_.Rewrite(*resource, std::move(changed));
    return;
  }
  DeletionOptions options{.uid = UidOf(*object)};
  // What waits for its own dependents in turn is deleted the same way as its owner.
  if (state.waiting && !DependentsOf(UidOf(*object)).empty()) {
    options.propagation = Propagation::kForeground;
  } else if (!HasFinalizer(*object, kForeground) && !HasFinalizer(*object, kOrphan)) {
    options.propagation = Propagation::kBackground;
  }
  // Only a precondition can fail here, and then another change is on its way.
  (void)objects_.Delete(*resource, dependent.key, options);
}

void GarbageCollector::DeleteDependents(const Node& owner, const Json& object) {
  const std::string uid = UidOf(object);
  for (const auto& dependent : DependentsOf(uid)) CollectIfUnowned(dependent);
  for (const auto& dependent : DependentsOf(uid)) {
    const ObjectPtr left = objects_.store().Get(dependent.table, dependent.key);
    if (left != nullptr && Blocks(*left, uid)) return;
  }
  DropFinalizer(owner, kForeground);
}

void GarbageCollector::OrphanDependents(const Node& owner, const Json& object) {
  const std::string uid = UidOf(object);
  for (const auto& dependent : DependentsOf(uid)) {
    const ObjectPtr left = objects_.store().Get(dependent.table, dependent.key);
    const auto resource = objects_.registry().ForTable(dependent.table);
    if (left == nullptr || resource == nullptr) continue;
    Json changed = *left;
    Json kept = Json::array();
    for (const auto& reference : OwnersIn(*left)) {
      if (StringAt(reference, {"uid"}) != uid) kept.push_back(reference);
    }
    if (kept.empty()) {
      changed["metadata"].erase("ownerReferences");
    } else {
      changed["metadata"]["ownerReferences"] = kept;
    }
    objects_.Rewrite(*resource, std::move(changed));
  }
  DropFinalizer(owner, kOrphan);
}

void GarbageCollector::DropFinalizer(const Node& node, const std::string& finalizer) {
  const ObjectPtr object = objects_.store().Get(node.table, node.key);
  const auto resource = objects_.registry().ForTable(node.table);
  if (object == nullptr || resource == nullptr) return;
  Json changed = *object;
  Json kept = Json::array();
  for (const auto& one : changed["metadata"].value("finalizers", Json::array())) {
    if (one != finalizer) kept.push_back(one);
  }
  if (kept.empty()) {
    changed["metadata"].erase("finalizers");
  } else {
    changed["metadata"]["finalizers"] = kept;
  }
  objects_.Rewrite(*resource, std::move(changed));
}

}  // namespace slotwright::local::apiserver
