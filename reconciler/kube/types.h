// What every Kubernetes object has in common: its type, its key, its metadata. An object itself is JSON.
#pragma once

#include <compare>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

namespace reconciler {

using Json = nlohmann::json;
/// Cached objects are shared between threads and therefore never changed.
using ObjectPtr = std::shared_ptr<const Json>;

/// A resource as the API server names it, for example {"apps", "v1", "deployments", "Deployment", true}.
struct ResourceType {
  std::string group;  ///< Empty for the core group.
  std::string version;
  std::string plural;
  std::string kind;
  bool namespaced = true;

  /// "v1" or "apps/v1".
  [[nodiscard]] std::string ApiVersion() const { return group.empty() ? version : group + "/" + version; }
  friend auto operator<=>(const ResourceType&, const ResourceType&) = default;
};

/// `ns` is empty for resources that live outside namespaces.
struct ObjectKey {
  std::string ns;
  std::string name;

  [[nodiscard]] std::string ToString() const { return ns.empty() ? name : ns + "/" + name; }
  friend auto operator<=>(const ObjectKey&, const ObjectKey&) = default;
};

/// Readers of metadata that never throw; empty where a field is missing or has another type.
[[nodiscard]] ObjectKey KeyOf(const Json& object);
[[nodiscard]] std::string UidOf(const Json& object);
[[nodiscard]] std::string ResourceVersionOf(const Json& object);
[[nodiscard]] std::string LabelOf(const Json& object, const std::string& label);
[[nodiscard]] std::string AnnotationOf(const Json& object, const std::string& annotation);
[[nodiscard]] bool IsBeingDeleted(const Json& object);
/// The uid of the owner with controller=true; empty if none.
[[nodiscard]] std::string ControllerUidOf(const Json& object);

/// A string below nested keys, for example StringAt(pod, {"status", "podIP"}); empty if there is none.
[[nodiscard]] std::string StringAt(const Json& object, std::initializer_list<const char*> path);
/// Any value below nested keys; nullptr if there is none.
[[nodiscard]] const Json* ValueAt(const Json& object, std::initializer_list<const char*> path);

namespace types {
inline const ResourceType kNamespaces{"", "v1", "namespaces", "Namespace", false};
inline const ResourceType kNodes{"", "v1", "nodes", "Node", false};
inline const ResourceType kPods{"", "v1", "pods", "Pod"};
inline const ResourceType kServices{"", "v1", "services", "Service"};
inline const ResourceType kConfigMaps{"", "v1", "configmaps", "ConfigMap"};
inline const ResourceType kSecrets{"", "v1", "secrets", "Secret"};
inline const ResourceType kEvents{"", "v1", "events", "Event"};
inline const ResourceType kPersistentVolumeClaims{"", "v1", "persistentvolumeclaims", "PersistentVolumeClaim"};
inline const ResourceType kPodDisruptionBudgets{"policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget"};
inline const ResourceType kLeases{"coordination.k8s.io", "v1", "leases", "Lease"};
inline const ResourceType kCustomResourceDefinitions{"apiextensions.k8s.io", "v1", "customresourcedefinitions",
                                                     "CustomResourceDefinition", false};
}  // namespace types

}  // namespace reconciler
