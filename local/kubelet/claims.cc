// Folders for PersistentVolumeClaims.
#include "local/kubelet/claims.h"

#include <fmt/format.h>

#include <filesystem>

#include "reconciler/base/log.h"

namespace slotwright::local {

using reconciler::ErrorKind;
using reconciler::Fail;
using reconciler::Json;
using reconciler::KeyOf;
using reconciler::ObjectKey;
using reconciler::ObjectPtr;
using reconciler::Result;
namespace fs = std::filesystem;

namespace {

// Names of Kubernetes objects hold no "_".
std::string Stem(const ObjectKey& claim) { return claim.ns + "_" + claim.name; }

}  // namespace

Claims::Claims(std::string folder, ApiWriter& writer) : folder_(std::move(folder)), writer_(writer) {
  std::error_code missing;
  for (const auto& entry : fs::directory_iterator(folder_, missing)) {
    const std::string name = entry.path().filename();
    kept_[name.substr(0, name.rfind('_'))] = entry.path();
  }
}

Result<std::string> Claims::MakeFolder(const ObjectKey& claim, const std::string& uid) {
  const std::string folder = fmt::format("{}/{}_{}", folder_, Stem(claim), uid);
  std::error_code error;
  if (const auto kept = kept_.find(Stem(claim)); kept != kept_.end()) {
    fs::rename(kept->second, folder, error);
    kept_.erase(kept);
  } else {
    fs::create_directories(folder, error);
  }
  if (!error) return folder;
  return Fail(ErrorKind::kUnavailable, fmt::format("cannot make the folder {}: {}", folder, error.message()));
}

void Claims::Upsert(const ObjectPtr& claim) {
  const ObjectKey key = KeyOf(*claim);
  const std::string uid = reconciler::UidOf(*claim);
  if (!volumes_.contains(uid)) {
    auto folder = MakeFolder(key, uid);
    if (!folder) {
      reconciler::Log(reconciler::LogLevel::kError, "a claim cannot be bound",
                      {{"claim", key.ToString()}, {"error", folder.error().message}});
      return;
    }
    volumes_[uid].folder = std::move(*folder);
  }
  uids_[key] = uid;
  const Json status = BoundStatus(*claim);
  if (status.is_null()) return;
  writer_.Submit("claim/" + uid, [key, status](const reconciler::Client& client) -> Result<void> {
    const auto patched = client.Patch(reconciler::types::kPersistentVolumeClaims, key, reconciler::PatchType::kMerge,
                                      {{"status", status}}, {.subresource = "status"});
    if (!patched) return std::unexpected(patched.error());
    return {};
  });
}

void Claims::Remove(const Json& claim) {
  const std::string uid = reconciler::UidOf(claim);
  std::erase_if(uids_, [&](const auto& entry) { return entry.second == uid; });
  const auto volume = volumes_.find(uid);
  if (volume == volumes_.end()) return;
  volume->second.removed = true;
  Clean(uid);
}

Result<std::string> Claims::Use(const ObjectKey& claim, const std::string& pod_uid) {
  const auto uid = uids_.find(claim);
  if (uid == uids_.end()) {
    return Fail(ErrorKind::kNotFound, fmt::format("persistentvolumeclaim \"{}\" not found", claim.name));
  }
  Volume& volume = volumes_[uid->second];
  volume.users.insert(pod_uid);
  return volume.folder;
}

void Claims::Release(const std::string& pod_uid) {
  std::vector<std::string> changed;
  for (auto& [uid, volume] : volumes_) {
    if (volume.users.erase(pod_uid) > 0) changed.push_back(uid);
  }
  for (const auto& uid : changed) Clean(uid);
}

void Claims::Clean(const std::string& uid) {
  const auto volume = volumes_.find(uid);
  if (!volume->second.removed || !volume->second.users.empty()) return;
  std::error_code ignored;
  fs::remove_all(volume->second.folder, ignored);
  volumes_.erase(volume);
}

Json BoundStatus(const Json& claim) {
  const Json* wanted = reconciler::ValueAt(claim, {"spec", "resources", "requests", "storage"});
  Json status = {{"phase", "Bound"}, {"capacity", {{"storage", wanted == nullptr ? Json("0") : *wanted}}}};
  if (const Json* modes = reconciler::ValueAt(claim, {"spec", "accessModes"})) status["accessModes"] = *modes;
  const Json* current = reconciler::ValueAt(claim, {"status"});
  if (current == nullptr) return status;
  for (const auto& [field, value] : status.items()) {
    if (current->value(field, Json()) != value) return status;
  }
  return nullptr;
}

}  // namespace slotwright::local
