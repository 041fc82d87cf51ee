// The folder in which a kubelet keeps everything, and what an earlier one left in it.
#pragma once

#include <string>

#include "reconciler/base/error.h"

namespace slotwright::local {

class StateFolder {
 public:
  /// Makes the folder (only its owner may look into it: it holds Secrets) and empties it: first the processes that
  /// still write there are killed, then files are removed, but claims' folders only unless `keep_volumes`.
  [[nodiscard]] static reconciler::Result<StateFolder> Open(const std::string& path, bool keep_volumes);

  /// Removes what is in it, and the folder itself if Open made it and nothing is left.
  void Close();

  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  StateFolder(std::string path, bool made, bool keep_volumes)
      : path_(std::move(path)), made_(made), keep_volumes_(keep_volumes) {}
  void Clean();

  std::string path_;
  bool made_;
  bool keep_volumes_;
};

/// SIGKILL to every process of this user whose standard output or error goes to a file below `folder`. Children of a
/// container's process do not end with the kubelet by themselves.
void KillWriters(const std::string& folder);

}  // namespace slotwright::local
