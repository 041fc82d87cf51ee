// What creating, changing and deleting an object means: everything between HTTP and the store.
#pragma once

#include <functional>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "local/apiserver/resource.h"
#include "local/apiserver/store.h"
#include "reconciler/base/clock.h"

namespace slotwright::local::apiserver {

enum class FieldValidation { kIgnore, kWarn, kStrict };

struct WriteOptions {
  std::string field_manager = "unknown";
  std::string subresource;  ///< "status", "scale" or empty.
  FieldValidation field_validation = FieldValidation::kIgnore;
  bool dry_run = false;
  bool is_patch = false;
  std::vector<std::string>* warnings = nullptr;  ///< May be null.
};

enum class Propagation { kBackground, kForeground, kOrphan };

struct DeletionOptions {
  std::string uid;               ///< Precondition, if not empty.
  std::string resource_version;  ///< Precondition, if not empty.
  std::optional<int> grace_period_seconds;
  std::optional<Propagation> propagation;  ///< Nothing: as the object's finalizers say, else in the background.
  bool dry_run = false;
};

struct Deletion {
  ObjectPtr object;   ///< Its last state.
  bool gone = false;  ///< False: it waits for a kubelet, finalizers or dependents.
};

/// A patch that knows its own field ownership (server-side apply) returns it with the object.
struct Mutated {
  Json object;
  std::optional<Json> managed_fields;
};
using Mutation = std::function<ApiResult<Mutated>(const Json& current)>;

/// Not thread-safe: its owner holds a lock.
class ObjectApi {
 public:
  ObjectApi(Store& store, Registry& registry, reconciler::Clock& clock, std::uint64_t seed, bool tracks_owners);

  [[nodiscard]] ApiResult<ObjectPtr> Get(const Resource& resource, const ObjectKey& key) const;
  [[nodiscard]] ApiResult<ObjectPtr> Create(const Resource& resource, const std::string& ns, Json object,
                                            const WriteOptions& options,
                                            const std::optional<Json>& managed_fields = std::nullopt);
  /// PUT and PATCH: `mutation` makes the new object from the current one. A metadata.resourceVersion or uid that it
  /// sets is a precondition. An object that did not change is not written.
  [[nodiscard]] ApiResult<ObjectPtr> Update(const Resource& resource, const ObjectKey& key, const Mutation& mutation,
                                            const WriteOptions& options);
  [[nodiscard]] ApiResult<Deletion> Delete(const Resource& resource, const ObjectKey& key,
                                           const DeletionOptions& options);

  /// For the server's own controllers: writes what is different, without checks, and finishes a deletion whose last
  /// finalizer is gone.
  void Rewrite(const Resource& resource, Json object);

  [[nodiscard]] Store& store() { return store_; }
  [[nodiscard]] Registry& registry() { return registry_; }
  [[nodiscard]] reconciler::WallTime WallNow() const { return clock_.WallNow(); }

 private:
  [[nodiscard]] ApiResult<void> Decode(const Resource& resource, Json& object, const WriteOptions& options) const;
  [[nodiscard]] ApiResult<void> CheckNamespace(const Resource& resource, const std::string& ns,
                                               const std::string& name) const;
  [[nodiscard]] ApiResult<void> Validate(const Resource& resource, const Json& object, const Json* before) const;
  [[nodiscard]] ApiResult<Json> Prepare(const Resource& resource, Json object, const Json& before,
                                        const WriteOptions& options) const;
  [[nodiscard]] Json OwnersAfter(const Resource& resource, const Json* before, const Json& after,
                                 const WriteOptions& options) const;
  void AllocateClusterIp(Json& service);
  [[nodiscard]] std::string NewUid();
  [[nodiscard]] std::string RandomSuffix();
  ApiResult<ObjectPtr> Commit(const Resource& resource, Json object, const ObjectPtr& before, bool dry_run);

  Store& store_;
  Registry& registry_;
  reconciler::Clock& clock_;
  std::mt19937_64 random_;
  const bool tracks_owners_;
  unsigned next_address_ = 1;
};

[[nodiscard]] bool HasFinalizers(const Json& object);

}  // namespace slotwright::local::apiserver
