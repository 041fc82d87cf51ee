// PersistentVolumeClaims as folders: made when a claim appears, bound, and removed with the claim.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>

#include "local/kubelet/api_writer.h"
#include "reconciler/base/error.h"
#include "reconciler/kube/types.h"

namespace slotwright::local {

/// <folder>/<namespace>_<name>_<uid>, so that a claim made anew never finds the data of its namesake. Folders that were
/// there at the start (an earlier kubelet kept them) go to the next claim of their namespace and name. Only in the
/// loop's thread.
class Claims {
 public:
  Claims(std::string folder, ApiWriter& writer);

  /// Makes the folder and marks the claim Bound with all the capacity it asks for. Called at every change of a claim.
  void Upsert(const reconciler::ObjectPtr& claim);
  /// The claim is gone: its folder goes once no pod uses it.
  void Remove(const reconciler::Json& claim);

  /// For a pod (by uid) that mounts the claim. kNotFound if there is no such claim.
  [[nodiscard]] reconciler::Result<std::string> Use(const reconciler::ObjectKey& claim, const std::string& pod_uid);
  /// The pod is gone.
  void Release(const std::string& pod_uid);

 private:
  struct Volume {
    std::string folder;
    std::set<std::string> users;
    bool removed = false;
  };
  [[nodiscard]] reconciler::Result<std::string> MakeFolder(const reconciler::ObjectKey& claim, const std::string& uid);
  void Clean(const std::string& uid);

  const std::string folder_;
  ApiWriter& writer_;
  std::map<std::string, std::string> kept_;            ///< "<namespace>_<name>" -> folder of an earlier kubelet.
  std::map<reconciler::ObjectKey, std::string> uids_;  ///< Of the claims that exist.
  std::map<std::string, Volume> volumes_;              ///< By the claim's uid.
};

/// The status that makes a claim Bound; null if it has it already.
[[nodiscard]] reconciler::Json BoundStatus(const reconciler::Json& claim);

}  // namespace slotwright::local
