// Services, configuration, claims, budgets and the like.
#include <fmt/format.h>

#include <algorithm>

#include "local/apiserver/metadata.h"
#include "local/apiserver/selectors.h"
#include "local/apiserver/strategies.h"
#include "reconciler/base/base64.h"

namespace slotwright::local::apiserver {

using reconciler::StringAt;
using reconciler::ValueAt;

namespace {

void SetDefault(Json& object, const char* name, Json value) {
  if (!object.contains(name) || object[name].is_null()) object[name] = std::move(value);
}

bool IsTrue(const Json& object, const char* name) {
  const Json* value = ValueAt(object, {name});
  return value != nullptr && *value == true;
}

// --- Services: the address itself is allocated by the server, which knows all others.

void PrepareService(Json& service, const Json* before) {
  SetDefault(service, "spec", Json::object());
  Json& spec = service["spec"];
  if (!spec.is_object()) return;
  SetDefault(spec, "type", "ClusterIP");
  SetDefault(spec, "sessionAffinity", "None");
  SetDefault(spec, "internalTrafficPolicy", "Cluster");
  SetDefault(spec, "ipFamilies", {"IPv4"});
  SetDefault(spec, "ipFamilyPolicy", "SingleStack");
  if (spec.contains("ports") && spec["ports"].is_array()) {
    for (auto& port : spec["ports"]) {
      if (!port.is_object()) continue;
      SetDefault(port, "protocol", "TCP");
      if (port.contains("port")) SetDefault(port, "targetPort", port["port"]);
    }
  }
  if (before == nullptr) {
    service["status"] = {{"loadBalancer", Json::object()}};
  } else if (StringAt(spec, {"clusterIP"}).empty() && ValueAt(*before, {"spec", "clusterIP"}) != nullptr) {
    spec["clusterIP"] = (*before)["spec"]["clusterIP"];
  }
  if (!StringAt(spec, {"clusterIP"}).empty()) spec["clusterIPs"] = Json::array({spec["clusterIP"]});
}

void ValidateService(const Json& service, const Json* before, Causes& causes) {
  const Json& spec = service["spec"];
  const Json types = {"ClusterIP", "ExternalName", "LoadBalancer", "NodePort"};
  if (std::ranges::find(types, spec["type"]) == types.end()) {
    causes.push_back(UnsupportedValue("spec.type", spec["type"], types));
  }
  const std::string address = StringAt(spec, {"clusterIP"});
  const Json* ports = ValueAt(spec, {"ports"});
  if ((ports == nullptr || ports->empty()) && address != "None" && spec["type"] != "ExternalName") {
    causes.push_back(RequiredValue("spec.ports"));
  }
  for (size_t i = 0; ports != nullptr && i < ports->size(); ++i) {
    const Json* port = ValueAt((*ports)[i], {"port"});
    const std::string field = fmt::format("spec.ports[{}]", i);
    if (port == nullptr || !port->is_number_integer() || *port < 1 || *port > 65535) {
      causes.push_back(
          InvalidValue(field + ".port", port == nullptr ? Json(0) : *port, "must be between 1 and 65535, inclusive"));
    }
    if (ports->size() > 1 && StringAt((*ports)[i], {"name"}).empty()) causes.push_back(RequiredValue(field + ".name"));
  }
  if (before != nullptr && StringAt(*before, {"spec", "clusterIP"}) != address) {
    causes.push_back(InvalidValue("spec.clusterIPs[0]", Json::array({address}), "may not change once set"));
  }
}

// --- ConfigMaps and Secrets

void ValidateImmutable(const Json& object, const Json* before, std::initializer_list<const char*> fields,
                       Causes& causes) {
  if (before == nullptr || !IsTrue(*before, "immutable")) return;
  if (!IsTrue(object, "immutable")) {
    causes.push_back(ForbiddenValue("immutable", "field is immutable when `immutable` is set"));
  }
  for (const char* field : fields) {
    if (object.value(field, Json()) != before->value(field, Json())) {
      causes.push_back(ForbiddenValue(field, "field is immutable when `immutable` is set"));
    }
  }
}

void ValidateData(const Json& object, const char* field, Causes& causes) {
  const Json* data = ValueAt(object, {field});
  if (data == nullptr || !data->is_object()) return;
  size_t total = 0;
  for (const auto& [key, value] : data->items()) {
    const bool valid = !key.empty() && key.size() <= 253 && key != "." && !key.starts_with("..") &&
                       std::ranges::all_of(key, [](unsigned char c) {
                         return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.';
                       });
    if (!valid) {
      causes.push_back(InvalidValue(fmt::format("{}[{}]", field, key), key,
                                    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. "
                                    "'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is "
                                    "'[-._a-zA-Z0-9]+')"));
    }
    if (value.is_string()) total += value.get_ref<const std::string&>().size();
  }
  constexpr size_t kLargest = size_t{1024} * 1024;
  if (total > kLargest) causes.push_back(TooLong(field, kLargest));
}

void PrepareConfigMap(Json& config_map, const Json*) {
  for (const char* field : {"data", "binaryData"}) {
    const auto found = config_map.find(field);
    if (found != config_map.end() && (found->is_null() || found->empty())) config_map.erase(found);
  }
}

void ValidateConfigMap(const Json& config_map, const Json* before, Causes& causes) {
  ValidateData(config_map, "data", causes);
  ValidateData(config_map, "binaryData", causes);
  ValidateImmutable(config_map, before, {"data", "binaryData"}, causes);
}

// stringData is write-only: it becomes data.
void PrepareSecret(Json& secret, const Json*) {
  SetDefault(secret, "type", "Opaque");
  const auto text = secret.find("stringData");
  if (text != secret.end()) {
    if (text->is_object()) {
      for (const auto& [key, value] : text->items()) {
        if (value.is_string()) secret["data"][key] = reconciler::EncodeBase64(value.get<std::string>());
      }
    }
    secret.erase("stringData");
  }
  const auto data = secret.find("data");
  if (data != secret.end() && (data->is_null() || data->empty())) secret.erase(data);
}

void ValidateSecret(const Json& secret, const Json* before, Causes& causes) {
  ValidateData(secret, "data", causes);
  ValidateImmutable(secret, before, {"data"}, causes);
  if (before != nullptr && secret["type"] != before->value("type", Json())) {
    causes.push_back(InvalidValue("type", secret["type"], "field is immutable"));
  }
}

// --- Namespaces, claims, budgets, leases, events

void PrepareNamespace(Json& ns, const Json* before) {
  if (before != nullptr) return;
  ns["spec"] = {{"finalizers", {"kubernetes"}}};
  ns["status"] = {{"phase", "Active"}};
  // Server-set on every real cluster since 1.21, and selectors rely on it.
  ns["metadata"]["labels"]["kubernetes.io/metadata.name"] = reconciler::KeyOf(ns).name;
}

void PrepareClaim(Json& claim, const Json* before) {
  SetDefault(claim, "spec", Json::object());
  if (claim["spec"].is_object()) SetDefault(claim["spec"], "volumeMode", "Filesystem");
  if (before == nullptr) claim["status"] = {{"phase", "Pending"}};
}

void ValidateClaim(const Json& claim, const Json* before, Causes& causes) {
  const Json* modes = ValueAt(claim, {"spec", "accessModes"});
  if (modes == nullptr || modes->empty()) {
    causes.push_back(RequiredValue("spec.accessModes", "at least 1 access mode is required"));
  }
  if (ValueAt(claim, {"spec", "resources", "requests", "storage"}) == nullptr) {
    causes.push_back(RequiredValue("spec.resources[storage]"));
  }
  if (before == nullptr) return;
  Json now = claim["spec"];
  Json then = (*before)["spec"];
  for (Json* spec : {&now, &then}) {
    spec->erase("resources");
    spec->erase("volumeName");
  }
  if (now != then) {
    causes.push_back(ForbiddenValue("spec",
                                    "spec is immutable after creation except resources.requests and "
                                    "volumeAttributesClassName for bound claims"));
  }
}

void PrepareBudget(Json& budget, const Json* before) {
  SetDefault(budget, "spec", Json::object());
  if (before != nullptr) return;
  budget["status"] = {{"disruptionsAllowed", 0}, {"currentHealthy", 0}, {"desiredHealthy", 0}, {"expectedPods", 0}};
}

void ValidateBudget(const Json& budget, const Json*, Causes& causes) {
  const Json* spec = ValueAt(budget, {"spec"});
  if (spec == nullptr || !spec->is_object()) return;
  if (spec->contains("minAvailable") && spec->contains("maxUnavailable")) {
    causes.push_back(InvalidValue("spec", *spec, "minAvailable and maxUnavailable cannot be both set"));
  }
  if (!spec->contains("selector")) return;
  const auto selector = LabelSelector::FromObject((*spec)["selector"]);
  if (!selector) causes.push_back(InvalidValue("spec.selector", (*spec)["selector"], selector.error().message()));
}

void ValidateLease(const Json& lease, const Json*, Causes& causes) {
  for (const char* field : {"leaseDurationSeconds", "leaseTransitions"}) {
    const Json* value = ValueAt(lease, {"spec", field});
    const int least = field == std::string("leaseDurationSeconds") ? 1 : 0;
    if (value != nullptr && value->is_number() && *value < least) {
      causes.push_back(InvalidValue(fmt::format("spec.{}", field), *value,
                                    fmt::format("must be greater than {}0", least == 0 ? "or equal to " : "")));
    }
  }
}

void ValidateEvent(const Json& event, const Json*, Causes& causes) {
  const std::string involved = StringAt(event, {"involvedObject", "namespace"});
  const std::string ns = reconciler::KeyOf(event).ns;
  const bool cluster_scoped = involved.empty() && (ns == "default" || ns == "kube-system");
  if (!cluster_scoped && involved != ns) {
    causes.push_back(InvalidValue("involvedObject.namespace", involved, "does not match event.namespace"));
  }
}

}  // namespace

Strategy ServiceStrategy() { return {PrepareService, ValidateService}; }
Strategy ConfigMapStrategy() { return {PrepareConfigMap, ValidateConfigMap}; }
Strategy SecretStrategy() { return {PrepareSecret, ValidateSecret}; }
Strategy NamespaceStrategy() { return {PrepareNamespace, nullptr}; }
Strategy ClaimStrategy() { return {PrepareClaim, ValidateClaim}; }
Strategy DisruptionBudgetStrategy() { return {PrepareBudget, ValidateBudget}; }
Strategy LeaseStrategy() { return {nullptr, ValidateLease}; }
Strategy EventStrategy() { return {nullptr, ValidateEvent}; }

}  // namespace slotwright::local::apiserver
