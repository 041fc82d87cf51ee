// See last_written.h.
#include "controllers/status/last_written.h"

#include <memory>
#include <utility>

#include "controllers/topology/text.h"

namespace slotwright {

using reconciler::Json;
using reconciler::ObjectKey;
using reconciler::ObjectPtr;

namespace {

// Versions of one resource are numbers that grow: so it is with etcd, and a promise since Kubernetes 1.35. Where they
// are something else the cache is believed.
bool IsOlder(const Json& object, const Json& than) {
  const auto version = text::ParseInteger<std::uint64_t>(reconciler::ResourceVersionOf(object));
  const auto other = text::ParseInteger<std::uint64_t>(reconciler::ResourceVersionOf(than));
  return version && other && *version < *other;
}

}  // namespace

ObjectPtr LastWritten::Newest(const ObjectPtr& cached) {
  const std::lock_guard lock(mutex_);
  const auto found = objects_.find(reconciler::KeyOf(*cached));
  if (found == objects_.end()) return cached;
  const Json& written = found->second;
  if (reconciler::UidOf(written) != reconciler::UidOf(*cached)) return cached;
  if (IsOlder(*cached, written)) return std::make_shared<const Json>(written);
  objects_.erase(found);
  return cached;
}

void LastWritten::Remember(Json object) {
  const ObjectKey key = reconciler::KeyOf(object);
  const std::lock_guard lock(mutex_);
  objects_[key] = std::move(object);
}

void LastWritten::Forget(const ObjectKey& key) {
  const std::lock_guard lock(mutex_);
  objects_.erase(key);
}

}  // namespace slotwright
