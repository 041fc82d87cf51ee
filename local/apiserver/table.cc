// Tables, and the cells of custom resources. Cells of built-in resources: table_cells.cc.
#include "local/apiserver/table.h"

#include <fmt/format.h>

#include "local/apiserver/jsonpath.h"
#include "local/apiserver/table_cells.h"

namespace slotwright::local::apiserver {

using reconciler::StringAt;
using reconciler::WallTime;

namespace {

Json CustomCell(const PrinterColumn& column, const Json& object, WallTime now) {
  const auto path = JsonPath::Parse(column.json_path);
  if (!path) return nullptr;
  const auto values = path->Find(object);
  if (values.empty() || values[0]->is_null()) return nullptr;
  const Json& value = *values[0];
  if (column.type == "string") return value.is_string() ? value : Json(value.dump());
  if (column.type == "date") return value.is_string() ? Json(AgeSince(value.get<std::string>(), now)) : Json();
  if (column.type == "integer") return value.is_number() ? Json(value.get<std::int64_t>()) : Json();
  if (column.type == "number") return value.is_number() ? value : Json();
  if (column.type == "boolean") return value.is_boolean() ? value : Json();
  return nullptr;
}

Json CustomCells(const Resource& resource, const Json& object, WallTime now) {
  Json cells = Json::array({StringAt(object, {"metadata", "name"})});
  for (size_t i = 1; i < resource.columns.size(); ++i) cells.push_back(CustomCell(resource.columns[i], object, now));
  return cells;
}

}  // namespace

Json PartialMetadata(const Json& object) {
  return {{"kind", "PartialObjectMetadata"}, {"apiVersion", "meta.k8s.io/v1"}, {"metadata", object["metadata"]}};
}

Json EmptyTable(const Resource& resource, bool columns) {
  Json definitions = Json::array();
  for (const auto& column : resource.columns) {
    if (!columns) break;
    definitions.push_back({{"name", column.name},
                           {"type", column.type},
                           {"format", column.format},
                           {"description", column.description},
                           {"priority", column.priority}});
  }
  return {{"kind", "Table"},
          {"apiVersion", "meta.k8s.io/v1"},
          {"metadata", Json::object()},
          {"columnDefinitions", std::move(definitions)},
          {"rows", Json::array()}};
}

Json TableRow(const Resource& resource, const Json& object, IncludeObject include, WallTime now) {
  Json row = {{"cells", resource.custom ? CustomCells(resource, object, now) : BuiltinCells(resource, object, now)}};
  if (include == IncludeObject::kMetadata) row["object"] = PartialMetadata(object);
  if (include == IncludeObject::kObject) row["object"] = object;
  return row;
}

std::string HumanDuration(std::chrono::seconds duration) {
  const auto seconds = duration.count();
  if (seconds < -1) return "<invalid>";
  if (seconds < 0) return "0s";
  if (seconds < 120) return fmt::format("{}s", seconds);
  const auto minutes = seconds / 60;
  if (minutes < 10)
    return seconds % 60 == 0 ? fmt::format("{}m", minutes) : fmt::format("{}m{}s", minutes, seconds % 60);
  if (minutes < 180) return fmt::format("{}m", minutes);
  const auto hours = minutes / 60;
  if (hours < 8) return minutes % 60 == 0 ? fmt::format("{}h", hours) : fmt::format("{}h{}m", hours, minutes % 60);
  if (hours < 48) return fmt::format("{}h", hours);
  const auto days = hours / 24;
  if (hours < 192) return hours % 24 == 0 ? fmt::format("{}d", days) : fmt::format("{}d{}h", days, hours % 24);
  if (days < 730) return fmt::format("{}d", days);
  const auto years = days / 365;
  if (years < 8) return days % 365 == 0 ? fmt::format("{}y", years) : fmt::format("{}y{}d", years, days % 365);
  return fmt::format("{}y", years);
}

}  // namespace slotwright::local::apiserver
