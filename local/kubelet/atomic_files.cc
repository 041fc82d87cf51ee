// Atomic replacement of a volume's content.
#include "local/kubelet/atomic_files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>

namespace slotwright::local {

using reconciler::ErrorKind;
using reconciler::Fail;
using reconciler::Result;
namespace fs = std::filesystem;

namespace {

constexpr const char* kDataLink = "..data";

// Modes matter: 0600 must never be 0644 for a moment. A file that its owner may not read is root's business only.
Result<void> WriteFile(const fs::path& path, const VolumeFile& file) {
  fs::create_directories(path.parent_path());
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0)
    return Fail(ErrorKind::kUnavailable, fmt::format("cannot write {}: {}", path.string(), std::strerror(errno)));
  size_t written = 0;
  while (written < file.content.size()) {
    const ssize_t count = ::write(fd, file.content.data() + written, file.content.size() - written);
    if (count < 0 && errno != EINTR) break;
    if (count > 0) written += static_cast<size_t>(count);
  }
  const bool good = written == file.content.size() && ::fchmod(fd, static_cast<mode_t>(file.mode)) == 0;
  const int error = errno;
  ::close(fd);
  if (!good)
    return Fail(ErrorKind::kUnavailable, fmt::format("cannot write {}: {}", path.string(), std::strerror(error)));
  return {};
}

std::vector<VolumeFile> ReadFiles(const fs::path& data) {
  std::vector<VolumeFile> files;
  if (!fs::exists(data)) return files;
  // The link itself would not be descended into.
  const fs::path root = fs::canonical(data);
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    if (!entry.is_regular_file()) continue;
    std::ifstream stream(entry.path(), std::ios::binary);
    files.push_back({fs::relative(entry.path(), root), std::string(std::istreambuf_iterator<char>(stream), {}),
                     static_cast<int>(entry.status().permissions())});
  }
  std::ranges::sort(files);
  return files;
}

fs::path FreshFolder(const fs::path& folder) {
  for (int i = 1;; ++i) {
    const fs::path candidate = folder / fmt::format("..{}", i);
    if (!fs::exists(candidate)) return candidate;
  }
}

void Link(const fs::path& target, const fs::path& link) {
  const fs::path temporary = link.parent_path() / "..new";
  fs::remove(temporary);
  fs::create_symlink(target, temporary);
  fs::rename(temporary, link);
}

// First components of all paths: the names that are links in the volume.
std::set<std::string> NamesOf(const std::vector<VolumeFile>& files) {
  std::set<std::string> names;
  for (const auto& file : files) names.insert(*fs::path(file.path).begin());
  return names;
}

Result<void> Replace(const fs::path& folder, const std::vector<VolumeFile>& files) {
  fs::create_directories(folder);
  const fs::path link = folder / kDataLink;
  const bool first = !fs::is_symlink(link);
  if (!first && ReadFiles(link) == files) return {};
  const fs::path old_data = first ? fs::path() : fs::read_symlink(link);
  const fs::path new_data = FreshFolder(folder);
  fs::create_directory(new_data);
  for (const auto& file : files) {
    if (auto written = WriteFile(new_data / file.path, file); !written) {
      fs::remove_all(new_data);
      return written;
    }
  }
  Link(new_data.filename(), link);
  const auto names = NamesOf(files);
  for (const auto& name : names) {
    if (!fs::is_symlink(folder / name)) Link(fs::path(kDataLink) / name, folder / name);
  }
  std::vector<fs::path> obsolete;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename();
    if (!name.starts_with("..") && !names.contains(name)) obsolete.push_back(entry.path());
  }
  for (const auto& path : obsolete) fs::remove(path);
  if (!old_data.empty()) fs::remove_all(folder / old_data);
  return {};
}

}  // namespace

Result<void> WriteFilesAtomically(const std::string& folder, const std::vector<VolumeFile>& files) {
  try {
    return Replace(folder, files);
  } catch (const fs::filesystem_error& error) {
    return Fail(ErrorKind::kUnavailable, fmt::format("cannot write the volume {}: {}", folder, error.what()));
  }
}

}  // namespace slotwright::local
