// What a JSON merge patch (RFC 7386) needs besides the new values.
#pragma once

#include "reconciler/kube/types.h"

namespace reconciler {

/// Names null in `after` what only `before` has: a merge patch removes that.
void NameWhatIsGone(const Json& before, Json& after);

}  // namespace reconciler
