// One process of a container: started safely from a program with threads, watched without polling, never left behind.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "local/kubelet/event_loop.h"
#include "reconciler/base/error.h"

namespace slotwright::local {

/// How a process ended.
struct ExitStatus {
  int exit_code = 0;  ///< As a container runtime reports it: 128 + signal for a process that a signal ended.
  int signal = 0;     ///< 0: it ended by itself.

  friend bool operator==(const ExitStatus&, const ExitStatus&) = default;
};

struct ProcessOptions {
  std::vector<std::string> command;      ///< The first is looked up in `search_path` if it has no "/".
  std::vector<std::string> environment;  ///< "NAME=value"; nothing else is inherited.
  std::string search_path;               ///< Folders separated by ":".
  std::string working_dir = "/";
  int output = -1;  ///< Standard output and error; -1: /dev/null. Stays the caller's to close.
};

/// Guarantees: the process leads a session and a process group of its own; it is killed when the thread that started it
/// ends, be it by kill -9 (PR_SET_PDEATHSIG, which its own children do not inherit); destroying a Process kills its
/// group and reaps it. REQUIRES: started and destroyed in the loop's thread, which must live as long as the process
/// may.
class Process {
 public:
  using ExitHandler = std::function<void(ExitStatus)>;

  /// kNotFound if there is no such program, kInvalid if it cannot be executed or the working folder is missing, in the
  /// words of a container runtime. `on_exit` is called once, from the loop, after the process is gone; it may destroy
  /// the Process. What is left of its group is killed then, as the end of a container's first process ends all others.
  [[nodiscard]] static reconciler::Result<std::unique_ptr<Process>> Start(EventLoop& loop,
                                                                          const ProcessOptions& options,
                                                                          ExitHandler on_exit);
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  [[nodiscard]] pid_t pid() const { return pid_; }
  /// To the process alone, as a container runtime does; nothing once it has ended.
  void Signal(int signal);
  /// SIGKILL to the whole group.
  void Kill();

 private:
  struct Watch;
  Process(EventLoop& loop, pid_t pid, int pidfd, ExitHandler on_exit);
  void Ended();

  pid_t pid_;
  bool running_ = true;
  ExitHandler on_exit_;
  std::shared_ptr<Watch> watch_;
};

/// The file that `program` names: itself if it has a "/", else the first executable of that name in `search_path`.
/// Empty if there is none.
[[nodiscard]] std::string FindProgram(const std::string& program, const std::string& search_path);

}  // namespace slotwright::local
