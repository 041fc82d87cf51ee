// See merge_patch.h.
#include "reconciler/kube/merge_patch.h"

namespace reconciler {

void NameWhatIsGone(const Json& before, Json& after) {
  for (const auto& [field, value] : before.items()) {
    if (!after.contains(field)) {
      after[field] = nullptr;
    } else if (value.is_object() && after[field].is_object()) {
      NameWhatIsGone(value, after[field]);
    }
  }
}

}  // namespace reconciler
