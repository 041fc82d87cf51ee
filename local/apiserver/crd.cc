// CustomResourceDefinitions: their own validation, their status, and the resources that they define.
#include <fmt/format.h>

#include <algorithm>

#include "local/apiserver/metadata.h"
#include "local/apiserver/resource.h"

namespace slotwright::local::apiserver {

using reconciler::StringAt;
using reconciler::ValueAt;

namespace {

std::vector<std::string> SplitPath(const std::string& path) {
  std::vector<std::string> parts;
  std::string part;
  for (const char c : path + ".") {
    if (c != '.') {
      part += c;
    } else if (!part.empty()) {
      parts.push_back(std::exchange(part, ""));
    }
  }
  return parts;
}

std::vector<std::string> Strings(const Json* list) {
  std::vector<std::string> strings;
  if (list == nullptr || !list->is_array()) return strings;
  for (const auto& one : *list) {
    if (one.is_string()) strings.push_back(one.get<std::string>());
  }
  return strings;
}

std::vector<PrinterColumn> ColumnsOf(const Json& version) {
  std::vector<PrinterColumn> columns = {
      {.name = "Name", .format = "name", .description = "Name must be unique within a namespace."}};
  const Json* list = ValueAt(version, {"additionalPrinterColumns"});
  if (list == nullptr || list->empty()) {
    columns.push_back({.name = "Age",
                       .type = "date",
                       .description = "When the object was created.",
                       .json_path = ".metadata.creationTimestamp"});
    return columns;
  }
  for (const auto& column : *list) {
    columns.push_back({column.value("name", ""), column.value("type", "string"), column.value("format", ""),
                       column.value("description", ""), column.value("priority", 0), column.value("jsonPath", "")});
  }
  return columns;
}

ScalePaths ScalePathsOf(const Json& scale) {
  return {SplitPath(StringAt(scale, {"specReplicasPath"})), SplitPath(StringAt(scale, {"statusReplicasPath"})),
          SplitPath(StringAt(scale, {"labelSelectorPath"}))};
}

void ValidateNames(const Json& crd, Causes& causes) {
  for (const char* name : {"plural", "kind"}) {
    if (StringAt(crd, {"spec", "names", name}).empty())
      causes.push_back(RequiredValue(fmt::format("spec.names.{}", name)));
  }
  const std::string group = StringAt(crd, {"spec", "group"});
  if (group.empty()) causes.push_back(RequiredValue("spec.group"));
  if (group.find('.') == std::string::npos && !group.empty()) {
    causes.push_back(InvalidValue("spec.group", group, "should be a domain with at least one dot"));
  }
  const std::string expected = StringAt(crd, {"spec", "names", "plural"}) + "." + group;
  if (reconciler::KeyOf(crd).name != expected) {
    causes.push_back(
        InvalidValue("metadata.name", reconciler::KeyOf(crd).name, "must be spec.names.plural+\".\"+spec.group"));
  }
  const std::string scope = StringAt(crd, {"spec", "scope"});
  if (scope != "Namespaced" && scope != "Cluster") {
    causes.push_back(UnsupportedValue("spec.scope", scope, {"Cluster", "Namespaced"}));
  }
}

void ValidateVersion(const Json& version, const std::string& field, Causes& causes) {
  if (!IsDnsLabel(StringAt(version, {"name"}))) {
    causes.push_back(InvalidValue(field + ".name", StringAt(version, {"name"}), DnsLabelMessage()));
  }
  const Json* schema = ValueAt(version, {"schema", "openAPIV3Schema"});
  if (schema == nullptr) {
    causes.push_back(RequiredValue(field + ".schema.openAPIV3Schema", "schemas are required"));
    return;
  }
  const auto parsed = ParseSchema(*schema, field + ".schema.openAPIV3Schema", causes);
  if (parsed->type != "object") {
    causes.push_back(InvalidValue(field + ".schema.openAPIV3Schema.type", parsed->type, "must be object at the root"));
  }
  const Json* scale = ValueAt(version, {"subresources", "scale"});
  if (scale == nullptr) return;
  const auto paths = ScalePathsOf(*scale);
  if (paths.spec_replicas.empty() || paths.spec_replicas[0] != "spec") {
    causes.push_back(InvalidValue(field + ".subresources.scale.specReplicasPath",
                                  StringAt(*scale, {"specReplicasPath"}), "should be a json path under .spec"));
  }
  if (paths.status_replicas.empty() || paths.status_replicas[0] != "status") {
    causes.push_back(InvalidValue(field + ".subresources.scale.statusReplicasPath",
                                  StringAt(*scale, {"statusReplicasPath"}), "should be a json path under .status"));
  }
}

}  // namespace

void ValidateCrd(const Json& crd, const Json* before, Causes& causes) {
  ValidateNames(crd, causes);
  const Json* versions = ValueAt(crd, {"spec", "versions"});
  if (versions == nullptr || !versions->is_array() || versions->empty()) {
    causes.push_back(RequiredValue("spec.versions", "must have at least one version"));
    return;
  }
  size_t stored = 0;
  for (size_t i = 0; i < versions->size(); ++i) {
    ValidateVersion((*versions)[i], fmt::format("spec.versions[{}]", i), causes);
    stored += (*versions)[i].value("storage", false) ? 1 : 0;
  }
  if (stored != 1) {
    causes.push_back(
        InvalidValue("spec.versions", *versions, "must have exactly one version marked as storage version"));
  }
  const std::string conversion = StringAt(crd, {"spec", "conversion", "strategy"});
  if (!conversion.empty() && conversion != "None") {
    causes.push_back(UnsupportedValue("spec.conversion.strategy", conversion, {"None"}));
  }
  if (before == nullptr) return;
  for (const char* name : {"group", "scope"}) {
    if (StringAt(crd, {"spec", name}) != StringAt(*before, {"spec", name})) {
      causes.push_back(InvalidValue(fmt::format("spec.{}", name), StringAt(crd, {"spec", name}), "field is immutable"));
    }
  }
}

void PrepareCrd(Json& crd, const Json* before) {
  if (!crd.contains("spec") || !crd["spec"].is_object()) return;
  Json& spec = crd["spec"];
  if (!spec.contains("names") || !spec["names"].is_object()) return;
  Json& names = spec["names"];
  const std::string kind = StringAt(names, {"kind"});
  if (StringAt(names, {"singular"}).empty()) {
    std::string singular = kind;
    std::ranges::transform(singular, singular.begin(), [](unsigned char c) { return std::tolower(c); });
    names["singular"] = singular;
  }
  if (StringAt(names, {"listKind"}).empty()) names["listKind"] = kind + "List";
  if (!spec.contains("conversion")) spec["conversion"] = {{"strategy", "None"}};
  if (before != nullptr) return;
  Json stored = Json::array();
  if (spec.contains("versions") && spec["versions"].is_array()) {
    for (const auto& version : spec["versions"]) {
      if (version.is_object() && version.value("storage", false)) stored.push_back(StringAt(version, {"name"}));
    }
  }
  crd["status"] = {{"acceptedNames", names}, {"conditions", Json::array()}, {"storedVersions", stored}};
}

std::vector<ResourcePtr> ResourcesOf(const Json& crd) {
  std::vector<ResourcePtr> resources;
  const Json& spec = crd.at("spec");
  const Json& names = spec.at("names");
  for (const auto& version : spec.at("versions")) {
    if (!version.value("served", true)) continue;
    auto resource = std::make_shared<Resource>();
    resource->type = {StringAt(spec, {"group"}), StringAt(version, {"name"}), StringAt(names, {"plural"}),
                      StringAt(names, {"kind"}), StringAt(spec, {"scope"}) == "Namespaced"};
    resource->singular = StringAt(names, {"singular"});
    resource->list_kind = StringAt(names, {"listKind"});
    resource->short_names = Strings(ValueAt(names, {"shortNames"}));
    resource->categories = Strings(ValueAt(names, {"categories"}));
    resource->columns = ColumnsOf(version);
    resource->custom = true;
    resource->has_status = ValueAt(version, {"subresources", "status"}) != nullptr;
    resource->has_generation = true;
    resource->unconditional_update = false;
    if (const Json* scale = ValueAt(version, {"subresources", "scale"})) resource->scale = ScalePathsOf(*scale);
    Causes ignored;  // validated when the definition was written
    resource->openapi_schema = *ValueAt(version, {"schema", "openAPIV3Schema"});
    resource->schema = ParseSchema(resource->openapi_schema, "", ignored);
    resources.push_back(std::move(resource));
  }
  return resources;
}

}  // namespace slotwright::local::apiserver
