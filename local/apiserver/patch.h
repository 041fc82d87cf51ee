// The three patch formats that change an object as it is found. Pure functions; refusals are 400 and 422.
#pragma once

#include "local/apiserver/list_semantics.h"

namespace slotwright::local::apiserver {

/// RFC 6902.
[[nodiscard]] ApiResult<Json> JsonPatch(const Json& object, const Json& patch);
/// RFC 7386.
[[nodiscard]] ApiResult<Json> MergePatch(const Json& object, const Json& patch);
/// Kubernetes' own, with lists merged by key: $patch, $retainKeys, $setElementOrder, $deleteFromPrimitiveList.
[[nodiscard]] ApiResult<Json> StrategicMergePatch(const Json& object, const Json& patch, const MergeType& type);

}  // namespace slotwright::local::apiserver
