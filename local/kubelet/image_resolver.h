// Finds the programs that an image name stands for on this machine.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "reconciler/base/error.h"

namespace slotwright::local {

/// "registry/path/valkey:9.1-alpine@sha256:…" is {"valkey", "9.1"}; a tag that does not begin with a number, and
/// "latest" and none, give an empty version: the newest.
struct ImageName {
  std::string name;
  std::string version;

  [[nodiscard]] static ImageName Parse(const std::string& image);
  friend bool operator==(const ImageName&, const ImageName&) = default;
};

/// True if `version` ("7.0.15") is `wanted` or begins with all its components: "7", "7.0", "7.0.15", "", not "7.0.1".
[[nodiscard]] bool VersionMatches(const std::string& version, const std::string& wanted);
/// By number, component by component.
[[nodiscard]] bool VersionLess(const std::string& a, const std::string& b);

/// A server program of this machine.
struct Engine {
  std::string product;  ///< "redis" or "valkey".
  std::string version;  ///< "7.0.15".
  std::string server;   ///< The file.

  /// "redis:7.0.15".
  [[nodiscard]] std::string ToString() const { return product + ":" + version; }
  friend auto operator<=>(const Engine&, const Engine&) = default;
};

/// From the output of `redis-server --version`; kInvalid if it is another program's.
[[nodiscard]] reconciler::Result<Engine> ParseServerVersion(const std::string& output, const std::string& file);

struct ResolvedImage {
  std::string folder;                    ///< In front of PATH.
  std::string id;                        ///< For status.containerStatuses[].imageID.
  std::vector<std::string> entry_point;  ///< What runs if the container has no command; empty: it must have one.
};

/// Looks for redis-server and valkey-server in PATH's usual folders and in `search_folders` (each may end in "/*", for
/// all folders below, and begin with "~/"; programs may be in it or in its bin/). Only that thread may use it which
/// made it.
class ImageResolver {
 public:
  /// `link_folder` is where folders with links are made, one for each engine in use.
  ImageResolver(std::map<std::string, std::string> known, std::vector<std::string> search_folders,
                std::string link_folder);

  /// The newest engine that fits. Looks at the machine again if none is known to fit. kNotFound names what is known and
  /// how to add an image.
  [[nodiscard]] reconciler::Result<ResolvedImage> Resolve(const std::string& image);

 private:
  void Scan();
  [[nodiscard]] const Engine* Find(const ImageName& name) const;
  [[nodiscard]] reconciler::Result<ResolvedImage> Use(const Engine& engine) const;

  const std::map<std::string, std::string> known_;
  const std::vector<std::string> search_folders_;
  const std::string link_folder_;
  std::map<std::string, std::string> outputs_;  ///< By file and time of its last change: each is run once.
  std::vector<Engine> engines_;
};

}  // namespace slotwright::local
