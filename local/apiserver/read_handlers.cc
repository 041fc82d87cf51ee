// get, list and watch, with the meanings of resourceVersion that clients rely on.
#include <fmt/format.h>

#include <charconv>

#include "local/apiserver/server_state.h"
#include "reconciler/base/base64.h"

namespace slotwright::local::apiserver {

namespace {

constexpr auto kDefaultWatchTimeout = std::chrono::minutes(45);

ApiResult<Revision> ParseRevision(const std::string& text) {
  Revision revision = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), revision);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size()) {
    return std::unexpected(BadRequest(fmt::format("resourceVersion: Invalid value: \"{}\": it is not a number", text)));
  }
  return revision;
}

ApiError TooLarge(Revision wanted, Revision current) {
  Json details = {
      {"retryAfterSeconds", 1},
      {"causes", Json::array({{{"reason", "ResourceVersionTooLarge"}, {"message", "Too large resource version"}}})}};
  ApiError error = MakeError(
      504, "Timeout", fmt::format("Too large resource version: {}, current: {}", wanted, current), std::move(details));
  error.retry_after_seconds = 1;
  return error;
}

// Where the next page of a list begins, and which state it is a page of.
struct ContinueToken {
  Revision revision = 0;
  ObjectKey after;

  [[nodiscard]] std::string Encode() const {
    return reconciler::EncodeBase64(Json{{"rv", revision}, {"ns", after.ns}, {"name", after.name}}.dump());
  }

  static ApiResult<ContinueToken> Decode(const std::string& text) {
    const auto bytes = reconciler::DecodeBase64(text);
    const Json token = Json::parse(bytes.value_or(""), nullptr, false);
    if (!token.is_object() || !token.contains("rv") || !token["rv"].is_number_unsigned()) {
      return std::unexpected(BadRequest("continue key is not valid"));
    }
    return ContinueToken{token["rv"].get<Revision>(), {token.value("ns", ""), token.value("name", "")}};
  }
};

struct ListPlan {
  std::optional<Revision> exact;  ///< Nothing: the newest state.
  ObjectKey after;
  int limit = 0;
};

ApiResult<ListPlan> PlanList(const ServerState& state, const Call& call) {
  ListPlan plan;
  plan.limit = std::atoi(QueryOf(call.request, "limit").c_str());
  const std::string version = QueryOf(call.request, "resourceVersion");
  const std::string match = QueryOf(call.request, "resourceVersionMatch");
  if (const std::string token = QueryOf(call.request, "continue"); !token.empty()) {
    const auto decoded = ContinueToken::Decode(token);
    if (!decoded) return std::unexpected(decoded.error());
    plan.exact = decoded->revision;
    plan.after = decoded->after;
    return plan;
  }
  if (version.empty()) {
    if (match.empty()) return plan;
    return std::unexpected(
        BadRequest("resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless "
                   "resourceVersion is provided"));
  }
  const auto revision = ParseRevision(version);
  if (!revision) return std::unexpected(revision.error());
  if (*revision > state.store.revision()) return std::unexpected(TooLarge(*revision, state.store.revision()));
  if (match == "Exact" || (match.empty() && plan.limit > 0 && *revision != 0)) plan.exact = *revision;
  return plan;
}

std::vector<ObjectPtr> Select(const Objects& objects, const Scope& scope) {
  std::vector<ObjectPtr> selected;
  for (const auto& [key, object] : objects) {
    if (scope.Includes(*object)) selected.push_back(object);
  }
  return selected;
}

}  // namespace

ApiResult<Scope> ParseScope(const Call& call) {
  Scope scope{.resource = call.resource, .ns = call.path.ns, .name = call.path.name};
  auto labels = LabelSelector::Parse(QueryOf(call.request, "labelSelector"));
  if (!labels) return std::unexpected(labels.error());
  scope.labels = std::move(*labels);
  std::vector<std::string> supported = call.resource->selectable_fields;
  supported.emplace_back("metadata.name");
  supported.emplace_back("metadata.namespace");
  auto fields = FieldSelector::Parse(QueryOf(call.request, "fieldSelector"), supported);
  if (!fields) return std::unexpected(fields.error());
  scope.fields = std::move(*fields);
  return scope;
}

ApiResult<Answer> HandleGet(ServerState& state, const Call& call) {
  const auto object = state.objects.Get(*call.resource, call.key());
  if (!object) return std::unexpected(object.error());
  return Answer{.body = call.presentation.One(*call.resource, **object, state.options.clock->WallNow())};
}

ApiResult<Answer> HandleList(ServerState& state, const Call& call) {
  const auto scope = ParseScope(call);
  if (!scope) return std::unexpected(scope.error());
  const auto plan = PlanList(state, call);
  if (!plan) return std::unexpected(plan.error());
  const Table table = call.resource->table();
  const Revision revision = plan->exact.value_or(state.store.revision());
  const auto snapshot = plan->exact ? state.store.At(table, revision) : state.store.All(table);
  if (!snapshot) {
    return std::unexpected(Expired(
        "The provided continue parameter or resourceVersion is too old to display a consistent list result. You can "
        "start a new list without it."));
  }
  auto selected = Select(*snapshot, *scope);
  const auto is_before = [&plan](const ObjectPtr& object) { return reconciler::KeyOf(*object) <= plan->after; };
  if (!plan->after.name.empty()) std::erase_if(selected, is_before);
  Json metadata = {{"resourceVersion", std::to_string(revision)}};
  if (plan->limit > 0 && selected.size() > static_cast<size_t>(plan->limit)) {
    const size_t left = selected.size() - static_cast<size_t>(plan->limit);
    selected.resize(static_cast<size_t>(plan->limit));
    metadata["continue"] = ContinueToken{revision, reconciler::KeyOf(*selected.back())}.Encode();
    if (scope->labels.empty() && scope->fields.empty()) metadata["remainingItemCount"] = left;
  }
  return Answer{
      .body = call.presentation.List(*call.resource, selected, std::move(metadata), state.options.clock->WallNow())};
}

namespace {

std::shared_ptr<reconciler::ResponseStream> OpenStream(reconciler::Responder& responder) {
  return responder.Stream(200, {{"content-type", "application/json"}, {"cache-control", "no-cache, private"}});
}

}  // namespace

ApiResult<void> HandleWatch(ServerState& state, const Call& call, reconciler::Responder& responder) {
  auto scope = ParseScope(call);
  if (!scope) return std::unexpected(scope.error());
  WatchRequest watch{.scope = std::move(*scope), .presentation = call.presentation};
  watch.bookmarks = QueryFlag(call.request, "allowWatchBookmarks");
  const int seconds = std::atoi(QueryOf(call.request, "timeoutSeconds").c_str());
  watch.timeout = seconds > 0 ? std::chrono::seconds(seconds) : reconciler::Duration(kDefaultWatchTimeout);
  const bool send_initial = QueryFlag(call.request, "sendInitialEvents");
  if (send_initial && QueryOf(call.request, "resourceVersionMatch") != "NotOlderThan") {
    return std::unexpected(MakeError(
        422, "Invalid",
        "ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: Forbidden: sendInitialEvents requires "
        "setting resourceVersionMatch to NotOlderThan"));
  }
  const std::string version = QueryOf(call.request, "resourceVersion");
  Revision from = 0;
  if (!version.empty()) {
    const auto parsed = ParseRevision(version);
    if (!parsed) return std::unexpected(parsed.error());
    from = *parsed;
  }
  const Table table = call.resource->table();
  const Revision now = state.store.revision();
  if (send_initial || from == 0) {
    const auto initial = Select(state.store.All(table), watch.scope);
    // Asked for or not: without a resourceVersion every watch is one that begins with what is there.
    const bool end_bookmark = watch.bookmarks && (send_initial || QueryOf(call.request, "sendInitialEvents").empty());
    state.watches.Start(std::move(watch), OpenStream(responder), initial, end_bookmark, {}, now);
    return {};
  }
  if (!state.store.Remembers(from)) {
    const auto stream = OpenStream(responder);
    const auto error = Expired(fmt::format("too old resource version: {} ({})", from, now));
    stream->Write(WatchLine("ERROR", error.status));
    stream->Close();
    return {};
  }
  std::vector<Change> missed;
  state.store.Replay(table, from, [&missed](const Change& change) { missed.push_back(change); });
  state.watches.Start(std::move(watch), OpenStream(responder), {}, false, missed, now);
  return {};
}

}  // namespace slotwright::local::apiserver
