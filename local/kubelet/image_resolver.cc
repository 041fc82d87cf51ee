// Images as engines of this machine.
#include "local/kubelet/image_resolver.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <utility>

#include "local/kubelet/command.h"

namespace slotwright::local {

using reconciler::ErrorKind;
using reconciler::Fail;
using reconciler::Result;
namespace fs = std::filesystem;

namespace {

constexpr const char* kSystemFolders[] = {"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin"};

std::vector<int> Components(const std::string& version) {
  std::vector<int> components;
  for (size_t begin = 0; begin < version.size();) {
    const size_t end = std::min(version.find('.', begin), version.size());
    components.push_back(std::atoi(version.substr(begin, end - begin).c_str()));
    begin = end + 1;
  }
  return components;
}

// "~/x/*" as the folders it stands for.
std::vector<fs::path> FoldersOf(std::string pattern) {
  if (pattern.starts_with("~/")) {
    const char* home = std::getenv("HOME");
    if (home == nullptr) return {};
    pattern = std::string(home) + pattern.substr(1);
  }
  if (!pattern.ends_with("/*")) return {pattern};
  std::vector<fs::path> folders;
  std::error_code missing;
  for (const auto& entry : fs::directory_iterator(pattern.substr(0, pattern.size() - 2), missing)) {
    if (entry.is_directory()) folders.push_back(entry.path());
  }
  return folders;
}

std::string Executable(const fs::path& file) {
  struct stat info{};
  const bool good = ::stat(file.c_str(), &info) == 0 && S_ISREG(info.st_mode) && ::access(file.c_str(), X_OK) == 0;
  return good ? file.string() : "";
}

// A tool of the engine's own folder, or else of the system's: a wheel with a server alone still gets a client.
std::string FindTool(const Engine& engine, const std::string& tool) {
  std::vector<fs::path> folders = {fs::path(engine.server).parent_path()};
  if (tool == "cli") folders.insert(folders.end(), std::begin(kSystemFolders), std::end(kSystemFolders));
  const std::string other = engine.product == "redis" ? "valkey" : "redis";
  for (const auto& folder : folders) {
    for (const auto& product : {engine.product, other}) {
      const std::string file = Executable(folder / (product + "-" + tool));
      if (!file.empty()) return file;
    }
  }
  return "";
}

}  // namespace

ImageName ImageName::Parse(const std::string& image) {
  std::string rest = image.substr(0, image.find('@'));
  rest = rest.substr(rest.rfind('/') + 1);
  const size_t colon = rest.find(':');
  ImageName parsed{rest.substr(0, colon), ""};
  if (colon == std::string::npos) return parsed;
  const std::string tag = rest.substr(colon + 1);
  const size_t end = tag.find_first_not_of("0123456789.");
  parsed.version = tag.substr(0, end);
  while (parsed.version.ends_with('.')) parsed.version.pop_back();
  return parsed;
}

bool VersionMatches(const std::string& version, const std::string& wanted) {
  return wanted.empty() || version == wanted || version.starts_with(wanted + ".");
}

bool VersionLess(const std::string& a, const std::string& b) { return Components(a) < Components(b); }

Result<Engine> ParseServerVersion(const std::string& output, const std::string& file) {
  for (const auto& [words, product] : {std::pair{"Redis server v=", "redis"}, {"Valkey server v=", "valkey"}}) {
    if (!output.starts_with(words)) continue;
    const std::string rest = output.substr(std::strlen(words));
    return Engine{product, rest.substr(0, rest.find_first_not_of("0123456789.")), file};
  }
  return Fail(ErrorKind::kInvalid, fmt::format("{} says no version of Redis or Valkey: \"{}\"", file, output));
}

ImageResolver::ImageResolver(std::map<std::string, std::string> known, std::vector<std::string> search_folders,
                             std::string link_folder)
    : known_(std::move(known)), search_folders_(std::move(search_folders)), link_folder_(std::move(link_folder)) {}

Result<ResolvedImage> ImageResolver::Resolve(const std::string& image) {
  const ImageName name = ImageName::Parse(image);
  if (const auto known = known_.find(image); known != known_.end()) {
    return ResolvedImage{known->second, "local://" + image, {}};
  }
  if (Find(name) == nullptr) Scan();
  if (const Engine* engine = Find(name)) return Use(*engine);
  std::vector<std::string> names;
  for (const auto& [known, folder] : known_) names.push_back(known);
  for (const auto& engine : engines_) names.push_back(engine.ToString());
  return Fail(ErrorKind::kNotFound,
              fmt::format("image \"{}\" stands for no program of this machine; known here: {}. To add one, put its "
                          "redis-server or valkey-server into a folder below {} (scripts/engines.sh fetches some)",
                          image, names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", ")),
                          fmt::join(search_folders_, " or ")));
}

void ImageResolver::Scan() {
  std::vector<fs::path> folders(std::begin(kSystemFolders), std::end(kSystemFolders));
  for (const auto& pattern : search_folders_) {
    for (const auto& folder : FoldersOf(pattern)) {
      folders.push_back(folder);
      folders.push_back(folder / "bin");
    }
  }
  engines_.clear();
  for (const auto& folder : folders) {
    for (const char* program : {"redis-server", "valkey-server"}) {
      const std::string file = Executable(folder / program);
      if (file.empty()) continue;
      const auto changed = fs::last_write_time(file).time_since_epoch().count();
      const auto [entry, added] = outputs_.try_emplace(fmt::format("{} {}", file, changed));
      if (added) {
        entry->second = OutputOf({.command = {file, "--version"}}, std::chrono::seconds(5)).value_or("");
      }
      if (auto engine = ParseServerVersion(entry->second, file)) engines_.push_back(std::move(*engine));
    }
  }
}

const Engine* ImageResolver::Find(const ImageName& name) const {
  const Engine* best = nullptr;
  for (const auto& engine : engines_) {
    if (engine.product != name.name || !VersionMatches(engine.version, name.version)) continue;
    if (best == nullptr || VersionLess(best->version, engine.version)) best = &engine;
  }
  return best;
}

// Links under both products' names: a script that asks for redis-server must find this engine, not the system's.
Result<ResolvedImage> ImageResolver::Use(const Engine& engine) const {
  const fs::path folder = fs::path(link_folder_) / (engine.product + "-" + engine.version);
  std::error_code error;
  fs::create_directories(folder, error);
  for (const char* tool : {"server", "cli", "benchmark", "check-aof", "check-rdb"}) {
    const std::string file = FindTool(engine, tool);
    if (file.empty()) continue;
    for (const char* product : {"redis-", "valkey-"}) {
      const fs::path link = folder / (std::string(product) + tool);
      std::error_code unreadable;
      if (fs::read_symlink(link, unreadable) == file) continue;
      fs::remove(link, error);
      fs::create_symlink(file, link, error);
      if (error) {
        return Fail(ErrorKind::kUnavailable,
                    fmt::format("cannot link {} to {}: {}", link.string(), file, error.message()));
      }
    }
  }
  return ResolvedImage{folder, "local://" + engine.ToString(), {engine.product + "-server"}};
}

}  // namespace slotwright::local
