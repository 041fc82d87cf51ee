// One container of a pod through all its runs: start, probe, restart, stop.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "local/kubelet/crash_backoff.h"
#include "local/kubelet/event_loop.h"
#include "local/kubelet/image_resolver.h"
#include "local/kubelet/launch.h"
#include "local/kubelet/log_files.h"
#include "local/kubelet/pod_status.h"
#include "local/kubelet/prober.h"
#include "local/kubelet/process.h"
#include "reconciler/runtime/event_recorder.h"

namespace slotwright::local {

enum class RestartPolicy { kAlways, kOnFailure, kNever };

/// What a container needs from its pod. Functions are called in the loop's thread.
struct ContainerHost {
  EventLoop& loop;
  ImageResolver& images;
  LogFiles& logs;
  reconciler::Duration restart_backoff;
  reconciler::ObjectKey pod;
  std::string uid;
  std::string folder;  ///< PodFolder.
  std::string pod_ip;
  std::chrono::seconds grace;  ///< terminationGracePeriodSeconds.
  std::function<PodFacts()> facts;
  std::function<reconciler::Result<std::vector<MountedFolder>>(const reconciler::Json& container)> mounts;
  std::function<void(reconciler::EventType, const std::string& reason, const std::string& message)> record;
  /// The status has changed. Called last in every function that changes it; may not destroy the container.
  std::function<void()> changed;
};

/// Only in the loop's thread. Destroying it kills what runs.
class Container {
 public:
  /// `before`: what an earlier kubelet left in the pod's status; its restarts are counted on.
  Container(ContainerHost& host, reconciler::Json spec, RestartPolicy policy,
            const std::optional<ContainerStatus>& before);
  ~Container();
  Container(const Container&) = delete;
  Container& operator=(const Container&) = delete;

  [[nodiscard]] const ContainerStatus& status() const { return status_; }
  /// It has no process and gets none any more.
  [[nodiscard]] bool ended() const { return phase_ == Phase::kEnded; }
  [[nodiscard]] bool succeeded() const;

  /// Starts it unless it was started before.
  void Ensure();
  /// Another image: what runs is stopped and started with the new one, what waits for an image tries again.
  void Update(const reconciler::Json& spec);
  /// Something that its configuration refers to has changed.
  void Retry();
  /// preStop, SIGTERM, and SIGKILL after `grace` (two seconds at least); then it has ended. Called again, it can only
  /// shorten the time left.
  void Stop(std::chrono::seconds grace);

 private:
  enum class Phase {
    kIdle,      ///< Never asked to start.
    kWaiting,   ///< Tries to start when timer_ fires (or, for kConfiguration, when something changes).
    kRunning,   ///< process_ runs.
    kStopping,  ///< process_ has been told to end.
    kEnded,     ///< For good.
  };
  enum class WaitsFor { kImage, kConfiguration, kRestart };

  void Start();
  void Launch(const LaunchPlan& plan, const ResolvedImage& image, std::map<ProbeKind, Probe> probes);
  void Wait(WaitsFor what, std::string reason, std::string message, reconciler::Duration delay);
  void WaitForImage(const std::string& message);
  void Running(const LaunchPlan& plan, std::map<ProbeKind, Probe> probes);
  void RunPostStart(const LaunchPlan& plan);
  [[nodiscard]] Prober::Events ProberEvents();
  void BeginStop(std::chrono::seconds grace, bool restart_at_once);
  void RunPreStop(const reconciler::Json& hook, std::chrono::seconds grace);
  void Terminate();
  void KillAt(reconciler::MonotonicTime time);
  void Exited(ExitStatus exit);
  void StartFailed(const std::string& message);
  void Terminated(ContainerState state);
  void Restart();

  ContainerHost& host_;
  reconciler::Json spec_;
  const RestartPolicy policy_;
  ContainerStatus status_;
  Phase phase_ = Phase::kIdle;
  WaitsFor waits_for_ = WaitsFor::kImage;
  bool stop_for_good_ = false;
  bool restart_at_once_ = false;
  int run_ = 0;  ///< Of the log file.
  CrashBackoff backoff_;
  reconciler::Duration image_retry_{};
  reconciler::MonotonicTime started_at_{};
  reconciler::MonotonicTime stop_by_{};  ///< kStopping: when SIGKILL is due.
  std::optional<LaunchPlan> plan_;
  std::unique_ptr<Process> process_;
  std::unique_ptr<Prober> prober_;
  std::unique_ptr<RunningAction> hook_;
  Timer timer_;       ///< kWaiting: the next try. kStopping: SIGKILL.
  Timer hook_timer_;  ///< A preStop hook that only sleeps.
};

}  // namespace slotwright::local
