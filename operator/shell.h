// A command line of the user's, run by the shell.
#pragma once

#include <map>
#include <string>

#include "reconciler/base/error.h"

namespace slotwright {

/// Runs `command` by /bin/sh, with our environment and `variables` in it, and waits for its end: its exit status, or
/// 128 and the number of the signal that killed it. An error if it could not be started. SIGPIPE ends it as usual, also
/// where we ignore that. May be called while other threads run.
[[nodiscard]] reconciler::Result<int> RunShell(const std::string& command,
                                               const std::map<std::string, std::string>& variables);

}  // namespace slotwright
