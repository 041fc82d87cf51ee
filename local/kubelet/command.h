// A short-lived program whose end and output somebody waits for: exec probes, hooks, "redis-server --version".
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "local/kubelet/event_loop.h"
#include "local/kubelet/process.h"

namespace slotwright::local {

struct CommandResult {
  bool started = true;
  bool timed_out = false;
  int exit_code = 0;
  std::string output;  ///< Both streams, its first 10 KiB; why it did not start, if it did not.
};

/// Destroying a Command kills it; its handler is not called any more.
class Command {
 public:
  using Handler = std::function<void(CommandResult)>;

  /// `done` is called once, from the loop, never from within this function; it may destroy the Command. The command is
  /// killed after `timeout`. `options.output` is ignored.
  Command(EventLoop& loop, ProcessOptions options, reconciler::Duration timeout, Handler done);
  ~Command();
  Command(const Command&) = delete;
  Command& operator=(const Command&) = delete;

 private:
  void Start(EventLoop& loop, ProcessOptions options);
  void Finish(ExitStatus status);
  void ReadOutput();

  CommandResult result_;
  Handler done_;
  int output_ = -1;  ///< The readable end of a pipe; it never blocks.
  Timer timer_;
  std::unique_ptr<Process> process_;
};

/// Runs a command to its end in the caller's thread. kTimeout after `timeout`, kNotFound or kInvalid if it does not
/// start.
[[nodiscard]] reconciler::Result<std::string> OutputOf(ProcessOptions options, reconciler::Duration timeout);

}  // namespace slotwright::local
