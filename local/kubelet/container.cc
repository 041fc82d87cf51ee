// The life of a container: from its specification to a running process and over again.
#include "local/kubelet/container.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <utility>

#include "local/kubelet/state_folder.h"

namespace slotwright::local {

using reconciler::Duration;
using reconciler::ErrorKind;
using reconciler::EventType;
using reconciler::Json;
using reconciler::StringAt;
using reconciler::SystemClock;
using Kind = ContainerState::Kind;

namespace {

// What a missing ConfigMap waits for is its appearance, which wakes us up; this is for all else (a full disk).
constexpr std::chrono::seconds kConfigurationRetry{5};
constexpr std::chrono::seconds kMaxImageRetry{30};
constexpr std::chrono::seconds kMinimumGrace{2};

bool Restarts(RestartPolicy policy, int exit_code) {
  return policy == RestartPolicy::kAlways || (policy == RestartPolicy::kOnFailure && exit_code != 0);
}

// What a container writes outside its volumes is gone with its next start.
std::string FreshHome(const std::string& folder) {
  std::error_code ignored;
  std::filesystem::remove_all(folder, ignored);
  std::filesystem::create_directories(folder, ignored);
  return folder;
}

}  // namespace

Container::Container(ContainerHost& host, Json spec, RestartPolicy policy, const std::optional<ContainerStatus>& before)
    : host_(host), spec_(std::move(spec)), policy_(policy), backoff_(host.restart_backoff) {
  status_.name = StringAt(spec_, {"name"});
  status_.image = StringAt(spec_, {"image"});
  status_.sidecar = StringAt(spec_, {"restartPolicy"}) == "Always";
  status_.state.reason = "ContainerCreating";
  if (!before) return;
  status_.restart_count = before->restart_count;
  run_ = before->restart_count;
  if (before->state.kind != Kind::kRunning) return;
  ++status_.restart_count;
  ++run_;
  status_.last_state = ContainerState{.kind = Kind::kTerminated,
                                      .reason = "ContainerStatusUnknown",
                                      .message = "The kubelet was restarted; its containers ended with it",
                                      .exit_code = 137,
                                      .started_at = before->state.started_at,
                                      .finished_at = SystemClock().WallNow(),
                                      .container_id = before->container_id};
}

Container::~Container() {
  if (process_ != nullptr) host_.logs.Ended(host_.pod, host_.folder, status_.name);
}

bool Container::succeeded() const {
  return ended() && status_.state.kind == Kind::kTerminated && status_.state.exit_code == 0;
}

void Container::Ensure() {
  if (phase_ == Phase::kIdle) Start();
}

void Container::Retry() {
  if (phase_ == Phase::kWaiting && waits_for_ == WaitsFor::kConfiguration) Start();
}

void Container::Update(const Json& spec) {
  const std::string image = StringAt(spec, {"image"});
  const bool same = image == StringAt(spec_, {"image"});
  spec_ = spec;
  if (same) return;
  if (phase_ == Phase::kRunning) {
    host_.record(EventType::kNormal, "Killing",
                 fmt::format("Container {} definition changed, will be restarted", status_.name));
    return BeginStop(host_.grace, true);
  }
  status_.image = image;
  if (phase_ != Phase::kWaiting || waits_for_ != WaitsFor::kImage) return;
  phase_ = Phase::kIdle;
  Start();
}

void Container::Start() {
  timer_.Cancel();
  const std::string image_name = StringAt(spec_, {"image"});
  status_.image = image_name;
  const auto image = host_.images.Resolve(image_name);
  if (!image) return WaitForImage(image.error().message);
  const auto refuse = [this](const reconciler::Error& error) {
    const bool news = status_.state.message != error.message;
    if (news) host_.record(EventType::kWarning, "Failed", "Error: " + error.message);
    Wait(WaitsFor::kConfiguration, "CreateContainerConfigError", error.message, kConfigurationRetry);
  };
  auto probes = ParseProbes(spec_);
  if (!probes) return refuse(probes.error());
  auto mounts = host_.mounts(spec_);
  if (!mounts) return refuse(mounts.error());
  const std::string home = FreshHome(fmt::format("{}/{}/home", host_.folder, status_.name));
  const auto plan = PlanLaunch(spec_, {host_.facts(), *image, std::move(*mounts), home});
  if (!plan) return refuse(plan.error());
  Launch(*plan, *image, std::move(*probes));
}

void Container::Launch(const LaunchPlan& plan, const ResolvedImage& image, std::map<ProbeKind, Probe> probes) {
  status_.image_id = image.id;
  status_.container_id = fmt::format("process://{}.{}.{}", host_.uid, status_.name, run_);
  started_at_ = SystemClock().Now();
  const auto log = host_.logs.Open(host_.pod, host_.folder, status_.name, run_);
  if (!log) return StartFailed(log.error().message);
  ProcessOptions options = plan.process;
  options.output = *log;
  auto process = Process::Start(host_.loop, options, [this](ExitStatus exit) { Exited(exit); });
  ::close(*log);
  if (!process) return StartFailed(process.error().message);
  process_ = std::move(*process);
  host_.logs.SetPid(host_.folder, status_.name, process_->pid());
  plan_ = plan;
  Running(plan, std::move(probes));
}

void Container::Running(const LaunchPlan& plan, std::map<ProbeKind, Probe> probes) {
  phase_ = Phase::kRunning;
  status_.state = ContainerState{.kind = Kind::kRunning, .started_at = SystemClock().WallNow()};
  host_.record(EventType::kNormal, "Started", fmt::format("Started container {}", status_.name));
  prober_ = std::make_unique<Prober>(host_.loop, std::move(probes), plan, host_.pod_ip, ProberEvents());
  RunPostStart(plan);
  host_.changed();
}

void Container::RunPostStart(const LaunchPlan& plan) {
  const Json* handler = reconciler::ValueAt(spec_, {"lifecycle", "postStart"});
  if (handler == nullptr) return;
  const auto failed = [this](const std::string& message) {
    host_.record(EventType::kWarning, "FailedPostStartHook", "PostStartHook failed: " + message);
    BeginStop(host_.grace, false);
  };
  const auto action = ParseAction(*handler, spec_);
  if (!action) {
    timer_ = host_.loop.After({}, [failed, message = action.error().message] { failed(message); });
    return;
  }
  // Without limit, as the kubelet: an hour is as good.
  hook_ = RunAction(host_.loop, *action, plan, host_.pod_ip, std::chrono::hours(1),
                    [this, failed](const ProbeOutcome& outcome) {
                      hook_.reset();
                      if (!outcome.success) failed(outcome.message);
                    });
}

Prober::Events Container::ProberEvents() {
  Prober::Events events;
  events.started = [this] {
    status_.started = true;
    host_.changed();
  };
  events.ready = [this](bool ready) {
    status_.ready = ready;
    host_.changed();
  };
  events.unhealthy = [this](ProbeKind kind, const std::string& message) {
    host_.record(EventType::kWarning, "Unhealthy", fmt::format("{} probe failed: {}", ToString(kind), message));
  };
  events.killed = [this](ProbeKind kind, const Probe& probe) {
    std::string name(ToString(kind));
    std::ranges::transform(name, name.begin(), [](char c) { return static_cast<char>(std::tolower(c)); });
    host_.record(EventType::kNormal, "Killing",
                 fmt::format("Container {} failed {} probe, will be restarted", status_.name, name));
    BeginStop(probe.termination_grace.value_or(host_.grace), false);
  };
  return events;
}

void Container::Wait(WaitsFor what, std::string reason, std::string message, Duration delay) {
  phase_ = Phase::kWaiting;
  waits_for_ = what;
  status_.state = ContainerState{.kind = Kind::kWaiting, .reason = std::move(reason), .message = std::move(message)};
  timer_ = host_.loop.After(delay, [this] { waits_for_ == WaitsFor::kRestart ? Restart() : Start(); });
  host_.changed();
}

void Container::WaitForImage(const std::string& message) {
  const bool first = phase_ != Phase::kWaiting || waits_for_ != WaitsFor::kImage;
  image_retry_ = first ? host_.restart_backoff : std::min<Duration>(image_retry_ * 2, kMaxImageRetry);
  if (first) host_.record(EventType::kWarning, "Failed", "Failed to pull image: " + message);
  Wait(WaitsFor::kImage, first ? "ErrImagePull" : "ImagePullBackOff", message, image_retry_);
}

void Container::StartFailed(const std::string& message) {
  host_.record(EventType::kWarning, "Failed", "Error: failed to start container: " + message);
  const auto now = SystemClock().WallNow();
  Terminated(ContainerState{.kind = Kind::kTerminated,
                            .reason = "StartError",
                            .message = message,
                            .exit_code = 128,
                            .started_at = now,
                            .finished_at = now,
                            .container_id = status_.container_id});
}

void Container::Exited(ExitStatus exit) {
  // Daemons that left the process group; in a container they would end with its first process as well.
  KillWriters(fmt::format("{}/{}/", host_.folder, status_.name));
  Terminated(ContainerState{.kind = Kind::kTerminated,
                            .reason = exit.exit_code == 0 ? "Completed" : "Error",
                            .exit_code = exit.exit_code,
                            .started_at = status_.state.started_at,
                            .finished_at = SystemClock().WallNow(),
                            .container_id = status_.container_id});
}

void Container::Terminated(ContainerState state) {
  process_.reset();
  prober_.reset();
  hook_.reset();
  hook_timer_.Cancel();
  timer_.Cancel();
  host_.logs.Ended(host_.pod, host_.folder, status_.name);
  const int exit_code = state.exit_code;
  status_.state = std::move(state);
  status_.ready = status_.started = false;
  if (stop_for_good_ || !(restart_at_once_ || Restarts(policy_, exit_code))) {
    phase_ = Phase::kEnded;
    return host_.changed();
  }
  const Duration delay = backoff_.Ended(SystemClock().Now() - started_at_);
  if (std::exchange(restart_at_once_, false) || delay == Duration{}) return Restart();
  status_.last_state = status_.state;
  host_.record(EventType::kWarning, "BackOff",
               fmt::format("Back-off restarting failed container {} in pod {}", status_.name, host_.pod.name));
  Wait(WaitsFor::kRestart, "CrashLoopBackOff",
       fmt::format("back-off {}s restarting failed container={} pod={}_{}({})",
                   std::chrono::ceil<std::chrono::seconds>(delay).count(), status_.name, host_.pod.name, host_.pod.ns,
                   host_.uid),
       delay);
}

void Container::Restart() {
  if (status_.state.kind == Kind::kTerminated) status_.last_state = status_.state;
  ++status_.restart_count;
  ++run_;
  Start();
}

void Container::Stop(std::chrono::seconds grace) {
  stop_for_good_ = true;
  switch (phase_) {
    case Phase::kIdle:
    case Phase::kWaiting:
      timer_.Cancel();
      phase_ = Phase::kEnded;
      return host_.changed();
    case Phase::kRunning:
      host_.record(EventType::kNormal, "Killing", fmt::format("Stopping container {}", status_.name));
      return BeginStop(grace, false);
    case Phase::kStopping: {
      const auto stop_by = SystemClock().Now() + std::max(grace, kMinimumGrace);
      if (stop_by < stop_by_) KillAt(stop_by);
      return;
    }
    case Phase::kEnded:
      return;
  }
}

void Container::BeginStop(std::chrono::seconds grace, bool restart_at_once) {
  if (phase_ != Phase::kRunning) return;
  phase_ = Phase::kStopping;
  restart_at_once_ = restart_at_once;
  // Nobody should be sent here any more, whatever the probe last said.
  prober_.reset();
  status_.ready = false;
  stop_by_ = SystemClock().Now() + grace;
  const Json* hook = reconciler::ValueAt(spec_, {"lifecycle", "preStop"});
  if (hook != nullptr && grace.count() > 0) {
    RunPreStop(*hook, grace);
  } else {
    Terminate();
  }
  host_.changed();
}

void Container::RunPreStop(const Json& hook, std::chrono::seconds grace) {
  if (const Json* seconds = reconciler::ValueAt(hook, {"sleep", "seconds"})) {
    const auto time = std::min(std::chrono::seconds(seconds->get<int>()), grace);
    hook_timer_ = host_.loop.After(time, [this] { Terminate(); });
    return;
  }
  const auto failed = [this](const std::string& message) {
    host_.record(EventType::kWarning, "FailedPreStopHook", "PreStopHook failed: " + message);
  };
  const auto action = ParseAction(hook, spec_);
  if (!action) {
    failed(action.error().message);
    return Terminate();
  }
  hook_ = RunAction(host_.loop, *action, *plan_, host_.pod_ip, grace, [this, failed](const ProbeOutcome& outcome) {
    hook_.reset();
    if (!outcome.success) failed(outcome.message);
    Terminate();
  });
}

// Whatever a hook left of the grace period, but never less than a moment for an orderly end, as the kubelet does.
void Container::Terminate() {
  KillAt(std::max(stop_by_, SystemClock().Now() + kMinimumGrace));
  process_->Signal(SIGTERM);
}

void Container::KillAt(reconciler::MonotonicTime time) {
  stop_by_ = time;
  timer_ = host_.loop.After(time - SystemClock().Now(), [this] { process_->Kill(); });
}

}  // namespace slotwright::local
