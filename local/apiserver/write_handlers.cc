// create, update, patch, delete and deletecollection.
#include <fmt/format.h>

#include "local/apiserver/field_ownership.h"
#include "local/apiserver/patch.h"
#include "local/apiserver/server_state.h"

namespace slotwright::local::apiserver {

using reconciler::KeyOf;

namespace {

constexpr const char* kApply = "application/apply-patch+yaml";

Answer Shown(ServerState& state, const Call& call, const Json& object, int status, std::vector<std::string> warnings) {
  return {status, call.presentation.One(*call.resource, object, state.options.clock->WallNow()), std::move(warnings)};
}

ApiError UnsupportedPatch(const Call& call) {
  std::string accepted = "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml";
  if (!call.resource->custom) accepted += ", application/strategic-merge-patch+json";
  return MakeError(415, "UnsupportedMediaType",
                   "the body of the request was in an unknown format - accepted media types include: " + accepted);
}

ApiResult<Answer> HandleApply(ServerState& state, const Call& call, const WriteOptions& options) {
  auto applied = ParseBody(call.request);
  if (!applied) return std::unexpected(applied.error());
  if (QueryOf(call.request, "fieldManager").empty()) {
    return std::unexpected(BadRequest(
        "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch"));
  }
  if (!applied->is_object()) return std::unexpected(BadRequest("an apply patch must be an object"));
  if (reconciler::ValueAt(*applied, {"metadata", "managedFields"}) != nullptr) {
    return std::unexpected(BadRequest("metadata.managedFields must be nil"));
  }
  (*applied)["metadata"]["name"] = call.path.name;
  if (call.resource->type.namespaced) (*applied)["metadata"]["namespace"] = call.path.ns;
  const FieldManager manager{options.field_manager, "Apply", options.subresource, call.resource->type.ApiVersion(),
                             reconciler::FormatTime(state.options.clock->WallNow())};
  const bool force = QueryFlag(call.request, "force");
  const auto mutate = [&](const Json& current) -> ApiResult<Mutated> {
    auto result = Apply(*call.resource, &current, *applied, manager, force);
    if (!result) return std::unexpected(result.error());
    return Mutated{std::move(result->object), std::move(result->managed_fields)};
  };
  std::vector<std::string> warnings;
  WriteOptions write = options;
  write.warnings = &warnings;
  if (state.store.Get(call.resource->table(), call.key()) == nullptr && options.subresource.empty()) {
    auto result = Apply(*call.resource, nullptr, *applied, manager, force);
    if (!result) return std::unexpected(result.error());
    const auto created = state.objects.Create(*call.resource, call.path.ns, std::move(result->object), write,
                                              std::move(result->managed_fields));
    if (!created) return std::unexpected(created.error());
    return Shown(state, call, **created, 201, std::move(warnings));
  }
  const auto updated = state.objects.Update(*call.resource, call.key(), mutate, write);
  if (!updated) return std::unexpected(updated.error());
  return Shown(state, call, **updated, 200, std::move(warnings));
}

}  // namespace

ApiResult<Answer> HandleCreate(ServerState& state, const Call& call) {
  auto body = ParseBody(call.request);
  if (!body) return std::unexpected(body.error());
  auto options = ParseWriteOptions(call.request, "");
  if (!options) return std::unexpected(options.error());
  std::vector<std::string> warnings;
  options->warnings = &warnings;
  const auto created = state.objects.Create(*call.resource, call.path.ns, std::move(*body), *options);
  if (!created) return std::unexpected(created.error());
  return Shown(state, call, **created, 201, std::move(warnings));
}

ApiResult<Answer> HandleReplace(ServerState& state, const Call& call) {
  auto body = ParseBody(call.request);
  if (!body) return std::unexpected(body.error());
  auto options = ParseWriteOptions(call.request, call.path.subresource);
  if (!options) return std::unexpected(options.error());
  std::vector<std::string> warnings;
  options->warnings = &warnings;
  const bool demands_version = !call.resource->unconditional_update;
  const auto replace = [&](const Json&) -> ApiResult<Mutated> {
    if (demands_version && body->is_object() && reconciler::ResourceVersionOf(*body).empty()) {
      return std::unexpected(Invalid(call.resource->subject(), call.path.name,
                                     {InvalidValue("metadata.resourceVersion", 0, "must be specified for an update")}));
    }
    return Mutated{*body, std::nullopt};
  };
  const auto updated = state.objects.Update(*call.resource, call.key(), replace, *options);
  if (!updated) return std::unexpected(updated.error());
  return Shown(state, call, **updated, 200, std::move(warnings));
}

ApiResult<Json> ApplyPatch(const Call& call, const Json& current) {
  const std::string type = MediaTypeOf(call.request);
  const bool strategic = type == "application/strategic-merge-patch+json";
  const bool known = type == "application/json-patch+json" || type == "application/merge-patch+json" || strategic;
  if (!known || (strategic && call.resource->custom)) return std::unexpected(UnsupportedPatch(call));
  const auto patch = ParseBody(call.request);
  if (!patch) return std::unexpected(patch.error());
  if (strategic) return StrategicMergePatch(current, *patch, MergeType(*call.resource));
  return type == "application/json-patch+json" ? JsonPatch(current, *patch) : MergePatch(current, *patch);
}

ApiResult<Answer> HandlePatch(ServerState& state, const Call& call) {
  auto options = ParseWriteOptions(call.request, call.path.subresource);
  if (!options) return std::unexpected(options.error());
  options->is_patch = true;
  if (MediaTypeOf(call.request) == kApply) return HandleApply(state, call, *options);
  std::vector<std::string> warnings;
  options->warnings = &warnings;
  const auto patch = [&](const Json& current) -> ApiResult<Mutated> {
    auto patched = ApplyPatch(call, InVersion(*call.resource, current));
    if (!patched) return std::unexpected(patched.error());
    return Mutated{std::move(*patched), std::nullopt};
  };
  const auto updated = state.objects.Update(*call.resource, call.key(), patch, *options);
  if (!updated) return std::unexpected(updated.error());
  return Shown(state, call, **updated, 200, std::move(warnings));
}

ApiResult<Answer> HandleDelete(ServerState& state, const Call& call) {
  const auto options = ParseDeletionOptions(call.request);
  if (!options) return std::unexpected(options.error());
  const auto deleted = state.objects.Delete(*call.resource, call.key(), *options);
  if (!deleted) return std::unexpected(deleted.error());
  const Json& object = *deleted->object;
  if (!deleted->gone || call.resource->returns_deleted) return Shown(state, call, object, 200, {});
  return Answer{.body = SuccessStatus(call.resource->subject(), KeyOf(object).name, reconciler::UidOf(object))};
}

ApiResult<Answer> HandleDeleteCollection(ServerState& state, const Call& call) {
  const auto options = ParseDeletionOptions(call.request);
  if (!options) return std::unexpected(options.error());
  const auto scope = ParseScope(call);
  if (!scope) return std::unexpected(scope.error());
  std::vector<ObjectPtr> selected;
  for (const auto& [key, object] : state.store.All(call.resource->table())) {
    if (scope->Includes(*object)) selected.push_back(object);
  }
  for (const auto& object : selected) {
    const auto deleted = state.objects.Delete(*call.resource, KeyOf(*object), *options);
    if (!deleted && deleted.error().code != 404) return std::unexpected(deleted.error());
  }
  const Json metadata = {{"resourceVersion", std::to_string(state.store.revision())}};
  return Answer{.body = call.presentation.List(*call.resource, selected, metadata, state.options.clock->WallNow())};
}

}  // namespace slotwright::local::apiserver
