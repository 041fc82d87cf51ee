// The volumes of one pod as folders of this machine.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "local/kubelet/environment.h"
#include "local/kubelet/mount_paths.h"
#include "local/kubelet/pod_facts.h"

namespace slotwright::local {

/// The folder of a PersistentVolumeClaim; kNotFound if there is no such claim.
using ClaimFolder = std::function<reconciler::Result<std::string>(const reconciler::ObjectKey& claim)>;

/// emptyDir is a folder that lives as long as the pod (on disk, whatever its medium), persistentVolumeClaim the claim's
/// folder, hostPath the path itself, configMap, secret, downwardAPI and projected are folders with files that follow
/// their objects. Only in the loop's thread.
class PodVolumes {
 public:
  /// Folders are made in `folder`.
  PodVolumes(std::string folder, ClaimFolder claim_folder);

  /// Makes all volumes, or brings their files up to date. kNotFound while something is missing, kInvalid for what this
  /// kubelet does not know; in the words of the kubelet's FailedMount.
  [[nodiscard]] reconciler::Result<void> Prepare(const PodFacts& facts);

  /// Where the container's mountPaths lead, subPath and subPathExpr included, whose folders are made.
  /// REQUIRES: Prepare succeeded.
  [[nodiscard]] reconciler::Result<std::vector<MountedFolder>> Mounts(const reconciler::Json& container,
                                                                      const PodFacts& facts) const;

 private:
  [[nodiscard]] reconciler::Result<std::string> PrepareOne(const reconciler::Json& volume, const PodFacts& facts) const;

  const std::string folder_;
  const ClaimFolder claim_folder_;
  std::map<std::string, std::string> folders_;  ///< By the volume's name.
};

}  // namespace slotwright::local
