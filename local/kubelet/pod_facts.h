// What a pod knows about itself and the objects it refers to: the input of environment and volumes.
#pragma once

#include <functional>
#include <string>

#include "reconciler/base/error.h"
#include "reconciler/kube/types.h"

namespace slotwright::local {

/// Looks an object up in the caches; null if there is none (yet).
using ObjectLookup = std::function<reconciler::ObjectPtr(const reconciler::ObjectKey& key)>;

struct PodFacts {
  reconciler::ObjectPtr pod;
  std::string pod_ip;
  std::string host_ip;
  ObjectLookup config_maps;
  ObjectLookup secrets;

  [[nodiscard]] std::string ns() const { return reconciler::KeyOf(*pod).ns; }
};

/// The value of a downward API field: "metadata.name", "metadata.namespace", "metadata.uid", "metadata.labels['x']",
/// "metadata.annotations['x']", "spec.nodeName", "spec.serviceAccountName", "status.podIP", "status.podIPs",
/// "status.hostIP", "status.hostIPs"; in volumes also "metadata.labels" and "metadata.annotations" as lines
/// key="value". kInvalid for any other path.
[[nodiscard]] reconciler::Result<std::string> FieldValue(const PodFacts& facts, const std::string& path);

/// The bytes under `key` of a ConfigMap (data, binaryData) or Secret (data); kNotFound if it has no such key.
[[nodiscard]] reconciler::Result<std::string> DataOf(const reconciler::Json& object, const std::string& key);

/// All keys and bytes of a ConfigMap or Secret.
[[nodiscard]] std::map<std::string, std::string> AllDataOf(const reconciler::Json& object);

/// The referenced ConfigMap or Secret. `reference` is anything with "name" (or "secretName") and perhaps "optional".
/// Null if it is missing and optional, kNotFound in the words of the kubelet if it is missing and not optional.
enum class DataKind { kConfigMap, kSecret };
[[nodiscard]] reconciler::Result<reconciler::ObjectPtr> FindData(const PodFacts& facts, DataKind kind,
                                                                 const reconciler::Json& reference);

/// True if the pod, by an environment variable or a volume, refers to that ConfigMap or Secret of its namespace.
[[nodiscard]] bool RefersTo(const reconciler::Json& pod, DataKind kind, const std::string& name);

}  // namespace slotwright::local
