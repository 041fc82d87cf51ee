// Writes a volume's files so that a reader sees all old or all new ones, as the kubelet does for ConfigMaps.
#pragma once

#include <string>
#include <vector>

#include "local/kubelet/volume_files.h"

namespace slotwright::local {

/// Makes `folder` hold exactly `files`. The files live in a folder of their own to which the link "..data" points;
/// changing that link is one rename. The names that a program opens are links into "..data" and stay as they are
/// (Kubernetes: pkg/volume/util/atomic_writer.go). Does nothing if nothing changed. The content stays as it was after
/// an error (kUnavailable).
[[nodiscard]] reconciler::Result<void> WriteFilesAtomically(const std::string& folder,
                                                            const std::vector<VolumeFile>& files);

}  // namespace slotwright::local
