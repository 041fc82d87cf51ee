// See shell.h.
#include "operator/shell.h"

#include <fmt/format.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

namespace slotwright {

namespace {

// Made before there is a child, which may call next to nothing in a process with threads.
std::vector<std::string> EnvironmentWith(std::map<std::string, std::string> variables) {
  for (char** entry = ::environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    const auto equals = text.find('=');
    if (equals != std::string::npos) variables.try_emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  std::vector<std::string> environment;
  for (const auto& [name, value] : variables) environment.push_back(name + "=" + value);
  return environment;
}

std::vector<char*> Pointers(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (auto& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace

reconciler::Result<int> RunShell(const std::string& command, const std::map<std::string, std::string>& variables) {
  std::vector<std::string> environment = EnvironmentWith(variables);
  std::vector<std::string> arguments = {"sh", "-c", command};
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  sigset_t ends_it;
  ::sigemptyset(&ends_it);
  ::sigaddset(&ends_it, SIGPIPE);
  ::posix_spawnattr_setsigdefault(&attributes, &ends_it);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
  pid_t child = 0;
  const int error =
      ::posix_spawn(&child, "/bin/sh", nullptr, &attributes, Pointers(arguments).data(), Pointers(environment).data());
  ::posix_spawnattr_destroy(&attributes);
  if (error != 0) {
    return reconciler::Fail(reconciler::ErrorKind::kInternal,
                            fmt::format("/bin/sh cannot be started: {}", std::strerror(error)));
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
    if (errno == EINTR) continue;
    return reconciler::Fail(reconciler::ErrorKind::kInternal,
                            fmt::format("waiting for /bin/sh failed: {}", std::strerror(errno)));
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace slotwright
