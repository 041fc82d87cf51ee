// See progress.h.
#include "operator/progress.h"

#include <fmt/format.h>

#include <cstdio>

#include "controllers/api/conditions.h"

namespace slotwright {

using reconciler::Json;

void Progress::Say(const std::string& text) {
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - started_;
  fmt::print("{:6.2f} s  {}\n", elapsed.count(), text);
  std::fflush(stdout);
}

void Progress::Show(const Json& cluster, int pods_running) {
  const auto number = [&](const char* pointer) { return cluster.value(Json::json_pointer(pointer), 0); };
  const int masters = number("/spec/masters");
  const int replicas = masters * number("/spec/replicasPerMaster");
  const Json ready = FindCondition(cluster.value(Json::json_pointer("/status/conditions"), Json::array()), "Ready");
  const std::string state =
      ready.is_object() ? fmt::format("{}: {}", ready.value("reason", ""), ready.value("message", "")) : "seen";
  const auto key = reconciler::KeyOf(cluster);
  const std::string line = fmt::format("{}  pods {}/{}  masters {}/{}  replicas in sync {}/{}  {}", key.name,
                                       pods_running, masters + replicas, number("/status/readyMasters"), masters,
                                       number("/status/replicas"), replicas, state);
  const std::lock_guard lock(mutex_);
  if (shown_[key] == line) return;
  shown_[key] = line;
  Say(line);
}

}  // namespace slotwright
