// Merge keys of built-in types: the patchMergeKey and listMapKey tags of k8s.io/api.
#include "local/apiserver/list_semantics.h"

#include <map>
#include <set>

namespace slotwright::local::apiserver {

namespace {

// In the types served here a field's name tells its list's keys; only ports need the parent too.
const std::map<std::string, std::vector<std::string>> kListKeys = {
    {"containers", {"name"}},
    {"initContainers", {"name"}},
    {"ephemeralContainers", {"name"}},
    {"volumes", {"name"}},
    {"env", {"name"}},
    {"volumeMounts", {"mountPath"}},
    {"volumeDevices", {"devicePath"}},
    {"imagePullSecrets", {"name"}},
    {"secrets", {"name"}},
    {"conditions", {"type"}},
    {"ownerReferences", {"uid"}},
    {"hostAliases", {"ip"}},
    {"podIPs", {"ip"}},
    {"addresses", {"type"}},
    {"topologySpreadConstraints", {"topologyKey", "whenUnsatisfiable"}},
};
const std::set<std::string> kAtomicMaps = {"selector",     "nodeSelector",    "fieldRef",
                                           "secretKeyRef", "configMapKeyRef", "involvedObject"};

}  // namespace

MergeType::MergeType(const Resource& resource) : schema_(resource.schema.get()), builtin_(!resource.custom) {}

MergeType MergeType::Field(const std::string& name) const {
  if (builtin_) return {nullptr, true, name_, name};
  if (name_.empty() && name == "metadata") return {nullptr, true, "", name};
  const Schema* field = schema_ == nullptr ? nullptr : schema_->Field(name);
  return {field, false, name_.empty() ? "." : name_, name};
}

MergeType MergeType::Element() const {
  if (builtin_) return {nullptr, true, parent_, name_};
  return {schema_ == nullptr ? nullptr : schema_->items.get(), false, parent_, name_};
}

ListType MergeType::list_type() const {
  if (!builtin_) return schema_ == nullptr ? ListType::kAtomic : schema_->list_type;
  if (name_ == "finalizers") return ListType::kSet;
  return ListKeys().empty() ? ListType::kAtomic : ListType::kMap;
}

std::vector<std::string> MergeType::ListKeys() const {
  if (!builtin_) return schema_ == nullptr ? std::vector<std::string>{} : schema_->list_map_keys;
  if (name_ == "ports") return {parent_ == "spec" ? "port" : "containerPort", "protocol"};
  const auto found = kListKeys.find(name_);
  return found == kListKeys.end() ? std::vector<std::string>{} : found->second;
}

bool MergeType::IsAtomicMap() const {
  if (!builtin_) return schema_ != nullptr && schema_->atomic_map;
  return kAtomicMaps.contains(name_);
}

std::string MergeType::PatchMergeKey() const {
  const auto keys = ListKeys();
  return builtin_ && !keys.empty() ? keys[0] : "";
}

Json ElementKey(const std::vector<std::string>& keys, const Json& element) {
  Json key = ListMapKey(keys, element);
  for (const auto& name : keys) {
    if (name == "protocol" && !key.contains(name)) key[name] = "TCP";
  }
  return key;
}

}  // namespace slotwright::local::apiserver
