// A Transport whose answers are the test's own functions, and which remembers what it was asked.
#pragma once

#include <functional>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "reconciler/kube/transport.h"
#include "reconciler/kube/types.h"

namespace reconciler {

/// Thread-safe if the functions are. Set them before the first request.
class FakeTransport : public Transport {
 public:
  using SendFunction = std::function<Result<HttpResponse>(const HttpRequest& request, std::stop_token stop)>;
  using StreamFunction =
      std::function<Result<HttpResponse>(const HttpRequest& request, const LineHandler& on_line, std::stop_token stop)>;

  SendFunction on_send = [](const HttpRequest&, std::stop_token) { return HttpResponse{.status = 404}; };
  StreamFunction on_stream = [](const HttpRequest&, const LineHandler&, std::stop_token) {
    return HttpResponse{.status = 404};
  };

  [[nodiscard]] Result<HttpResponse> Send(const HttpRequest& request, std::stop_token stop) override {
    Remember(request);
    return on_send(request, std::move(stop));
  }
  [[nodiscard]] Result<HttpResponse> Stream(const HttpRequest& request, const LineHandler& on_line,
                                            std::stop_token stop) override {
    Remember(request);
    return on_stream(request, on_line, std::move(stop));
  }
  [[nodiscard]] std::string Host() const override { return "fake:443"; }

  /// All so far, oldest first.
  [[nodiscard]] std::vector<HttpRequest> Requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
  }

 private:
  void Remember(const HttpRequest& request) {
    const std::lock_guard lock(mutex_);
    requests_.push_back(request);
  }

  mutable std::mutex mutex_;
  std::vector<HttpRequest> requests_;
};

/// What an API server answers when it refuses.
inline HttpResponse StatusResponse(int code, const std::string& reason, const std::string& message = "") {
  const Json status = {{"kind", "Status"},   {"apiVersion", "v1"}, {"status", "Failure"},
                       {"message", message}, {"reason", reason},   {"code", code}};
  return {.status = code, .body = status.dump()};
}

}  // namespace reconciler
