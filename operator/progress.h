// Shows on a terminal how clusters come up: one line for each change worth reading.
#pragma once

#include <chrono>
#include <map>
#include <mutex>
#include <string>

#include "reconciler/kube/types.h"

namespace slotwright {

/// Thread-safe.
class Progress {
 public:
  Progress() : started_(std::chrono::steady_clock::now()) {}

  /// Prints a line with the time since the start.
  void Say(const std::string& text);
  /// Prints the cluster's pods, masters, replicas and state if any of it changed.
  void Show(const reconciler::Json& cluster, int pods_running);

 private:
  const std::chrono::steady_clock::time_point started_;
  std::mutex mutex_;
  std::map<reconciler::ObjectKey, std::string> shown_;
};

}  // namespace slotwright
