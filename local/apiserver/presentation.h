// How objects leave the server: as themselves, as table rows or as metadata only, as the Accept header asks.
#pragma once

#include <string>
#include <vector>

#include "local/apiserver/resource.h"
#include "local/apiserver/table.h"

namespace slotwright::local::apiserver {

/// A value type.
struct Presentation {
  enum class Form { kObject, kTable, kMetadata };
  Form form = Form::kObject;
  IncludeObject include = IncludeObject::kMetadata;  ///< Of tables.

  /// 406 if the client takes no JSON.
  [[nodiscard]] static ApiResult<Presentation> FromAccept(const std::string& accept, const std::string& include_object);

  [[nodiscard]] Json One(const Resource& resource, const Json& object, reconciler::WallTime now) const;
  /// `list_metadata` is the list's own metadata.
  [[nodiscard]] Json List(const Resource& resource, const std::vector<ObjectPtr>& objects, Json list_metadata,
                          reconciler::WallTime now) const;
  /// Of a watch; `first` events of a table carry its columns.
  [[nodiscard]] Json Event(const Resource& resource, const Json& object, bool first, reconciler::WallTime now) const;
};

/// The object in the version that this Resource serves.
[[nodiscard]] Json InVersion(const Resource& resource, const Json& object);

}  // namespace slotwright::local::apiserver
