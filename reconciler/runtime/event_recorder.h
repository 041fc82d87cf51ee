// Kubernetes Events that say what was done and why: de-duplicated, rate-limited, never in the way of the work.
#pragma once

#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>

#include "reconciler/base/clock.h"
#include "reconciler/kube/client.h"

namespace reconciler {

enum class EventType { kNormal, kWarning };

/// Thread-safe. Record never blocks; the queue holds 1000 events, newer ones are dropped and counted. The same (object,
/// type, reason, message) less than ten minutes after the last time raises `count` of one Event; one object may add 25
/// Events of each type at once and then one each 5 minutes (client-go's spam filter). A repetition counts like a new
/// Event there, except while the one before it still waits to be sent. An event that cannot be sent because the API
/// server is away waits and is tried again, twelve times at most.
class EventRecorder {
 public:
  struct Options {
    std::string component = "slotwright";
    std::string instance;  ///< reportingInstance: the pod's or host's name.
  };
  /// `client` and `clock` outlive the recorder.
  EventRecorder(const Client& client, Options options, Clock& clock = SystemClock());
  ~EventRecorder();  ///< Stop, then whatever is still queued is dropped.
  EventRecorder(const EventRecorder&) = delete;
  EventRecorder& operator=(const EventRecorder&) = delete;

  /// `object` needs apiVersion, kind and metadata. `reason` is a CamelCase verb of what was done ("CreatedPod").
  /// `message` is cut at 1024 bytes, which is what the API server takes.
  void Record(const Json& object, EventType type, const std::string& reason, const std::string& message);

  /// Starts the sending thread; without it, Flush sends.
  void Start();
  void Stop();
  /// Sends all that waits, in the caller's thread. Gives up, and keeps the rest, at the first sign that the API server
  /// is away.
  void Flush();

  /// Events that nobody will see, whatever the reason.
  [[nodiscard]] size_t Dropped() const;

 private:
  /// One Event of the API server, as it should be there.
  struct Entry {
    Json event;
    MonotonicTime last{};
    bool queued = false;
    bool created = false;
    int failures = 0;
  };
  struct Bucket {
    double tokens = 0;
    MonotonicTime refilled{};
  };
  void RunSender(const std::stop_token& stop);
  /// Sends the front of the queue. Nothing if it went well; otherwise how long to leave the API server alone.
  [[nodiscard]] std::optional<Duration> SendNext();
  [[nodiscard]] Result<void> Send(const Json& event, bool created) const;

  // REQUIRES for all of these: mutex_ is held.
  [[nodiscard]] Json NewEvent(const Json& object, EventType type, const std::string& reason,
                              const std::string& message);
  [[nodiscard]] std::string NewName(const std::string& object_name);
  [[nodiscard]] bool TakeToken(const std::string& budget);
  void Enqueue(const std::string& key, Entry& entry);
  void Drop(const std::string& why, const Json& event);
  void Prune();

  const Client& client_;
  const Options options_;
  Clock& clock_;
  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<std::string> queue_;  ///< Keys of entries_.
  std::map<std::string, Entry> entries_;
  std::map<std::string, Bucket> buckets_;
  WallTime::rep last_stamp_ = 0;
  size_t dropped_ = 0;
  std::jthread sender_;
};

}  // namespace reconciler
