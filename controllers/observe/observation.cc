// Look-ups in an Observation.
#include "controllers/observe/observation.h"

#include <algorithm>

namespace slotwright {

const PodView* Observation::FindPod(const std::string& name) const {
  const auto found = std::ranges::find(pods, name, &PodView::name);
  return found == pods.end() ? nullptr : &*found;
}

const NodeView* Observation::FindNode(const NodeId& id) const {
  const auto found =
      std::ranges::find_if(nodes, [&](const NodeView& node) { return node.Answers() && node.id() == id; });
  return found == nodes.end() ? nullptr : &*found;
}

}  // namespace slotwright
