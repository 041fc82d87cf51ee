// The status of a Pod, as the kubelet of a real node would write it: container states in, JSON out.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "reconciler/base/clock.h"
#include "reconciler/kube/types.h"

namespace slotwright::local {

struct ContainerState {
  enum class Kind {
    kWaiting,  ///< Not started yet, or between two runs.
    kRunning,
    kTerminated,  ///< Ended.
  };
  Kind kind = Kind::kWaiting;
  std::string reason;
  std::string message;
  int exit_code = 0;                   ///< kTerminated.
  reconciler::WallTime started_at{};   ///< kRunning, kTerminated.
  reconciler::WallTime finished_at{};  ///< kTerminated.
  std::string container_id;            ///< kTerminated.

  friend bool operator==(const ContainerState&, const ContainerState&) = default;
};

struct ContainerStatus {
  std::string name;
  std::string image;
  std::string image_id;
  std::string container_id;
  ContainerState state;
  std::optional<ContainerState> last_state;  ///< How the run before ended.
  int restart_count = 0;
  bool ready = false;
  bool started = false;
  bool sidecar = false;  ///< An init container with restartPolicy Always.

  friend bool operator==(const ContainerStatus&, const ContainerStatus&) = default;
};

/// What the kubelet knows about a pod.
struct PodReport {
  std::string pod_ip;  ///< Empty: none yet.
  std::string host_ip;
  reconciler::WallTime start_time{};
  std::vector<ContainerStatus> init_containers;
  std::vector<ContainerStatus> containers;
  bool terminating = false;
  std::string failure_reason;  ///< Not empty: the pod as a whole has failed ("DeadlineExceeded").
  std::string failure_message;
};

/// "Pending", "Running", "Succeeded" or "Failed" (Kubernetes: getPhase in pkg/kubelet/kubelet_pods.go).
[[nodiscard]] std::string PhaseOf(const reconciler::Json& pod, const PodReport& report);

/// The whole status. Conditions keep the lastTransitionTime of `previous` (the status as last written; may be null)
/// unless their status changes; conditions of `pod` that are not the kubelet's stay as they are there.
[[nodiscard]] reconciler::Json PodStatusOf(const reconciler::Json& pod, const reconciler::Json& previous,
                                           const PodReport& report, reconciler::WallTime now);

/// The container's status in a list that an API server gave us, read back; nothing if it is not there. For a kubelet
/// that finds pods of the time before it started.
[[nodiscard]] std::optional<ContainerStatus> FindContainerStatus(const reconciler::Json& pod, const std::string& name);

}  // namespace slotwright::local
