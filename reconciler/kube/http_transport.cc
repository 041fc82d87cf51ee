// See http_transport.h.
#include "reconciler/kube/http_transport.h"

#include <cpprest/http_client.h>
#include <cpprest/producerconsumerstream.h>
#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <condition_variable>
#include <cstring>
#include <fstream>
#include <mutex>
#include <sstream>

namespace reconciler {

namespace {

namespace http = web::http;
namespace st = concurrency::streams;

constexpr size_t kMaxLine = 16 << 20;

// A sink that hands over lines as they come. Its own stream buffer rather than a consumer that pulls: no thread, no
// backlog (the next read starts when _putn returns), an eighth of the time.
//
// The library may still write into it for a moment after a cancelled request has completed: Detach comes before the
// handler's owner goes away.
class LineSink final : public st::details::basic_producer_consumer_buffer<uint8_t> {
 public:
  explicit LineSink(const Transport::LineHandler& on_line) : basic_producer_consumer_buffer(512), on_line_(&on_line) {}

  /// No line is handed over after this returns. The unterminated rest of what came.
  std::string Detach() {
    const std::lock_guard lock(mutex_);
    on_line_ = nullptr;
    return std::move(partial_);
  }

 protected:
  pplx::task<size_t> _putn(const uint8_t* data, size_t size) override {
    try {
      Feed(reinterpret_cast<const char*>(data), size);
      return pplx::task_from_result(size);
    } catch (...) {
      return pplx::task_from_exception<size_t>(std::current_exception());
    }
  }

 private:
  void Feed(const char* data, size_t size) {
    const std::lock_guard lock(mutex_);
    if (on_line_ == nullptr) return;
    while (size > 0) {
      const auto* newline = static_cast<const char*>(std::memchr(data, '\n', size));
      if (newline == nullptr) break;
      const auto length = static_cast<size_t>(newline - data);
      if (partial_.empty()) {
        (*on_line_)({data, length});
      } else {
        partial_.append(data, length);
        (*on_line_)(partial_);
        partial_.clear();
      }
      data += length + 1;
      size -= length + 1;
    }
    if (partial_.size() + size > kMaxLine) throw std::runtime_error("a line of the stream is longer than 16 MiB");
    partial_.append(data, size);
  }

  std::mutex mutex_;
  const Transport::LineHandler* on_line_;
  std::string partial_;
};

// Why the last handshakes failed, in OpenSSL's words: the library reports them all alike.
class VerifyLog {
 public:
  void Set(std::string reason) {
    const std::lock_guard lock(mutex_);
    reason_ = std::move(reason);
  }
  std::string Take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(reason_, "");
  }

 private:
  std::mutex mutex_;
  std::string reason_;
};

template <typename T, void (*Free)(T*)>
struct Freer {
  void operator()(T* p) const { Free(p); }
};
using BioPtr = std::unique_ptr<BIO, Freer<BIO, BIO_free_all>>;
using X509Ptr = std::unique_ptr<X509, Freer<X509, X509_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY, EVP_PKEY_free>>;

BioPtr Memory(const std::string& text) { return BioPtr(BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))); }

std::vector<X509Ptr> ReadCertificates(const std::string& pem) {
  std::vector<X509Ptr> certificates;
  const BioPtr bio = Memory(pem);
  while (X509* certificate = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr))
    certificates.emplace_back(certificate);
  ERR_clear_error();
  return certificates;
}

struct TlsSettings {
  std::vector<X509Ptr> ca;
  std::vector<X509Ptr> client_chain;
  KeyPtr client_key;
  std::string name;  // that the server's certificate must carry
  bool verify = true;
  VerifyLog log;
};

bool IsAddress(const std::string& name) {
  ASN1_OCTET_STRING* address = a2i_IPADDRESS(name.c_str());
  const bool is = address != nullptr;
  ASN1_OCTET_STRING_free(address);
  return is;
}

int VerifyAndRemember(X509_STORE_CTX* context, void* argument) {
  auto& tls = *static_cast<TlsSettings*>(argument);
  if (!tls.verify) return 1;
  // Stricter than the library: the certificate's subject is no substitute for its alternative names.
  X509_VERIFY_PARAM* parameters = X509_STORE_CTX_get0_param(context);
  X509_VERIFY_PARAM_set_hostflags(parameters, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
  if (IsAddress(tls.name)) {
    X509_VERIFY_PARAM_set1_ip_asc(parameters, tls.name.c_str());
  } else {
    X509_VERIFY_PARAM_set1_host(parameters, tls.name.c_str(), 0);
  }
  // The library's own callback would compare with the host of the address, which tls-server-name is there to replace.
  X509_STORE_CTX_set_verify_cb(context, [](int ok_so_far, X509_STORE_CTX*) { return ok_so_far; });
  const int ok = X509_verify_cert(context);
  if (ok != 1) tls.log.Set(X509_verify_cert_error_string(X509_STORE_CTX_get_error(context)));
  return ok;
}

void ConfigureTls(SSL_CTX* context, TlsSettings& tls) {
  if (!tls.ca.empty()) {
    X509_STORE* store = X509_STORE_new();
    for (const auto& certificate : tls.ca) X509_STORE_add_cert(store, certificate.get());
    SSL_CTX_set_cert_store(context, store);  // takes it over
  }
  if (!tls.client_chain.empty()) {
    SSL_CTX_use_certificate(context, tls.client_chain[0].get());
    for (size_t i = 1; i < tls.client_chain.size(); ++i) SSL_CTX_add1_chain_cert(context, tls.client_chain[i].get());
    SSL_CTX_use_PrivateKey(context, tls.client_key.get());
  }
  SSL_CTX_set_cert_verify_callback(context, VerifyAndRemember, &tls);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
}

Error TranslateError(const http::http_exception& e, VerifyLog& log, const std::string& host, bool late) {
  const int code = e.error_code().value();
  if (code == ECANCELED || code == 125) {
    return late ? Error{ErrorKind::kTimeout, fmt::format("{} has not answered in time", host)}
                : Error{ErrorKind::kCancelled, "stopped"};
  }
  if (code == ETIMEDOUT) return {ErrorKind::kTimeout, fmt::format("{} is silent ({})", host, e.what())};
  if (const std::string reason = log.Take(); !reason.empty()) {
    return {ErrorKind::kUnavailable, fmt::format("the certificate of {} is not trusted: {}", host, reason)};
  }
  // The library says EHOSTUNREACH ("Failed to connect to any resolved endpoint") for a refused connection too.
  if (code == ECONNREFUSED || code == EHOSTUNREACH) {
    return {ErrorKind::kUnavailable, fmt::format("nobody listens on {}: connection refused or host unreachable", host)};
  }
  return {ErrorKind::kUnavailable, fmt::format("the connection to {} failed: {}", host, e.what())};
}

// The token of a file, read again every minute: kubelet replaces projected tokens.
class Token {
 public:
  Token(std::string fixed, std::string path, Clock& clock)
      : token_(std::move(fixed)), path_(std::move(path)), clock_(clock) {}

  Result<std::string> Get() {
    const std::lock_guard lock(mutex_);
    const MonotonicTime now = clock_.Now();
    if (path_.empty() || now < fresh_until_) return token_;
    std::ifstream file(path_);
    std::ostringstream text;
    text << file.rdbuf();
    if (!file) {
      return Fail(ErrorKind::kUnauthorized, fmt::format("the token file {} cannot be read", path_));
    }
    token_ = text.str();
    while (!token_.empty() && std::isspace(static_cast<unsigned char>(token_.back())) != 0) token_.pop_back();
    fresh_until_ = now + std::chrono::minutes(1);
    return token_;
  }

 private:
  std::mutex mutex_;
  std::string token_;
  const std::string path_;
  Clock& clock_;
  MonotonicTime fresh_until_{};
};

// Waits for a task with a deadline and a stop token; cancels it when either comes.
class Waiter {
 public:
  explicit Waiter(std::stop_token stop) : on_stop_(std::move(stop), [this] { source_.cancel(); }) {}

  pplx::cancellation_token token() const { return source_.get_token(); }

  void Finish() {
    const std::lock_guard lock(mutex_);
    done_ = true;
    finished_.notify_all();
  }
  // True if the time was over first.
  bool WaitFor(Duration timeout) {
    std::unique_lock lock(mutex_);
    if (finished_.wait_for(lock, timeout, [this] { return done_; })) return false;
    lock.unlock();
    source_.cancel();
    Wait();
    return true;
  }
  void Wait() {
    std::unique_lock lock(mutex_);
    finished_.wait(lock, [this] { return done_; });
  }

 private:
  pplx::cancellation_token_source source_;
  std::mutex mutex_;
  std::condition_variable finished_;
  bool done_ = false;
  std::stop_callback<std::function<void()>> on_stop_;
};

std::map<std::string, std::string> LowerCaseHeaders(const http::http_headers& headers) {
  std::map<std::string, std::string> result;
  for (const auto& [name, value] : headers) {
    std::string lower = name;
    for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    result[lower] = value;
  }
  return result;
}

// A URL need not name the port, and then its scheme does.
std::string HostAndPort(const web::uri& server) {
  const int by_scheme = server.scheme() == "http" ? 80 : 443;
  return fmt::format("{}:{}", server.host(), server.is_port_default() ? by_scheme : server.port());
}

class HttpTransport final : public Transport {
 public:
  HttpTransport(const ClusterAccess& access, std::string user_agent, std::unique_ptr<TlsSettings> tls, Clock& clock)
      : tls_(std::move(tls)),
        user_agent_(std::move(user_agent)),
        token_(access.token, access.token_file, clock),
        base_(access.server),
        host_(HostAndPort(base_)) {}

  Result<HttpResponse> Send(const HttpRequest& request, std::stop_token stop) override {
    auto prepared = Prepare(request);
    if (!prepared) return std::unexpected(prepared.error());
    Waiter waiter(stop);
    HttpResponse response;
    std::exception_ptr failure;
    // The library's timeout counts each step anew, so that the whole exchange has one of ours too.
    ClientFor(request.timeout, false)
        .request(*prepared, waiter.token())
        .then([&response](http::http_response r) {
          response.status = r.status_code();
          response.headers = LowerCaseHeaders(r.headers());
          return r.extract_vector();
        })
        .then([&](pplx::task<std::vector<unsigned char>> body) {
          try {
            const auto bytes = body.get();
            response.body.assign(bytes.begin(), bytes.end());
          } catch (...) {
            failure = std::current_exception();
          }
          waiter.Finish();
        });
    const bool late = waiter.WaitFor(request.timeout);
    if (failure) return std::unexpected(ErrorOf(failure, late));
    return response;
  }

  Result<HttpResponse> Stream(const HttpRequest& request, const LineHandler& on_line, std::stop_token stop) override {
    auto prepared = Prepare(request);
    if (!prepared) return std::unexpected(prepared.error());
    const auto sink = std::make_shared<LineSink>(on_line);
    prepared->set_response_stream(st::streambuf<uint8_t>(sink).create_ostream());
    Waiter waiter(stop);
    HttpResponse response;
    std::exception_ptr failure;
    ClientFor(request.timeout, true)
        .request(*prepared, waiter.token())
        .then([&response, &request](http::http_response r) {
          response.status = r.status_code();
          response.headers = LowerCaseHeaders(r.headers());
          if (response.status == 200 && request.on_open) request.on_open();
          return r.content_ready();
        })
        .then([&](pplx::task<http::http_response> done) {
          try {
            done.get();
          } catch (...) {
            failure = std::current_exception();
          }
          waiter.Finish();
        });
    waiter.Wait();
    response.body = sink->Detach();
    if (stop.stop_requested()) return Fail(ErrorKind::kCancelled, "stopped");
    if (failure) return std::unexpected(ErrorOf(failure, false));
    return response;
  }

  std::string Host() const override { return host_; }

 private:
  Result<http::http_request> Prepare(const HttpRequest& request) {
    http::http_request prepared(request.method);
    prepared.set_request_uri(web::uri(request.target));
    for (const auto& [name, value] : request.headers) prepared.headers().add(name, value);
    prepared.headers().add("User-Agent", user_agent_);
    const auto token = token_.Get();
    if (!token) return std::unexpected(token.error());
    if (!token->empty()) prepared.headers().add("Authorization", "Bearer " + *token);
    if (!request.body.empty()) {
      const auto type = request.headers.find("Content-Type");
      prepared.set_body(request.body, type == request.headers.end() ? "application/json" : type->second);
      if (type != request.headers.end()) prepared.headers().set_content_type(type->second);
    }
    return prepared;
  }

  // One client for each timeout in use, requests and streams apart: the library fixes the timeout with the client.
  http::client::http_client& ClientFor(Duration timeout, bool stream) {
    // Requests differ by what is left of their deadlines: whole seconds, rounded up, keep the clients few.
    const auto seconds = std::max<std::int64_t>(1, std::chrono::ceil<std::chrono::seconds>(timeout).count());
    const std::lock_guard lock(mutex_);
    auto& client = clients_[{seconds, stream}];
    if (!client) {
      http::client::http_client_config config;
      config.set_timeout(std::chrono::seconds(seconds));
      config.set_validate_certificates(true);
      config.set_ssl_context_callback(
          [this](boost::asio::ssl::context& context) { ConfigureTls(context.native_handle(), *tls_); });
      client = std::make_unique<http::client::http_client>(base_, config);
    }
    return *client;
  }

  Error ErrorOf(const std::exception_ptr& failure, bool late) {
    try {
      std::rethrow_exception(failure);
    } catch (const http::http_exception& e) {
      return TranslateError(e, tls_->log, host_, late);
    } catch (const pplx::task_canceled&) {
      return late ? Error{ErrorKind::kTimeout, fmt::format("{} has not answered in time", host_)}
                  : Error{ErrorKind::kCancelled, "stopped"};
    } catch (const std::exception& e) {
      return {ErrorKind::kUnavailable, fmt::format("the exchange with {} failed: {}", host_, e.what())};
    }
  }

  std::unique_ptr<TlsSettings> tls_;
  const std::string user_agent_;
  Token token_;
  const web::uri base_;
  const std::string host_;
  std::mutex mutex_;
  std::map<std::pair<std::int64_t, bool>, std::unique_ptr<http::client::http_client>> clients_;
};

}  // namespace

Result<std::unique_ptr<Transport>> MakeHttpTransport(ClusterAccess access, std::string user_agent, Clock& clock) {
  try {
    const web::uri base(access.server);
    if (base.host().empty() || (base.scheme() != "http" && base.scheme() != "https")) {
      return Fail(ErrorKind::kInvalid, fmt::format("the server \"{}\" is no http or https address", access.server));
    }
    auto tls = std::make_unique<TlsSettings>();
    tls->verify = !access.insecure_skip_tls_verify;
    tls->name = access.tls_server_name.empty() ? base.host() : access.tls_server_name;
    if (!access.ca_pem.empty()) {
      tls->ca = ReadCertificates(access.ca_pem);
      if (tls->ca.empty()) return Fail(ErrorKind::kInvalid, "the certificate authority data holds no PEM certificate");
    }
    if (!access.client_cert_pem.empty()) {
      tls->client_chain = ReadCertificates(access.client_cert_pem);
      tls->client_key.reset(PEM_read_bio_PrivateKey(Memory(access.client_key_pem).get(), nullptr, nullptr, nullptr));
      if (tls->client_chain.empty() || !tls->client_key) {
        return Fail(ErrorKind::kInvalid, "the client certificate or its key is not in PEM format");
      }
      if (X509_check_private_key(tls->client_chain[0].get(), tls->client_key.get()) != 1) {
        return Fail(ErrorKind::kInvalid, "the client certificate and its key do not belong together");
      }
    }
    return std::make_unique<HttpTransport>(access, std::move(user_agent), std::move(tls), clock);
  } catch (const std::exception& e) {
    return Fail(ErrorKind::kInvalid, fmt::format("the server \"{}\" cannot be used: {}", access.server, e.what()));
  }
}

}  // namespace reconciler
