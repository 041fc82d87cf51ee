// The loop of list and watch. What a failure means for the last resourceVersion is decided in one place, AfterWatch.
#include "reconciler/cache/reflector.h"

#include <algorithm>
#include <utility>

#include "reconciler/base/log.h"

namespace reconciler {

namespace {

/// A server that has not come as far as we have (or whose store was restored from a backup) says so with status 504 and
/// this text: see NewTooLargeResourceVersionError in k8s.io/apiserver.
bool IsAheadOfServer(const Error& error) {
  return error.message.find("Too large resource version") != std::string::npos;
}

/// As long as API servers work on a request (--request-timeout). A list of thousands of pods is more than others ask
/// for; but one that is silent is to be noticed sooner, so that is reached step by step.
constexpr std::chrono::seconds kLongestList{60};

/// Failures that say nothing about our resourceVersion: whoever answers next can go on from it.
bool CanResume(const Error& error) {
  switch (error.kind) {
    case ErrorKind::kUnavailable:
    case ErrorKind::kTimeout:
    case ErrorKind::kTooManyRequests:
    case ErrorKind::kUnauthorized:
    case ErrorKind::kCancelled:
      return !IsAheadOfServer(error);
    default:
      return false;
  }
}

}  // namespace

Reflector::Reflector(const Client& client, Informer& informer, ReflectorOptions options, Clock& clock)
    : client_(client),
      informer_(informer),
      options_(std::move(options)),
      clock_(clock),
      backoff_(options_.initial_backoff),
      random_(options_.seed ? *options_.seed : std::random_device()()) {
  informer_.AddScope(options_.ns);
}

void Reflector::Run(std::stop_token stop) {
  while (!stop.stop_requested()) {
    if (!RunOnce(stop)) clock_.SleepFor(NextDelay(), stop);
  }
}

bool Reflector::RunOnce(std::stop_token stop) {
  const bool listing = must_list_;
  if (listing) {
    const Result<void> listed = List(stop);
    if (stop.stop_requested()) return true;
    if (!listed) {
      if (listed.error().kind == ErrorKind::kTimeout)
        list_timeout_ = std::min<Duration>(2 * list_timeout_, kLongestList);
      Failed(listed.error());
      return false;
    }
  }
  WatchStats stats;
  const Result<void> ended = Watch(stop, stats);
  return stop.stop_requested() || AfterWatch(ended, stats, listing);
}

Result<void> Reflector::List(const std::stop_token& stop) {
  // "0" lets the server answer from its cache; a version seen before makes sure that we never go back in time.
  ListOptions options{.ns = options_.ns,
                      .label_selector = options_.label_selector,
                      .resource_version = resource_version_.empty() ? "0" : resource_version_,
                      .timeout = list_timeout_};
  Result<ListPage> page = client_.List(informer_.type(), options, stop);
  if (!page && (page.error().kind == ErrorKind::kExpired || IsAheadOfServer(page.error()))) {
    options.resource_version.clear();
    page = client_.List(informer_.type(), options, stop);
  }
  if (!page) return std::unexpected(page.error());

  resource_version_ = page->resource_version;
  must_list_ = false;
  list_timeout_ = kFirstList;
  informer_.Replace(std::move(page->items), options_.ns);
  SetHealthy();
  return {};
}

Result<void> Reflector::Watch(std::stop_token stop, WatchStats& stats) {
  // Random, so that the watches of all clients do not come back at the same moment.
  std::uniform_int_distribution<int> seconds(300, 599);
  const WatchOptions options{.ns = options_.ns,
                             .label_selector = options_.label_selector,
                             .resource_version = resource_version_,
                             .server_timeout = std::chrono::seconds(seconds(random_)),
                             .on_open = [this] { SetHealthy(); }};
  const MonotonicTime started = clock_.Now();
  const Result<void> ended = client_.Watch(
      informer_.type(), options,
      [&](WatchEvent event) {
        if (!stats.told_something) SetHealthy();
        stats.told_something = true;
        Apply(std::move(event));
      },
      stop);
  stats.was_short = clock_.Now() - started < options_.shortest_watch;
  return ended;
}

void Reflector::Apply(WatchEvent event) {
  std::string version = ResourceVersionOf(event.object);
  if (event.type == WatchEventType::kDeleted) {
    informer_.Remove(KeyOf(event.object));
  } else if (event.type != WatchEventType::kBookmark) {
    informer_.Upsert(std::move(event.object));
  }
  if (!version.empty()) resource_version_ = std::move(version);
}

bool Reflector::AfterWatch(const Result<void>& ended, const WatchStats& stats, bool just_listed) {
  if (ended) {
    if (!stats.was_short || stats.told_something) {
      SetHealthy();
      return true;
    }
    Failed({ErrorKind::kUnavailable, "watch " + informer_.type().plural + ": the server ended it at once"});
    return false;
  }
  if (ended.error().kind == ErrorKind::kExpired) {
    must_list_ = true;
    // After a long silence that is how it should be; right after a list it would go on for ever.
    if (!just_listed || stats.told_something) return true;
  } else if (!CanResume(ended.error())) {
    must_list_ = true;
  }
  Failed(ended.error());
  // A connection that worked and then broke, a server that was restarted: whoever comes next may well be there already.
  return stats.told_something && !stats.was_short;
}

void Reflector::Failed(const Error& error) {
  const MonotonicTime now = clock_.Now();
  if (last_failure_ && now - *last_failure_ >= options_.backoff_reset_after) backoff_ = options_.initial_backoff;
  last_failure_ = now;
  retry_after_ = error.retry_after;
  Log(LogLevel::kWarn, "lost touch with the API server",
      {{"resource", informer_.type().plural},
       {"namespace", options_.ns},
       {"error", error.message},
       {"next", must_list_ ? "list" : "watch"}});
  const std::lock_guard lock(mutex_);
  last_error_ = error.message;
}

Duration Reflector::NextDelay() {
  const Duration longest = std::min(2 * backoff_, options_.max_backoff);
  const Duration shortest = std::min(backoff_, options_.max_backoff / 2);
  std::uniform_int_distribution<Duration::rep> jitter(shortest.count(), longest.count());
  backoff_ = longest;
  const Duration asked_for = std::min<Duration>(retry_after_.value_or(Duration::zero()), options_.max_backoff);
  return std::max(Duration(jitter(random_)), asked_for);
}

void Reflector::SetHealthy() {
  const std::lock_guard lock(mutex_);
  last_error_.clear();
}

bool Reflector::Healthy() const {
  const std::lock_guard lock(mutex_);
  return last_error_.empty();
}

std::string Reflector::LastError() const {
  const std::lock_guard lock(mutex_);
  return last_error_;
}

}  // namespace reconciler
