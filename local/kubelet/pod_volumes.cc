// Volumes of a pod.
#include "local/kubelet/pod_volumes.h"

#include <fmt/format.h>

#include <filesystem>

#include "local/kubelet/atomic_files.h"
#include "local/kubelet/volume_files.h"

namespace slotwright::local {

using reconciler::ErrorKind;
using reconciler::Fail;
using reconciler::Json;
using reconciler::Result;
using reconciler::StringAt;
namespace fs = std::filesystem;

namespace {

Result<void> MakeFolder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (!error) return {};
  return Fail(ErrorKind::kUnavailable, fmt::format("cannot make the folder {}: {}", folder.string(), error.message()));
}

// The path inside a volume that a mount asks for; empty: all of it.
Result<std::string> SubPath(const Json& mount, const VariableLookup& variables) {
  std::string path = StringAt(mount, {"subPath"});
  const std::string expression = StringAt(mount, {"subPathExpr"});
  if (!expression.empty()) path = ExpandVariables(expression, variables);
  const fs::path normal = fs::path(path).lexically_normal();
  if (normal.is_absolute() || (!normal.empty() && *normal.begin() == "..")) {
    return Fail(ErrorKind::kInvalid, fmt::format("subPath \"{}\" leads out of its volume", path));
  }
  return normal.string();
}

}  // namespace

PodVolumes::PodVolumes(std::string folder, ClaimFolder claim_folder)
    : folder_(std::move(folder)), claim_folder_(std::move(claim_folder)) {}

Result<void> PodVolumes::Prepare(const PodFacts& facts) {
  const Json* volumes = reconciler::ValueAt(*facts.pod, {"spec", "volumes"});
  if (volumes == nullptr) return {};
  for (const auto& volume : *volumes) {
    const std::string name = StringAt(volume, {"name"});
    auto folder = PrepareOne(volume, facts);
    if (!folder) {
      return std::unexpected(folder.error().Within(fmt::format("MountVolume.SetUp failed for volume \"{}\"", name)));
    }
    folders_[name] = std::move(*folder);
  }
  return {};
}

Result<std::string> PodVolumes::PrepareOne(const Json& volume, const PodFacts& facts) const {
  std::string folder = folder_ + "/" + StringAt(volume, {"name"});
  if (const auto claim = volume.find("persistentVolumeClaim"); claim != volume.end()) {
    return claim_folder_({facts.ns(), StringAt(*claim, {"claimName"})});
  }
  if (const auto host = volume.find("hostPath"); host != volume.end()) return StringAt(*host, {"path"});
  if (HasFiles(volume)) {
    const auto files = FilesOfVolume(volume, facts);
    if (!files) return std::unexpected(files.error());
    if (auto written = WriteFilesAtomically(folder, *files); !written) return std::unexpected(written.error());
    return folder;
  }
  // A volume without any source is an emptyDir.
  if (volume.contains("emptyDir") || volume.size() == 1) {
    if (auto made = MakeFolder(folder); !made) return std::unexpected(made.error());
    return folder;
  }
  return Fail(ErrorKind::kInvalid,
              "its type is not known to the local kubelet; use emptyDir, configMap, secret, persistentVolumeClaim, "
              "downwardAPI, projected or hostPath");
}

Result<std::vector<MountedFolder>> PodVolumes::Mounts(const Json& container, const PodFacts& facts) const {
  std::vector<MountedFolder> mounts;
  std::optional<Environment> environment;
  for (const auto& mount : container.value("volumeMounts", Json::array())) {
    const std::string name = StringAt(mount, {"name"});
    const auto folder = folders_.find(name);
    if (folder == folders_.end()) {
      return Fail(ErrorKind::kInvalid, fmt::format("volumeMount \"{}\" names no volume of the pod", name));
    }
    if (mount.contains("subPathExpr") && !environment) {
      auto made = EnvironmentOf(container, facts);
      if (!made) return std::unexpected(made.error());
      environment = std::move(*made);
    }
    const auto sub_path = SubPath(mount, environment ? environment->Lookup() : Environment().Lookup());
    if (!sub_path) return std::unexpected(sub_path.error());
    std::string target = folder->second;
    if (!sub_path->empty() && *sub_path != ".") target += "/" + *sub_path;
    if (!fs::exists(target)) {
      if (auto made = MakeFolder(target); !made) return std::unexpected(made.error());
    }
    mounts.push_back({StringAt(mount, {"mountPath"}), target});
  }
  return mounts;
}

}  // namespace slotwright::local
