// See objects.h. Order and wordings: k8s.io/apiserver/pkg/registry.
#include "local/apiserver/objects.h"

#include <fmt/format.h>

#include <algorithm>

#include "local/apiserver/field_ownership.h"
#include "local/apiserver/metadata.h"

namespace slotwright::local::apiserver {

using reconciler::KeyOf;
using reconciler::StringAt;
using reconciler::ValueAt;

namespace {

constexpr const char* kServiceRange = "127.96";

bool IsPod(const Resource& resource) { return resource.type.group.empty() && resource.type.plural == "pods"; }

// Whether two objects have the same fields, those named aside.
bool SameApartFrom(std::initializer_list<std::string_view> names, const Json& a, const Json& b) {
  const auto all_in = [&](const Json& one, const Json& other) {
    return std::ranges::all_of(one.items(), [&](const auto& field) {
      if (std::ranges::find(names, field.key()) != names.end()) return true;
      const auto found = other.find(field.key());
      return found != other.end() && *found == field.value();
    });
  };
  return all_in(a, b) && all_in(b, a);
}

// Everything whose change raises the generation: neither metadata nor, where it is a subresource, status.
bool SameSpec(const Resource& resource, const Json& a, const Json& b) {
  return SameApartFrom({"metadata", "apiVersion", resource.has_status ? "status" : ""}, a, b);
}

// Times in managedFields and the version do not count.
bool Unchanged(const Json& a, const Json& b) {
  return SameApartFrom({"metadata"}, a, b) &&
         SameApartFrom({"managedFields", "resourceVersion"}, a["metadata"], b["metadata"]);
}

ApiResult<void> CheckPreconditions(const Resource& resource, const Json& current, const std::string& uid,
                                   const std::string& resource_version) {
  const std::string name = KeyOf(current).name;
  if (!uid.empty() && uid != reconciler::UidOf(current)) {
    return std::unexpected(Conflict(resource.subject(), name,
                                    fmt::format("Precondition failed: UID in precondition: {}, UID in object meta: {}",
                                                uid, reconciler::UidOf(current))));
  }
  if (!resource_version.empty() && resource_version != reconciler::ResourceVersionOf(current)) {
    return std::unexpected(Modified(resource.subject(), name));
  }
  return {};
}

// Removal waits for nothing any more.
bool DeletionIsDue(const Resource& resource, const Json& object) {
  if (resource.table() == "namespaces" && ValueAt(object, {"spec", "finalizers"}) != nullptr) return false;
  const Json* grace = ValueAt(object, {"metadata", "deletionGracePeriodSeconds"});
  return reconciler::IsBeingDeleted(object) && !HasFinalizers(object) && (grace == nullptr || *grace == 0);
}

void SetFinalizer(Json& object, const std::string& name, bool present) {
  Json& metadata = object["metadata"];
  Json kept = Json::array();
  if (metadata.contains("finalizers")) {
    for (const auto& finalizer : metadata["finalizers"]) {
      if (finalizer != name) kept.push_back(finalizer);
    }
  }
  if (present) kept.push_back(name);
  if (kept.empty()) {
    metadata.erase("finalizers");
  } else {
    metadata["finalizers"] = kept;
  }
}

// What keeps a real server from evaluating rules at all (apiextensions-apiserver, hasBlockingErr).
bool IsBlocking(const Cause& cause) {
  for (const char* reason : {"FieldValueNotSupported", "FieldValueRequired", "FieldValueTooLong", "FieldValueTooMany",
                             "FieldValueTypeInvalid"}) {
    if (cause.reason == reason) return true;
  }
  return false;
}

int GracePeriodOf(const Resource& resource, const Json& object, const DeletionOptions& options) {
  if (!IsPod(resource)) return 0;
  const std::string phase = StringAt(object, {"status", "phase"});
  if (StringAt(object, {"spec", "nodeName"}).empty() || phase == "Succeeded" || phase == "Failed") return 0;
  if (options.grace_period_seconds) return std::max(0, *options.grace_period_seconds);
  const Json* period = ValueAt(object, {"spec", "terminationGracePeriodSeconds"});
  return period != nullptr && period->is_number_integer() ? period->get<int>() : 30;
}

}  // namespace

bool HasFinalizers(const Json& object) {
  const Json* finalizers = ValueAt(object, {"metadata", "finalizers"});
  return finalizers != nullptr && !finalizers->empty();
}

ObjectApi::ObjectApi(Store& store, Registry& registry, reconciler::Clock& clock, std::uint64_t seed, bool tracks_owners)
    : store_(store), registry_(registry), clock_(clock), random_(seed), tracks_owners_(tracks_owners) {}

Json ObjectApi::OwnersAfter(const Resource& resource, const Json* before, const Json& after,
                            const WriteOptions& options) const {
  if (!tracks_owners_) return Json::array();
  return OwnersAfterUpdate(resource, before, after,
                           {options.field_manager, "Update", options.subresource, resource.type.ApiVersion(),
                            reconciler::FormatTime(clock_.WallNow())});
}

ApiResult<ObjectPtr> ObjectApi::Get(const Resource& resource, const ObjectKey& key) const {
  ObjectPtr object = store_.Get(resource.table(), key);
  if (object == nullptr) return std::unexpected(NotFound(resource.subject(), key.name));
  return object;
}

namespace {

// Typed resources read null as absent; custom ones are pruned and defaulted by their schema.
void DropNulls(Json& value) {
  if (value.is_object()) {
    for (auto field = value.begin(); field != value.end();) {
      if (field->is_null()) {
        field = value.erase(field);
      } else {
        DropNulls(*field++);
      }
    }
  } else if (value.is_array()) {
    for (auto& element : value) DropNulls(element);
  }
}

}  // namespace

ApiResult<void> ObjectApi::Decode(const Resource& resource, Json& object, const WriteOptions& options) const {
  if (!object.is_object()) {
    return std::unexpected(BadRequest(fmt::format("the body must be a {} object", resource.type.kind)));
  }
  const std::string api_version = StringAt(object, {"apiVersion"});
  const std::string kind = StringAt(object, {"kind"});
  if (resource.custom && (api_version.empty() || kind.empty())) {
    return std::unexpected(
        BadRequest(fmt::format("Object '{}' is missing in the body", kind.empty() ? "Kind" : "apiVersion")));
  }
  const bool fits = (api_version.empty() || api_version == resource.type.ApiVersion()) &&
                    (kind.empty() || kind == resource.type.kind);
  if (!fits) {
    return std::unexpected(BadRequest(
        fmt::format("the object provided is unrecognized (must be of type {}): {} in {} does not fit this path",
                    resource.type.kind, kind, api_version)));
  }
  object["apiVersion"] = resource.type.ApiVersion();
  object["kind"] = resource.type.kind;
  if (!resource.custom) {
    DropNulls(object);
    // A typed decoder would not get past these.
    for (const char* field : {"spec", "status", "data", "stringData", "binaryData", "involvedObject"}) {
      if (object.contains(field) && !object[field].is_object()) {
        return std::unexpected(BadRequest(fmt::format("json: cannot unmarshal {} into Go struct field {}.{}",
                                                      object[field].type_name(), resource.type.kind, field)));
      }
    }
  }
  std::vector<std::string> unknown;
  if (auto normal = NormalizeMetadata(object, unknown); !normal) return normal;
  if (resource.schema != nullptr) std::ranges::move(Prune(*resource.schema, object), std::back_inserter(unknown));
  if (unknown.empty() || options.field_validation == FieldValidation::kIgnore) return {};
  std::string list;
  for (const auto& field : unknown) {
    const std::string message = fmt::format("unknown field \"{}\"", field);
    if (options.field_validation == FieldValidation::kWarn && options.warnings != nullptr) {
      options.warnings->push_back(message);
    }
    list += (list.empty() ? "" : ", ") + message;
  }
  if (options.field_validation != FieldValidation::kStrict) return {};
  if (options.is_patch) {
    return std::unexpected(Invalid({}, "", {InvalidValue("patch", object.dump(), "strict decoding error: " + list)}));
  }
  return std::unexpected(
      BadRequest(fmt::format("{} in version \"{}\" cannot be handled as a {}: strict decoding error: {}",
                             resource.type.kind, resource.type.version, resource.type.kind, list)));
}

ApiResult<void> ObjectApi::CheckNamespace(const Resource& resource, const std::string& ns,
                                          const std::string& name) const {
  if (!resource.type.namespaced) return {};
  const ObjectPtr found = store_.Get("namespaces", {"", ns});
  if (found == nullptr) return std::unexpected(NotFound({"", "namespaces", "Namespace"}, ns));
  if (!reconciler::IsBeingDeleted(*found)) return {};
  return std::unexpected(
      Forbidden(resource.subject(), name,
                fmt::format("unable to create new content in namespace {} because it is being terminated", ns),
                {{"NamespaceTerminating", fmt::format("namespace {} is being terminated", ns), "metadata.namespace"}}));
}

ApiResult<void> ObjectApi::Validate(const Resource& resource, const Json& object, const Json* before) const {
  Causes causes;
  ValidateMetadata(resource, object, before, causes);
  if (resource.strategy.validate != nullptr) resource.strategy.validate(object, before, causes);
  if (resource.schema != nullptr) {
    const size_t already = causes.size();
    ValidateAgainst(*resource.schema, object, nullptr, "", causes);
    // Ratcheting: what was wrong before and did not change is forgiven, as defaults or bounds may be newer than it.
    if (before != nullptr && causes.size() > already) {
      causes.resize(already);
      ValidateAgainst(*resource.schema, object, before, "", causes);
    }
    const bool blocked = std::any_of(causes.begin() + static_cast<std::ptrdiff_t>(already), causes.end(), IsBlocking);
    if (!blocked) {
      ValidateRules(*resource.schema, object, before, "", causes);
    } else if (HasRules(*resource.schema)) {
      causes.push_back(InvalidValue(kRootField, nullptr,
                                    "some validation rules were not checked because the object was invalid; correct "
                                    "the existing errors to complete validation"));
    }
  }
  if (!causes.empty()) return std::unexpected(Invalid(resource.subject(), KeyOf(object).name, causes));
  return {};
}

ApiResult<ObjectPtr> ObjectApi::Create(const Resource& resource, const std::string& ns, Json object,
                                       const WriteOptions& options, const std::optional<Json>& managed_fields) {
  if (auto decoded = Decode(resource, object, options); !decoded) return std::unexpected(decoded.error());
  Json& metadata = object["metadata"];
  if (metadata.contains("resourceVersion")) {
    // 500 without a reason is what a real server says.
    return std::unexpected(MakeError(500, "", "resourceVersion should not be set on objects to be created"));
  }
  if (!resource.type.namespaced) {
    metadata.erase("namespace");
  } else if (metadata.value("namespace", ns) != ns) {
    return std::unexpected(
        BadRequest("the namespace of the provided object does not match the namespace sent on the request"));
  } else {
    metadata["namespace"] = ns;
  }
  CarryServerFields(object, nullptr);
  metadata.erase("managedFields");
  if (!metadata.contains("name") && metadata.contains("generateName")) {
    metadata["name"] = metadata["generateName"].get<std::string>() + RandomSuffix();
  }
  const std::string name = KeyOf(object).name;
  if (auto open = CheckNamespace(resource, ns, name); !open) return std::unexpected(open.error());
  if (store_.Get(resource.table(), KeyOf(object)) != nullptr) {
    return std::unexpected(AlreadyExists(resource.subject(), name));
  }
  if (resource.custom && resource.has_status) object.erase("status");
  if (resource.schema != nullptr) ApplyDefaults(*resource.schema, object);
  if (resource.strategy.prepare != nullptr) resource.strategy.prepare(object, nullptr);
  if (auto valid = Validate(resource, object, nullptr); !valid) return std::unexpected(valid.error());
  if (resource.table() == "services") AllocateClusterIp(object);

  metadata["uid"] = NewUid();
  metadata["creationTimestamp"] = reconciler::FormatTime(clock_.WallNow());
  if (resource.has_generation) metadata["generation"] = 1;
  metadata["managedFields"] = managed_fields ? *managed_fields : OwnersAfter(resource, nullptr, object, options);
  return Commit(resource, std::move(object), nullptr, options.dry_run);
}

// The object as it would be stored: only what this request may change is taken from it.
ApiResult<Json> ObjectApi::Prepare(const Resource& resource, Json object, const Json& before,
                                   const WriteOptions& options) const {
  if (!options.subresource.empty()) {
    Json changed = before;
    if (options.subresource == "status") {
      if (object.contains("status")) {
        changed["status"] = object["status"];
      } else {
        changed.erase("status");
      }
    } else {
      changed["spec"] = object["spec"];
    }
    object = std::move(changed);
  } else if (resource.has_status) {
    if (before.contains("status")) {
      object["status"] = before["status"];
    } else {
      object.erase("status");
    }
  }
  CarryServerFields(object, &before);
  if (resource.schema != nullptr) ApplyDefaults(*resource.schema, object);
  if (options.subresource.empty() && resource.strategy.prepare != nullptr) resource.strategy.prepare(object, &before);
  if (resource.has_generation && !SameSpec(resource, object, before)) {
    object["metadata"]["generation"] = object["metadata"].value("generation", 0) + 1;
  }
  return object;
}

ApiResult<ObjectPtr> ObjectApi::Update(const Resource& resource, const ObjectKey& key, const Mutation& mutation,
                                       const WriteOptions& options) {
  auto found = Get(resource, key);
  if (!found) return found;
  const ObjectPtr before = *found;
  auto mutated = mutation(*before);
  if (!mutated) return std::unexpected(mutated.error());
  Json object = std::move(mutated->object);
  if (auto decoded = Decode(resource, object, options); !decoded) return std::unexpected(decoded.error());
  if (KeyOf(object).name != key.name) {
    return std::unexpected(BadRequest(fmt::format("the name of the object ({}) does not match the name on the URL ({})",
                                                  KeyOf(object).name, key.name)));
  }
  if (resource.type.namespaced && object["metadata"].value("namespace", key.ns) != key.ns) {
    return std::unexpected(
        BadRequest("the namespace of the provided object does not match the namespace sent on the request"));
  }
  if (resource.type.namespaced) object["metadata"]["namespace"] = key.ns;
  auto allowed =
      CheckPreconditions(resource, *before, reconciler::UidOf(object), reconciler::ResourceVersionOf(object));
  if (!allowed) return std::unexpected(allowed.error());

  std::optional<Json> wanted_owners;
  if (object["metadata"].contains("managedFields")) wanted_owners = object["metadata"]["managedFields"];
  auto prepared = Prepare(resource, std::move(object), *before, options);
  if (!prepared) return std::unexpected(prepared.error());
  object = std::move(*prepared);
  if (auto valid = Validate(resource, object, before.get()); !valid) return std::unexpected(valid.error());

  const bool unchanged = Unchanged(object, *before);
  const Json old_owners = (*before)["metadata"].value("managedFields", Json::array());
  if (mutated->managed_fields) {
    object["metadata"]["managedFields"] = *mutated->managed_fields;
  } else if (!unchanged || wanted_owners.value_or(old_owners) != old_owners) {
    // kubectl rewrites ownership itself when it goes over to server-side apply.
    std::optional<Json> rewritten;
    if (wanted_owners) {
      rewritten = *before;
      (*rewritten)["metadata"]["managedFields"] = *wanted_owners;
    }
    object["metadata"]["managedFields"] =
        OwnersAfter(resource, rewritten ? &*rewritten : before.get(), object, options);
  } else {
    return before;
  }
  if (unchanged && object["metadata"].value("managedFields", Json::array()) == old_owners) return before;
  return Commit(resource, std::move(object), before, options.dry_run);
}

ApiResult<ObjectPtr> ObjectApi::Commit(const Resource& resource, Json object, const ObjectPtr& before, bool dry_run) {
  if (dry_run) {
    object["metadata"]["resourceVersion"] = before == nullptr ? "" : reconciler::ResourceVersionOf(*before);
    if (before == nullptr) object["metadata"].erase("resourceVersion");
    return std::make_shared<const Json>(std::move(object));
  }
  if (before != nullptr && DeletionIsDue(resource, object)) {
    store_.Remove(resource.table(), KeyOf(object));
    return std::make_shared<const Json>(std::move(object));
  }
  return store_.Put(resource.table(), std::move(object));
}

ApiResult<Deletion> ObjectApi::Delete(const Resource& resource, const ObjectKey& key, const DeletionOptions& options) {
  const auto found = Get(resource, key);
  if (!found) return std::unexpected(found.error());
  const ObjectPtr& before = *found;
  auto allowed = CheckPreconditions(resource, *before, options.uid, options.resource_version);
  if (!allowed) return std::unexpected(allowed.error());
  if (resource.table() == "namespaces" && (key.name == "default" || key.name == "kube-system")) {
    return std::unexpected(Forbidden(resource.subject(), key.name, "this namespace may not be deleted"));
  }

  Json object = *before;
  if (options.propagation) {
    SetFinalizer(object, "foregroundDeletion", *options.propagation == Propagation::kForeground);
    SetFinalizer(object, "orphan", *options.propagation == Propagation::kOrphan);
  }
  if (resource.table() == "customresourcedefinitions.apiextensions.k8s.io") {
    SetFinalizer(object, "customresourcecleanup.apiextensions.k8s.io", true);
  }
  Json& metadata = object["metadata"];
  int grace = GracePeriodOf(resource, object, options);
  if (reconciler::IsBeingDeleted(object)) grace = std::min(grace, metadata.value("deletionGracePeriodSeconds", 0));
  const bool waits = grace > 0 || HasFinalizers(object) || resource.table() == "namespaces";
  if (options.dry_run) return Deletion{before, !waits};
  if (!waits) {
    store_.Remove(resource.table(), key);
    return Deletion{before, true};
  }
  const bool sooner = grace < metadata.value("deletionGracePeriodSeconds", 0);
  if (!reconciler::IsBeingDeleted(object) || sooner) {
    metadata["deletionTimestamp"] = reconciler::FormatTime(clock_.WallNow() + std::chrono::seconds(grace));
    metadata["deletionGracePeriodSeconds"] = grace;
    if (resource.has_generation && !sooner) metadata["generation"] = metadata.value("generation", 0) + 1;
  }
  if (resource.table() == "namespaces") object["status"]["phase"] = "Terminating";
  if (object == *before) return Deletion{before, false};
  return Deletion{store_.Put(resource.table(), std::move(object)), false};
}

void ObjectApi::Rewrite(const Resource& resource, Json object) {
  const ObjectPtr before = store_.Get(resource.table(), KeyOf(object));
  if (before == nullptr || *before == object) return;
  if (DeletionIsDue(resource, object)) {
    store_.Remove(resource.table(), KeyOf(object));
  } else {
    store_.Put(resource.table(), std::move(object));
  }
}

void ObjectApi::AllocateClusterIp(Json& service) {
  Json& spec = service["spec"];
  if (spec["type"] == "ExternalName" || spec.contains("clusterIP")) return;
  std::string address;
  bool taken = true;
  while (taken) {
    address = fmt::format("{}.{}.{}", kServiceRange, next_address_ / 256 % 256, next_address_ % 256);
    ++next_address_;
    taken = std::ranges::any_of(store_.All("services"), [&address](const auto& other) {
      return StringAt(*other.second, {"spec", "clusterIP"}) == address;
    });
  }
  spec["clusterIP"] = address;
  spec["clusterIPs"] = Json::array({address});
}

std::string ObjectApi::NewUid() {
  const std::uint64_t a = random_();
  const std::uint64_t b = random_();
  return fmt::format("{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}", a >> 32U, (a >> 16U) & 0xffffU, a & 0xfffU,
                     0x8000U | ((b >> 48U) & 0x3fffU), b & 0xffffffffffffU);
}

std::string ObjectApi::RandomSuffix() {
  constexpr std::string_view kAlphabet = "bcdfghjklmnpqrstvwxz2456789";
  std::string suffix;
  for (int i = 0; i < 5; ++i) suffix += kAlphabet[random_() % kAlphabet.size()];
  return suffix;
}

}  // namespace slotwright::local::apiserver
