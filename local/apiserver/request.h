// What a request is about: paths, queries and headers of the Kubernetes API as values.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "local/apiserver/objects.h"
#include "reconciler/http/server.h"

namespace slotwright::local::apiserver {

/// A path below /api/VERSION or /apis/GROUP/VERSION.
struct ApiPath {
  std::string group;
  std::string version;
  std::string ns;
  std::string plural;  ///< Empty: the group version itself.
  std::string name;
  std::string subresource;
};

/// Nothing for other paths.
[[nodiscard]] std::optional<ApiPath> ParseApiPath(const std::string& path);

[[nodiscard]] std::string HeaderOf(const reconciler::ServerRequest& request, const std::string& name);
[[nodiscard]] std::string QueryOf(const reconciler::ServerRequest& request, const std::string& name);
[[nodiscard]] bool QueryFlag(const reconciler::ServerRequest& request, const std::string& name);
/// "application/json" of "application/json; charset=utf-8", in lower case.
[[nodiscard]] std::string MediaTypeOf(const reconciler::ServerRequest& request);

/// True for names and addresses of this machine only: a web page that points its own name here (DNS rebinding) sends
/// that name.
[[nodiscard]] bool IsLoopbackHost(const std::string& host);

/// A JSON or YAML body. 415 for other content types: a browser cannot send these to another site without asking first.
[[nodiscard]] ApiResult<Json> ParseBody(const reconciler::ServerRequest& request);
/// The body of a deletion, which may be empty, and its query parameters.
[[nodiscard]] ApiResult<DeletionOptions> ParseDeletionOptions(const reconciler::ServerRequest& request);
/// fieldManager, fieldValidation, dryRun.
[[nodiscard]] ApiResult<WriteOptions> ParseWriteOptions(const reconciler::ServerRequest& request,
                                                        const std::string& subresource);

}  // namespace slotwright::local::apiserver
