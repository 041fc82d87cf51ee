// The registry of served resources.
#include "local/apiserver/resource.h"

#include <algorithm>
#include <set>

namespace slotwright::local::apiserver {

Registry::Registry() : resources_(BuiltinResources()) {}

ResourcePtr Registry::Find(const std::string& group, const std::string& version, const std::string& plural) const {
  for (const auto& resource : resources_) {
    if (resource->type.plural == plural && resource->type.group == group && resource->type.version == version) {
      return resource;
    }
  }
  return nullptr;
}

ResourcePtr Registry::ForKind(const std::string& api_version, const std::string& kind) const {
  for (const auto& resource : resources_) {
    if (resource->type.kind == kind && resource->type.ApiVersion() == api_version) return resource;
  }
  return nullptr;
}

ResourcePtr Registry::ForTable(const Table& table) const {
  for (const auto& resource : resources_) {
    if (resource->table() == table) return resource;
  }
  return nullptr;
}

std::vector<std::string> Registry::VersionsOf(const std::string& group) const {
  std::vector<std::string> versions;
  for (const auto& resource : resources_) {
    if (resource->type.group != group) continue;
    if (std::ranges::find(versions, resource->type.version) == versions.end()) {
      versions.push_back(resource->type.version);
    }
  }
  return versions;
}

std::vector<std::string> Registry::Groups() const {
  std::set<std::string> groups;
  for (const auto& resource : resources_) {
    if (!resource->type.group.empty()) groups.insert(resource->type.group);
  }
  return {groups.begin(), groups.end()};
}

void Registry::Install(const Json& crd) {
  Uninstall(reconciler::KeyOf(crd).name);
  for (auto& resource : ResourcesOf(crd)) resources_.push_back(std::move(resource));
}

void Registry::Uninstall(const Table& table) {
  std::erase_if(resources_, [&table](const ResourcePtr& resource) { return resource->table() == table; });
}

}  // namespace slotwright::local::apiserver
