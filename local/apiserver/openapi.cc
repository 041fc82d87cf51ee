// OpenAPI v3 documents, one a group version.
#include <algorithm>

#include "local/apiserver/discovery.h"

namespace slotwright::local::apiserver {

namespace {

constexpr const char* kOwnerReference = "io.k8s.apimachinery.pkg.apis.meta.v1.OwnerReference";
constexpr const char* kManagedFieldsEntry = "io.k8s.apimachinery.pkg.apis.meta.v1.ManagedFieldsEntry";
constexpr const char* kObjectMeta = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";

Json QueryParameter(const std::string& name) {
  return {{"name", name}, {"in", "query"}, {"schema", {{"type", "string"}, {"uniqueItems", true}}}};
}

Json KindOf(const Resource& resource) {
  return {{"group", resource.type.group}, {"version", resource.type.version}, {"kind", resource.type.kind}};
}

Json Operation(const Resource& resource, const std::string& action, bool writes) {
  Json operation = {{"x-kubernetes-action", action},
                    {"x-kubernetes-group-version-kind", KindOf(resource)},
                    {"responses", {{"200", {{"description", "OK"}}}}}};
  if (writes) {
    // Its presence is how kubectl learns that unknown fields are found by the server.
    operation["parameters"] =
        Json::array({QueryParameter("dryRun"), QueryParameter("fieldManager"), QueryParameter("fieldValidation")});
  }
  return operation;
}

std::string SchemaName(const Resource& resource) {
  std::string name = resource.type.group.empty() ? "io.k8s.api.core" : "";
  std::string part;
  for (const char c : resource.type.group + ".") {  // group names backwards, as in Java packages
    if (c != '.') {
      part += c;
    } else if (!part.empty()) {
      name = name.empty() ? part : part + "." + name;
      part.clear();
    }
  }
  return name + "." + resource.type.version + "." + resource.type.kind;
}

void AddPaths(const Resource& resource, Json& paths) {
  const std::string prefix =
      resource.type.group.empty() ? "/api/" + resource.type.version : "/apis/" + resource.type.ApiVersion();
  const std::string collection =
      prefix + (resource.type.namespaced ? "/namespaces/{namespace}/" : "/") + resource.type.plural;
  paths[collection] = {{"get", Operation(resource, "list", false)},
                       {"post", Operation(resource, "post", true)},
                       {"delete", Operation(resource, "deletecollection", false)}};
  Json patch = Operation(resource, "patch", true);
  Json& content = patch["requestBody"]["content"];
  // No strategic merge here: kubectl would look for merge keys in the schema, and uses its own where there is none.
  for (const char* type :
       {"application/json-patch+json", "application/merge-patch+json", "application/apply-patch+yaml"}) {
    content[type] = {{"schema", {{"type", "object"}}}};
  }
  paths[collection + "/{name}"] = {{"get", Operation(resource, "get", false)},
                                   {"put", Operation(resource, "put", true)},
                                   {"patch", std::move(patch)},
                                   {"delete", Operation(resource, "delete", false)}};
}

Json ListOf(const std::string& schema) {
  return {{"type", "array"}, {"items", {{"$ref", "#/components/schemas/" + schema}}}};
}

Json StringFields(std::initializer_list<const char*> names) {
  Json properties = Json::object();
  for (const char* name : names) properties[name] = {{"type", "string"}};
  return {{"type", "object"}, {"properties", std::move(properties)}};
}

Json OwnerReferenceSchema() {
  Json schema = StringFields({"apiVersion", "kind", "name", "uid"});
  schema["required"] = {"apiVersion", "kind", "name", "uid"};
  for (const char* name : {"controller", "blockOwnerDeletion"}) schema["properties"][name] = {{"type", "boolean"}};
  return schema;
}

Json ManagedFieldsEntrySchema() {
  Json schema = StringFields({"apiVersion", "fieldsType", "manager", "operation", "subresource", "time"});
  schema["properties"]["fieldsV1"] = {{"type", "object"}};
  return schema;
}

Json ObjectMetaSchema() {
  const Json text = {{"type", "string"}};
  const Json map = {{"type", "object"}, {"additionalProperties", text}};
  return {{"type", "object"},
          {"description", "ObjectMeta is metadata that all persisted resources must have."},
          {"properties",
           {{"name", text},
            {"namespace", text},
            {"generateName", text},
            {"uid", text},
            {"resourceVersion", text},
            {"generation", {{"type", "integer"}, {"format", "int64"}}},
            {"creationTimestamp", {{"type", "string"}, {"format", "date-time"}}},
            {"deletionTimestamp", {{"type", "string"}, {"format", "date-time"}}},
            {"deletionGracePeriodSeconds", {{"type", "integer"}, {"format", "int64"}}},
            {"labels", map},
            {"annotations", map},
            {"finalizers", {{"type", "array"}, {"items", text}}},
            {"ownerReferences", ListOf(kOwnerReference)},
            {"managedFields", ListOf(kManagedFieldsEntry)}}}};
}

// Built-in types are described in outline only: their documentation is Kubernetes'.
Json BuiltinSchema(const Resource& resource) {
  Json properties = Json::object();
  const Json anything = {{"type", "object"}, {"x-kubernetes-preserve-unknown-fields", true}};
  const std::string kind = resource.type.kind;
  if (kind == "ConfigMap" || kind == "Secret") {
    properties["data"] = {{"type", "object"}, {"additionalProperties", {{"type", "string"}}}};
    properties["immutable"] = {{"type", "boolean"}};
  } else if (kind == "Event") {
    for (const char* name : {"involvedObject", "source"}) properties[name] = anything;
    for (const char* name : {"reason", "message", "type"}) properties[name] = {{"type", "string"}};
  } else {
    properties["spec"] = anything;
    if (resource.has_status) properties["status"] = anything;
  }
  return {{"type", "object"},
          {"description", kind + " of Kubernetes, in outline; its fields are documented at "
                                 "https://kubernetes.io/docs/reference/kubernetes-api/."},
          {"properties", properties}};
}

Json SchemaOf(const Resource& resource) {
  Json schema = resource.custom ? resource.openapi_schema : BuiltinSchema(resource);
  Json& properties = schema["properties"];
  properties["apiVersion"] = {{"type", "string"}, {"description", "The version of this representation of the object."}};
  properties["kind"] = {{"type", "string"}, {"description", "The kind of the object."}};
  properties["metadata"] = {{"allOf", Json::array({{{"$ref", std::string("#/components/schemas/") + kObjectMeta}}})},
                            {"description", "Standard object's metadata."},
                            {"default", Json::object()}};
  schema["x-kubernetes-group-version-kind"] = Json::array({KindOf(resource)});
  return schema;
}

Json Document(const Registry& registry, const std::string& group, const std::string& version) {
  Json paths = Json::object();
  Json schemas = {{kObjectMeta, ObjectMetaSchema()},
                  {kOwnerReference, OwnerReferenceSchema()},
                  {kManagedFieldsEntry, ManagedFieldsEntrySchema()}};
  for (const auto& resource : registry.All()) {
    if (resource->type.group != group || resource->type.version != version) continue;
    AddPaths(*resource, paths);
    schemas[SchemaName(*resource)] = SchemaOf(*resource);
  }
  return {{"openapi", "3.0.0"},
          {"info", {{"title", "Slotwright local Kubernetes"}, {"version", "v1.36.0"}}},
          {"paths", std::move(paths)},
          {"components", {{"schemas", std::move(schemas)}}}};
}

}  // namespace

std::optional<Json> OpenApi(const Registry& registry, const std::string& path) {
  const std::string root = "/openapi/v3";
  Json index = Json::object();
  auto groups = registry.Groups();
  groups.insert(groups.begin(), "");
  for (const auto& group : groups) {
    for (const auto& version : registry.VersionsOf(group)) {
      const std::string name = group.empty() ? "api/" + version : "apis/" + group + "/" + version;
      if (path == root + "/" + name) return Document(registry, group, version);
      index[name] = {{"serverRelativeURL", root + "/" + name}};
    }
  }
  if (path == root) return Json{{"paths", std::move(index)}};
  return std::nullopt;
}

reconciler::HttpResponse OpenApiV2() {
  // Field 1 (swagger: "2.0") of openapi.v2.Document in gnostic's OpenAPIv2.proto, and nothing else.
  return {.status = 200,
          .headers = {{"content-type", "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"}},
          .body =
              "\x0a\x03"
              "2.0"};
}

}  // namespace slotwright::local::apiserver
