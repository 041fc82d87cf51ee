// API discovery, in the unaggregated form that every client understands.
#include "local/apiserver/discovery.h"

#include <algorithm>

namespace slotwright::local::apiserver {

namespace {

const Json kAllVerbs = {"create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"};

Json Subresource(const Resource& resource, const std::string& name, const std::string& kind, const Json& verbs) {
  return {{"name", resource.type.plural + "/" + name},
          {"singularName", ""},
          {"namespaced", resource.type.namespaced},
          {"kind", kind},
          {"verbs", verbs}};
}

Json InGroup(Json resource, const std::string& group, const std::string& version) {
  if (!group.empty()) resource["group"] = group;
  resource["version"] = version;
  return resource;
}

void AddResource(const Resource& resource, Json& list) {
  Json entry = {{"name", resource.type.plural},
                {"singularName", resource.singular},
                {"namespaced", resource.type.namespaced},
                {"kind", resource.type.kind},
                {"verbs", kAllVerbs}};
  if (!resource.short_names.empty()) entry["shortNames"] = resource.short_names;
  if (!resource.categories.empty()) entry["categories"] = resource.categories;
  list.push_back(std::move(entry));
  if (resource.has_status) {
    list.push_back(Subresource(resource, "status", resource.type.kind, {"get", "patch", "update"}));
  }
  if (resource.scale) {
    list.push_back(InGroup(Subresource(resource, "scale", "Scale", {"get", "patch", "update"}), "autoscaling", "v1"));
  }
  if (resource.table() != "pods") return;
  list.push_back(Subresource(resource, "log", "Pod", {"get"}));
  list.push_back(Subresource(resource, "binding", "Binding", {"create"}));
  list.push_back(InGroup(Subresource(resource, "eviction", "Eviction", {"create"}), "policy", "v1"));
}

Json ReviewResources() {
  Json list = Json::array();
  for (const char* kind : {"SelfSubjectAccessReview", "SelfSubjectRulesReview"}) {
    std::string name = kind;
    std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::tolower(c); });
    list.push_back(
        {{"name", name + "s"}, {"singularName", name}, {"namespaced", false}, {"kind", kind}, {"verbs", {"create"}}});
  }
  return list;
}

std::optional<Json> ResourceList(const Registry& registry, const std::string& group, const std::string& version) {
  Json list = Json::array();
  if (group == kAuthorizationGroup && version == "v1") list = ReviewResources();
  for (const auto& resource : registry.All()) {
    if (resource->type.group == group && resource->type.version == version) AddResource(*resource, list);
  }
  if (list.empty()) return std::nullopt;
  return Json{{"kind", "APIResourceList"},
              {"apiVersion", "v1"},
              {"groupVersion", group.empty() ? version : group + "/" + version},
              {"resources", std::move(list)}};
}

Json Group(const Registry& registry, const std::string& group) {
  Json versions = Json::array();
  auto names = registry.VersionsOf(group);
  if (group == kAuthorizationGroup) names = {"v1"};
  for (const auto& version : names) {
    versions.push_back({{"groupVersion", group + "/" + version}, {"version", version}});
  }
  return {{"name", group}, {"versions", versions}, {"preferredVersion", versions[0]}};
}

std::optional<Json> OneGroup(const Registry& registry, const std::string& name) {
  if (name != kAuthorizationGroup && registry.VersionsOf(name).empty()) return std::nullopt;
  Json group = Group(registry, name);
  group["kind"] = "APIGroup";
  group["apiVersion"] = "v1";
  return group;
}

Json AllGroups(const Registry& registry) {
  Json groups = Json::array({Group(registry, kAuthorizationGroup)});
  for (const auto& group : registry.Groups()) groups.push_back(Group(registry, group));
  return {{"kind", "APIGroupList"}, {"apiVersion", "v1"}, {"groups", std::move(groups)}};
}

// Behaviour is held to that of a kube-apiserver of this minor version.
Json Version() {
  return {{"major", "1"},        {"minor", "36"},           {"gitVersion", "v1.36.0+slotwright-local"},
          {"gitCommit", ""},     {"gitTreeState", "clean"}, {"buildDate", "1970-01-01T00:00:00Z"},
          {"goVersion", "none"}, {"compiler", "c++"},       {"platform", "linux/amd64"}};
}

}  // namespace

std::optional<Json> Discover(const Registry& registry, const std::string& path) {
  if (path == "/version") return Version();
  if (path == "/api") {
    return Json{{"kind", "APIVersions"}, {"versions", {"v1"}}, {"serverAddressByClientCIDRs", Json::array()}};
  }
  if (path == "/api/v1") return ResourceList(registry, "", "v1");
  if (path == "/apis") return AllGroups(registry);
  if (!path.starts_with("/apis/")) return std::nullopt;
  const std::string rest = path.substr(6);
  const size_t slash = rest.find('/');
  if (slash == std::string::npos) return OneGroup(registry, rest);
  return ResourceList(registry, rest.substr(0, slash), rest.substr(slash + 1));
}

}  // namespace slotwright::local::apiserver
