// Runs a loop in the test's thread until something holds.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>

#include "local/kubelet/event_loop.h"

namespace slotwright::local {

/// False if `done` does not hold within `patience`.
[[nodiscard]] inline bool RunUntil(EventLoop& loop, const std::function<bool()>& done,
                                   std::chrono::milliseconds patience = std::chrono::seconds(20)) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  Timer timer;
  bool held = false;
  std::function<void()> look = [&] {
    held = done();
    if (held || std::chrono::steady_clock::now() >= deadline) return loop.Stop();
    timer = loop.After(std::chrono::milliseconds(2), look);
  };
  timer = loop.After({}, look);
  loop.Run();
  return held;
}

/// For what must not happen.
inline void RunFor(EventLoop& loop, std::chrono::milliseconds time) {
  (void)RunUntil(loop, [] { return false; }, time);
}

inline std::string TextOf(const std::filesystem::path& path) {
  std::ifstream stream(path);
  return {std::istreambuf_iterator<char>(stream), {}};
}

/// The state letter of a process as the kernel says it; 'X' if there is none.
inline char StateOf(int pid) {
  const std::string stat = TextOf("/proc/" + std::to_string(pid) + "/stat");
  const size_t end = stat.rfind(')');
  return end == std::string::npos ? 'X' : stat[end + 2];
}

inline bool IsAlive(int pid) { return std::string("XZ").find(StateOf(pid)) == std::string::npos; }

/// The number in a file; 0 if it is not there (yet).
inline int NumberIn(const std::filesystem::path& path) { return std::atoi(TextOf(path).c_str()); }

}  // namespace slotwright::local
