// The embedded kubelet: runs the containers of Pods as processes of this machine, one address of 127.0.0.0/8 a pod.
#pragma once

#include <chrono>
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
  /// Inside 127.0.0.0/8. Each kubelet of a machine takes a /20 of it that no other one has (or all, if it is smaller);
  /// addresses are handed out in order and reused late.
  std::string pod_cidr = "127.77.0.0/16";
  EngineFolders images;  ///< Images known beforehand; others are looked for by ImageResolver.
  /// Where ImageResolver looks for engines besides the system's folders; "/*" at the end means all folders below.
  std::vector<std::string> engine_folders = {"~/.cache/slotwright/engines/*"};
  bool keep_volumes = false;  ///< Leaves PersistentVolumeClaims' folders behind on Stop, and uses those left behind.
  reconciler::Duration restart_backoff = std::chrono::seconds(1);  ///< Before the second restart in a row; doubles.
  std::chrono::seconds stop_grace{10};  ///< On Stop a pod gets its grace period, but no more than this.
};

/// Guarantees: no process outlives Stop, nor the kubelet's own process (PR_SET_PDEATHSIG; what containers fork
/// themselves is ended with their first process, or when the next kubelet with this state_dir starts); a pod's
/// processes get SIGTERM, its grace period, then SIGKILL. Assumptions: nobody else uses state_dir meanwhile.
///
/// Containers are no containers: they see this machine's files (mount_paths.h says what a mountPath means then), its
/// network (a pod's server must bind to its pod's address: `$(POD_IP)`) and its users (securityContext, resources and
/// sysctls have no effect). What is not known (other volume and probe types) is refused with an event, never ignored.
///
/// Files under state_dir: pods/<namespace>_<name>_<uid>/ with volumes/ and, for each container, <container>/<run>.log,
/// <container>/<container>.pid while it runs and <container>/home; volumes/ with a folder for each claim.
class Kubelet : public LogSource {
 public:
  static std::unique_ptr<Kubelet> Make(const reconciler::Client& client, KubeletOptions options);

  /// Takes state_dir and a part of pod_cidr, or says why they cannot be used. For callers that have to know before Run,
  /// which otherwise does it itself.
  virtual reconciler::Result<void> Prepare() = 0;

  /// Blocks until `stop` fires, then terminates all pods' processes and returns when the last is gone. Returns at once
  /// if Prepare fails. Once only; the calling thread starts all processes, which end with it.
  virtual reconciler::Result<void> Run(std::stop_token stop) = 0;
};

}  // namespace slotwright::local
