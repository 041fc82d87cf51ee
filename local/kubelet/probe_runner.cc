// exec, tcpSocket and httpGet.
#include "local/kubelet/probe_runner.h"

#include <fmt/format.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>
#include <optional>
#include <utility>

#include "local/kubelet/command.h"

namespace slotwright::local {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

class ExecRun : public RunningAction {
 public:
  ExecRun(EventLoop& loop, ProcessOptions options, reconciler::Duration timeout, ProbeHandler done)
      : command_(loop, std::move(options), timeout, [timeout, done = std::move(done)](const CommandResult& result) {
          if (result.timed_out) {
            const auto seconds = std::chrono::duration<double>(timeout).count();
            done({false, fmt::format("command timed out after {} s", seconds)});
          } else {
            done({result.started && result.exit_code == 0, result.output});
          }
        }) {}

 private:
  Command command_;
};

// One exchange over TCP. Handlers hold it; `done_` is empty once nobody wants to know any more.
class Exchange : public std::enable_shared_from_this<Exchange> {
 public:
  Exchange(EventLoop& loop, ProbeHandler done)
      : ssl_context_(asio::ssl::context::tls_client), stream_(loop.context(), ssl_context_), done_(std::move(done)) {}

  void Abandon() {
    done_ = nullptr;
    tcp().close();
  }

  void Connect(const std::string& host, int port, reconciler::Duration timeout, std::optional<HttpAction> request) {
    request_ = std::move(request);
    if (request_) request_->host = host;
    error_code error;
    const auto address = asio::ip::make_address(host, error);
    tcp().expires_after(std::chrono::ceil<std::chrono::milliseconds>(timeout));
    // Names would need a resolver that does not block; probes go to the pod itself.
    if (error) {
      return asio::post(tcp().get_executor(), [self = shared_from_this(), host] {
        self->Finish(false, fmt::format("host {} is no IP address", host));
      });
    }
    tcp().async_connect(tcp::endpoint(address, static_cast<uint16_t>(port)),
                        [self = shared_from_this(), host, port](const error_code& failed) {
                          if (failed) {
                            return self->Finish(false, fmt::format("dial tcp {}:{}: {}", host, port, failed.message()));
                          }
                          self->Connected();
                        });
  }

 private:
  beast::tcp_stream& tcp() { return stream_.next_layer(); }

  void Connected() {
    if (!request_) return Finish(true, "");
    message_.method(http::verb::get);
    message_.target(request_->path);
    message_.set(http::field::host, fmt::format("{}:{}", request_->host, request_->port));
    message_.set(http::field::user_agent, "kube-probe/slotwright");
    message_.set(http::field::accept, "*/*");
    message_.set(http::field::connection, "close");
    for (const auto& [name, value] : request_->headers) message_.set(name, value);
    if (request_->scheme != "HTTPS") return Ask(tcp());
    stream_.async_handshake(asio::ssl::stream_base::client, [self = shared_from_this()](const error_code& failed) {
      if (failed) return self->Finish(false, "TLS handshake: " + failed.message());
      self->Ask(self->stream_);
    });
  }

  template <typename Stream>
  void Ask(Stream& stream) {
    http::async_write(stream, message_, [self = shared_from_this(), &stream](const error_code& failed, size_t) {
      if (failed) return self->Finish(false, "sending the request: " + failed.message());
      http::async_read_header(stream, self->buffer_, self->parser_, [self](const error_code& unread, size_t) {
        if (unread) return self->Finish(false, "reading the response: " + unread.message());
        const unsigned status = self->parser_.get().result_int();
        const bool good = status >= 200 && status < 400;
        self->Finish(good, good ? "" : fmt::format("HTTP probe failed with statuscode: {}", status));
      });
    });
  }

  void Finish(bool success, std::string message) {
    error_code ignored;
    (void)tcp().socket().close(ignored);
    const ProbeHandler done = std::exchange(done_, nullptr);
    if (done) done({success, std::move(message)});
  }

  asio::ssl::context ssl_context_;
  beast::ssl_stream<beast::tcp_stream> stream_;
  ProbeHandler done_;
  std::optional<HttpAction> request_;
  http::request<http::empty_body> message_;
  beast::flat_buffer buffer_;
  http::response_parser<http::empty_body> parser_;
};

class NetworkRun : public RunningAction {
 public:
  NetworkRun(EventLoop& loop, const std::string& host, int port, reconciler::Duration timeout,
             std::optional<HttpAction> request, ProbeHandler done)
      : exchange_(std::make_shared<Exchange>(loop, std::move(done))) {
    exchange_->Connect(host, port, timeout, std::move(request));
  }
  ~NetworkRun() override { exchange_->Abandon(); }

 private:
  std::shared_ptr<Exchange> exchange_;
};

}  // namespace

std::unique_ptr<RunningAction> RunAction(EventLoop& loop, const Action& action, const LaunchPlan& plan,
                                         const std::string& pod_ip, reconciler::Duration timeout, ProbeHandler done) {
  if (const auto* exec = std::get_if<ExecAction>(&action)) {
    return std::make_unique<ExecRun>(loop, plan.WithCommand(exec->command), timeout, std::move(done));
  }
  if (const auto* connect = std::get_if<TcpAction>(&action)) {
    return std::make_unique<NetworkRun>(loop, connect->host.empty() ? pod_ip : connect->host, connect->port, timeout,
                                        std::nullopt, std::move(done));
  }
  const auto& get = std::get<HttpAction>(action);
  return std::make_unique<NetworkRun>(loop, get.host.empty() ? pod_ip : get.host, get.port, timeout, get,
                                      std::move(done));
}

}  // namespace slotwright::local
