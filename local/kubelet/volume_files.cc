// Files of volumes, from ConfigMaps, Secrets and the downward API.
#include "local/kubelet/volume_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>

namespace slotwright::local {

using reconciler::ErrorKind;
using reconciler::Fail;
using reconciler::Json;
using reconciler::Result;
using reconciler::StringAt;

namespace {

using Files = std::map<std::string, VolumeFile>;

constexpr int kDefaultMode = 0644;

Result<void> Put(Files* files, const std::string& path, std::string content, int mode) {
  const std::filesystem::path normal = std::filesystem::path(path).lexically_normal();
  if (path.empty() || normal.is_absolute() || *normal.begin() == ".." || path.starts_with("..")) {
    return Fail(ErrorKind::kInvalid, fmt::format("path \"{}\" leads out of its volume", path));
  }
  (*files)[normal] = VolumeFile{normal, std::move(content), mode};
  return {};
}

Result<void> AddData(const Json& source, DataKind kind, int mode, const PodFacts& facts, Files* files) {
  const auto object = FindData(facts, kind, source);
  if (!object) return std::unexpected(object.error());
  if (*object == nullptr) return {};
  const auto items = source.find("items");
  if (items == source.end()) {
    for (auto& [key, content] : AllDataOf(**object)) {
      if (auto put = Put(files, key, content, mode); !put) return put;
    }
    return {};
  }
  for (const auto& item : *items) {
    auto content = DataOf(**object, StringAt(item, {"key"}));
    if (!content && source.value("optional", false)) continue;
    if (!content) return std::unexpected(content.error());
    if (auto put = Put(files, StringAt(item, {"path"}), std::move(*content), item.value("mode", mode)); !put) {
      return put;
    }
  }
  return {};
}

Result<void> AddFields(const Json& source, int mode, const PodFacts& facts, Files* files) {
  for (const auto& item : source.value("items", Json::array())) {
    if (!item.contains("fieldRef")) {
      return Fail(ErrorKind::kInvalid, "downwardAPI: the local kubelet knows fieldRef only");
    }
    auto value = FieldValue(facts, StringAt(item, {"fieldRef", "fieldPath"}));
    if (!value) return std::unexpected(value.error());
    if (auto put = Put(files, StringAt(item, {"path"}), std::move(*value), item.value("mode", mode)); !put) return put;
  }
  return {};
}

// One volume, or one source of a projected volume.
Result<void> AddSource(const Json& source, int mode, const PodFacts& facts, Files* files) {
  if (source.contains("configMap")) return AddData(source["configMap"], DataKind::kConfigMap, mode, facts, files);
  if (source.contains("secret")) return AddData(source["secret"], DataKind::kSecret, mode, facts, files);
  if (source.contains("downwardAPI")) return AddFields(source["downwardAPI"], mode, facts, files);
  return Fail(ErrorKind::kInvalid, fmt::format("a projected volume's source {} is not known to the local kubelet; use "
                                               "configMap, secret or downwardAPI",
                                               source.dump()));
}

}  // namespace

bool HasFiles(const Json& volume) {
  return std::ranges::any_of(std::initializer_list<const char*>{"configMap", "secret", "downwardAPI", "projected"},
                             [&](const char* type) { return volume.contains(type); });
}

Result<std::vector<VolumeFile>> FilesOfVolume(const Json& volume, const PodFacts& facts) {
  Files files;
  Result<void> added;
  if (const auto projected = volume.find("projected"); projected != volume.end()) {
    const int mode = projected->value("defaultMode", kDefaultMode);
    for (const auto& source : projected->value("sources", Json::array())) {
      added = AddSource(source, mode, facts, &files);
      if (!added) break;
    }
  } else {
    const auto source = std::ranges::find_if(volume, [](const Json& value) { return value.is_object(); });
    added = AddSource(volume, source->value("defaultMode", kDefaultMode), facts, &files);
  }
  if (!added) return std::unexpected(added.error());
  std::vector<VolumeFile> sorted;
  for (auto& [path, file] : files) sorted.push_back(std::move(file));
  return sorted;
}

}  // namespace slotwright::local
