// See client.h.
#include "reconciler/kube/client.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace reconciler {

namespace {

constexpr const char* kJsonType = "application/json";
// Whoever is overloaded and says "in 0 seconds" is not to be asked as fast as we can.
constexpr Duration kLeastPause = std::chrono::milliseconds(100);

const char* ContentTypeOf(PatchType type) {
  switch (type) {
    case PatchType::kJson:
      return "application/json-patch+json";
    case PatchType::kMerge:
      return "application/merge-patch+json";
    case PatchType::kApply:
      break;
  }
  return "application/apply-patch+yaml";
}

// ASCII only: the YAML reader that takes apply patches does not know every JSON escape of other characters.
std::string Text(const Json& json) { return json.dump(-1, ' ', true, Json::error_handler_t::replace); }

Result<Json> ParseBody(const HttpResponse& response, const std::string& what) {
  Json json = Json::parse(response.body, nullptr, false);
  if (!json.is_discarded()) return json;
  // Not what it says: it may be the half of a Secret.
  const auto type = response.headers.find("content-type");
  return Fail(ErrorKind::kInternal,
              fmt::format("{}: the answer is not JSON: {} bytes of {}", what, response.body.size(),
                          type == response.headers.end() ? "no content type" : type->second));
}

ErrorKind KindOf(int code, const std::string& reason) {
  if (reason == "AlreadyExists") return ErrorKind::kAlreadyExists;
  switch (code) {
    case 400:
    case 405:
    case 413:
    case 415:
    case 422:
      return ErrorKind::kInvalid;
    case 401:
      return ErrorKind::kUnauthorized;
    case 403:
      return ErrorKind::kForbidden;
    case 404:
      return ErrorKind::kNotFound;
    case 409:
      return ErrorKind::kConflict;
    case 410:
      return ErrorKind::kExpired;
    case 429:
      return ErrorKind::kTooManyRequests;
    case 504:
      return ErrorKind::kTimeout;
    default:
      return code >= 500 ? ErrorKind::kUnavailable : ErrorKind::kInternal;
  }
}

std::optional<std::chrono::milliseconds> SecondsFrom(const std::string& text) {
  int seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error != std::errc() || end != text.data() + text.size() || seconds < 0) return std::nullopt;
  return std::chrono::seconds(seconds);
}

// From a metav1.Status, or from any body that is none.
Error ErrorFrom(int code, const std::string& body, const std::string& what,
                const std::map<std::string, std::string>& headers = {}) {
  const Json status = Json::parse(body, nullptr, false);
  std::string message = status.is_object() ? StringAt(status, {"message"}) : "";
  if (message.empty()) message = fmt::format("HTTP {} {:.200}", code, body);
  if (status.is_object() && code == 200) code = status.value("code", 500);
  Error error{KindOf(code, status.is_object() ? StringAt(status, {"reason"}) : ""),
              fmt::format("{}: {}", what, message)};
  if (const auto header = headers.find("retry-after"); header != headers.end()) {
    error.retry_after = SecondsFrom(header->second);
  } else if (status.is_object()) {
    const Json* seconds = ValueAt(status, {"details", "retryAfterSeconds"});
    if (seconds != nullptr && seconds->is_number_integer()) {
      error.retry_after = std::chrono::seconds(seconds->get<int>());
    }
  }
  return error;
}

class Query {
 public:
  Query& Add(const char* key, const std::string& value) {
    if (!value.empty()) text_ += fmt::format("{}{}={}", text_.empty() ? '?' : '&', key, PercentEncode(value));
    return *this;
  }
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  std::string text_;
};

std::string Describe(const HttpRequest& request) {
  return fmt::format("{} {}", request.method, request.target.substr(0, request.target.find('?')));
}

std::optional<WatchEventType> EventTypeOf(const std::string& name) {
  if (name == "ADDED") return WatchEventType::kAdded;
  if (name == "MODIFIED") return WatchEventType::kModified;
  if (name == "DELETED") return WatchEventType::kDeleted;
  if (name == "BOOKMARK") return WatchEventType::kBookmark;
  return std::nullopt;
}

}  // namespace

std::string PercentEncode(std::string_view text) {
  std::string encoded;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0 || std::string_view("-._~").find(c) != std::string_view::npos) {
      encoded += c;
    } else {
      encoded += fmt::format("%{:02X}", byte);
    }
  }
  return encoded;
}

std::string PathOf(const ResourceType& type, const ObjectKey& key, const std::string& subresource) {
  std::string path = type.group.empty() ? "/api/" + type.version : fmt::format("/apis/{}/{}", type.group, type.version);
  if (type.namespaced && !key.ns.empty()) path += "/namespaces/" + PercentEncode(key.ns);
  path += "/" + type.plural;
  if (!key.name.empty()) path += "/" + PercentEncode(key.name);
  if (!subresource.empty()) path += "/" + subresource;
  return path;
}

Client::Client(std::shared_ptr<Transport> transport, Options options, Clock& clock)
    : transport_(std::move(transport)), options_(std::move(options)), clock_(clock) {}

std::string Client::Host() const { return transport_->Host(); }

Result<HttpResponse> Client::Send(HttpRequest request, const Manner& manner) const {
  const auto deadline = clock_.Now() + manner.timeout;
  request.headers.try_emplace("Accept", kJsonType);
  while (true) {
    const auto start = clock_.Now();
    request.timeout = deadline - start;
    auto response = transport_->Send(request, manner.stop);
    if (options_.observer) {
      options_.observer(response ? std::to_string(response->status) : "<error>", request.method, clock_.Now() - start);
    }
    if (!response) return std::unexpected(response.error().Within(Describe(request)));
    if (response->status < 300) return response;
    Error error = ErrorFrom(response->status, response->body, Describe(request), response->headers);
    const bool again = manner.patient && error.retry_after && (response->status == 429 || response->status >= 500);
    const Duration pause = std::max<Duration>(error.retry_after.value_or(std::chrono::milliseconds(0)), kLeastPause);
    if (!again || clock_.Now() + pause >= deadline) return std::unexpected(std::move(error));
    if (!clock_.SleepFor(pause, manner.stop)) return Fail(ErrorKind::kCancelled, "stopped");
  }
}

Result<Json> Client::SendForObject(HttpRequest request, const Manner& manner) const {
  const std::string what = Describe(request);
  auto response = Send(std::move(request), manner);
  if (!response) return std::unexpected(response.error());
  return ParseBody(*response, what);
}

Result<Json> Client::Get(const ResourceType& type, const ObjectKey& key) const {
  return SendForObject({.target = PathOf(type, key)}, Usual());
}

Result<ListPage> Client::List(const ResourceType& type, const ListOptions& options, const std::stop_token& stop) const {
  const Query query = Query()
                          .Add("labelSelector", options.label_selector)
                          .Add("fieldSelector", options.field_selector)
                          .Add("resourceVersion", options.resource_version)
                          .Add("limit", options.limit > 0 ? std::to_string(options.limit) : "")
                          .Add("continue", options.continue_token);
  std::stop_source both;
  const auto end = [&both] { both.request_stop(); };
  const std::stop_callback ours(options_.stop, end);
  const std::stop_callback theirs(stop, end);
  auto list = SendForObject({.target = PathOf(type, {options.ns, ""}) + query.text()},
                            {options.timeout.value_or(options_.timeout), both.get_token()});
  if (!list) return std::unexpected(list.error());
  ListPage page;
  page.resource_version = StringAt(*list, {"metadata", "resourceVersion"});
  page.continue_token = StringAt(*list, {"metadata", "continue"});
  const auto items = list->find("items");
  if (items == list->end() || !items->is_array()) return page;  // "items": null is an empty list
  for (auto& item : *items) {
    item["apiVersion"] = type.ApiVersion();
    item["kind"] = type.kind;
    page.items.push_back(std::move(item));
  }
  return page;
}

Result<ListPage> Client::ListAll(const ResourceType& type, ListOptions options, int page_size) const {
  options.limit = page_size;
  ListPage all;
  int restarts = 0;
  while (true) {
    auto page = List(type, options);
    if (!page) {
      const bool expired = page.error().kind == ErrorKind::kExpired && !options.continue_token.empty();
      if (!expired || ++restarts > 3) return std::unexpected(page.error());
      all = {};
      options.continue_token.clear();
      continue;
    }
    all.resource_version = page->resource_version;
    std::move(page->items.begin(), page->items.end(), std::back_inserter(all.items));
    if (page->continue_token.empty()) return all;
    options.continue_token = page->continue_token;
  }
}

Result<Json> Client::Create(const ResourceType& type, const Json& object, const CreateOptions& options) const {
  const Query query = Query()
                          .Add("fieldManager", options_.field_manager)
                          .Add("dryRun", options.dry_run ? "All" : "")
                          .Add("fieldValidation", options.strict ? "Strict" : "");
  return SendForObject({.method = "POST",
                        .target = PathOf(type, {KeyOf(object).ns, ""}) + query.text(),
                        .headers = {{"Content-Type", kJsonType}},
                        .body = Text(object)},
                       Usual());
}

Result<Json> Client::Update(const ResourceType& type, const Json& object, const std::string& subresource) const {
  const Query query = Query().Add("fieldManager", options_.field_manager);
  return SendForObject({.method = "PUT",
                        .target = PathOf(type, KeyOf(object), subresource) + query.text(),
                        .headers = {{"Content-Type", kJsonType}},
                        .body = Text(object)},
                       Usual());
}

Result<Json> Client::Patch(const ResourceType& type, const ObjectKey& key, PatchType patch_type, const Json& patch,
                           const PatchOptions& options) const {
  const Query query =
      Query()
          .Add("fieldManager", options.field_manager.empty() ? options_.field_manager : options.field_manager)
          .Add("force", options.force ? "true" : "")
          .Add("dryRun", options.dry_run ? "All" : "")
          .Add("fieldValidation", options.dry_run ? "Strict" : "");
  return SendForObject({.method = "PATCH",
                        .target = PathOf(type, key, options.subresource) + query.text(),
                        .headers = {{"Content-Type", ContentTypeOf(patch_type)}},
                        .body = Text(patch)},
                       Usual());
}

Result<void> Client::Delete(const ResourceType& type, const ObjectKey& key, const DeleteOptions& options) const {
  Json body = {{"kind", "DeleteOptions"}, {"apiVersion", "v1"}, {"propagationPolicy", options.propagation}};
  if (!options.uid.empty()) body["preconditions"]["uid"] = options.uid;
  if (!options.resource_version.empty()) body["preconditions"]["resourceVersion"] = options.resource_version;
  if (options.grace_period) body["gracePeriodSeconds"] = options.grace_period->count();
  const auto deleted = Send(
      {.method = "DELETE", .target = PathOf(type, key), .headers = {{"Content-Type", kJsonType}}, .body = Text(body)},
      Usual());
  if (!deleted) return std::unexpected(deleted.error());
  return {};
}

Result<void> Client::Evict(const ObjectKey& pod, const std::string& uid,
                           std::optional<std::chrono::seconds> grace_period) const {
  Json delete_options = {{"preconditions", {{"uid", uid}}}};
  if (grace_period) delete_options["gracePeriodSeconds"] = grace_period->count();
  const Json body = {{"apiVersion", "policy/v1"},
                     {"kind", "Eviction"},
                     {"metadata", {{"name", pod.name}, {"namespace", pod.ns}}},
                     {"deleteOptions", std::move(delete_options)}};
  const auto evicted = Send({.method = "POST",
                             .target = PathOf(types::kPods, pod, "eviction"),
                             .headers = {{"Content-Type", kJsonType}},
                             .body = Text(body)},
                            {options_.timeout, options_.stop, false});
  if (!evicted) return std::unexpected(evicted.error());
  return {};
}

Result<void> Client::Watch(const ResourceType& type, const WatchOptions& options,
                           const std::function<void(WatchEvent)>& on_event, std::stop_token stop) const {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(options.server_timeout).count();
  const Query query = Query()
                          .Add("watch", "true")
                          .Add("allowWatchBookmarks", "true")
                          .Add("labelSelector", options.label_selector)
                          .Add("fieldSelector", options.field_selector)
                          .Add("resourceVersion", options.resource_version)
                          .Add("timeoutSeconds", std::to_string(seconds));
  const HttpRequest request{.target = PathOf(type, {options.ns, ""}) + query.text(),
                            .headers = {{"Accept", kJsonType}},
                            .timeout = options.idle_timeout,
                            .on_open = options.on_open};
  const std::string what = "watch " + type.plural;
  std::optional<Error> failure;
  std::string failed_line;
  const auto on_line = [&](std::string_view line) {
    if (failure || line.empty()) return;
    const auto fail = [&](Error error) {
      failure = std::move(error);
      failed_line = line;
    };
    Json event = Json::parse(line, nullptr, false);
    if (!event.is_object()) {
      return fail({ErrorKind::kInternal, fmt::format("{}: a line of {} bytes is not JSON", what, line.size())});
    }
    const auto event_type = EventTypeOf(StringAt(event, {"type"}));
    if (!event_type) {
      // A Status, inside an event or by itself.
      const Json* object = ValueAt(event, {"object"});
      return fail(ErrorFrom(200, Text(object == nullptr ? event : *object), what));
    }
    on_event({*event_type, std::move(event["object"])});
  };
  const auto start = clock_.Now();
  auto response = transport_->Stream(request, on_line, stop);
  if (options_.observer) {
    options_.observer(response ? std::to_string(response->status) : "<error>", "GET", clock_.Now() - start);
  }
  // Proxies and overloaded servers answer in words, which are no lines of a watch.
  if (response && response->status != 200) {
    const std::string& body = failed_line.empty() ? response->body : failed_line;
    return std::unexpected(ErrorFrom(response->status, body, what, response->headers));
  }
  if (failure) return std::unexpected(*std::move(failure));
  if (!response) return std::unexpected(response.error().Within(what));
  if (!response->body.empty()) on_line(response->body);
  if (failure) return std::unexpected(*std::move(failure));
  return {};
}

Result<std::string> Client::GetRaw(const std::string& target) const {
  auto response = Send({.target = target}, Usual());
  if (!response) return std::unexpected(response.error());
  return std::move(response->body);
}

}  // namespace reconciler
