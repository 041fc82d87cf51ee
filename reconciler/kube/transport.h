// The only door to an API server. Everything above it can run on a simulation, everything below it is one HTTP library.
#pragma once

#include <functional>
#include <map>
#include <stop_token>
#include <string>
#include <string_view>

#include "reconciler/base/clock.h"
#include "reconciler/base/error.h"

namespace reconciler {

struct HttpRequest {
  std::string method = "GET";
  std::string target;  ///< Path and query, already percent-encoded: "/api/v1/pods?limit=500".
  std::map<std::string, std::string> headers;
  std::string body;
  Duration timeout = std::chrono::seconds(10);  ///< For the whole exchange (Send) or for silence (Stream).
  std::function<void()> on_open = {};           ///< Stream: called once when the server has said 200.
};

struct HttpResponse {
  int status = 0;
  std::map<std::string, std::string> headers;  ///< Names in lower case.
  std::string body;
};

/// Thread-safe. Errors are kTimeout, kUnavailable, kCancelled or kUnauthorized (own credentials unreadable);
/// an HTTP status is never an error here.
class Transport {
 public:
  virtual ~Transport() = default;

  /// Blocks until the whole answer is there, the timeout has passed or `stop` fires. A request whose connection broke
  /// may have been carried out, and may be sent twice: creates must use fixed names.
  [[nodiscard]] virtual Result<HttpResponse> Send(const HttpRequest& request, std::stop_token stop) = 0;

  /// Called for each line of a streamed answer, without its newline, by one thread at a time. Must not block for long.
  using LineHandler = std::function<void(std::string_view line)>;

  /// Blocks while the server streams. Returns the status and, for a status other than 200 or for a last line without
  /// newline, that text as body. `request.timeout` limits the silence between two bytes; a broken or silent connection
  /// is an error.
  [[nodiscard]] virtual Result<HttpResponse> Stream(const HttpRequest& request, const LineHandler& on_line,
                                                    std::stop_token stop) = 0;

  /// The server's "host:port", for metrics and messages.
  [[nodiscard]] virtual std::string Host() const = 0;
};

}  // namespace reconciler
