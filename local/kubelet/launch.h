// How a container becomes processes of this machine: command line, environment and working folder.
#pragma once

#include <string>
#include <vector>

#include "local/kubelet/image_resolver.h"
#include "local/kubelet/mount_paths.h"
#include "local/kubelet/pod_facts.h"
#include "local/kubelet/process.h"

namespace slotwright::local {

/// What does not come from the container's specification.
struct LaunchInputs {
  PodFacts facts;
  ResolvedImage image;
  std::vector<MountedFolder> mounts;
  std::string home;  ///< A folder of the container's own: HOME, and where it starts without workingDir.
};

/// One container's way to start programs: its own, and those of probes and hooks.
struct LaunchPlan {
  ProcessOptions process;  ///< Without output.
  MountPaths mounts;

  /// The options of another command in the same container.
  [[nodiscard]] ProcessOptions WithCommand(const std::vector<std::string>& command) const;
};

/// The environment holds PATH (the image's folder first), HOME, HOSTNAME and what the pod says: nothing of ours.
/// $(VARIABLES) are expanded, then mountPaths are replaced (see MountPaths). A program named by one of the usual
/// folders
/// ("/usr/local/bin/redis-server") is the image's if the image has it.
/// Without command the image's own entry point runs: the server, or the arguments if they do not begin with an option
/// or a .conf file, as the scripts in the images of Redis and Valkey do it.
/// Errors are those of EnvironmentOf, and kInvalid for a container that names no command for an image without one.
[[nodiscard]] reconciler::Result<LaunchPlan> PlanLaunch(const reconciler::Json& container, const LaunchInputs& inputs);

}  // namespace slotwright::local
