// See presentation.h.
#include "local/apiserver/presentation.h"

#include <sstream>

namespace slotwright::local::apiserver {

namespace {

bool Has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

std::vector<std::string> SplitAtComma(const std::string& text) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, ',');) parts.push_back(part);
  return parts;
}

}  // namespace

ApiResult<Presentation> Presentation::FromAccept(const std::string& accept, const std::string& include_object) {
  Presentation presentation;
  if (include_object == "None") presentation.include = IncludeObject::kNone;
  if (include_object == "Object") presentation.include = IncludeObject::kObject;
  if (accept.empty()) return presentation;
  for (const auto& range : SplitAtComma(accept)) {
    if (!Has(range, "json") && !Has(range, "*/*") && !Has(range, "application/*")) continue;
    if (Has(range, "as=Table")) {
      if (!Has(range, "v=v1") || Has(range, "v=v1beta1")) continue;
      presentation.form = Form::kTable;
    } else if (Has(range, "as=PartialObjectMetadata")) {
      presentation.form = Form::kMetadata;
    } else if (Has(range, "as=")) {
      continue;
    }
    return presentation;
  }
  return std::unexpected(MakeError(406, "NotAcceptable",
                                   "only the following media types are accepted: application/json; this server speaks "
                                   "neither protobuf nor YAML in answers"));
}

Json InVersion(const Resource& resource, const Json& object) {
  Json converted = object;
  converted["apiVersion"] = resource.type.ApiVersion();
  return converted;
}

Json Presentation::One(const Resource& resource, const Json& object, reconciler::WallTime now) const {
  return Event(resource, object, true, now);
}

Json Presentation::Event(const Resource& resource, const Json& object, bool first, reconciler::WallTime now) const {
  if (form == Form::kMetadata) return PartialMetadata(object);
  if (form == Form::kObject) return InVersion(resource, object);
  Json table = EmptyTable(resource, first);
  table["metadata"]["resourceVersion"] = reconciler::ResourceVersionOf(object);
  table["rows"].push_back(TableRow(resource, object, include, now));
  return table;
}

Json Presentation::List(const Resource& resource, const std::vector<ObjectPtr>& objects, Json list_metadata,
                        reconciler::WallTime now) const {
  if (form == Form::kTable) {
    Json table = EmptyTable(resource, true);
    table["metadata"] = std::move(list_metadata);
    for (const auto& object : objects) table["rows"].push_back(TableRow(resource, *object, include, now));
    return table;
  }
  Json items = Json::array();
  for (const auto& object : objects) {
    if (form == Form::kMetadata) {
      items.push_back(PartialMetadata(*object));
      continue;
    }
    Json item = InVersion(resource, *object);
    if (!resource.custom) {
      // As a real server: in lists of built-in types only the list tells the type.
      item.erase("apiVersion");
      item.erase("kind");
    }
    items.push_back(std::move(item));
  }
  const bool whole = form == Form::kObject;
  return {{"kind", whole ? resource.list_kind : "PartialObjectMetadataList"},
          {"apiVersion", whole ? resource.type.ApiVersion() : "meta.k8s.io/v1"},
          {"metadata", std::move(list_metadata)},
          {"items", std::move(items)}};
}

}  // namespace slotwright::local::apiserver
