// Kubernetes Events that say what was done and why: de-duplicated, rate-limited, never in the way of the work.
#pragma once

#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <thread>

#include "reconciler/base/clock.h"
#include "reconciler/kube/client.h"

namespace reconciler {

enum class EventType { kNormal, kWarning };

/// Thread-safe. Record never blocks; the queue holds 1000 events, newer ones are dropped and counted. The same (object,
/// type, reason, message) within ten minutes raises `count` of one Event; one object may add 25 Events at once and then
/// one each 5 minutes (client-go's spam filter).
class EventRecorder {
 public:
  struct Options {
    std::string component = "slotwright";
    std::string instance;  ///< reportingInstance: the pod's or host's name.
  };
  EventRecorder(const Client& client, Options options, Clock& clock = SystemClock());
  ~EventRecorder();  ///< Stop, then whatever is still queued is dropped.
  EventRecorder(const EventRecorder&) = delete;
  EventRecorder& operator=(const EventRecorder&) = delete;

  /// `object` needs apiVersion, kind and metadata. `reason` is a CamelCase verb of what was done ("CreatedPod").
  void Record(const Json& object, EventType type, const std::string& reason, const std::string& message);

  /// Starts the sending thread; without it, Flush sends.
  void Start();
  void Stop();
  /// Sends all that waits, in the caller's thread.
  void Flush();

 private:
  struct Pending {
    Json event;
    std::string dedup_key;
  };
  struct Seen {
    std::string name;
    int count = 0;
    MonotonicTime last{};
  };
  struct Bucket {
    double tokens = 25;
    MonotonicTime refilled{};
  };
  void Send(Pending pending);
  // REQUIRES: mutex_ is held.
  [[nodiscard]] bool TakeToken(const std::string& object_key);

  const Client& client_;
  const Options options_;
  Clock& clock_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<Pending> queue_;
  std::map<std::string, Seen> seen_;
  std::map<std::string, Bucket> buckets_;
  std::jthread sender_;
};

}  // namespace reconciler
