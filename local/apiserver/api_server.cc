// Dispatch: who is asked for what, in which order requests are checked, and what comes back.
#include "local/apiserver/api_server.h"

#include <fmt/format.h>

#include <random>

#include "local/apiserver/discovery.h"
#include "local/apiserver/in_process_transport.h"
#include "local/apiserver/server_state.h"

namespace slotwright::local {

using reconciler::HttpResponse;
using reconciler::Json;
using reconciler::Responder;
using reconciler::ServerRequest;

namespace apiserver {

namespace {

HttpResponse ToResponse(const ApiError& error) {
  HttpResponse response{.status = error.code, .headers = {{"content-type", "application/json"}}, .body = {}};
  response.body = error.status.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  if (error.retry_after_seconds) response.headers["retry-after"] = std::to_string(*error.retry_after_seconds);
  return response;
}

HttpResponse ToResponse(const ApiResult<Answer>& answer) {
  if (!answer) return ToResponse(answer.error());
  HttpResponse response{.status = answer->status, .headers = {{"content-type", "application/json"}}, .body = {}};
  response.body = answer->body.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  std::string warnings;
  for (const auto& warning : answer->warnings) {
    warnings += fmt::format("{}299 - {}", warnings.empty() ? "" : ", ", Json(warning).dump());
  }
  if (!warnings.empty()) response.headers["warning"] = warnings;
  return response;
}

bool IsProbe(const std::string& path) { return path == "/healthz" || path == "/livez" || path == "/readyz"; }

std::uint64_t SeedOf(const ApiServer::Options& options) {
  return options.seed != 0 ? options.seed : std::random_device{}();
}

ApiResult<void> CheckCaller(const ServerState& state, const ServerRequest& request) {
  if (!IsLoopbackHost(HeaderOf(request, "host"))) {
    return std::unexpected(MakeError(
        403, "Forbidden",
        fmt::format("this server answers to localhost and 127.0.0.0/8 only, not to \"{}\": a web page may be behind "
                    "this request",
                    HeaderOf(request, "host"))));
  }
  const std::string& token = state.options.token;
  if (!token.empty() && !IsProbe(request.path) && HeaderOf(request, "authorization") != "Bearer " + token) {
    return std::unexpected(MakeError(401, "Unauthorized", "Unauthorized"));
  }
  if (state.outage == 0) return {};
  return std::unexpected(MakeError(state.outage, state.outage == 429 ? "TooManyRequests" : "ServiceUnavailable",
                                   "the server is currently unable to handle the request"));
}

ApiResult<Answer> HandleCollection(ServerState& state, const Call& call) {
  const std::string& method = call.request.method;
  if (method == "GET") return HandleList(state, call);
  if (call.resource->type.namespaced && call.path.ns.empty()) return std::unexpected(MethodNotAllowed());
  if (method == "POST") return HandleCreate(state, call);
  if (method == "DELETE") return HandleDeleteCollection(state, call);
  return std::unexpected(MethodNotAllowed());
}

ApiResult<Answer> HandleObject(ServerState& state, const Call& call) {
  const std::string& method = call.request.method;
  if (method == "GET") return HandleGet(state, call);
  if (method == "PUT") return HandleReplace(state, call);
  if (method == "PATCH") return HandlePatch(state, call);
  if (method == "DELETE" && call.path.subresource.empty()) return HandleDelete(state, call);
  return std::unexpected(MethodNotAllowed());
}

ApiResult<Answer> HandleResource(ServerState& state, const Call& call) {
  const std::string& subresource = call.path.subresource;
  const bool pods = call.resource->table() == "pods";
  if (call.path.name.empty()) return HandleCollection(state, call);
  if (subresource.empty() || (subresource == "status" && call.resource->has_status)) return HandleObject(state, call);
  if (subresource == "scale" && call.resource->scale) return HandleScale(state, call);
  if (pods && (subresource == "eviction" || subresource == "binding")) return HandlePodAction(state, call);
  if (pods && (subresource == "exec" || subresource == "attach" || subresource == "portforward")) {
    return std::unexpected(MakeError(
        501, "NotImplemented",
        fmt::format("{} is not supported by slotwright local: containers are processes of this machine and listen on "
                    "the pod's 127.x address",
                    subresource)));
  }
  return std::unexpected(NoSuchPath());
}

// Fields deep inside built-in types are read as they come: one of the wrong type ends here.
ApiResult<Answer> HandleSafely(ServerState& state, const Call& call) {
  try {
    return HandleResource(state, call);
  } catch (const Json::exception& error) {
    return std::unexpected(
        BadRequest(fmt::format("the {} has a field of the wrong type: {}", call.resource->type.kind, error.what())));
  }
}

bool IsWatch(const Call& call) { return call.request.method == "GET" && QueryFlag(call.request, "watch"); }

ApiResult<Call> MakeCall(const ServerState& state, const ServerRequest& request, const ApiPath& path) {
  const auto resource = state.registry.Find(path.group, path.version, path.plural);
  const bool scope_fits = resource != nullptr && (resource->type.namespaced || path.ns.empty()) &&
                          (!resource->type.namespaced || !path.ns.empty() || path.name.empty());
  if (!scope_fits) return std::unexpected(NoSuchPath());
  auto presentation = Presentation::FromAccept(HeaderOf(request, "accept"), QueryOf(request, "includeObject"));
  const bool text = path.subresource == "log";
  if (!presentation && !text) return std::unexpected(presentation.error());
  return Call{request, path, resource, presentation.value_or(Presentation{})};
}

// Not under the lock: a log may be long.
void StreamLog(LogSource& source, const ObjectKey& pod, const LogRequest& log, Responder& responder) {
  const auto stream = responder.Stream(200, {{"content-type", "text/plain"}});
  source.Read(
      pod, log.container, log.options, [stream](std::string_view text) { return stream->Write(text); },
      [stream] { stream->Close(); });
}

}  // namespace

ServerState::ServerState(const ApiServer::Options& server_options)
    : options(server_options),
      store(options.watch_history),
      objects(store, registry, *options.clock, SeedOf(options), options.tracks_owners),
      watches(*options.clock, options.bookmark_interval),
      controllers(objects, [this](const Table& table) { watches.EndTable(table); }) {
  store.SetObserver([this](const Change& change) {
    watches.Publish(change);
    controllers.OnChange(change);
  });
}

}  // namespace apiserver

struct ApiServer::Impl {
  explicit Impl(const Options& options) : state(options) {}

  void Handle(const ServerRequest& request, Responder& responder);
  std::optional<HttpResponse> HandleLocked(const ServerRequest& request, Responder& responder);
  std::optional<HttpResponse> HandleApi(const ServerRequest& request, const apiserver::ApiPath& path,
                                        Responder& responder);
  void HandleLog(const ServerRequest& request, const apiserver::ApiPath& path, Responder& responder);

  apiserver::ServerState state;
};

void ApiServer::Impl::Handle(const ServerRequest& request, Responder& responder) {
  const auto path = apiserver::ParseApiPath(request.path);
  const bool is_log = path && path->group.empty() && path->plural == "pods" && path->subresource == "log";
  if (is_log && request.method == "GET") return HandleLog(request, *path, responder);
  std::optional<HttpResponse> response;
  {
    const std::scoped_lock lock(state.mutex);
    response = HandleLocked(request, responder);
  }
  if (response) responder.Reply(std::move(*response));
}

void ApiServer::Impl::HandleLog(const ServerRequest& request, const apiserver::ApiPath& path, Responder& responder) {
  apiserver::ApiResult<apiserver::LogRequest> log;
  LogSource* source = nullptr;
  {
    const std::scoped_lock lock(state.mutex);
    auto allowed = apiserver::CheckCaller(state, request);
    auto call = allowed ? apiserver::MakeCall(state, request, path) : std::unexpected(allowed.error());
    log = call ? apiserver::ParseLogRequest(state, *call) : std::unexpected(call.error());
    source = state.log_source;
  }
  if (!log) return responder.Reply(apiserver::ToResponse(log.error()));
  if (!log->scheduled) {
    return responder.Reply({.status = 200, .headers = {{"content-type", "text/plain"}}, .body = ""});
  }
  apiserver::StreamLog(*source, {path.ns, path.name}, *log, responder);
}

std::optional<HttpResponse> ApiServer::Impl::HandleLocked(const ServerRequest& request, Responder& responder) {
  using apiserver::Answer;
  using apiserver::ApiResult;
  if (auto allowed = apiserver::CheckCaller(state, request); !allowed) return apiserver::ToResponse(allowed.error());
  if (apiserver::IsProbe(request.path)) {
    return HttpResponse{.status = 200, .headers = {{"content-type", "text/plain"}}, .body = "ok"};
  }
  std::string path = request.path;
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  if (request.method == "GET") {
    if (auto found = apiserver::Discover(state.registry, path)) {
      return apiserver::ToResponse(ApiResult<Answer>(Answer{.body = std::move(*found)}));
    }
    if (path == "/openapi/v2") return apiserver::OpenApiV2();
    if (auto found = apiserver::OpenApi(state.registry, path)) {
      return apiserver::ToResponse(ApiResult<Answer>(Answer{.body = std::move(*found)}));
    }
  }
  const auto api_path = apiserver::ParseApiPath(path);
  if (!api_path) return apiserver::ToResponse(apiserver::NoSuchPath());
  return HandleApi(request, *api_path, responder);
}

std::optional<HttpResponse> ApiServer::Impl::HandleApi(const ServerRequest& request, const apiserver::ApiPath& path,
                                                       Responder& responder) {
  if (path.group == apiserver::kAuthorizationGroup) {
    return apiserver::ToResponse(apiserver::HandleReview(request, path));
  }
  const auto call = apiserver::MakeCall(state, request, path);
  if (!call) return apiserver::ToResponse(call.error());
  if (apiserver::IsWatch(*call)) {
    const auto started = apiserver::HandleWatch(state, *call, responder);
    if (!started) return apiserver::ToResponse(started.error());
    return std::nullopt;
  }
  const auto answer = apiserver::HandleSafely(state, *call);
  state.controllers.Settle();
  return apiserver::ToResponse(answer);
}

ApiServer::ApiServer(const Options& options) : impl_(std::make_unique<Impl>(options)) {
  if (!options.create_default_objects) return;
  for (const char* name : {"default", "kube-system"}) {
    const auto resource = impl_->state.registry.ForTable("namespaces");
    (void)impl_->state.objects.Create(*resource, "", {{"metadata", {{"name", name}}}}, {});
  }
  impl_->state.controllers.Settle();
}

ApiServer::~ApiServer() { Shutdown(); }

reconciler::ServerHandler ApiServer::Handler() {
  return [impl = impl_.get()](const ServerRequest& request, const std::shared_ptr<Responder>& responder) {
    impl->Handle(request, *responder);
  };
}

std::shared_ptr<reconciler::Transport> ApiServer::InProcessTransport() {
  return apiserver::MakeInProcessTransport(Handler(), impl_->state.options.token, *impl_->state.options.clock);
}

reconciler::ObjectPtr ApiServer::Stored(const reconciler::ResourceType& type, const reconciler::ObjectKey& key) {
  const std::scoped_lock lock(impl_->state.mutex);
  const apiserver::ErrorSubject subject{type.group, type.plural, type.kind};
  return impl_->state.objects.store().Get(subject.QualifiedName(), key);
}

void ApiServer::SetLogSource(LogSource* source) {
  const std::scoped_lock lock(impl_->state.mutex);
  impl_->state.log_source = source;
}

void ApiServer::Tick() {
  const std::scoped_lock lock(impl_->state.mutex);
  impl_->state.controllers.ExpireEvents();
  impl_->state.controllers.Settle();
  impl_->state.watches.Tick(impl_->state.store.revision());
}

void ApiServer::Shutdown() {
  const std::scoped_lock lock(impl_->state.mutex);
  impl_->state.watches.EndAll();
}

void ApiServer::SetOutage(int status) {
  const std::scoped_lock lock(impl_->state.mutex);
  impl_->state.outage = status;
  if (status != 0) impl_->state.watches.EndAll();
}

}  // namespace slotwright::local
