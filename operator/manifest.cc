// See manifest.h.
#include "operator/manifest.h"

#include <fmt/format.h>

#include "reconciler/base/yaml.h"

namespace slotwright {

using reconciler::ErrorKind;
using reconciler::Fail;
using reconciler::Json;

namespace {

bool IsObject(const Json& document) {
  const auto is = [&](const char* field, Json::value_t type) {
    const auto found = document.find(field);
    return found != document.end() && found->type() == type;
  };
  return document.is_object() && is("apiVersion", Json::value_t::string) && is("kind", Json::value_t::string) &&
         is("metadata", Json::value_t::object);
}

}  // namespace

reconciler::Result<std::vector<Json>> ReadManifest(const std::string& path) {
  auto documents = reconciler::ReadYamlFile(path);
  if (!documents) return documents;
  if (documents->empty()) return Fail(ErrorKind::kInvalid, path + " describes no object");
  for (size_t i = 0; i < documents->size(); ++i) {
    if (IsObject((*documents)[i])) continue;
    return Fail(ErrorKind::kInvalid,
                fmt::format("{}: document {} is no Kubernetes object: it needs apiVersion, kind and "
                            "metadata",
                            path, i + 1));
  }
  return documents;
}

}  // namespace slotwright
