// The RedisCluster resource as a value: what people ask for.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "controllers/api/names.h"
#include "reconciler/base/error.h"
#include "reconciler/kube/types.h"

namespace slotwright {

inline constexpr int kMostMasters = 1000;  ///< As the definition bounds spec.masters.

struct AuthSpec {
  std::string secret_name;  ///< Empty: "<name>-auth", generated.
  std::string key = "password";
};

struct StorageSpec {
  std::string size;
  std::string storage_class_name;
  bool retain = true;
};

struct PlacementSpec {
  std::vector<std::string> topology_keys;
  bool spread_masters = true;
  reconciler::Json node_selector = reconciler::Json::object();
  reconciler::Json tolerations = reconciler::Json::array();
  reconciler::Json affinity;  ///< null: made from topology_keys.
  std::string priority_class_name;
};

enum class LostShardPolicy { kWait, kAssignEmpty };
enum class TakeoverPolicy { kFenced, kNever };
enum class UpdateStrategy { kRolling, kManual };

enum class MigrationMethod { kAuto, kKeys, kAtomic };

struct RebalanceSpec {
  bool automatic = true;
  MigrationMethod method = MigrationMethod::kAuto;
  int threshold_percent = 2;  ///< Slots are evened when a master's number is further than that from the mean.
};

struct RedisClusterSpec {
  int masters = 3;
  int replicas_per_master = 1;
  std::string image;
  std::string image_pull_policy = "IfNotPresent";
  std::vector<std::string> image_pull_secrets;
  int port = 6379;
  std::map<std::string, std::string> config;
  AuthSpec auth;
  std::optional<StorageSpec> storage;
  reconciler::Json resources = reconciler::Json::object();
  PlacementSpec placement;
  std::map<std::string, std::string> pod_labels;
  std::map<std::string, std::string> pod_annotations;
  RebalanceSpec rebalance;
  LostShardPolicy lost_shard = LostShardPolicy::kWait;
  TakeoverPolicy takeover = TakeoverPolicy::kFenced;
  UpdateStrategy update = UpdateStrategy::kRolling;

  [[nodiscard]] int pods_per_shard() const { return 1 + replicas_per_master; }
  [[nodiscard]] bool Wants(int shard, int index) const { return shard < masters && index < pods_per_shard(); }
  [[nodiscard]] int pods() const { return masters * pods_per_shard(); }
};

struct RedisCluster {
  std::string ns;
  std::string name;
  std::string uid;
  /// Named with each write of the status, which goes by name: else it could reach a namesake that was made since.
  std::string resource_version;
  std::string created_at;  ///< As Kubernetes writes times, so that they can be compared as they are.
  std::int64_t generation = 0;
  bool being_deleted = false;
  bool paused = false;
  RedisClusterSpec spec;
  reconciler::Json spec_json;  ///< What `spec` was read from.
  std::string formed_at;       ///< status.formedAt; empty before the slots were first assigned.
  std::string ready_at;        ///< status.readyAt; empty before it was Ready for the first time.
  reconciler::Json status;     ///< As last written; for transition times, and moves_slots().

  [[nodiscard]] std::string password_secret() const {
    return spec.auth.secret_name.empty() ? name + "-auth" : spec.auth.secret_name;
  }
  [[nodiscard]] int bus_port() const { return BusPortOf(ns, name, spec.port); }
  [[nodiscard]] bool generates_password() const { return spec.auth.secret_name.empty(); }
  /// What was reported last moves slots: those that are open were left by this operator, or one before it.
  [[nodiscard]] bool moves_slots() const { return reconciler::ValueAt(status, {"operation", "slotsLeft"}) != nullptr; }
};

/// Absent fields get the CRD's defaults, so that an object from an older CRD reads the same. kInvalid names the field
/// whose type is wrong, which a schema-checking API server would have refused.
[[nodiscard]] reconciler::Result<RedisCluster> ParseRedisCluster(const reconciler::Json& object);

/// The same of a specification alone, as RedisCluster::spec_json has it.
[[nodiscard]] reconciler::Result<RedisClusterSpec> ParseRedisClusterSpec(const reconciler::Json& spec);

/// A value that cannot be acted on, and the way out.
struct FieldError {
  std::string field;   ///< "spec.config.requirepass"
  std::string value;   ///< As given; never a secret.
  std::string remedy;  ///< "remove it: the operator sets it from spec.auth"

  /// "spec.config.port: \"7000\": remove it; …"
  [[nodiscard]] std::string ToString() const;
};

/// A directive's value for people to read: hidden where a password may have been put by mistake, however it is spelt.
[[nodiscard]] std::string ShownValue(const std::string& directive, const std::string& value);

/// What the schema cannot say. Empty: fine.
[[nodiscard]] std::vector<FieldError> Validate(const RedisCluster& cluster);

/// Why a password cannot be used, or nothing. The message never holds the password.
[[nodiscard]] std::optional<std::string> PasswordProblem(const std::string& password);

/// Bytes of a Kubernetes quantity ("1Gi", "500M", "1e9"), rounded down; nothing if it is none.
[[nodiscard]] std::optional<std::int64_t> ParseQuantity(const std::string& text);

}  // namespace slotwright
