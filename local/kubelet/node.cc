// Node and scheduling.
#include "local/kubelet/node.h"

#include <fmt/format.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

namespace slotwright::local {

using reconciler::FormatTime;
using reconciler::Json;
using reconciler::LabelOf;
using reconciler::StringAt;
using reconciler::ValueAt;
using reconciler::WallTime;

namespace {

constexpr int kMaxPods = 1000;

std::string MemoryInKi() {
  const auto pages = static_cast<unsigned long long>(std::max(::sysconf(_SC_PHYS_PAGES), 0L));
  const auto page = static_cast<unsigned long long>(std::max(::sysconf(_SC_PAGESIZE), 0L));
  return fmt::format("{}Ki", pages * page / 1024);
}

Json Condition(const char* type, const char* status, const char* reason, const char* message, WallTime now) {
  return {{"type", type},
          {"status", status},
          {"reason", reason},
          {"message", message},
          {"lastHeartbeatTime", FormatTime(now)},
          {"lastTransitionTime", FormatTime(now)}};
}

bool Matches(const Json& node, const Json& requirement) {
  const std::string key = StringAt(requirement, {"key"});
  const std::string op = StringAt(requirement, {"operator"});
  const auto values = requirement.value("values", std::vector<std::string>());
  const bool present = ValueAt(node, {"metadata", "labels", key.c_str()}) != nullptr;
  const std::string value = LabelOf(node, key);
  const bool listed = present && std::ranges::find(values, value) != values.end();
  if (op == "In") return listed;
  if (op == "NotIn") return !listed;
  if (op == "Exists") return present;
  if (op == "DoesNotExist") return !present;
  const long number = std::strtol(value.c_str(), nullptr, 10);
  const long bound = values.empty() ? 0 : std::strtol(values[0].c_str(), nullptr, 10);
  return present && (op == "Gt" ? number > bound : op == "Lt" && number < bound);
}

bool FitsAffinity(const Json& node, const Json& pod) {
  const Json* terms = ValueAt(
      pod, {"spec", "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms"});
  if (terms == nullptr) return true;
  return std::ranges::any_of(*terms, [&](const Json& term) {
    const auto expressions = term.value("matchExpressions", Json::array());
    return std::ranges::all_of(expressions, [&](const Json& requirement) { return Matches(node, requirement); });
  });
}

}  // namespace

Json NodeObject(const std::string& name, const std::string& pod_cidr, WallTime now) {
  utsname system{};
  ::uname(&system);
  const std::string architecture = std::string_view(system.machine) == "x86_64" ? "amd64" : "arm64";
  const Json capacity = {{"cpu", std::to_string(std::max(std::thread::hardware_concurrency(), 1U))},
                         {"memory", MemoryInKi()},
                         {"pods", std::to_string(kMaxPods)}};
  return {{"apiVersion", "v1"},
          {"kind", "Node"},
          {"metadata",
           {{"name", name},
            {"labels",
             {{"kubernetes.io/hostname", name}, {"kubernetes.io/os", "linux"}, {"kubernetes.io/arch", architecture}}}}},
          {"spec", {{"podCIDR", pod_cidr}, {"podCIDRs", {pod_cidr}}}},
          {"status",
           {{"capacity", capacity},
            {"allocatable", capacity},
            {"addresses",
             Json::array({{{"type", "InternalIP"}, {"address", kHostIp}}, {{"type", "Hostname"}, {"address", name}}})},
            {"conditions",
             Json::array({Condition("Ready", "True", "KubeletReady", "kubelet is posting ready status", now)})},
            {"nodeInfo",
             {{"kubeletVersion", "v0.0.0-slotwright"},
              {"containerRuntimeVersion", "process://0"},
              {"kernelVersion", system.release},
              {"osImage", "this machine"},
              {"operatingSystem", "linux"},
              {"architecture", architecture}}}}}};
}

std::string WhyNotOn(const Json& node, const Json& pod) {
  if (const Json* selector = ValueAt(pod, {"spec", "nodeSelector"})) {
    for (const auto& [key, value] : selector->items()) {
      if (value != LabelOf(node, key)) return "0/1 nodes are available: 1 node(s) didn't match Pod's node selector";
    }
  }
  return FitsAffinity(node, pod) ? "" : "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity";
}

}  // namespace slotwright::local
