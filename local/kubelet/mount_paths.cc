// Replacement of mount paths in texts.
#include "local/kubelet/mount_paths.h"

#include <algorithm>
#include <cctype>

namespace slotwright::local {

namespace {

// Names of files may hold almost anything; these are the characters that do occur in the paths people write.
bool IsNameCharacter(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || static_cast<unsigned char>(c) >= 0x80 ||
         std::string_view("._-~+@%#").find(c) != std::string_view::npos;
}

// A closing bracket ends a "${VARIABLE}" or "$(command)" that the path goes on with.
bool GoesOnWithPath(char before) {
  return IsNameCharacter(before) || std::string_view("/})]*?$").find(before) != std::string_view::npos;
}

bool StandsAlone(std::string_view text, size_t begin, size_t end) {
  if (begin > 0 && GoesOnWithPath(text[begin - 1])) return false;
  return end == text.size() || !IsNameCharacter(text[end]);
}

}  // namespace

MountPaths::MountPaths(std::vector<MountedFolder> mounts) : mounts_(std::move(mounts)) {
  for (auto& mount : mounts_) {
    while (!mount.path.empty() && mount.path.back() == '/') mount.path.pop_back();
  }
  std::erase_if(mounts_, [](const MountedFolder& mount) { return mount.path.empty(); });
  std::ranges::stable_sort(mounts_, std::greater{}, [](const MountedFolder& mount) { return mount.path.size(); });
}

std::string MountPaths::Replace(std::string_view text) const {
  std::string replaced;
  size_t i = 0;
  while (i < text.size()) {
    const auto found = std::ranges::find_if(mounts_, [&](const MountedFolder& mount) {
      return text.substr(i).starts_with(mount.path) && StandsAlone(text, i, i + mount.path.size());
    });
    if (found == mounts_.end()) {
      replaced += text[i++];
      continue;
    }
    replaced += found->folder;
    i += found->path.size();
  }
  return replaced;
}

}  // namespace slotwright::local
