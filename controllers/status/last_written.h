// Our own writes of a status, for as long as the cache does not show them.
#pragma once

#include <map>
#include <mutex>

#include "reconciler/kube/types.h"

namespace slotwright {

/// The status is the operator's memory (what is under way, since when, what was said): who looks at an older one than
/// he wrote says things twice, and leaves behind what he did not know to be there. Thread-safe.
class LastWritten {
 public:
  /// `cached`, or where our last write is newer, the same object with the status as it was written.
  [[nodiscard]] reconciler::ObjectPtr Newest(const reconciler::ObjectPtr& cached) const;
  /// `object`: the API server's answer to the write.
  void Remember(reconciler::Json object);
  void Forget(const reconciler::ObjectKey& key);

 private:
  mutable std::mutex mutex_;
  std::map<reconciler::ObjectKey, reconciler::Json> objects_;
};

}  // namespace slotwright
