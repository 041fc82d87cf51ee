// Probes one running container on schedule and says what changed.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "local/kubelet/probe_runner.h"

namespace slotwright::local {

/// Lives as long as one run of a container. The startup probe holds the other two back until it succeeded.
///
/// Until a container is first started or ready it is looked at more often than its period says: at once, and then
/// after 20 ms, 40 ms, … up to the period. Such early looks can only succeed: what they find wrong does not count. So
/// a server that needs 30 ms is not waited for whole seconds, and thresholds mean what they mean elsewhere.
class Prober {
 public:
  struct Events {
    std::function<void()> started;    ///< Once: the startup probe succeeded (at once, if there is none).
    std::function<void(bool)> ready;  ///< At every change; never before `started`.
    /// The startup or liveness probe failed for good. The Prober is silent from then on.
    std::function<void(ProbeKind, const Probe&)> killed;
    std::function<void(ProbeKind, const std::string& message)> unhealthy;  ///< Each failure that counts.
  };

  /// Events come from the loop, never from within the constructor; `killed` may destroy the Prober.
  Prober(EventLoop& loop, std::map<ProbeKind, Probe> probes, const LaunchPlan& plan, std::string pod_ip, Events events);
  ~Prober();
  Prober(const Prober&) = delete;
  Prober& operator=(const Prober&) = delete;

 private:
  struct Schedule;
  void Begin(ProbeKind kind);
  void Wait(Schedule& schedule, reconciler::Duration delay);
  void Look(Schedule& schedule);
  void Saw(Schedule& schedule, const ProbeOutcome& outcome);
  void Verdict(Schedule& schedule, bool good);
  void Started();

  EventLoop& loop_;
  const std::map<ProbeKind, Probe> probes_;
  const LaunchPlan plan_;
  const std::string pod_ip_;
  const Events events_;
  const reconciler::MonotonicTime began_;
  std::map<ProbeKind, std::unique_ptr<Schedule>> schedules_;
  Timer start_;
};

}  // namespace slotwright::local
