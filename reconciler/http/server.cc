// See server.h.
#include "reconciler/http/server.h"

#include <arpa/inet.h>
#include <cpprest/http_listener.h>
#include <cpprest/producerconsumerstream.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <pplx/threadpool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <set>
#include <sstream>

namespace reconciler {

namespace {

namespace http = web::http;
namespace st = concurrency::streams;
using http::experimental::listener::http_listener;
using http::experimental::listener::http_listener_config;

// A reader that is this far behind is cut off: the library would buffer without limit.
constexpr size_t kMaxBacklog = 8 << 20;
constexpr auto kStreamsEndWithin = std::chrono::seconds(1);

class BufferStream final : public ResponseStream {
 public:
  bool Write(std::string_view text) override {
    const std::lock_guard lock(mutex_);
    if (closed_) return false;
    if (gone_ || buffer_.in_avail() > kMaxBacklog) {
      CloseLocked();
      return false;
    }
    buffer_.putn_nocopy(reinterpret_cast<const uint8_t*>(text.data()), text.size());  // copies into its own block
    buffer_.sync();  // otherwise the library waits for 4 KiB
    return true;
  }
  void Close() override {
    const std::lock_guard lock(mutex_);
    CloseLocked();
  }
  void ReaderGone() {
    const std::lock_guard lock(mutex_);
    gone_ = true;
    CloseLocked();
  }
  st::istream Input() { return buffer_.create_istream(); }

 private:
  void CloseLocked() {
    if (std::exchange(closed_, true)) return;
    buffer_.close(std::ios_base::out);
  }

  std::mutex mutex_;
  st::producer_consumer_buffer<uint8_t> buffer_{4096};
  bool closed_ = false;
  bool gone_ = false;
};

// All streams that are open, so that a stop can end them: a listener that closes cuts its connections in the middle of
// what they send.
class OpenStreams {
 public:
  void Add(const std::shared_ptr<BufferStream>& stream) {
    std::unique_lock lock(mutex_);
    streams_.insert(stream);
    if (!stopped_) return;
    lock.unlock();
    stream->Close();
  }
  void Remove(const std::shared_ptr<BufferStream>& stream) {
    const std::lock_guard lock(mutex_);
    streams_.erase(stream);
    if (streams_.empty()) none_left_.notify_all();
  }
  // Ends all streams and waits until their last bytes are sent; not longer than `limit` for readers that do not read.
  void CloseAll(std::chrono::milliseconds limit) {
    std::unique_lock lock(mutex_);
    stopped_ = true;
    const auto streams = streams_;
    lock.unlock();
    for (const auto& stream : streams) stream->Close();
    lock.lock();
    none_left_.wait_for(lock, limit, [this] { return streams_.empty(); });
  }

 private:
  std::mutex mutex_;
  std::condition_variable none_left_;
  bool stopped_ = false;
  std::set<std::shared_ptr<BufferStream>> streams_;
};

class RequestResponder final : public Responder {
 public:
  RequestResponder(const http::http_request& request, std::shared_ptr<OpenStreams> streams)
      : request_(request), streams_(std::move(streams)) {}

  void Reply(HttpResponse response) override {
    http::http_response reply(static_cast<http::status_code>(response.status));
    const auto type = response.headers.find("content-type");
    reply.set_body(std::move(response.body),
                   type == response.headers.end() ? "text/plain; charset=utf-8" : type->second);
    for (const auto& [name, value] : response.headers) {
      if (name != "content-type") reply.headers().add(name, value);
    }
    if (type != response.headers.end()) reply.headers().set_content_type(type->second);
    request_.reply(reply).then([](pplx::task<void> done) { Ignore(done); });
  }

  std::shared_ptr<ResponseStream> Stream(int status, const std::map<std::string, std::string>& headers) override {
    const auto stream = std::make_shared<BufferStream>();
    http::http_response reply(static_cast<http::status_code>(status));
    const auto type = headers.find("content-type");
    reply.set_body(stream->Input(), type == headers.end() ? "text/plain; charset=utf-8" : type->second);
    for (const auto& [name, value] : headers) {
      if (name != "content-type") reply.headers().add(name, value);
    }
    streams_->Add(stream);
    request_.reply(reply).then([stream, streams = streams_](pplx::task<void> done) {
      Ignore(done);
      stream->ReaderGone();
      streams->Remove(stream);
    });
    return stream;
  }

 private:
  // A reader that went away is no news.
  static void Ignore(pplx::task<void>& done) {
    try {
      done.get();
    } catch (const std::exception&) {
    }
  }

  http::http_request request_;
  std::shared_ptr<OpenStreams> streams_;
};

std::string DecodeQueryText(std::string text) {
  for (char& c : text) c = c == '+' ? ' ' : c;
  return web::uri::decode(text);
}

// The library's own leaves out keys without "=", such as ?verbose.
std::map<std::string, std::string> ParseQuery(const std::string& query) {
  std::map<std::string, std::string> result;
  std::istringstream parts(query);
  for (std::string part; std::getline(parts, part, '&');) {
    const auto equals = part.find('=');
    const std::string value = equals == std::string::npos ? "" : part.substr(equals + 1);
    if (!part.empty()) result[DecodeQueryText(part.substr(0, equals))] = DecodeQueryText(value);
  }
  return result;
}

ServerRequest Convert(const http::http_request& request, std::string body) {
  ServerRequest converted;
  converted.method = request.method();
  converted.path = web::uri::decode(request.relative_uri().path());
  converted.query = ParseQuery(request.relative_uri().query());
  for (const auto& [name, value] : request.headers()) {
    std::string lower = name;
    for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    converted.headers[lower] = value;
  }
  converted.body = std::move(body);
  return converted;
}

// What a bind of our own says: the library reports every failure alike.
Result<int> ProbePort(const ServerOptions& options) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(options.port));
  std::string problem;
  if (::inet_pton(AF_INET, options.host.c_str(), &address.sin_addr) != 1) {
    problem = "use an IPv4 address or an empty host";
  } else if (::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 || ::listen(fd, 1) != 0) {
    problem = errno == EADDRINUSE ? "the port is in use by another program; stop it or choose another port"
                                  : std::strerror(errno);
  }
  socklen_t size = sizeof address;
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  ::close(fd);
  if (!problem.empty()) {
    return Fail(ErrorKind::kUnavailable,
                fmt::format("cannot listen on {}:{}: {}", options.host, options.port, problem));
  }
  return ntohs(address.sin_port);
}

// The listener waits for no handler when it is closed, and what handlers refer to goes after it.
class Gate {
 public:
  class Pass {
   public:
    explicit Pass(Gate& gate) : gate_(gate), valid_(gate.Enter()) {}
    ~Pass() {
      if (valid_) gate_.Leave();
    }
    Pass(const Pass&) = delete;
    Pass& operator=(const Pass&) = delete;
    [[nodiscard]] bool Valid() const { return valid_; }

   private:
    Gate& gate_;
    const bool valid_;
  };

  // Nobody is inside any more, and nobody comes.
  void Close() {
    std::unique_lock lock(mutex_);
    closed_ = true;
    left_.wait(lock, [this] { return inside_ == 0; });
  }

 private:
  bool Enter() {
    const std::lock_guard lock(mutex_);
    if (!closed_) ++inside_;
    return !closed_;
  }
  void Leave() {
    const std::lock_guard lock(mutex_);
    if (--inside_ == 0) left_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable left_;
  int inside_ = 0;
  bool closed_ = false;
};

class ListenerServer final : public HttpServer {
 public:
  ListenerServer(const std::string& url, int port, size_t max_body, ServerHandler handler)
      : port_(port),
        max_body_(max_body),
        handler_(std::make_shared<ServerHandler>(std::move(handler))),
        streams_(std::make_shared<OpenStreams>()),
        listener_(web::uri(url), http_listener_config()) {
    const auto serve = [this](const http::http_request& request) { Serve(request); };
    listener_.support(serve);
    for (const char* method : {"OPTIONS", "TRACE"}) listener_.support(method, serve);
  }
  ~ListenerServer() override { Stop(); }

  void Open() { listener_.open().wait(); }
  int port() const override { return port_; }

  void Stop() override {
    const std::lock_guard lock(stopping_);  // who comes second waits: the destructor may be next
    if (std::exchange(stopped_, true)) return;
    streams_->CloseAll(kStreamsEndWithin);
    try {
      listener_.close().wait();
    } catch (const std::exception&) {  // it is gone either way
    }
    gate_->Close();
  }

 private:
  void Serve(http::http_request request) {
    const auto responder = std::make_shared<RequestResponder>(request, streams_);
    if (request.headers().content_length() > max_body_) {
      responder->Reply({.status = 413, .headers = {}, .body = fmt::format("more than {} bytes\n", max_body_)});
      return;
    }
    request.extract_vector().then(
        [request, responder, handler = handler_, gate = gate_](pplx::task<std::vector<unsigned char>> body) {
          const Gate::Pass pass(*gate);
          if (!pass.Valid()) return responder->Reply({.status = 503, .headers = {}, .body = "it is being stopped\n"});
          try {
            const auto bytes = body.get();
            (*handler)(Convert(request, std::string(bytes.begin(), bytes.end())), responder);
          } catch (const std::exception& e) {
            responder->Reply({.status = 500, .headers = {}, .body = std::string("internal error: ") + e.what() + "\n"});
          }
        });
  }

  const int port_;
  const size_t max_body_;
  std::shared_ptr<ServerHandler> handler_;
  std::shared_ptr<Gate> gate_ = std::make_shared<Gate>();
  std::shared_ptr<OpenStreams> streams_;
  http_listener listener_;
  std::mutex stopping_;
  bool stopped_ = false;
};

}  // namespace

void InitializeHttp(int threads) {
  // The library loads the system's CA bundle for each new TLS connection, 18 ms of CPU, before we can say that we do
  // not want it. Trust comes from the kubeconfig or the service account alone.
  ::setenv("SSL_CERT_FILE", "/dev/null", 0);
  ::setenv("SSL_CERT_DIR", "/nonexistent", 0);
  crossplat::threadpool::initialize_with_threads(static_cast<size_t>(threads));
}

Result<std::unique_ptr<HttpServer>> StartHttpServer(const ServerOptions& options, ServerHandler handler) {
  // Between the probe and the listener another program may take a free port: then choose anew.
  std::string problem;
  for (int attempt = 0; attempt < 3; ++attempt) {
    const auto port = ProbePort(options);
    if (!port) return std::unexpected(port.error());
    try {
      auto server = std::make_unique<ListenerServer>(fmt::format("http://{}:{}", options.host, *port), *port,
                                                     options.max_body_bytes, handler);
      server->Open();
      return server;
    } catch (const std::exception& e) {
      problem = e.what();
    }
    if (options.port != 0) break;
  }
  return Fail(ErrorKind::kUnavailable, fmt::format("cannot listen on {}:{}: {}", options.host, options.port, problem));
}

}  // namespace reconciler
