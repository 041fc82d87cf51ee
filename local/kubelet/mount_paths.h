// Makes a mountPath mean a folder of this machine, for processes that see the machine's own file system.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace slotwright::local {

/// `path` as the container knows it ("/data"), `folder` as this machine knows it.
struct MountedFolder {
  std::string path;
  std::string folder;
};

/// A container's view of its mounts, applied to texts.
///
/// A real container has its own file system; here `/data` of twelve pods would be the one /data of this machine. So
/// every occurrence of a mountPath in the command, the arguments and the values of environment variables that stands
/// for a whole path is replaced by the folder that stands for it:
///  - before it is the start of the text or a character that cannot be part of a path ("--dir=/data", "'/data'"),
///  - after it is "/" or a character that cannot go on with the last name ("/data/x", "/data:"; not "/database").
/// Of several mountPaths that fit the longest wins. What programs read from files (a redis.conf with "dir /data") is
/// not touched: pass such paths as arguments.
class MountPaths {
 public:
  /// A mountPath "/" is left out: it would stand for every path.
  explicit MountPaths(std::vector<MountedFolder> mounts);

  [[nodiscard]] std::string Replace(std::string_view text) const;

 private:
  std::vector<MountedFolder> mounts_;  ///< Longest path first, without trailing slashes.
};

}  // namespace slotwright::local
