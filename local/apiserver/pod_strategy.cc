// Pods: the defaults that a real server fills in, required fields, and what may change later.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "local/apiserver/metadata.h"
#include "local/apiserver/strategies.h"

namespace slotwright::local::apiserver {

using reconciler::StringAt;
using reconciler::ValueAt;

namespace {

void SetDefault(Json& object, const char* name, Json value) {
  if (!object.contains(name) || object[name].is_null()) object[name] = std::move(value);
}

Json* Child(Json& object, const char* name) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(name);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

template <typename Function>
void ForEach(Json& object, const char* list, Function function) {
  Json* elements = Child(object, list);
  if (elements == nullptr || !elements->is_array()) return;
  for (auto& element : *elements) {
    if (element.is_object()) function(element);
  }
}

void DefaultProbe(Json& container, const char* name) {
  Json* probe = Child(container, name);
  if (probe == nullptr || !probe->is_object()) return;
  SetDefault(*probe, "timeoutSeconds", 1);
  SetDefault(*probe, "periodSeconds", 10);
  SetDefault(*probe, "successThreshold", 1);
  SetDefault(*probe, "failureThreshold", 3);
  if (Json* http = Child(*probe, "httpGet")) {
    SetDefault(*http, "path", "/");
    SetDefault(*http, "scheme", "HTTP");
  }
}

// Limits without requests are requests too.
void DefaultResources(Json& container) {
  SetDefault(container, "resources", Json::object());
  Json& resources = container["resources"];
  if (!resources.is_object()) return;
  for (const char* list : {"limits", "requests"}) {
    Json* quantities = Child(resources, list);
    if (quantities == nullptr || !quantities->is_object()) continue;
    for (auto& quantity : *quantities) {
      if (quantity.is_number()) quantity = quantity.dump();
    }
  }
  const Json* limits = Child(resources, "limits");
  if (limits == nullptr || !limits->is_object()) return;
  SetDefault(resources, "requests", Json::object());
  for (const auto& [name, quantity] : limits->items()) SetDefault(resources["requests"], name.c_str(), quantity);
}

void DefaultContainer(Json& container) {
  const std::string image = StringAt(container, {"image"});
  const size_t colon = image.find(':', image.find('/') == std::string::npos ? 0 : image.rfind('/'));
  const bool latest =
      (colon == std::string::npos && image.find('@') == std::string::npos) || image.ends_with(":latest");
  SetDefault(container, "imagePullPolicy", latest ? "Always" : "IfNotPresent");
  SetDefault(container, "terminationMessagePath", "/dev/termination-log");
  SetDefault(container, "terminationMessagePolicy", "File");
  DefaultResources(container);
  for (const char* probe : {"livenessProbe", "readinessProbe", "startupProbe"}) DefaultProbe(container, probe);
  ForEach(container, "ports", [](Json& port) { SetDefault(port, "protocol", "TCP"); });
  ForEach(container, "env", [](Json& variable) {
    Json* source = Child(variable, "valueFrom");
    Json* field = source == nullptr ? nullptr : Child(*source, "fieldRef");
    if (field != nullptr) SetDefault(*field, "apiVersion", "v1");
  });
}

void DefaultVolume(Json& volume) {
  for (const char* kind : {"configMap", "secret", "projected", "downwardAPI"}) {
    if (Json* source = Child(volume, kind)) SetDefault(*source, "defaultMode", 420);
  }
  if (volume.size() == 1 && volume.contains("name")) volume["emptyDir"] = Json::object();
}

std::string QosClass(const Json& spec) {
  bool any = false;
  bool guaranteed = true;
  for (const char* list : {"containers", "initContainers"}) {
    if (!spec.contains(list) || !spec[list].is_array()) continue;
    for (const auto& container : spec[list]) {
      for (const char* name : {"cpu", "memory"}) {
        const Json* request = ValueAt(container, {"resources", "requests", name});
        const Json* limit = ValueAt(container, {"resources", "limits", name});
        any = any || request != nullptr || limit != nullptr;
        guaranteed = guaranteed && limit != nullptr && request != nullptr && *limit == *request;
      }
    }
  }
  return !any ? "BestEffort" : guaranteed ? "Guaranteed" : "Burstable";
}

// What the DefaultTolerationSeconds admission plugin adds: a pod stays for five minutes on a node that is lost.
void AddDefaultTolerations(Json& spec) {
  for (const char* taint : {"node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"}) {
    Json& tolerations = spec["tolerations"];
    if (!tolerations.is_null() && !tolerations.is_array()) return;
    const bool tolerated = std::ranges::any_of(tolerations, [taint](const Json& one) {
      const std::string key = StringAt(one, {"key"});
      const std::string effect = StringAt(one, {"effect"});
      return (key == taint || key.empty()) && (effect == "NoExecute" || effect.empty());
    });
    if (tolerated) continue;
    tolerations.push_back(
        {{"effect", "NoExecute"}, {"key", taint}, {"operator", "Exists"}, {"tolerationSeconds", 300}});
  }
}

void Prepare(Json& pod, const Json* before) {
  if (!pod.contains("spec") || !pod["spec"].is_object()) return;
  Json& spec = pod["spec"];
  SetDefault(spec, "restartPolicy", "Always");
  SetDefault(spec, "dnsPolicy", "ClusterFirst");
  SetDefault(spec, "schedulerName", "default-scheduler");
  SetDefault(spec, "securityContext", Json::object());
  SetDefault(spec, "terminationGracePeriodSeconds", 30);
  SetDefault(spec, "enableServiceLinks", true);
  SetDefault(spec, "serviceAccountName", "default");
  spec["serviceAccount"] = spec["serviceAccountName"];
  SetDefault(spec, "preemptionPolicy", "PreemptLowerPriority");
  SetDefault(spec, "priority", 0);
  ForEach(spec, "containers", DefaultContainer);
  ForEach(spec, "initContainers", DefaultContainer);
  ForEach(spec, "volumes", DefaultVolume);
  if (before != nullptr) return;
  AddDefaultTolerations(spec);
  pod["status"] = {{"phase", "Pending"}, {"qosClass", QosClass(spec)}};
}

void ValidatePorts(const Json& container, const std::string& field, Causes& causes) {
  const Json* ports = ValueAt(container, {"ports"});
  if (ports == nullptr || !ports->is_array()) return;
  for (size_t i = 0; i < ports->size(); ++i) {
    const std::string at = fmt::format("{}.ports[{}]", field, i);
    const Json* port = ValueAt((*ports)[i], {"containerPort"});
    if (port == nullptr) {
      causes.push_back(RequiredValue(at + ".containerPort"));
    } else if (!port->is_number_integer() || *port < 1 || *port > 65535) {
      causes.push_back(InvalidValue(at + ".containerPort", *port, "must be between 1 and 65535, inclusive"));
    }
  }
}

void ValidateMounts(const Json& container, const std::string& field, const std::set<std::string>& volumes,
                    Causes& causes) {
  const Json* mounts = ValueAt(container, {"volumeMounts"});
  if (mounts == nullptr || !mounts->is_array()) return;
  for (size_t i = 0; i < mounts->size(); ++i) {
    const std::string name = StringAt((*mounts)[i], {"name"});
    const std::string at = fmt::format("{}.volumeMounts[{}]", field, i);
    if (!volumes.contains(name)) {
      causes.push_back({"FieldValueNotFound", "Not found: " + Json(name).dump(), at + ".name"});
    }
    if (StringAt((*mounts)[i], {"mountPath"}).empty()) causes.push_back(RequiredValue(at + ".mountPath"));
  }
}

std::set<std::string> ValidateVolumes(const Json& spec, Causes& causes) {
  std::set<std::string> names;
  const Json* volumes = ValueAt(spec, {"volumes"});
  if (volumes == nullptr || !volumes->is_array()) return names;
  for (size_t i = 0; i < volumes->size(); ++i) {
    const std::string name = StringAt((*volumes)[i], {"name"});
    const std::string field = fmt::format("spec.volumes[{}].name", i);
    if (name.empty()) {
      causes.push_back(RequiredValue(field));
    } else if (!IsDnsLabel(name)) {
      causes.push_back(InvalidValue(field, name, DnsLabelMessage()));
    } else if (!names.insert(name).second) {
      causes.push_back(DuplicateValue(field, name));
    }
  }
  return names;
}

void ValidateContainers(const Json& spec, const char* list, const std::set<std::string>& volumes,
                        std::set<std::string>& names, Causes& causes) {
  const Json* containers = ValueAt(spec, {list});
  if (containers == nullptr || !containers->is_array()) return;
  for (size_t i = 0; i < containers->size(); ++i) {
    const Json& container = (*containers)[i];
    const std::string field = fmt::format("spec.{}[{}]", list, i);
    const std::string name = StringAt(container, {"name"});
    if (name.empty()) {
      causes.push_back(RequiredValue(field + ".name"));
    } else if (!IsDnsLabel(name)) {
      causes.push_back(InvalidValue(field + ".name", name, DnsLabelMessage()));
    } else if (!names.insert(name).second) {
      causes.push_back(DuplicateValue(field + ".name", name));
    }
    if (StringAt(container, {"image"}).empty()) causes.push_back(RequiredValue(field + ".image"));
    const Json policies = {"Always", "IfNotPresent", "Never"};
    const std::string policy = StringAt(container, {"imagePullPolicy"});
    if (std::ranges::find(policies, Json(policy)) == policies.end()) {
      causes.push_back(UnsupportedValue(field + ".imagePullPolicy", policy, policies));
    }
    ValidatePorts(container, field, causes);
    ValidateMounts(container, field, volumes, causes);
  }
}

// The spec without what may change while a pod lives.
Json FixedPart(Json spec) {
  for (const char* list : {"containers", "initContainers"}) {
    ForEach(spec, list, [](Json& container) { container.erase("image"); });
  }
  for (const char* name : {"activeDeadlineSeconds", "tolerations", "ephemeralContainers"}) spec.erase(name);
  return spec;
}

void ValidateChange(const Json& pod, const Json& before, Causes& causes) {
  if (FixedPart(pod["spec"]) == FixedPart(before["spec"])) return;
  causes.push_back(ForbiddenValue(
      "spec",
      "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
      "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
      "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"));
}

void Validate(const Json& pod, const Json* before, Causes& causes) {
  const Json* spec = ValueAt(pod, {"spec"});
  if (spec == nullptr || !spec->is_object()) {
    causes.push_back(RequiredValue("spec.containers"));
    return;
  }
  const Json* containers = ValueAt(*spec, {"containers"});
  if (containers == nullptr || containers->empty()) causes.push_back(RequiredValue("spec.containers"));
  const auto volumes = ValidateVolumes(*spec, causes);
  std::set<std::string> names;
  ValidateContainers(*spec, "containers", volumes, names, causes);
  ValidateContainers(*spec, "initContainers", volumes, names, causes);
  const Json policies = {"Always", "OnFailure", "Never"};
  if (std::ranges::find(policies, (*spec)["restartPolicy"]) == policies.end()) {
    causes.push_back(UnsupportedValue("spec.restartPolicy", (*spec)["restartPolicy"], policies));
  }
  if (before != nullptr && causes.empty()) ValidateChange(pod, *before, causes);
}

}  // namespace

Strategy PodStrategy() { return {Prepare, Validate}; }

}  // namespace slotwright::local::apiserver
