// The downward API and the data of ConfigMaps and Secrets.
#include "local/kubelet/pod_facts.h"

#include <fmt/format.h>

#include <map>
#include <optional>

#include "reconciler/base/base64.h"

namespace slotwright::local {

using reconciler::ErrorKind;
using reconciler::Fail;
using reconciler::Json;
using reconciler::ObjectKey;
using reconciler::ObjectPtr;
using reconciler::Result;
using reconciler::StringAt;

namespace {

// "labels" or "annotations" for metadata.labels['key']; the key goes to `key`.
std::string SubscriptedField(const std::string& path, std::string* key) {
  for (const std::string field : {"labels", "annotations"}) {
    const std::string prefix = "metadata." + field + "['";
    if (!path.starts_with(prefix) || !path.ends_with("']") || path.size() < prefix.size() + 2) continue;
    *key = path.substr(prefix.size(), path.size() - prefix.size() - 2);
    return field;
  }
  return "";
}

std::string AllLines(const Json& object, const char* field) {
  const Json* values = reconciler::ValueAt(object, {"metadata", field});
  std::string lines;
  if (values == nullptr || !values->is_object()) return lines;
  for (const auto& [key, value] : values->items()) {
    lines += fmt::format("{}{}={}", lines.empty() ? "" : "\n", key, Json(value).dump());
  }
  return lines;
}

bool IsSecret(const Json& object) { return StringAt(object, {"kind"}) == "Secret"; }

const char* NameOf(DataKind kind) { return kind == DataKind::kSecret ? "secret" : "configmap"; }

std::string ReferencedName(const Json& reference) {
  const std::string name = StringAt(reference, {"name"});
  return name.empty() ? StringAt(reference, {"secretName"}) : name;
}

bool Holds(const Json& parent, const char* field, const std::string& name) {
  const auto found = parent.find(field);
  return found != parent.end() && ReferencedName(*found) == name;
}

bool EnvironmentRefersTo(const Json& container, DataKind kind, const std::string& name) {
  for (const auto& entry : container.value("envFrom", Json::array())) {
    if (Holds(entry, kind == DataKind::kSecret ? "secretRef" : "configMapRef", name)) return true;
  }
  for (const auto& entry : container.value("env", Json::array())) {
    const auto source = entry.find("valueFrom");
    if (source == entry.end()) continue;
    if (Holds(*source, kind == DataKind::kSecret ? "secretKeyRef" : "configMapKeyRef", name)) return true;
  }
  return false;
}

bool VolumeRefersTo(const Json& volume, DataKind kind, const std::string& name) {
  const char* field = kind == DataKind::kSecret ? "secret" : "configMap";
  if (Holds(volume, field, name)) return true;
  for (const auto& source : volume.value("projected", Json::object()).value("sources", Json::array())) {
    if (Holds(source, field, name)) return true;
  }
  return false;
}

}  // namespace

Result<std::string> FieldValue(const PodFacts& facts, const std::string& path) {
  const Json& pod = *facts.pod;
  if (path == "metadata.name" || path == "metadata.namespace" || path == "metadata.uid") {
    return StringAt(pod, {"metadata", path.c_str() + sizeof("metadata.") - 1});
  }
  if (path == "spec.nodeName" || path == "spec.serviceAccountName") {
    return StringAt(pod, {"spec", path.c_str() + sizeof("spec.") - 1});
  }
  if (path == "status.podIP" || path == "status.podIPs") return facts.pod_ip;
  if (path == "status.hostIP" || path == "status.hostIPs") return facts.host_ip;
  if (path == "metadata.labels" || path == "metadata.annotations") {
    return AllLines(pod, path.c_str() + sizeof("metadata.") - 1);
  }
  std::string key;
  const std::string field = SubscriptedField(path, &key);
  if (!field.empty()) return StringAt(pod, {"metadata", field.c_str(), key.c_str()});
  return Fail(ErrorKind::kInvalid, fmt::format("fieldPath \"{}\" is not known to the local kubelet", path));
}

std::map<std::string, std::string> AllDataOf(const Json& object) {
  std::map<std::string, std::string> all;
  const bool secret = IsSecret(object);
  for (const char* field : {"data", "binaryData"}) {
    const auto data = object.find(field);
    if (data == object.end() || !data->is_object()) continue;
    const bool encoded = secret || std::string_view(field) == "binaryData";
    for (const auto& [key, value] : data->items()) {
      if (!value.is_string()) continue;
      all[key] = encoded ? reconciler::DecodeBase64(value.get<std::string>()).value_or("") : value.get<std::string>();
    }
  }
  return all;
}

Result<std::string> DataOf(const Json& object, const std::string& key) {
  const auto all = AllDataOf(object);
  const auto found = all.find(key);
  if (found != all.end()) return found->second;
  return Fail(ErrorKind::kNotFound,
              fmt::format("couldn't find key {} in {} {}", key, IsSecret(object) ? "Secret" : "ConfigMap",
                          reconciler::KeyOf(object).ToString()));
}

Result<ObjectPtr> FindData(const PodFacts& facts, DataKind kind, const Json& reference) {
  const std::string name = ReferencedName(reference);
  const auto& lookup = kind == DataKind::kSecret ? facts.secrets : facts.config_maps;
  ObjectPtr object = lookup(ObjectKey{facts.ns(), name});
  if (object != nullptr || reference.value("optional", false)) return object;
  return Fail(ErrorKind::kNotFound, fmt::format("{} \"{}\" not found", NameOf(kind), name));
}

bool RefersTo(const Json& pod, DataKind kind, const std::string& name) {
  const auto spec = pod.find("spec");
  if (spec == pod.end()) return false;
  for (const char* list : {"containers", "initContainers"}) {
    for (const auto& container : spec->value(list, Json::array())) {
      if (EnvironmentRefersTo(container, kind, name)) return true;
    }
  }
  for (const auto& volume : spec->value("volumes", Json::array())) {
    if (VolumeRefersTo(volume, kind, name)) return true;
  }
  return false;
}

}  // namespace slotwright::local
