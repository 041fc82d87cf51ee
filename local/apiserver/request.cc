// See request.h.
#include "local/apiserver/request.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "local/apiserver/protobuf_body.h"
#include "reconciler/base/yaml.h"

namespace slotwright::local::apiserver {

using reconciler::ServerRequest;
using reconciler::StringAt;
using reconciler::ValueAt;

namespace {

std::vector<std::string> Segments(const std::string& path) {
  std::vector<std::string> segments;
  std::string segment;
  for (const char c : path + "/") {
    if (c != '/') {
      segment += c;
    } else if (!segment.empty()) {
      segments.push_back(std::exchange(segment, ""));
    }
  }
  return segments;
}

std::string Lower(std::string text) {
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

ApiError UnsupportedMediaType(const std::string& accepted) {
  return MakeError(415, "UnsupportedMediaType",
                   "the body of the request was in an unknown format - accepted media types include: " + accepted);
}

ApiResult<Propagation> ParsePropagation(const std::string& text) {
  if (text == "Background") return Propagation::kBackground;
  if (text == "Foreground") return Propagation::kForeground;
  if (text == "Orphan") return Propagation::kOrphan;
  return std::unexpected(
      MakeError(422, "Invalid",
                fmt::format("DeleteOptions.meta.k8s.io \"\" is invalid: propagationPolicy: Unsupported "
                            "value: \"{}\": supported values: \"Foreground\", \"Background\", "
                            "\"Orphan\", \"nil\"",
                            text)));
}

ApiResult<void> ReadDeletionBody(const Json& body, DeletionOptions& options) {
  if (const Json* grace = ValueAt(body, {"gracePeriodSeconds"}); grace != nullptr && grace->is_number_integer()) {
    options.grace_period_seconds = grace->get<int>();
  }
  options.uid = StringAt(body, {"preconditions", "uid"});
  options.resource_version = StringAt(body, {"preconditions", "resourceVersion"});
  if (const Json* orphan = ValueAt(body, {"orphanDependents"}); orphan != nullptr && orphan->is_boolean()) {
    options.propagation = *orphan == true ? Propagation::kOrphan : Propagation::kBackground;
  }
  if (const Json* dry = ValueAt(body, {"dryRun"})) options.dry_run = !dry->empty();
  const std::string policy = StringAt(body, {"propagationPolicy"});
  if (policy.empty()) return {};
  const auto propagation = ParsePropagation(policy);
  if (!propagation) return std::unexpected(propagation.error());
  options.propagation = *propagation;
  return {};
}

}  // namespace

std::optional<ApiPath> ParseApiPath(const std::string& path) {
  auto segments = Segments(path);
  ApiPath result;
  if (segments.size() >= 2 && segments[0] == "api") {
    result.version = segments[1];
    segments.erase(segments.begin(), segments.begin() + 2);
  } else if (segments.size() >= 3 && segments[0] == "apis") {
    result.group = segments[1];
    result.version = segments[2];
    segments.erase(segments.begin(), segments.begin() + 3);
  } else {
    return std::nullopt;
  }
  const bool of_namespace =
      segments.size() == 3 && segments[0] == "namespaces" && (segments[2] == "status" || segments[2] == "finalize");
  if (segments.size() >= 3 && segments[0] == "namespaces" && !of_namespace) {
    result.ns = segments[1];
    segments.erase(segments.begin(), segments.begin() + 2);
  }
  if (segments.size() > 3) return std::nullopt;
  segments.resize(3);
  result.plural = segments[0];
  result.name = segments[1];
  result.subresource = segments[2];
  return result;
}

std::string HeaderOf(const ServerRequest& request, const std::string& name) {
  const auto found = request.headers.find(name);
  return found == request.headers.end() ? "" : found->second;
}

std::string QueryOf(const ServerRequest& request, const std::string& name) {
  const auto found = request.query.find(name);
  return found == request.query.end() ? "" : found->second;
}

bool QueryFlag(const ServerRequest& request, const std::string& name) {
  const auto found = request.query.find(name);
  return found != request.query.end() && found->second != "false" && found->second != "0";
}

std::string MediaTypeOf(const ServerRequest& request) {
  std::string type = HeaderOf(request, "content-type");
  type = Lower(type.substr(0, type.find(';')));
  while (!type.empty() && type.back() == ' ') type.pop_back();
  return type;
}

bool IsLoopbackHost(const std::string& header) {
  std::string host = Lower(header);
  if (host.starts_with('[')) return host.starts_with("[::1]");
  host = host.substr(0, host.find(':'));
  if (host == "localhost") return true;
  if (!host.starts_with("127.")) return false;
  return std::ranges::count(host, '.') == 3 &&
         std::ranges::all_of(host, [](unsigned char c) { return std::isdigit(c) != 0 || c == '.'; });
}

ApiResult<Json> ParseBody(const ServerRequest& request) {
  const std::string type = MediaTypeOf(request);
  if (type.ends_with("yaml")) {
    auto documents = reconciler::ParseYaml(request.body);
    if (!documents) return std::unexpected(BadRequest("the YAML body cannot be read: " + documents.error().message));
    if (documents->size() != 1) return std::unexpected(BadRequest("the body must hold exactly one YAML document"));
    return (*documents)[0];
  }
  if (type == kProtobufType) return DecodeProtobuf(request.body);
  if (!type.ends_with("json"))
    return std::unexpected(
        UnsupportedMediaType("application/json, application/yaml, application/vnd.kubernetes.protobuf"));
  Json body = Json::parse(request.body, nullptr, false);
  if (body.is_discarded()) return std::unexpected(BadRequest("the JSON body cannot be read: it is not valid JSON"));
  return body;
}

ApiResult<DeletionOptions> ParseDeletionOptions(const ServerRequest& request) {
  DeletionOptions options;
  if (!request.body.empty()) {
    const auto body = ParseBody(request);
    if (!body) return std::unexpected(body.error());
    if (auto read = ReadDeletionBody(*body, options); !read) return std::unexpected(read.error());
  }
  if (const std::string policy = QueryOf(request, "propagationPolicy"); !policy.empty()) {
    const auto propagation = ParsePropagation(policy);
    if (!propagation) return std::unexpected(propagation.error());
    options.propagation = *propagation;
  }
  if (const std::string grace = QueryOf(request, "gracePeriodSeconds"); !grace.empty()) {
    options.grace_period_seconds = std::atoi(grace.c_str());
  }
  if (QueryOf(request, "dryRun") == "All") options.dry_run = true;
  return options;
}

ApiResult<WriteOptions> ParseWriteOptions(const ServerRequest& request, const std::string& subresource) {
  WriteOptions options{.subresource = subresource, .field_validation = FieldValidation::kWarn};
  const std::string validation = QueryOf(request, "fieldValidation");
  if (validation == "Strict") {
    options.field_validation = FieldValidation::kStrict;
  } else if (validation == "Ignore") {
    options.field_validation = FieldValidation::kIgnore;
  } else if (!validation.empty() && validation != "Warn") {
    return std::unexpected(BadRequest(fmt::format(
        "fieldValidation: Unsupported value: \"{}\": supported values: \"Ignore\", \"Strict\", \"Warn\"", validation)));
  }
  const std::string dry_run = QueryOf(request, "dryRun");
  if (!dry_run.empty() && dry_run != "All") {
    return std::unexpected(
        BadRequest(fmt::format("dryRun: Unsupported value: \"{}\": supported values: \"All\"", dry_run)));
  }
  options.dry_run = dry_run == "All";
  options.field_manager = QueryOf(request, "fieldManager");
  if (options.field_manager.empty()) {
    // As a real server: the program's name, "kubectl" of "kubectl/v1.32 (linux/amd64)".
    const std::string agent = HeaderOf(request, "user-agent");
    options.field_manager = agent.substr(0, agent.find('/'));
  }
  if (options.field_manager.empty()) options.field_manager = "unknown";
  return options;
}

}  // namespace slotwright::local::apiserver
