// Pod status: phase, conditions and container statuses.
#include "local/kubelet/pod_status.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <functional>

namespace slotwright::local {

using reconciler::FormatTime;
using reconciler::Json;
using reconciler::StringAt;
using reconciler::WallTime;
using Kind = ContainerState::Kind;

namespace {

constexpr std::array<const char*, 4> kOwnConditions = {"PodScheduled", "Initialized", "ContainersReady", "Ready"};

Json StateJson(const ContainerState& state) {
  Json fields = Json::object();
  const auto put = [&](const char* name, const std::string& value) {
    if (!value.empty()) fields[name] = value;
  };
  put("reason", state.reason);
  put("message", state.message);
  if (state.kind == Kind::kWaiting) return {{"waiting", fields}};
  fields["startedAt"] = FormatTime(state.started_at);
  if (state.kind == Kind::kRunning) return {{"running", fields}};
  fields["exitCode"] = state.exit_code;
  fields["finishedAt"] = FormatTime(state.finished_at);
  put("containerID", state.container_id);
  return {{"terminated", fields}};
}

Json StatusJson(const ContainerStatus& status) {
  Json json = {{"name", status.name},
               {"image", status.image},
               {"imageID", status.image_id},
               {"state", StateJson(status.state)},
               {"lastState", status.last_state ? StateJson(*status.last_state) : Json::object()},
               {"ready", status.ready},
               {"started", status.started},
               {"restartCount", status.restart_count}};
  if (!status.container_id.empty()) json["containerID"] = status.container_id;
  return json;
}

Json StatusesJson(const std::vector<ContainerStatus>& statuses) {
  Json list = Json::array();
  for (const auto& status : statuses) list.push_back(StatusJson(status));
  return list;
}

bool Completed(const ContainerStatus& status) {
  return status.state.kind == Kind::kTerminated && status.state.exit_code == 0;
}

bool NeverRan(const ContainerStatus& status) { return status.state.kind == Kind::kWaiting && !status.last_state; }

// What is still to be done before the containers may start. Once one of them ran, it has been done: a sidecar that is
// down later does not undo it.
bool Uninitialized(const PodReport& report, const ContainerStatus& init) {
  if (!std::ranges::all_of(report.containers, NeverRan)) return false;
  return init.sidecar ? !init.started : !Completed(init);
}

std::string NamesWhere(const std::vector<ContainerStatus>& statuses,
                       const std::function<bool(const ContainerStatus&)>& predicate) {
  std::vector<std::string> names;
  for (const auto& status : statuses) {
    if (predicate(status)) names.push_back(status.name);
  }
  return fmt::format("{}", fmt::join(names, " "));
}

struct Condition {
  const char* type;
  bool holds;
  std::string reason;
  std::string message;
};

const Json* FindCondition(const Json& status, const std::string& type) {
  const auto conditions = status.find("conditions");
  if (conditions == status.end()) return nullptr;
  const auto found = std::ranges::find_if(*conditions, [&](const Json& c) { return StringAt(c, {"type"}) == type; });
  return found == conditions->end() ? nullptr : &*found;
}

Json ConditionJson(const Condition& condition, const Json& previous, WallTime now) {
  Json json = {{"type", condition.type}, {"status", condition.holds ? "True" : "False"}};
  if (!condition.reason.empty()) json["reason"] = condition.reason;
  if (!condition.message.empty()) json["message"] = condition.message;
  const Json* before = FindCondition(previous, condition.type);
  const bool kept =
      before != nullptr && (*before)["status"] == json["status"] && before->contains("lastTransitionTime");
  json["lastTransitionTime"] = kept ? (*before)["lastTransitionTime"] : Json(FormatTime(now));
  return json;
}

Condition InitializedCondition(const PodReport& report) {
  const std::string missing =
      NamesWhere(report.init_containers, [&](const auto& c) { return Uninitialized(report, c); });
  if (missing.empty()) return {"Initialized", true, "", ""};
  return {"Initialized", false, "ContainersNotInitialized",
          fmt::format("containers with incomplete status: [{}]", missing)};
}

Condition ContainersReadyCondition(const PodReport& report, const std::string& phase) {
  if (phase == "Succeeded") return {"ContainersReady", false, "PodCompleted", ""};
  if (phase == "Failed") return {"ContainersReady", false, "PodFailed", ""};
  const auto unready = [](const ContainerStatus& c) { return !c.ready; };
  std::string names = NamesWhere(report.containers, unready);
  const std::string sidecars = NamesWhere(report.init_containers, [](const auto& c) { return c.sidecar && !c.ready; });
  if (!sidecars.empty()) names += (names.empty() ? "" : " ") + sidecars;
  if (names.empty()) return {"ContainersReady", true, "", ""};
  return {"ContainersReady", false, "ContainersNotReady", fmt::format("containers with unready status: [{}]", names)};
}

Condition ReadyCondition(const Json& pod, const Condition& containers_ready) {
  Condition ready = containers_ready;
  ready.type = "Ready";
  if (!ready.holds) return ready;
  const auto gates = pod.value("spec", Json::object()).value("readinessGates", Json::array());
  const Json current = pod.value("status", Json::object());
  for (const auto& gate : gates) {
    const std::string type = StringAt(gate, {"conditionType"});
    const Json* condition = FindCondition(current, type);
    if (condition != nullptr && StringAt(*condition, {"status"}) == "True") continue;
    return {"Ready", false, "ReadinessGatesNotReady",
            fmt::format("the status of pod readiness gate \"{}\" is not \"True\"", type)};
  }
  return ready;
}

Json ConditionsOf(const Json& pod, const Json& previous, const PodReport& report, const std::string& phase,
                  WallTime now) {
  Json conditions = Json::array();
  Condition initialized = InitializedCondition(report);
  if (phase == "Succeeded") initialized.reason = "PodCompleted";
  const Condition containers_ready = ContainersReadyCondition(report, phase);
  for (const auto& condition : {Condition{"PodScheduled", true, "", ""}, initialized, containers_ready,
                                ReadyCondition(pod, containers_ready)}) {
    conditions.push_back(ConditionJson(condition, previous, now));
  }
  for (const auto& condition : pod.value("status", Json::object()).value("conditions", Json::array())) {
    if (std::ranges::find(kOwnConditions, StringAt(condition, {"type"})) == kOwnConditions.end()) {
      conditions.push_back(condition);
    }
  }
  return conditions;
}

std::string RestartPolicyOf(const Json& pod) {
  const std::string policy = StringAt(pod, {"spec", "restartPolicy"});
  return policy.empty() ? "Always" : policy;
}

}  // namespace

std::string PhaseOf(const Json& pod, const PodReport& report) {
  if (!report.failure_reason.empty()) return "Failed";
  const auto ended = [](const auto& c) { return c.state.kind == Kind::kTerminated; };
  const auto running = [](const auto& c) { return c.state.kind == Kind::kRunning; };
  // Once a deleted pod has no process left it is over for good, even if it never came to run.
  if (report.terminating && std::ranges::none_of(report.containers, running) &&
      std::ranges::none_of(report.init_containers, running)) {
    return std::ranges::all_of(report.containers, Completed) ? "Succeeded" : "Failed";
  }
  const std::string policy = RestartPolicyOf(pod);
  for (const auto& init : report.init_containers) {
    if (!Uninitialized(report, init)) continue;
    const bool failed = init.state.kind == Kind::kTerminated && init.state.exit_code != 0;
    return failed && policy == "Never" && !init.sidecar ? "Failed" : "Pending";
  }
  // A container between two runs counts as ended, one that never ran as waiting.
  if (std::ranges::any_of(report.containers, NeverRan)) return "Pending";
  if (!std::ranges::all_of(report.containers, ended) || policy == "Always") return "Running";
  if (std::ranges::all_of(report.containers, Completed)) return "Succeeded";
  return policy == "OnFailure" ? "Running" : "Failed";
}

Json PodStatusOf(const Json& pod, const Json& previous, const PodReport& report, WallTime now) {
  const std::string phase = PhaseOf(pod, report);
  Json status = {
      {"phase", phase},
      {"conditions", ConditionsOf(pod, previous.is_object() ? previous : Json::object(), report, phase, now)},
      {"hostIP", report.host_ip},
      {"hostIPs", Json::array({{{"ip", report.host_ip}}})},
      {"startTime", FormatTime(report.start_time)},
      {"containerStatuses", StatusesJson(report.containers)}};
  if (!report.pod_ip.empty()) {
    status["podIP"] = report.pod_ip;
    status["podIPs"] = Json::array({{{"ip", report.pod_ip}}});
  }
  if (!report.init_containers.empty()) status["initContainerStatuses"] = StatusesJson(report.init_containers);
  if (!report.failure_reason.empty()) {
    status["reason"] = report.failure_reason;
    status["message"] = report.failure_message;
  }
  return status;
}

std::optional<ContainerStatus> FindContainerStatus(const Json& pod, const std::string& name) {
  for (const char* list : {"containerStatuses", "initContainerStatuses"}) {
    for (const auto& json : pod.value("status", Json::object()).value(list, Json::array())) {
      if (StringAt(json, {"name"}) != name) continue;
      ContainerStatus status;
      status.name = name;
      status.restart_count = json.value("restartCount", 0);
      const Json state = json.value("state", Json::object());
      if (state.contains("running")) {
        status.state.kind = Kind::kRunning;
        status.state.started_at = reconciler::ParseTime(StringAt(state, {"running", "startedAt"}));
      }
      status.container_id = StringAt(json, {"containerID"});
      return status;
    }
  }
  return std::nullopt;
}

}  // namespace slotwright::local
