// Typed verbs of the Kubernetes API on top of a Transport. Objects are JSON, errors are values.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "reconciler/base/clock.h"
#include "reconciler/base/error.h"
#include "reconciler/kube/transport.h"
#include "reconciler/kube/types.h"

namespace reconciler {

/// Empty fields are not sent. See https://kubernetes.io/docs/reference/using-api/api-concepts/.
struct ListOptions {
  std::string ns;  ///< Empty: all namespaces.
  std::string label_selector;
  std::string field_selector;
  std::string resource_version;  ///< "0": any state, from the server's cache. Empty: the newest, from its store.
  int limit = 0;
  std::string continue_token;
  std::optional<Duration> timeout = std::nullopt;  ///< Else the client's.
};

struct ListPage {
  std::vector<Json> items;  ///< Each with apiVersion and kind, which servers leave out in lists.
  std::string resource_version;
  std::string continue_token;
};

/// What the API calls ERROR is the Error that Watch returns.
enum class WatchEventType { kAdded, kModified, kDeleted, kBookmark };

struct WatchEvent {
  WatchEventType type = WatchEventType::kBookmark;
  Json object;
};

struct WatchOptions {
  std::string ns;
  std::string label_selector;
  std::string field_selector;
  std::string resource_version;
  Duration server_timeout = std::chrono::seconds(300);
  Duration idle_timeout = std::chrono::seconds(90);  ///< Bookmarks come each minute, so silence means a dead peer.
  std::function<void()> on_open = {};                ///< Called once when the server has accepted the watch.
};

enum class PatchType { kJson, kMerge, kApply };

struct PatchOptions {
  std::string subresource;    ///< "status", "scale" or empty.
  std::string field_manager;  ///< Required for kApply.
  bool force = false;         ///< kApply only: take over fields of other managers.
  bool dry_run = false;       ///< Changes nothing and refuses unknown fields, too.
};

struct CreateOptions {
  bool strict = false;   ///< Refuses unknown fields, which are dropped otherwise.
  bool dry_run = false;  ///< Changes nothing: would it be taken?
};

struct DeleteOptions {
  std::string uid;               ///< Precondition: delete only this very object, never its namesake.
  std::string resource_version;  ///< Precondition: delete only if unchanged.
  std::optional<std::chrono::seconds> grace_period;
  std::string propagation = "Background";
};

/// Observes each finished request, for rest_client_requests_total: code ("200", or "<error>"), method.
using RequestObserver = std::function<void(const std::string& code, const std::string& method, Duration took)>;

/// Thread-safe. Every call blocks for at most `timeout`. 429 and 5xx with Retry-After are tried again within it.
class Client {
 public:
  struct Options {
    Duration timeout = std::chrono::seconds(10);
    std::string field_manager = "slotwright";
    RequestObserver observer;
    std::stop_token stop;
  };

  Client(std::shared_ptr<Transport> transport, Options options, Clock& clock = SystemClock());

  [[nodiscard]] Result<Json> Get(const ResourceType& type, const ObjectKey& key) const;
  [[nodiscard]] Result<ListPage> List(const ResourceType& type, const ListOptions& options,
                                      const std::stop_token& stop = {}) const;
  /// All pages. A continue token that expires half-way restarts the list.
  [[nodiscard]] Result<ListPage> ListAll(const ResourceType& type, ListOptions options, int page_size = 500) const;
  [[nodiscard]] Result<Json> Create(const ResourceType& type, const Json& object,
                                    const CreateOptions& options = {}) const;
  /// Sends metadata.resourceVersion as it stands in `object`: absent means "whatever is there".
  [[nodiscard]] Result<Json> Update(const ResourceType& type, const Json& object,
                                    const std::string& subresource = "") const;
  [[nodiscard]] Result<Json> Patch(const ResourceType& type, const ObjectKey& key, PatchType patch_type,
                                   const Json& patch, const PatchOptions& options = {}) const;
  [[nodiscard]] Result<void> Delete(const ResourceType& type, const ObjectKey& key,
                                    const DeleteOptions& options = {}) const;

  /// Deletes a pod, and no later one of its name, if its disruption budget allows that now; else kTooManyRequests,
  /// which is not waited for here. It is killed after `grace_period`, by default what its specification says.
  [[nodiscard]] Result<void> Evict(const ObjectKey& pod, const std::string& uid,
                                   std::optional<std::chrono::seconds> grace_period = std::nullopt) const;

  /// Blocks until the server ends the watch (then the value is void), an error occurs or `stop` fires. 410, as status
  /// or inside the stream, is kExpired.
  [[nodiscard]] Result<void> Watch(const ResourceType& type, const WatchOptions& options,
                                   const std::function<void(WatchEvent)>& on_event, std::stop_token stop) const;

  /// Any GET, for /version, logs and the like.
  [[nodiscard]] Result<std::string> GetRaw(const std::string& target) const;

  [[nodiscard]] std::string Host() const;

 private:
  struct Manner {
    Duration timeout;
    std::stop_token stop;
    bool patient = true;
  };
  [[nodiscard]] Manner Usual() const { return {options_.timeout, options_.stop}; }
  [[nodiscard]] Result<HttpResponse> Send(HttpRequest request, const Manner& manner) const;
  [[nodiscard]] Result<Json> SendForObject(HttpRequest request, const Manner& manner) const;

  std::shared_ptr<Transport> transport_;
  Options options_;
  Clock& clock_;
};

/// The path of a collection or, with a name, of an object: "/apis/policy/v1/namespaces/ns/poddisruptionbudgets/name".
[[nodiscard]] std::string PathOf(const ResourceType& type, const ObjectKey& key, const std::string& subresource = "");
[[nodiscard]] std::string PercentEncode(std::string_view text);

}  // namespace reconciler
