// The protocol of client-go's tools/leaderelection: a record that changes is held, one that stands still is free.
#include "reconciler/runtime/leader_election.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include "reconciler/metrics/runtime_metrics.h"
#include "reconciler/runtime/event_recorder.h"

namespace reconciler {

namespace {

constexpr double kJitterFactor = 1.2;

Json SpecOf(const Json& lease) {
  const Json* spec = ValueAt(lease, {"spec"});
  return spec != nullptr && spec->is_object() ? *spec : Json::object();
}

std::string HolderOf(const Json& lease) { return StringAt(lease, {"spec", "holderIdentity"}); }

int IntegerOf(const Json& lease, const char* field) {
  const Json* value = ValueAt(lease, {"spec", field});
  return value != nullptr && value->is_number_integer() ? value->get<int>() : 0;
}

}  // namespace

LeaderElector::LeaderElector(std::shared_ptr<Transport> transport, Client::Options client_options,
                             LeaderElectionOptions options, Clock& clock)
    : transport_(std::move(transport)),
      client_options_(std::move(client_options)),
      options_(std::move(options)),
      clock_(clock),
      random_(options_.seed ? *options_.seed : std::random_device()()) {
  assert(options_.lease_duration > options_.renew_deadline);
  assert(options_.renew_deadline > options_.retry_period * 6 / 5);
}

bool LeaderElector::Acquire(std::stop_token stop) {
  if (options_.metrics != nullptr) options_.metrics->RegisterLease(options_.lease.name);
  std::string last_obstacle;
  while (!stop.stop_requested()) {
    const auto attempt = TryAcquireOrRenew({.until = clock_.Now() + options_.lease_duration, .stop = stop});
    if (attempt && *attempt == Attempt::kOurs) {
      SetLeading(true, LogLevel::kInfo, "acquired");
      return true;
    }
    const std::string obstacle = attempt ? "held by " + HolderOf(observed_) : attempt.error().message;
    if (obstacle != last_obstacle && !stop.stop_requested()) {
      Log(LogLevel::kInfo, "waiting for the lease",
          {{"lease", options_.lease.ToString()}, {"identity", options_.identity}, {"obstacle", obstacle}});
      last_obstacle = obstacle;
    }
    // Jitter, so that candidates that started together do not go on colliding.
    std::uniform_real_distribution<double> jitter(0, kJitterFactor);
    const auto delay = std::chrono::duration_cast<Duration>(options_.retry_period * (1 + jitter(random_)));
    clock_.SleepFor(delay, stop);
  }
  return false;
}

bool LeaderElector::Hold(std::stop_token stop) {
  assert(leading_);
  MonotonicTime next_attempt = RenewedAt() + options_.retry_period;
  std::string last_error = "no answer";
  while (true) {
    const MonotonicTime deadline = RenewedAt() + options_.renew_deadline;
    if (!clock_.SleepFor(std::min(next_attempt, deadline) - clock_.Now(), stop)) return true;
    // Also after this process was suspended: then it is too late to ask.
    const MonotonicTime now = clock_.Now();
    if (now >= deadline) {
      SetLeading(false, LogLevel::kError, "could not renew it in time: " + last_error);
      return false;
    }
    const auto attempt = TryAcquireOrRenew({.until = deadline, .stop = stop});
    if (stop.stop_requested()) return true;
    if (attempt && *attempt == Attempt::kTheirs) {
      SetLeading(false, LogLevel::kError, "taken by " + HolderOf(observed_));
      return false;
    }
    if (!attempt) {
      last_error = attempt.error().message;
      Log(LogLevel::kWarn, "could not renew the lease",
          {{"lease", options_.lease.ToString()}, {"identity", options_.identity}, {"error", last_error}});
    }
    next_attempt = now + options_.retry_period;
  }
}

void LeaderElector::Release() {
  if (!leading_) return;
  SetLeading(false, LogLevel::kInfo, "released");
  const Limits limits{.until = clock_.Now() + RequestTimeout()};
  auto written = WriteRelease(limits);
  if (!written && written.error().kind == ErrorKind::kConflict) {
    // Somebody wrote to the lease since, or our last renewal got through without our knowing.
    auto current = MakeClient(limits).Get(types::kLeases, options_.lease);
    if (current) {
      Observe(std::move(*current));
      written = WriteRelease(limits);
    }
  }
  if (written) return;
  Log(LogLevel::kWarn, "could not release the lease: the next leader has to wait until it runs out",
      {{"lease", options_.lease.ToString()}, {"identity", options_.identity}, {"error", written.error().message}});
}

Result<void> LeaderElector::WriteRelease(const Limits& limits) {
  if (!HeldByUs()) return {};
  Json record = SpecOf(observed_);
  const std::string now = FormatMicroTime(clock_.WallNow());
  record.update({{"holderIdentity", ""}, {"leaseDurationSeconds", 1}, {"acquireTime", now}, {"renewTime", now}});
  return Write(limits, std::move(record), /*create=*/false);
}

bool LeaderElector::IsLeader() const { return leading_ && clock_.Now() < RenewedAt() + options_.lease_duration; }

bool LeaderElector::Healthy() const { return !leading_ || clock_.Now() <= RenewedAt() + options_.lease_duration; }

Result<LeaderElector::Attempt> LeaderElector::TryAcquireOrRenew(const Limits& limits) {
  const auto ours = [](const Result<void>& written) -> Result<Attempt> {
    if (!written) return std::unexpected(written.error());
    return Attempt::kOurs;
  };
  if (leading_ && HeldByUs()) {
    // Most often nobody wrote since; if somebody did, the version tells and we look.
    const Result<void> written = Write(limits, Record(), /*create=*/false);
    const bool look =
        !written && (written.error().kind == ErrorKind::kConflict || written.error().kind == ErrorKind::kNotFound);
    if (!look) return ours(written);
  }
  auto current = MakeClient(limits).Get(types::kLeases, options_.lease);
  if (!current && current.error().kind != ErrorKind::kNotFound) {
    return std::unexpected(current.error());
  }
  const bool create = !current;
  if (current) Observe(std::move(*current));
  // A lease that was deleted still binds us to what it promised when we saw it.
  if (HeldByOther()) return Attempt::kTheirs;
  return ours(Write(limits, Record(), create));
}

Result<void> LeaderElector::Write(const Limits& limits, Json record, bool create) {
  Json lease = observed_;
  if (create) {
    lease = {{"apiVersion", types::kLeases.ApiVersion()},
             {"kind", types::kLeases.kind},
             {"metadata", {{"namespace", options_.lease.ns}, {"name", options_.lease.name}}}};
  }
  lease["spec"] = std::move(record);
  const MonotonicTime sent = clock_.Now();
  const Client client = MakeClient(limits);
  auto written = create ? client.Create(types::kLeases, lease) : client.Update(types::kLeases, lease);
  if (!written) return std::unexpected(written.error());
  Observe(std::move(*written));
  // Others count from when they see it, which is later.
  renewed_at_ = sent.time_since_epoch().count();
  return {};
}

Client LeaderElector::MakeClient(const Limits& limits) const {
  Client::Options options = client_options_;
  options.timeout = std::clamp<Duration>(limits.until - clock_.Now(), std::chrono::milliseconds(1), RequestTimeout());
  options.stop = limits.stop;
  return {transport_, std::move(options), clock_};
}

Duration LeaderElector::RequestTimeout() const {
  return std::max<Duration>(std::chrono::seconds(1), options_.renew_deadline / 2);
}

Json LeaderElector::Record() const {
  // Fields that others added, such as strategy, stay.
  Json record = SpecOf(observed_);
  const std::string now = FormatMicroTime(clock_.WallNow());
  record["holderIdentity"] = options_.identity;
  record["leaseDurationSeconds"] = std::chrono::ceil<std::chrono::seconds>(options_.lease_duration).count();
  record["renewTime"] = now;
  if (!HeldByUs()) {
    record["acquireTime"] = now;
    record["leaseTransitions"] = observed_.is_null() ? 0 : IntegerOf(observed_, "leaseTransitions") + 1;
  }
  return record;
}

void LeaderElector::Observe(Json lease) {
  if (observed_.is_null() || SpecOf(observed_) != SpecOf(lease)) observed_at_ = clock_.Now();
  observed_ = std::move(lease);
}

bool LeaderElector::HeldByUs() const { return !observed_.is_null() && HolderOf(observed_) == options_.identity; }

bool LeaderElector::HeldByOther() const {
  const std::string holder = HolderOf(observed_);
  if (holder.empty() || holder == options_.identity) return false;
  // The holder's own promise counts; times inside the record are those of another machine's clock.
  const Duration promised = std::chrono::seconds(IntegerOf(observed_, "leaseDurationSeconds"));
  return clock_.Now() < observed_at_ + (promised > Duration::zero() ? promised : options_.lease_duration);
}

MonotonicTime LeaderElector::RenewedAt() const { return MonotonicTime(Duration(renewed_at_.load())); }

void LeaderElector::SetLeading(bool leading, LogLevel level, const std::string& why) {
  leading_ = leading;
  const std::string what = leading ? "became leader" : "stopped leading";
  if (options_.metrics != nullptr) options_.metrics->LeaderStatus(options_.lease.name, leading);
  if (options_.events != nullptr) {
    options_.events->Record(observed_, EventType::kNormal, "LeaderElection", options_.identity + " " + what);
  }
  Log(level, what, {{"lease", options_.lease.ToString()}, {"identity", options_.identity}, {"why", why}});
}

}  // namespace reconciler
