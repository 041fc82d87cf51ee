// The inverse of ParseClusterNodes: a table as a server would print it.
#pragma once

#include <string>

#include "controllers/topology/cluster_nodes.h"

namespace slotwright::testing {

[[nodiscard]] std::string ToClusterNodesText(const NodeTable& table);

}  // namespace slotwright::testing
