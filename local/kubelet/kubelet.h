// The embedded kubelet: runs the containers of Pods as processes of this machine, one address of 127.0.0.0/8 a pod.
#pragma once

#include <map>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "local/apiserver/api_server.h"
#include "reconciler/kube/client.h"

namespace slotwright::local {

/// Where the programs of an image are: a folder that is put in front of PATH for the container's processes.
using EngineFolders = std::map<std::string, std::string>;  // image -> folder

struct KubeletOptions {
  std::string state_dir;  ///< Volumes, logs and pid files; removed by Stop if the kubelet made it.
  std::string node_name = "local";
  std::string pod_cidr = "127.77.0.0/16";  ///< Inside 127.0.0.0/8. Addresses are handed out in order and reused late.
  EngineFolders images;   ///< Images known beforehand; others are looked for by ImageResolver.
  bool keep_volumes = false;  ///< Leaves PersistentVolumeClaims' folders behind on Stop.
};

/// Guarantees: no process outlives Stop, nor the kubelet's own process (PR_SET_PDEATHSIG); a pod's processes get SIGTERM,
/// its grace period, then SIGKILL.
class Kubelet : public LogSource {
 public:
  static std::unique_ptr<Kubelet> Make(const reconciler::Client& client, KubeletOptions options);

  /// Blocks until `stop` fires, then terminates all pods' processes and returns when the last is gone.
  virtual void Run(std::stop_token stop) = 0;
};

}  // namespace slotwright::local
