// The schedule of a container's probes.
#include "local/kubelet/prober.h"

#include <algorithm>
#include <utility>

namespace slotwright::local {

using reconciler::Duration;
using reconciler::MonotonicTime;

namespace {

constexpr std::chrono::milliseconds kFirstEarlyLook{20};

MonotonicTime Now() { return reconciler::SystemClock().Now(); }

}  // namespace

struct Prober::Schedule {
  ProbeKind kind;
  const Probe& probe;
  ProbeTracker tracker;
  bool good = false;                 ///< The last verdict.
  Duration early = kFirstEarlyLook;  ///< The next early look comes after this; grows to the period.
  MonotonicTime due{};               ///< The next look that counts.
  bool counts = false;               ///< Whether the look under way does.
  Timer timer;
  std::unique_ptr<RunningAction> running;
};

Prober::Prober(EventLoop& loop, std::map<ProbeKind, Probe> probes, const LaunchPlan& plan, std::string pod_ip,
               Events events)
    : loop_(loop),
      probes_(std::move(probes)),
      plan_(plan),
      pod_ip_(std::move(pod_ip)),
      events_(std::move(events)),
      began_(Now()) {
  start_ = loop_.After({}, [this] {
    if (probes_.contains(ProbeKind::kStartup)) {
      Begin(ProbeKind::kStartup);
    } else {
      Started();
    }
  });
}

Prober::~Prober() = default;

void Prober::Begin(ProbeKind kind) {
  const auto found = probes_.find(kind);
  if (found == probes_.end()) return;
  const Probe& probe = found->second;
  auto schedule = std::unique_ptr<Schedule>(
      new Schedule{kind, probe, ProbeTracker(probe.success_threshold, probe.failure_threshold)});
  // A liveness probe has nothing to gain from looking early: a container is taken as alive from the start.
  schedule->good = kind == ProbeKind::kLiveness;
  if (schedule->good) schedule->early = probe.period;
  const Duration delay = std::max<Duration>(began_ + probe.initial_delay - Now(), Duration{});
  schedule->due = Now() + delay;
  Schedule& kept = *(schedules_[kind] = std::move(schedule));
  Wait(kept, delay);
}

void Prober::Wait(Schedule& schedule, Duration delay) {
  schedule.timer = loop_.After(delay, [this, &schedule] { Look(schedule); });
}

void Prober::Look(Schedule& schedule) {
  schedule.counts = Now() >= schedule.due;
  if (schedule.counts) schedule.due = Now() + schedule.probe.period;
  schedule.running = RunAction(loop_, schedule.probe.action, plan_, pod_ip_, schedule.probe.timeout,
                               [this, &schedule](const ProbeOutcome& outcome) { Saw(schedule, outcome); });
}

void Prober::Saw(Schedule& schedule, const ProbeOutcome& outcome) {
  schedule.running.reset();
  const Duration until_due = std::max<Duration>(schedule.due - Now(), Duration{});
  const bool look_early = !schedule.good && schedule.early < schedule.probe.period;
  Wait(schedule, look_early ? std::min(schedule.early, until_due) : until_due);
  if (look_early) schedule.early *= 2;

  if (!schedule.counts && !outcome.success) return;
  const auto verdict = schedule.tracker.Add(outcome.success);
  if (!outcome.success) events_.unhealthy(schedule.kind, outcome.message);
  const bool first_failure = verdict == false && schedule.kind == ProbeKind::kStartup;
  if (first_failure || (verdict && *verdict != schedule.good)) Verdict(schedule, *verdict);
}

void Prober::Verdict(Schedule& schedule, bool good) {
  schedule.good = good;
  switch (schedule.kind) {
    case ProbeKind::kStartup:
      schedule.timer.Cancel();
      if (good) return Started();
      break;
    case ProbeKind::kReadiness:
      return events_.ready(good);
    case ProbeKind::kLiveness:
      break;
  }
  if (good) return;
  // Copies: the event may destroy us.
  const auto killed = events_.killed;
  const Probe probe = schedule.probe;
  const ProbeKind kind = schedule.kind;
  schedules_.clear();
  killed(kind, probe);
}

void Prober::Started() {
  Begin(ProbeKind::kReadiness);
  Begin(ProbeKind::kLiveness);
  events_.started();
  if (!probes_.contains(ProbeKind::kReadiness)) events_.ready(true);
}

}  // namespace slotwright::local
