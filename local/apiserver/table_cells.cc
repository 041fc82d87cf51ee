// See table_cells.h.
#include "local/apiserver/table_cells.h"

#include <fmt/format.h>

#include <map>

#include "local/apiserver/table.h"

namespace slotwright::local::apiserver {

using reconciler::StringAt;
using reconciler::ValueAt;
using reconciler::WallTime;

namespace {

std::string OrNone(const std::string& text) { return text.empty() ? "<none>" : text; }

std::string Age(const Json& object, WallTime now) {
  return AgeSince(StringAt(object, {"metadata", "creationTimestamp"}), now);
}

std::string Name(const Json& object) { return StringAt(object, {"metadata", "name"}); }

size_t SizeAt(const Json& object, std::initializer_list<const char*> path) {
  const Json* value = ValueAt(object, path);
  return value == nullptr || !value->is_structured() ? 0 : value->size();
}

std::string Text(const Json* value) {
  if (value == nullptr || value->is_null()) return "";
  return value->is_string() ? value->get<std::string>() : value->dump();
}

std::string JoinMap(const Json* map) {
  std::string text;
  if (map == nullptr || !map->is_object()) return text;
  for (const auto& [key, value] : map->items())
    text += fmt::format("{}{}={}", text.empty() ? "" : ",", key, Text(&value));
  return text;
}

// --- Pods

int ExitCode(const Json& state) {
  const Json* code = ValueAt(state, {"terminated", "exitCode"});
  return code != nullptr && code->is_number_integer() ? code->get<int>() : 0;
}

std::string StateReason(const Json& status) {
  const Json* state = ValueAt(status, {"state"});
  if (state == nullptr) return "";
  if (const std::string waiting = StringAt(*state, {"waiting", "reason"}); !waiting.empty()) return waiting;
  if (const std::string ended = StringAt(*state, {"terminated", "reason"}); !ended.empty()) return ended;
  if (ValueAt(*state, {"terminated"}) != nullptr) return fmt::format("ExitCode:{}", ExitCode(*state));
  return "";
}

std::string InitReason(const Json& pod) {
  const Json* statuses = ValueAt(pod, {"status", "initContainerStatuses"});
  if (statuses == nullptr) return "";
  for (size_t i = 0; i < statuses->size(); ++i) {
    const Json& status = (*statuses)[i];
    const Json* ended = ValueAt(status, {"state", "terminated"});
    if (ended != nullptr && ExitCode(status["state"]) == 0) continue;
    const std::string reason = StateReason(status);
    if (!reason.empty() && reason != "PodInitializing") return "Init:" + reason;
    return fmt::format("Init:{}/{}", i, SizeAt(pod, {"spec", "initContainers"}));
  }
  return "";
}

std::string PodStatus(const Json& pod, size_t ready) {
  std::string reason = StringAt(pod, {"status", "reason"});
  if (reason.empty()) reason = StringAt(pod, {"status", "phase"});
  if (const std::string init = InitReason(pod); !init.empty()) {
    reason = init;
  } else if (const Json* statuses = ValueAt(pod, {"status", "containerStatuses"})) {
    bool running = false;
    for (auto status = statuses->rbegin(); status != statuses->rend(); ++status) {
      if (const std::string state = StateReason(*status); !state.empty()) reason = state;
      running = running || ValueAt(*status, {"state", "running"}) != nullptr;
    }
    if (reason == "Completed" && running) reason = ready > 0 ? "Running" : "NotReady";
  }
  if (reconciler::IsBeingDeleted(pod) && reason != "NodeLost") return "Terminating";
  return reason;
}

Json PodCells(const Json& pod, WallTime now) {
  size_t ready = 0;
  int restarts = 0;
  std::string last_restart;
  if (const Json* statuses = ValueAt(pod, {"status", "containerStatuses"})) {
    for (const auto& status : *statuses) {
      if (ValueAt(status, {"state", "running"}) != nullptr && status.value("ready", false)) ++ready;
      restarts += status.value("restartCount", 0);
      last_restart = std::max(last_restart, StringAt(status, {"lastState", "terminated", "finishedAt"}));
    }
  }
  std::string restart_text = std::to_string(restarts);
  if (restarts > 0 && !last_restart.empty()) restart_text += fmt::format(" ({} ago)", AgeSince(last_restart, now));
  return {Name(pod),
          fmt::format("{}/{}", ready, SizeAt(pod, {"spec", "containers"})),
          PodStatus(pod, ready),
          restart_text,
          Age(pod, now),
          OrNone(StringAt(pod, {"status", "podIP"})),
          OrNone(StringAt(pod, {"spec", "nodeName"})),
          OrNone(StringAt(pod, {"status", "nominatedNodeName"})),
          "<none>"};
}

// --- The others

Json ServiceCells(const Json& service, WallTime now) {
  std::string ports;
  if (const Json* list = ValueAt(service, {"spec", "ports"})) {
    for (const auto& port : *list) {
      ports += fmt::format("{}{}/{}", ports.empty() ? "" : ",", Text(ValueAt(port, {"port"})),
                           port.value("protocol", "TCP"));
    }
  }
  return {Name(service),
          StringAt(service, {"spec", "type"}),
          OrNone(StringAt(service, {"spec", "clusterIP"})),
          OrNone(StringAt(service, {"spec", "externalName"})),
          OrNone(ports),
          Age(service, now),
          OrNone(JoinMap(ValueAt(service, {"spec", "selector"})))};
}

std::string AddressOf(const Json& node, const std::string& type) {
  const Json* addresses = ValueAt(node, {"status", "addresses"});
  if (addresses == nullptr) return "";
  for (const auto& address : *addresses) {
    if (StringAt(address, {"type"}) == type) return StringAt(address, {"address"});
  }
  return "";
}

Json NodeCells(const Json& node, WallTime now) {
  std::string status = "Unknown";
  if (const Json* conditions = ValueAt(node, {"status", "conditions"})) {
    for (const auto& condition : *conditions) {
      if (StringAt(condition, {"type"}) != "Ready") continue;
      status = StringAt(condition, {"status"}) == "True" ? "Ready" : "NotReady";
    }
  }
  const Json* unschedulable = ValueAt(node, {"spec", "unschedulable"});
  if (unschedulable != nullptr && *unschedulable == true) status += ",SchedulingDisabled";
  std::string roles;
  if (const Json* labels = ValueAt(node, {"metadata", "labels"})) {
    const std::string prefix = "node-role.kubernetes.io/";
    for (const auto& [label, value] : labels->items()) {
      if (label.starts_with(prefix)) roles += (roles.empty() ? "" : ",") + label.substr(prefix.size());
    }
  }
  const auto info = [&node](const char* field) {
    const std::string text = StringAt(node, {"status", "nodeInfo", field});
    return text.empty() ? "<unknown>" : text;
  };
  return {Name(node),
          status,
          OrNone(roles),
          Age(node, now),
          StringAt(node, {"status", "nodeInfo", "kubeletVersion"}),
          OrNone(AddressOf(node, "InternalIP")),
          OrNone(AddressOf(node, "ExternalIP")),
          info("osImage"),
          info("kernelVersion"),
          info("containerRuntimeVersion")};
}

Json NamespaceCells(const Json& ns, WallTime now) {
  return {Name(ns), StringAt(ns, {"status", "phase"}), Age(ns, now)};
}

Json SecretCells(const Json& secret, WallTime now) {
  return {Name(secret), StringAt(secret, {"type"}), SizeAt(secret, {"data"}), Age(secret, now)};
}

Json ConfigMapCells(const Json& config_map, WallTime now) {
  return {Name(config_map), SizeAt(config_map, {"data"}) + SizeAt(config_map, {"binaryData"}), Age(config_map, now)};
}

Json EventCells(const Json& event, WallTime now) {
  std::string first = StringAt(event, {"firstTimestamp"});
  if (first.empty()) first = StringAt(event, {"eventTime"});
  std::string last = StringAt(event, {"lastTimestamp"});
  if (const std::string observed = StringAt(event, {"series", "lastObservedTime"}); !observed.empty()) last = observed;
  if (last.empty()) last = first;
  std::string kind = StringAt(event, {"involvedObject", "kind"});
  for (char& c : kind) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  std::string source = StringAt(event, {"source", "component"});
  if (source.empty()) source = StringAt(event, {"reportingComponent"});
  if (const std::string host = StringAt(event, {"source", "host"}); !host.empty()) source += ", " + host;
  return {AgeSince(last, now),
          StringAt(event, {"type"}),
          StringAt(event, {"reason"}),
          kind + "/" + StringAt(event, {"involvedObject", "name"}),
          StringAt(event, {"involvedObject", "fieldPath"}),
          source,
          StringAt(event, {"message"}),
          AgeSince(first, now),
          std::max(1, event.value("count", 1)),
          Name(event)};
}

Json ClaimCells(const Json& claim, WallTime now) {
  std::string modes;
  const std::map<std::string, std::string> short_modes = {
      {"ReadWriteOnce", "RWO"}, {"ReadOnlyMany", "ROX"}, {"ReadWriteMany", "RWX"}, {"ReadWriteOncePod", "RWOP"}};
  const std::string volume = StringAt(claim, {"spec", "volumeName"});
  if (const Json* list = ValueAt(claim, {"status", "accessModes"}); list != nullptr && !volume.empty()) {
    for (const auto& mode : *list) {
      const auto found = mode.is_string() ? short_modes.find(mode.get<std::string>()) : short_modes.end();
      if (found != short_modes.end()) modes += (modes.empty() ? "" : ",") + found->second;
    }
  }
  const std::string capacity = volume.empty() ? "" : Text(ValueAt(claim, {"status", "capacity", "storage"}));
  const std::string phase = reconciler::IsBeingDeleted(claim) ? "Terminating" : StringAt(claim, {"status", "phase"});
  return {Name(claim), phase,           volume,
          capacity,    modes,           StringAt(claim, {"spec", "storageClassName"}),
          "<unset>",   Age(claim, now), StringAt(claim, {"spec", "volumeMode"})};
}

Json ServiceAccountCells(const Json& account, WallTime now) {
  return {Name(account), SizeAt(account, {"secrets"}), Age(account, now)};
}

Json BudgetCells(const Json& budget, WallTime now) {
  const auto or_na = [&budget](const char* field) {
    const std::string text = Text(ValueAt(budget, {"spec", field}));
    return text.empty() ? "N/A" : text;
  };
  const Json* allowed = ValueAt(budget, {"status", "disruptionsAllowed"});
  return {Name(budget), or_na("minAvailable"), or_na("maxUnavailable"), allowed == nullptr ? Json(0) : *allowed,
          Age(budget, now)};
}

Json LeaseCells(const Json& lease, WallTime now) {
  return {Name(lease), StringAt(lease, {"spec", "holderIdentity"}), Age(lease, now)};
}

Json DefinitionCells(const Json& crd, WallTime) {
  return {Name(crd), StringAt(crd, {"metadata", "creationTimestamp"})};
}

}  // namespace

std::string AgeSince(const std::string& time, WallTime now) {
  if (time.empty()) return "<unknown>";
  return HumanDuration(std::chrono::duration_cast<std::chrono::seconds>(now - reconciler::ParseTime(time)));
}

Json BuiltinCells(const Resource& resource, const Json& object, WallTime now) {
  using CellsFunction = Json (*)(const Json&, WallTime);
  static const std::map<std::string, CellsFunction> kFunctions = {
      {"Pod", PodCells},
      {"Service", ServiceCells},
      {"Node", NodeCells},
      {"Namespace", NamespaceCells},
      {"Secret", SecretCells},
      {"ConfigMap", ConfigMapCells},
      {"Event", EventCells},
      {"PersistentVolumeClaim", ClaimCells},
      {"ServiceAccount", ServiceAccountCells},
      {"PodDisruptionBudget", BudgetCells},
      {"Lease", LeaseCells},
      {"CustomResourceDefinition", DefinitionCells},
  };
  return kFunctions.at(resource.type.kind)(object, now);
}

}  // namespace slotwright::local::apiserver
