// meta.k8s.io/v1 Tables: what kubectl get prints.
#pragma once

#include <string>
#include <vector>

#include "local/apiserver/resource.h"
#include "reconciler/base/clock.h"

namespace slotwright::local::apiserver {

enum class IncludeObject { kNone, kMetadata, kObject };

/// A Table without rows. `columns` is false for all but the first event of a watch.
[[nodiscard]] Json EmptyTable(const Resource& resource, bool columns);
/// One row: the cells as kubectl shows them, and the object as asked for.
[[nodiscard]] Json TableRow(const Resource& resource, const Json& object, IncludeObject include,
                            reconciler::WallTime now);
/// The object's metadata alone (meta.k8s.io/v1 PartialObjectMetadata).
[[nodiscard]] Json PartialMetadata(const Json& object);

/// "5s", "3m20s", "7h", "4d": k8s.io/apimachinery/pkg/util/duration.HumanDuration.
[[nodiscard]] std::string HumanDuration(std::chrono::seconds duration);

}  // namespace slotwright::local::apiserver
