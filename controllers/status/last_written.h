// Our own writes, for as long as the cache does not show them.
#pragma once

#include <map>
#include <mutex>

#include "reconciler/kube/types.h"

namespace slotwright {

/// What the operator's memory is written into: the status (what is under way, since when, what was said) and the
/// ConfigMap (the last valid specification). Who looks at an older one than he wrote says things twice, leaves behind
/// what he did not know to be there, and goes back to what was wanted before. Thread-safe.
class LastWritten {
 public:
  /// `cached`, or what our last write made of it where that is newer.
  [[nodiscard]] reconciler::ObjectPtr Newest(const reconciler::ObjectPtr& cached);
  /// `object`: the API server's answer to the write.
  void Remember(reconciler::Json object);
  void Forget(const reconciler::ObjectKey& key);

 private:
  std::mutex mutex_;
  std::map<reconciler::ObjectKey, reconciler::Json> objects_;
};

}  // namespace slotwright
