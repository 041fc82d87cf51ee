// scale, eviction, binding, log, and reviews of permissions.
#include <fmt/format.h>

#include <algorithm>

#include "local/apiserver/server_state.h"

namespace slotwright::local::apiserver {

using reconciler::StringAt;
using reconciler::ValueAt;

namespace {

const Json* At(const Json& object, const std::vector<std::string>& path) {
  const Json* value = &object;
  for (const auto& name : path) {
    if (!value->is_object() || !value->contains(name)) return nullptr;
    value = &(*value)[name];
  }
  return path.empty() ? nullptr : value;
}

Json ScaleOf(const Resource& resource, const Json& object) {
  Json metadata = Json::object();
  for (const char* name : {"name", "namespace", "uid", "resourceVersion", "creationTimestamp"}) {
    if (const Json* value = ValueAt(object, {"metadata", name})) metadata[name] = *value;
  }
  const Json* wanted = At(object, resource.scale->spec_replicas);
  const Json* actual = At(object, resource.scale->status_replicas);
  const Json* selector = At(object, resource.scale->label_selector);
  Json status = {{"replicas", actual != nullptr && actual->is_number_integer() ? *actual : Json(0)}};
  if (selector != nullptr && selector->is_string()) status["selector"] = *selector;
  return {{"kind", "Scale"},
          {"apiVersion", "autoscaling/v1"},
          {"metadata", std::move(metadata)},
          {"spec", {{"replicas", wanted != nullptr && wanted->is_number_integer() ? *wanted : Json(0)}}},
          {"status", std::move(status)}};
}

ApiResult<Json> WithReplicas(const Call& call, const Json& current, const Json& scale) {
  const Json* replicas = ValueAt(scale, {"spec", "replicas"});
  const bool valid = replicas != nullptr && replicas->is_number_integer() && *replicas >= 0;
  if (!valid) {
    return std::unexpected(Invalid(
        {"autoscaling", "scales", "Scale"}, call.path.name,
        {InvalidValue("spec.replicas", replicas == nullptr ? Json() : *replicas, "should be a non-negative integer")}));
  }
  Json changed = current;
  Json* at = &changed;
  for (const auto& name : call.resource->scale->spec_replicas) at = &(*at)[name];
  *at = *replicas;
  changed["metadata"]["resourceVersion"] = StringAt(scale, {"metadata", "resourceVersion"});
  return changed;
}

}  // namespace

ApiResult<Answer> HandleScale(ServerState& state, const Call& call) {
  const Resource& resource = *call.resource;
  if (call.request.method == "GET") {
    const auto object = state.objects.Get(resource, call.key());
    if (!object) return std::unexpected(object.error());
    return Answer{.body = ScaleOf(resource, **object)};
  }
  if (call.request.method != "PUT" && call.request.method != "PATCH") return std::unexpected(MethodNotAllowed());
  auto options = ParseWriteOptions(call.request, "scale");
  if (!options) return std::unexpected(options.error());
  options->field_validation = FieldValidation::kIgnore;
  const auto mutate = [&](const Json& current) -> ApiResult<Mutated> {
    auto scale = call.request.method == "PUT" ? ParseBody(call.request) : ApplyPatch(call, ScaleOf(resource, current));
    if (!scale) return std::unexpected(scale.error());
    auto changed = WithReplicas(call, current, *scale);
    if (!changed) return std::unexpected(changed.error());
    return Mutated{std::move(*changed), std::nullopt};
  };
  const auto updated = state.objects.Update(resource, call.key(), mutate, *options);
  if (!updated) return std::unexpected(updated.error());
  return Answer{.body = ScaleOf(resource, **updated)};
}

ApiResult<Answer> HandlePodAction(ServerState& state, const Call& call) {
  if (call.request.method != "POST") return std::unexpected(MethodNotAllowed());
  const auto body = ParseBody(call.request);
  if (!body) return std::unexpected(body.error());
  const auto done = call.path.subresource == "eviction" ? Evict(state.objects, call.key(), *body)
                                                        : Bind(state.objects, call.key(), *body);
  if (!done) return std::unexpected(done.error());
  return Answer{.status = 201,
                .body = {{"kind", "Status"},
                         {"apiVersion", "v1"},
                         {"metadata", Json::object()},
                         {"status", "Success"},
                         {"code", 201}}};
}

namespace {

// A container that never ran has no log; why it does not run is what the reader wants to know.
ApiResult<void> CheckLogReadable(const Json& pod, const LogRequest& log) {
  const std::string name = reconciler::KeyOf(pod).name;
  for (const char* list : {"containerStatuses", "initContainerStatuses"}) {
    const Json* statuses = ValueAt(pod, {"status", list});
    for (size_t i = 0; statuses != nullptr && i < statuses->size(); ++i) {
      const Json& status = (*statuses)[i];
      if (StringAt(status, {"name"}) != log.container) continue;
      const bool ran_before = ValueAt(status, {"lastState", "terminated"}) != nullptr;
      if (log.options.previous && !ran_before) {
        return std::unexpected(BadRequest(
            fmt::format("previous terminated container \"{}\" in pod \"{}\" not found", log.container, name)));
      }
      if (ran_before || ValueAt(status, {"state", "waiting"}) == nullptr) return {};
      return std::unexpected(
          BadRequest(fmt::format("container \"{}\" in pod \"{}\" is waiting to start: {}", log.container, name,
                                 StringAt(status, {"state", "waiting", "reason"}))));
    }
  }
  return {};
}

}  // namespace

ApiResult<LogRequest> ParseLogRequest(ServerState& state, const Call& call) {
  const auto pod = state.objects.Get(*call.resource, call.key());
  if (!pod) return std::unexpected(pod.error());
  LogRequest log{.scheduled = !StringAt(**pod, {"spec", "nodeName"}).empty(),
                 .container = QueryOf(call.request, "container"),
                 .options = {}};
  std::vector<std::string> names;
  for (const char* list : {"containers", "initContainers"}) {
    const Json* containers = ValueAt(**pod, {"spec", list});
    if (containers == nullptr) continue;
    for (const auto& container : *containers) names.push_back(StringAt(container, {"name"}));
  }
  if (log.container.empty()) {
    const size_t count = (**pod)["spec"]["containers"].size();
    if (count > 1) {
      return std::unexpected(
          BadRequest(fmt::format("a container name must be specified for pod {}, choose one of: [{}]", call.path.name,
                                 fmt::join(names, " "))));
    }
    log.container = names.front();
  }
  if (std::ranges::find(names, log.container) == names.end()) {
    return std::unexpected(
        BadRequest(fmt::format("container {} is not valid for pod {}", log.container, call.path.name)));
  }
  for (const char* option : {"sinceSeconds", "sinceTime", "timestamps", "limitBytes"}) {
    const std::string value = QueryOf(call.request, option);
    if (value.empty() || value == "false") continue;
    return std::unexpected(BadRequest(fmt::format(
        "{}: \"{}\": slotwright local keeps what containers write without times; use --tail, or leave it out", option,
        value)));
  }
  log.options.follow = QueryFlag(call.request, "follow");
  log.options.previous = QueryFlag(call.request, "previous");
  if (auto readable = CheckLogReadable(**pod, log); !readable) return std::unexpected(readable.error());
  const std::string tail = QueryOf(call.request, "tailLines");
  if (!tail.empty()) log.options.tail_lines = std::atoi(tail.c_str());
  if (state.log_source == nullptr) {
    return std::unexpected(MakeError(503, "ServiceUnavailable", "no kubelet is running that could read logs"));
  }
  return log;
}

ApiResult<Answer> HandleReview(const reconciler::ServerRequest& request, const ApiPath& path) {
  if (request.method != "POST") return std::unexpected(MethodNotAllowed());
  auto review = ParseBody(request);
  if (!review) return std::unexpected(review.error());
  if (path.plural == "selfsubjectaccessreviews") {
    (*review)["status"] = {{"allowed", true}, {"reason", "this server allows everything"}};
  } else if (path.plural == "selfsubjectrulesreviews") {
    const Json everything = Json::array({"*"});
    (*review)["status"] = {
        {"incomplete", false},
        {"resourceRules", Json::array({{{"verbs", everything}, {"apiGroups", everything}, {"resources", everything}}})},
        {"nonResourceRules", Json::array({{{"verbs", everything}, {"nonResourceURLs", everything}}})}};
  } else {
    return std::unexpected(NoSuchPath());
  }
  return Answer{.status = 201, .body = std::move(*review)};
}

}  // namespace slotwright::local::apiserver
