// The way to an API server, which a test can break in the manners of real networks.
#pragma once

#include <atomic>
#include <memory>
#include <utility>

#include "reconciler/base/clock.h"
#include "reconciler/kube/transport.h"

namespace reconciler {

enum class Fault {
  kNone,
  kRefuse,      ///< Nobody there.
  kBlackHole,   ///< Nothing is done and nothing comes back until the request's timeout has passed.
  kLoseAnswer,  ///< Done, but the answer gets lost.
  kSlowAnswer,  ///< Done, but the answer takes three seconds.
};

/// Thread-safe.
class FaultyLink : public Transport {
 public:
  FaultyLink(std::shared_ptr<Transport> server, Clock& clock) : server_(std::move(server)), clock_(clock) {}

  void SetFault(Fault fault) { fault_ = fault; }

  [[nodiscard]] Result<HttpResponse> Send(const HttpRequest& request, std::stop_token stop) override {
    const Fault fault = fault_;
    if (fault == Fault::kRefuse) return Fail(ErrorKind::kUnavailable, "connection refused");
    if (fault == Fault::kBlackHole) {
      const bool waited = clock_.SleepFor(request.timeout, stop);
      return Fail(waited ? ErrorKind::kTimeout : ErrorKind::kCancelled, "no answer");
    }
    auto response = server_->Send(request, stop);
    if (fault == Fault::kSlowAnswer) clock_.SleepFor(std::chrono::seconds(3), stop);
    if (fault == Fault::kLoseAnswer) return Fail(ErrorKind::kUnavailable, "connection reset");
    return response;
  }
  [[nodiscard]] Result<HttpResponse> Stream(const HttpRequest& request, const LineHandler& on_line,
                                            std::stop_token stop) override {
    return server_->Stream(request, on_line, std::move(stop));
  }
  [[nodiscard]] std::string Host() const override { return server_->Host(); }

 private:
  const std::shared_ptr<Transport> server_;
  Clock& clock_;
  std::atomic<Fault> fault_ = Fault::kNone;
};

}  // namespace reconciler
