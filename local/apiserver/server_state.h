// The parts of one embedded API server, and the handlers that work on them.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "local/apiserver/api_server.h"
#include "local/apiserver/cluster_controllers.h"
#include "local/apiserver/request.h"
#include "local/apiserver/watch.h"

namespace slotwright::local::apiserver {

struct ServerState {
  explicit ServerState(const ApiServer::Options& server_options);

  const ApiServer::Options options;
  std::mutex mutex;  ///< Guards all below.
  Store store;
  Registry registry;
  ObjectApi objects;
  WatchHub watches;
  ClusterControllers controllers;
  LogSource* log_source = nullptr;
  int outage = 0;
};

/// One request for a resource. REQUIRES of all handlers: the state's mutex is held.
struct Call {
  const reconciler::ServerRequest& request;
  ApiPath path;
  ResourcePtr resource;
  Presentation presentation;

  [[nodiscard]] ObjectKey key() const { return {path.ns, path.name}; }
};

struct Answer {
  int status = 200;
  Json body;
  std::vector<std::string> warnings;
};

[[nodiscard]] ApiResult<Answer> HandleGet(ServerState& state, const Call& call);
[[nodiscard]] ApiResult<Answer> HandleList(ServerState& state, const Call& call);
/// A refusal, or a stream that goes on.
[[nodiscard]] ApiResult<void> HandleWatch(ServerState& state, const Call& call, reconciler::Responder& responder);

[[nodiscard]] ApiResult<Answer> HandleCreate(ServerState& state, const Call& call);
[[nodiscard]] ApiResult<Answer> HandleReplace(ServerState& state, const Call& call);
[[nodiscard]] ApiResult<Answer> HandlePatch(ServerState& state, const Call& call);
[[nodiscard]] ApiResult<Answer> HandleDelete(ServerState& state, const Call& call);
[[nodiscard]] ApiResult<Answer> HandleDeleteCollection(ServerState& state, const Call& call);

[[nodiscard]] ApiResult<Answer> HandleScale(ServerState& state, const Call& call);
/// POST …/eviction and …/binding.
[[nodiscard]] ApiResult<Answer> HandlePodAction(ServerState& state, const Call& call);
/// What a log request asks for; reading happens without the lock.
struct LogRequest {
  bool scheduled = false;  ///< False: the pod has no node yet, and its log is empty.
  std::string container;
  LogOptions options;
};
[[nodiscard]] ApiResult<LogRequest> ParseLogRequest(ServerState& state, const Call& call);
/// POST selfsubjectaccessreviews and selfsubjectrulesreviews: everybody may do everything.
[[nodiscard]] ApiResult<Answer> HandleReview(const reconciler::ServerRequest& request, const ApiPath& path);

/// The objects that a list, a watch or a deletecollection is about.
[[nodiscard]] ApiResult<Scope> ParseScope(const Call& call);
/// By one of the four patch formats, as the content type says; of any JSON object.
[[nodiscard]] ApiResult<Json> ApplyPatch(const Call& call, const Json& current);

}  // namespace slotwright::local::apiserver
