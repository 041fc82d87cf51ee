// Carries out one probe or hook, and says how it went.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "local/kubelet/event_loop.h"
#include "local/kubelet/launch.h"
#include "local/kubelet/probe.h"

namespace slotwright::local {

struct ProbeOutcome {
  bool success = false;
  std::string message;  ///< Why not, in the words of the kubelet's events.
};

/// Destroying it ends the action; its handler is not called any more.
class RunningAction {
 public:
  virtual ~RunningAction() = default;
};

using ProbeHandler = std::function<void(ProbeOutcome)>;

/// `done` is called once, from the loop, never from within this function; it may destroy the RunningAction. Addresses
/// without a host are `pod_ip`. https: the server's certificate is not verified, as the kubelet does.
[[nodiscard]] std::unique_ptr<RunningAction> RunAction(EventLoop& loop, const Action& action, const LaunchPlan& plan,
                                                       const std::string& pod_ip, reconciler::Duration timeout,
                                                       ProbeHandler done);

}  // namespace slotwright::local
