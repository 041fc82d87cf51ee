// Making, emptying and removing the state folder.
#include "local/kubelet/state_folder.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/stat.h>

#include <charconv>
#include <filesystem>

namespace slotwright::local {

using reconciler::ErrorKind;
using reconciler::Fail;
using reconciler::Result;
namespace fs = std::filesystem;

Result<StateFolder> StateFolder::Open(const std::string& path, bool keep_volumes) {
  std::error_code error;
  const fs::path absolute = fs::absolute(path, error);
  // One that crashed cannot tell any more who made the folder; if nothing else is in it, it may go.
  const bool crashed = fs::exists(absolute / "pods", error);
  const bool made = fs::create_directories(absolute, error) || crashed;
  StateFolder folder(absolute, made, keep_volumes);
  KillWriters(absolute.string() + "/pods/");
  folder.Clean();
  for (const char* part : {"pods", "volumes"}) {
    if (!error) fs::create_directory(absolute / part, error);
    if (!error) fs::permissions(absolute / part, fs::perms::owner_all, error);
  }
  if (!error) return folder;
  return Fail(ErrorKind::kUnavailable,
              fmt::format("cannot use the folder {} for the kubelet's state: {}", absolute.string(), error.message()));
}

void StateFolder::Clean() {
  std::error_code ignored;
  fs::remove_all(path_ + "/pods", ignored);
  fs::remove_all(path_ + "/images", ignored);
  if (!keep_volumes_) fs::remove_all(path_ + "/volumes", ignored);
}

void StateFolder::Close() {
  Clean();
  std::error_code ignored;
  fs::remove(path_ + "/volumes", ignored);  // if no volume was kept
  if (made_) fs::remove(path_, ignored);
}

void KillWriters(const std::string& folder) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator("/proc", error)) {
    const std::string name = entry.path().filename();
    pid_t pid = 0;
    const auto [end, bad] = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (bad != std::errc() || end != name.data() + name.size()) continue;
    for (const char* stream : {"fd/1", "fd/2"}) {
      std::error_code unreadable;
      if (!fs::read_symlink(entry.path() / stream, unreadable).string().starts_with(folder)) continue;
      ::kill(pid, SIGKILL);
      break;
    }
  }
}

}  // namespace slotwright::local
