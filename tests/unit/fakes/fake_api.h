// An API server of one map: objects by path, optimistic concurrency, merge patches.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "reconciler/kube/transport.h"
#include "reconciler/kube/types.h"
#include "tests/unit/fakes/fake_transport.h"

namespace reconciler {

/// Thread-safe. Answers GET, POST, PUT and PATCH (merge) of single objects; no lists, no watches.
class FakeApi : public Transport {
 public:
  [[nodiscard]] Result<HttpResponse> Send(const HttpRequest& request, std::stop_token) override {
    const std::lock_guard lock(mutex_);
    HttpResponse response = Handle(request);
    log_.push_back(request.method + " " + std::to_string(response.status));
    return response;
  }
  [[nodiscard]] Result<HttpResponse> Stream(const HttpRequest&, const LineHandler&, std::stop_token) override {
    return StatusResponse(405, "MethodNotAllowed");
  }
  [[nodiscard]] std::string Host() const override { return "fake:443"; }

  /// "POST 201", oldest first: all that was carried out.
  [[nodiscard]] std::vector<std::string> Log() const {
    const std::lock_guard lock(mutex_);
    return log_;
  }
  /// All objects in the order of their paths.
  [[nodiscard]] std::vector<Json> Objects() const {
    const std::lock_guard lock(mutex_);
    std::vector<Json> all;
    for (const auto& [path, object] : objects_) all.push_back(object);
    return all;
  }
  /// What somebody else does to every object.
  void Edit(const std::function<void(Json& object)>& edit) {
    const std::lock_guard lock(mutex_);
    for (auto& [path, object] : objects_) Store(path, (edit(object), object));
  }
  void Clear() {
    const std::lock_guard lock(mutex_);
    objects_.clear();
  }

 private:
  HttpResponse Handle(const HttpRequest& request) {
    std::string path = request.target.substr(0, request.target.find('?'));
    const Json body = request.body.empty() ? Json() : Json::parse(request.body);
    if (request.method == "POST") {
      path += "/" + KeyOf(body).name;
      return objects_.contains(path) ? StatusResponse(409, "AlreadyExists") : Store(path, body, 201);
    }
    const auto found = objects_.find(path);
    if (found == objects_.end()) return StatusResponse(404, "NotFound");
    if (request.method == "PUT") {
      const std::string version = ResourceVersionOf(body);
      const bool stale = !version.empty() && version != ResourceVersionOf(found->second);
      return stale ? StatusResponse(409, "Conflict") : Store(path, body);
    }
    if (request.method == "PATCH") {
      Json patched = found->second;
      patched.merge_patch(body);
      return Store(path, patched);
    }
    if (request.method == "GET") return {.status = 200, .body = found->second.dump()};
    return StatusResponse(405, "MethodNotAllowed");
  }

  HttpResponse Store(const std::string& path, Json object, int status = 200) {
    object["metadata"]["resourceVersion"] = std::to_string(++version_);
    objects_[path] = object;
    return {.status = status, .body = object.dump()};
  }

  mutable std::mutex mutex_;
  std::map<std::string, Json> objects_;
  std::vector<std::string> log_;
  int version_ = 0;
};

}  // namespace reconciler
