// A small HTTP server on cpprestsdk's listener: for /metrics and probes, and for the embedded API server.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "reconciler/base/error.h"
#include "reconciler/kube/transport.h"

namespace reconciler {

struct ServerRequest {
  std::string method;
  std::string path;                            ///< Percent-decoded, without the query.
  std::map<std::string, std::string> query;    ///< Decoded; a key without "=" has an empty value.
  std::map<std::string, std::string> headers;  ///< Names in lower case.
  std::string body;
};

/// One streamed answer. Thread-safe. A client that reads too slowly is cut off rather than waited for.
class ResponseStream {
 public:
  virtual ~ResponseStream() = default;
  /// False once the client is gone or was cut off. Sent at once.
  virtual bool Write(std::string_view text) = 0;
  /// Ends the answer properly. Further writes do nothing.
  virtual void Close() = 0;
};

/// Call exactly one of the two, once, from any thread.
class Responder {
 public:
  virtual ~Responder() = default;
  virtual void Reply(HttpResponse response) = 0;
  virtual std::shared_ptr<ResponseStream> Stream(int status, const std::map<std::string, std::string>& headers) = 0;
};

/// Runs on the library's threads: must not block.
using ServerHandler = std::function<void(ServerRequest request, std::shared_ptr<Responder> responder)>;

struct ServerOptions {
  std::string host = "127.0.0.1";
  int port = 0;  ///< 0: any free port.
  size_t max_body_bytes = 8 << 20;
};

class HttpServer {
 public:
  virtual ~HttpServer() = default;  ///< As Stop.
  [[nodiscard]] virtual int port() const = 0;
  /// Ends all streams properly (a reader that does not read is cut off after a second), then closes the listener.
  /// From any thread but the library's own.
  virtual void Stop() = 0;
};

/// kUnavailable when the address cannot be listened on; the message says who to blame ("port 8080 is in use").
[[nodiscard]] Result<std::unique_ptr<HttpServer>> StartHttpServer(const ServerOptions& options, ServerHandler handler);

/// Call first in main: the size of cpprestsdk's thread pool, and no system CA bundle load for each TLS connection.
void InitializeHttp(int threads = 2);

}  // namespace reconciler
