// What kubectl and clients ask first: which groups, versions and resources there are. Pure functions.
#pragma once

#include <optional>
#include <string>

#include "local/apiserver/resource.h"
#include "reconciler/kube/transport.h"

namespace slotwright::local::apiserver {

/// /version, /api, /apis, /apis/GROUP, /api/v1 and /apis/GROUP/VERSION; nothing for other paths and unknown groups.
[[nodiscard]] std::optional<Json> Discover(const Registry& registry, const std::string& path);

/// /openapi/v3 and its documents: enough for kubectl to leave validation to the server, and for kubectl explain.
/// Nothing for other paths.
[[nodiscard]] std::optional<Json> OpenApi(const Registry& registry, const std::string& path);

/// /openapi/v2 without any type: kubectl reads it for kinds that /openapi/v3 does not have, before it says so.
[[nodiscard]] reconciler::HttpResponse OpenApiV2();

/// Groups that are served without being stored: reviews of what the caller may do.
inline constexpr const char* kAuthorizationGroup = "authorization.k8s.io";

}  // namespace slotwright::local::apiserver
