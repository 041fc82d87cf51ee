// This machine as a Node.
#include "local/kubelet/node.h"

#include <fmt/format.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

namespace slotwright::local {

using reconciler::FormatTime;
using reconciler::Json;
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

}  // namespace slotwright::local
