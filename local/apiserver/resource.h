// What the server serves: built-in resources and those that CustomResourceDefinitions add.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "local/apiserver/api_status.h"
#include "local/apiserver/schema.h"
#include "local/apiserver/store.h"

namespace slotwright::local::apiserver {

/// A column of kubectl get. Built-in resources compute their cells in table.cc and have no json_path.
struct PrinterColumn {
  std::string name;
  std::string type = "string";
  std::string format;
  std::string description;
  int priority = 0;  ///< Above 0: only with -o wide.
  std::string json_path;
};

/// Field paths of the scale subresource: {"spec", "masters"}.
struct ScalePaths {
  std::vector<std::string> spec_replicas;
  std::vector<std::string> status_replicas;
  std::vector<std::string> label_selector;
};

/// What a built-in resource does beyond the generic rules. Null: nothing.
struct Strategy {
  /// Defaults and fields that only the server sets. `before` is null for a creation.
  void (*prepare)(Json& object, const Json* before) = nullptr;
  void (*validate)(const Json& object, const Json* before, Causes& causes) = nullptr;
};

enum class NameRule { kSubdomain, kLabel, kPathSegment };

struct Resource {
  reconciler::ResourceType type;
  std::string singular;
  std::string list_kind;
  std::vector<std::string> short_names;
  std::vector<std::string> categories;
  std::vector<std::string> selectable_fields;  ///< Besides metadata.name and metadata.namespace.
  std::vector<PrinterColumn> columns;
  NameRule name_rule = NameRule::kSubdomain;
  bool custom = false;
  bool has_status = false;
  bool has_generation = false;
  bool unconditional_update = true;  ///< PUT without a resourceVersion is taken.
  bool returns_deleted = false;      ///< DELETE answers with the object rather than a Status.
  Strategy strategy;
  std::optional<ScalePaths> scale;
  std::shared_ptr<const Schema> schema;  ///< Only of custom resources.
  Json openapi_schema;                   ///< The same as it was written.

  [[nodiscard]] Table table() const { return subject().QualifiedName(); }
  [[nodiscard]] ErrorSubject subject() const { return {type.group, type.plural, type.kind}; }
};
using ResourcePtr = std::shared_ptr<const Resource>;

/// Not thread-safe.
class Registry {
 public:
  Registry();

  [[nodiscard]] ResourcePtr Find(const std::string& group, const std::string& version, const std::string& plural) const;
  [[nodiscard]] ResourcePtr ForKind(const std::string& api_version, const std::string& kind) const;
  /// Any version of a table's resource.
  [[nodiscard]] ResourcePtr ForTable(const Table& table) const;
  [[nodiscard]] const std::vector<ResourcePtr>& All() const { return resources_; }
  /// The versions of a group, the preferred one first; empty if it is unknown.
  [[nodiscard]] std::vector<std::string> VersionsOf(const std::string& group) const;
  /// All groups but the core group, sorted.
  [[nodiscard]] std::vector<std::string> Groups() const;

  /// Replaces what the CustomResourceDefinition of that name has served so far. REQUIRES: it is valid.
  void Install(const Json& crd);
  void Uninstall(const Table& table);

 private:
  std::vector<ResourcePtr> resources_;
};

/// The resources that every cluster has.
[[nodiscard]] std::vector<ResourcePtr> BuiltinResources();

/// Checks a CustomResourceDefinition as a whole, its schemas included.
void ValidateCrd(const Json& crd, const Json* before, Causes& causes);
void PrepareCrd(Json& crd, const Json* before);
/// One Resource for each served version.
[[nodiscard]] std::vector<ResourcePtr> ResourcesOf(const Json& crd);

}  // namespace slotwright::local::apiserver
