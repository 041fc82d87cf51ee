// Who set which field (metadata.managedFields), and server-side apply on top of it. Pure functions.
#pragma once

#include <functional>
#include <string>

#include "local/apiserver/resource.h"

namespace slotwright::local::apiserver {

/// One writer as managedFields tells writers apart.
struct FieldManager {
  std::string name;
  std::string operation;  ///< "Apply" or "Update".
  std::string subresource;
  std::string api_version;
  std::string time;
};

/// The managedFields after `manager` changed `before` (null: created) to `after`: changed fields are its own now and
/// nobody else's. Keeps `before`'s entries.
[[nodiscard]] Json OwnersAfterUpdate(const Resource& resource, const Json* before, const Json& after,
                                     const FieldManager& manager);

struct Applied {
  Json object;
  Json managed_fields;
};
/// Server-side apply of `applied` to `live` (null: it does not exist yet). 409 names each field that others own and
/// that would change, unless `force`. Fields of the manager's last apply that it left out now are removed if nobody
/// else owns them. Less than a real server does: ownership is computed for the served version only.
[[nodiscard]] ApiResult<Applied> Apply(const Resource& resource, const Json* live, const Json& applied,
                                       const FieldManager& manager, bool force);

}  // namespace slotwright::local::apiserver
