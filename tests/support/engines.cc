// See engines.h.
#include "tests/support/engines.h"

#include <stdlib.h>

#include <filesystem>

#include "local/kubelet/image_resolver.h"
#include "local/kubelet/kubelet.h"

namespace slotwright::testing {

namespace fs = std::filesystem;

std::string ServerFor(const std::string& image) {
  std::string links = (fs::temp_directory_path() / "slotwright-engines-XXXXXX").string();
  if (::mkdtemp(links.data()) == nullptr) return "";
  const auto resolved = local::ImageResolver({}, local::KubeletOptions().engine_folders, links).Resolve(image);
  const std::string program = resolved ? fs::read_symlink(resolved->folder + "/redis-server").string() : "";
  fs::remove_all(links);
  return program;
}

std::string TestImage() {
  const char* chosen = ::getenv("SLOTWRIGHT_TEST_IMAGE");
  return chosen == nullptr ? "redis:7.0" : chosen;
}

}  // namespace slotwright::testing
