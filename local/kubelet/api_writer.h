// Writes to the API server, outside the loop: the newest of a kind wins, failures are tried again.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "reconciler/kube/client.h"
#include "reconciler/queue/work_queue.h"

namespace slotwright::local {

/// Thread-safe.
class ApiWriter {
 public:
  using Job = std::function<reconciler::Result<void>(const reconciler::Client& client)>;

  /// `client` outlives the writer.
  explicit ApiWriter(const reconciler::Client& client);
  ~ApiWriter();  ///< Jobs that wait are dropped.

  /// Carries out `job` soon. It replaces a job of the same key that still waits; two jobs of one key never run at once.
  /// A job that fails is tried again with back-off, unless the error is final: the object is gone or another one
  /// (kNotFound, kConflict), or the server will never accept it (kInvalid, which is logged).
  void Submit(const std::string& key, Job job);

 private:
  void Work(const std::stop_token& stop);
  void RunJob(const reconciler::ObjectKey& key);

  const reconciler::Client& client_;
  reconciler::WorkQueue queue_;
  std::mutex mutex_;
  std::map<std::string, Job> jobs_;
  std::vector<std::jthread> workers_;
};

}  // namespace slotwright::local
