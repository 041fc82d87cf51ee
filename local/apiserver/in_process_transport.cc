// See in_process_transport.h.
#include "local/apiserver/in_process_transport.h"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <utility>

namespace slotwright::local::apiserver {

using reconciler::ErrorKind;
using reconciler::Fail;
using reconciler::HttpRequest;
using reconciler::HttpResponse;
using reconciler::Result;
using reconciler::ServerRequest;

namespace {

std::string PercentDecode(std::string_view text) {
  std::string decoded;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size()) {
      decoded += static_cast<char>(std::stoi(std::string(text.substr(i + 1, 2)), nullptr, 16));
      i += 2;
    } else {
      decoded += text[i] == '+' ? ' ' : text[i];
    }
  }
  return decoded;
}

ServerRequest ToServerRequest(const HttpRequest& request, const std::string& token) {
  ServerRequest result{.method = request.method, .path = {}, .query = {}, .headers = {}, .body = request.body};
  const std::string_view target = request.target;
  const size_t question = target.find('?');
  result.path = PercentDecode(target.substr(0, question));
  std::string_view query = question == std::string_view::npos ? "" : target.substr(question + 1);
  while (!query.empty()) {
    const std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), pair.size() + 1));
    const size_t equals = pair.find('=');
    const std::string_view value = equals == std::string_view::npos ? "" : pair.substr(equals + 1);
    result.query[PercentDecode(pair.substr(0, equals))] = PercentDecode(value);
  }
  for (const auto& [name, value] : request.headers) {
    std::string lower = name;
    std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return std::tolower(c); });
    result.headers[lower] = value;
  }
  result.headers["host"] = "localhost";
  if (!token.empty()) result.headers["authorization"] = "Bearer " + token;
  return result;
}

// What a handler answers, on its way to the caller. Shared by both sides, as either may go first.
class Exchange final : public reconciler::Responder,
                       public reconciler::ResponseStream,
                       public std::enable_shared_from_this<Exchange> {
 public:
  void Reply(HttpResponse response) override {
    const std::scoped_lock lock(mutex_);
    response_ = std::move(response);
    closed_ = true;
    changed_.notify_all();
  }

  std::shared_ptr<ResponseStream> Stream(int status, const std::map<std::string, std::string>& headers) override {
    const std::scoped_lock lock(mutex_);
    response_ = HttpResponse{.status = status, .headers = headers, .body = {}};
    changed_.notify_all();
    return shared_from_this();
  }

  bool Write(std::string_view text) override {
    const std::scoped_lock lock(mutex_);
    if (closed_ || abandoned_) return false;
    chunks_.emplace_back(text);
    changed_.notify_all();
    return true;
  }

  void Close() override {
    const std::scoped_lock lock(mutex_);
    closed_ = true;
    changed_.notify_all();
  }

  bool Opened() {
    const std::scoped_lock lock(mutex_);
    return response_.status == 200;
  }

  void Abandon() {
    const std::scoped_lock lock(mutex_);
    abandoned_ = true;
  }

  /// The next piece of a streamed answer; nothing at its end.
  Result<std::optional<std::string>> NextChunk(reconciler::Clock& clock, reconciler::Duration patience,
                                               const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    const auto deadline = clock.Now() + patience;
    while (chunks_.empty() && !closed_) {
      if (stop.stop_requested()) return Fail(ErrorKind::kCancelled, "the request was cancelled");
      if (clock.Now() >= deadline) return Fail(ErrorKind::kTimeout, "the server has been silent for too long");
      clock.WaitUntil(lock, changed_, stop, deadline);
    }
    if (chunks_.empty()) return std::nullopt;
    std::string chunk = std::move(chunks_.front());
    chunks_.pop_front();
    return chunk;
  }

  /// The status and, for answers that are not streamed, the body.
  HttpResponse response() const {
    const std::scoped_lock lock(mutex_);
    return response_;
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  HttpResponse response_;
  std::deque<std::string> chunks_;
  bool closed_ = false;
  bool abandoned_ = false;
};

class InProcessTransport final : public reconciler::Transport {
 public:
  InProcessTransport(reconciler::ServerHandler handler, std::string token, reconciler::Clock& clock)
      : handler_(std::move(handler)), token_(std::move(token)), clock_(clock) {}

  Result<HttpResponse> Send(const HttpRequest& request, std::stop_token stop) override {
    if (stop.stop_requested()) return Fail(ErrorKind::kCancelled, "the request was cancelled");
    std::string body;
    auto response = Run(request, stop, [&body](std::string_view chunk) { body += chunk; });
    if (response && !body.empty()) response->body = std::move(body);
    return response;
  }

  Result<HttpResponse> Stream(const HttpRequest& request, const LineHandler& on_line, std::stop_token stop) override {
    std::string rest;
    auto response = Run(request, stop, [&](std::string_view chunk) {
      rest += chunk;
      size_t start = 0;
      for (size_t end = rest.find('\n'); end != std::string::npos; end = rest.find('\n', start)) {
        on_line(std::string_view(rest).substr(start, end - start));
        start = end + 1;
      }
      rest.erase(0, start);
    });
    if (response && !rest.empty()) response->body = std::move(rest);
    return response;
  }

  std::string Host() const override { return "localhost"; }

 private:
  template <typename OnChunk>
  Result<HttpResponse> Run(const HttpRequest& request, const std::stop_token& stop, OnChunk on_chunk) {
    const auto exchange = std::make_shared<Exchange>();
    handler_(ToServerRequest(request, token_), exchange);  // synchronous: the status is there when it returns
    if (request.on_open && exchange->Opened()) request.on_open();
    while (true) {
      auto chunk = exchange->NextChunk(clock_, request.timeout, stop);
      if (!chunk) {
        exchange->Abandon();
        return std::unexpected(chunk.error().Within(fmt::format("{} {}", request.method, request.target)));
      }
      if (!*chunk) return exchange->response();
      on_chunk(**chunk);
    }
  }

  const reconciler::ServerHandler handler_;
  const std::string token_;
  reconciler::Clock& clock_;
};

}  // namespace

std::shared_ptr<reconciler::Transport> MakeInProcessTransport(reconciler::ServerHandler handler, std::string token,
                                                              reconciler::Clock& clock) {
  return std::make_shared<InProcessTransport>(std::move(handler), std::move(token), clock);
}

}  // namespace slotwright::local::apiserver
