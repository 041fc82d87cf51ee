// Record decides what is to be told, the sender tells it: POST for the first time, PATCH of the count from then on.
#include "reconciler/runtime/event_recorder.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "reconciler/base/log.h"
#include "reconciler/base/text.h"

namespace reconciler {

namespace {

constexpr size_t kQueueSize = 1000;
constexpr size_t kMaxEntries = 4096;
constexpr size_t kMaxMessageBytes = 1024;
constexpr size_t kMaxNameBytes = 253;
constexpr double kBurst = 25;
constexpr Duration kRefill = std::chrono::minutes(5);
constexpr Duration kSeriesGap = std::chrono::minutes(10);
constexpr Duration kRetryDelay = std::chrono::seconds(10);
constexpr int kMaxTries = 12;
constexpr char kSeparator = '\0';

/// Whether the API server, or the way to it, may be well again in a moment.
bool IsPassing(const Error& error) {
  return error.kind == ErrorKind::kUnavailable || error.kind == ErrorKind::kTimeout ||
         error.kind == ErrorKind::kTooManyRequests || error.kind == ErrorKind::kUnauthorized ||
         error.kind == ErrorKind::kCancelled;
}

}  // namespace

EventRecorder::EventRecorder(const Client& client, Options options, Clock& clock)
    : client_(client), options_(std::move(options)), clock_(clock) {}

EventRecorder::~EventRecorder() { Stop(); }

void EventRecorder::Record(const Json& object, EventType type, const std::string& reason, const std::string& message) {
  const std::string text = Clipped(message, kMaxMessageBytes);
  // Each type has a budget of its own: progress that is told must not silence a warning.
  const std::string budget = StringAt(object, {"kind"}) + kSeparator + KeyOf(object).ToString() + kSeparator +
                             UidOf(object) + kSeparator + (type == EventType::kWarning ? "W" : "N");
  const std::string key = budget + reason + kSeparator + text;
  const std::lock_guard lock(mutex_);
  const MonotonicTime now = clock_.Now();
  Prune();

  const auto found = entries_.find(key);
  if (found != entries_.end() && (found->second.queued || now - found->second.last < kSeriesGap)) {
    Entry& entry = found->second;
    entry.last = now;
    entry.event["count"] = entry.event["count"].get<int>() + 1;
    entry.event["lastTimestamp"] = FormatTime(clock_.WallNow());
    if (!entry.queued && TakeToken(budget)) Enqueue(key, entry);
    return;
  }
  if (!TakeToken(budget))
    return Drop("too many events of this type for this object", NewEvent(object, type, reason, text));
  Entry& entry = entries_[key] = {.event = NewEvent(object, type, reason, text), .last = now};
  Enqueue(key, entry);
}

void EventRecorder::Start() {
  if (!sender_.joinable()) sender_ = std::jthread([this](const std::stop_token& stop) { RunSender(stop); });
}

void EventRecorder::Stop() {
  if (!sender_.joinable()) return;
  sender_.request_stop();
  sender_.join();
}

void EventRecorder::Flush() {
  while (!SendNext()) {
    const std::lock_guard lock(mutex_);
    if (queue_.empty()) return;
  }
}

size_t EventRecorder::Dropped() const {
  const std::lock_guard lock(mutex_);
  return dropped_;
}

void EventRecorder::RunSender(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    if (const auto delay = SendNext()) {
      clock_.SleepFor(*delay, stop);
      continue;
    }
    std::unique_lock lock(mutex_);
    while (queue_.empty() && !stop.stop_requested()) {
      clock_.WaitUntil(lock, changed_, stop, clock_.Now() + std::chrono::hours(1));
    }
  }
}

std::optional<Duration> EventRecorder::SendNext() {
  std::string key;
  Json event;
  bool created = false;
  {
    const std::lock_guard lock(mutex_);
    if (queue_.empty()) return std::nullopt;
    key = std::move(queue_.front());
    queue_.pop_front();
    Entry& entry = entries_.at(key);
    entry.queued = false;
    event = entry.event;
    created = entry.created;
  }
  const Result<void> sent = Send(event, created);

  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(key);
  if (found == entries_.end()) return std::nullopt;
  Entry& entry = found->second;
  if (sent) {
    entry.created = true;
    entry.failures = 0;
    return std::nullopt;
  }
  if (!IsPassing(sent.error())) {
    Drop(sent.error().message, event);
    return std::nullopt;
  }
  if (++entry.failures >= kMaxTries) {
    entry.failures = 0;
    Drop(sent.error().message, event);
  } else if (!entry.queued) {
    entry.queued = true;
    queue_.push_front(key);  // It waited its turn once.
  }
  return std::max<Duration>(kRetryDelay, sent.error().retry_after.value_or(std::chrono::milliseconds(0)));
}

Result<void> EventRecorder::Send(const Json& event, bool created) const {
  const ObjectKey key = KeyOf(event);
  if (created) {
    const Json patch = {
        {"count", event["count"]}, {"lastTimestamp", event["lastTimestamp"]}, {"message", event["message"]}};
    const auto patched = client_.Patch(types::kEvents, key, PatchType::kMerge, patch);
    if (patched) return {};
    // Events live for an hour only.
    if (patched.error().kind != ErrorKind::kNotFound) return std::unexpected(patched.error());
  }
  const auto posted = client_.Create(types::kEvents, event);
  // The name is this event's alone: an answer got lost and the request was sent again.
  if (posted || posted.error().kind == ErrorKind::kAlreadyExists) return {};
  return std::unexpected(posted.error());
}

Json EventRecorder::NewEvent(const Json& object, EventType type, const std::string& reason,
                             const std::string& message) {
  const ObjectKey key = KeyOf(object);
  const std::string now = FormatTime(clock_.WallNow());
  return {{"apiVersion", types::kEvents.ApiVersion()},
          {"kind", types::kEvents.kind},
          {"metadata", {{"name", NewName(key.name)}, {"namespace", key.ns.empty() ? "default" : key.ns}}},
          {"involvedObject",
           {{"apiVersion", StringAt(object, {"apiVersion"})},
            {"kind", StringAt(object, {"kind"})},
            {"namespace", key.ns},
            {"name", key.name},
            {"uid", UidOf(object)},
            {"resourceVersion", ResourceVersionOf(object)}}},
          {"type", type == EventType::kWarning ? "Warning" : "Normal"},
          {"reason", reason},
          {"message", message},
          {"source", {{"component", options_.component}}},
          {"reportingComponent", options_.component},
          {"reportingInstance", options_.instance},
          {"firstTimestamp", now},
          {"lastTimestamp", now},
          {"count", 1}};
}

std::string EventRecorder::NewName(const std::string& object_name) {
  // Later than the last one even when the clock was set back.
  last_stamp_ = std::max(clock_.WallNow().time_since_epoch().count(), last_stamp_ + 1);
  const std::string suffix = fmt::format(".{:x}", last_stamp_);
  std::string name = object_name.substr(0, kMaxNameBytes - suffix.size());
  while (name.ends_with('.') || name.ends_with('-')) name.pop_back();
  return name + suffix;
}

bool EventRecorder::TakeToken(const std::string& budget) {
  const MonotonicTime now = clock_.Now();
  Bucket& bucket = buckets_.try_emplace(budget, Bucket{.tokens = kBurst, .refilled = now}).first->second;
  const std::chrono::duration<double> passed = now - bucket.refilled;
  bucket.tokens = std::min(kBurst, bucket.tokens + passed / kRefill);
  bucket.refilled = now;
  if (bucket.tokens < 1) return false;
  bucket.tokens -= 1;
  return true;
}

void EventRecorder::Enqueue(const std::string& key, Entry& entry) {
  if (queue_.size() >= kQueueSize) return Drop("the queue is full", entry.event);
  entry.queued = true;
  queue_.push_back(key);
  changed_.notify_all();
}

void EventRecorder::Drop(const std::string& why, const Json& event) {
  ++dropped_;
  Log(LogLevel::kDebug, "dropped an event",
      {{"object", StringAt(event, {"involvedObject", "name"})},
       {"reason", StringAt(event, {"reason"})},
       {"message", StringAt(event, {"message"})},
       {"why", why}});
}

void EventRecorder::Prune() {
  const MonotonicTime now = clock_.Now();
  if (entries_.size() >= kMaxEntries) {
    std::erase_if(entries_,
                  [&](const auto& item) { return !item.second.queued && now - item.second.last >= kSeriesGap; });
  }
  if (entries_.size() >= kMaxEntries) {
    // Every second one rather than the oldest, so that a flood does not bring us here with each event.
    bool keep = false;
    std::erase_if(entries_, [&](const auto& item) { return !item.second.queued && (keep = !keep); });
  }
  if (buckets_.size() >= kMaxEntries) {
    std::erase_if(buckets_, [&](const auto& item) { return now - item.second.refilled >= kRefill * kBurst; });
  }
}

}  // namespace reconciler
