// The files of configMap, secret, downwardAPI and projected volumes, as values.
#pragma once

#include <string>
#include <vector>

#include "local/kubelet/pod_facts.h"

namespace slotwright::local {

struct VolumeFile {
  std::string path;  ///< Relative, without "..".
  std::string content;
  int mode = 0644;

  friend auto operator<=>(const VolumeFile&, const VolumeFile&) = default;
};

/// True for the volume types that FilesOfVolume knows.
[[nodiscard]] bool HasFiles(const reconciler::Json& volume);

/// In the order of their paths. kNotFound, in the kubelet's words, if an object or a listed key is missing and not
/// optional; kInvalid for paths that lead out of the volume and sources this kubelet does not know.
/// REQUIRES: HasFiles(volume).
[[nodiscard]] reconciler::Result<std::vector<VolumeFile>> FilesOfVolume(const reconciler::Json& volume,
                                                                        const PodFacts& facts);

}  // namespace slotwright::local
