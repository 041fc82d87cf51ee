// The rules of metadata that all objects share: names, labels, owners, finalizers.
#pragma once

#include <string>
#include <vector>

#include "local/apiserver/resource.h"

namespace slotwright::local::apiserver {

[[nodiscard]] bool IsDnsLabel(const std::string& name);
[[nodiscard]] bool IsDnsSubdomain(const std::string& name);
[[nodiscard]] std::string DnsLabelMessage();
/// A label's or annotation's key: "name" or "prefix.example.com/name".
[[nodiscard]] bool IsQualifiedName(const std::string& name);
[[nodiscard]] bool IsLabelValue(const std::string& value);

/// BadRequest if metadata cannot be read at all, as a typed decoder would say it. Unknown fields are removed and
/// returned in `unknown`.
[[nodiscard]] ApiResult<void> NormalizeMetadata(Json& object, std::vector<std::string>& unknown);

/// Takes fields that only the server sets from `before` (an update) or removes them (a creation, null).
void CarryServerFields(Json& object, const Json* before);

void ValidateMetadata(const Resource& resource, const Json& object, const Json* before, Causes& causes);

}  // namespace slotwright::local::apiserver
