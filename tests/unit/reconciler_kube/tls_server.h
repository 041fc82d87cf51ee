// Certificates made on the spot and a tiny HTTPS server that shows them, for tests of the transport.
#pragma once

#include <openssl/ssl.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace reconciler {

struct Certificate {
  std::string cert_pem;
  std::string key_pem;
};

/// What a certificate is to say. Validity counts from now.
struct CertificateRequest {
  std::string names = "IP:127.0.0.1";  ///< subjectAltName, as in openssl.cnf: "DNS:a,IP:127.0.0.1". Empty: none.
  std::string common_name = "server";
  std::chrono::seconds not_before = -std::chrono::hours(1);
  std::chrono::seconds not_after = std::chrono::hours(1);
};

class CertificateAuthority {
 public:
  explicit CertificateAuthority(const std::string& name);

  [[nodiscard]] const std::string& pem() const { return own_.cert_pem; }
  [[nodiscard]] Certificate Issue(const CertificateRequest& request) const;

 private:
  Certificate own_;
};

/// Listens on 127.0.0.1 and answers every request (without a body) on every connection with 200 and "ok".
class TlsServer {
 public:
  /// With `client_ca_pem`, clients must show a certificate of that authority.
  explicit TlsServer(const Certificate& certificate, const std::string& client_ca_pem = "");
  ~TlsServer();
  TlsServer(const TlsServer&) = delete;
  TlsServer& operator=(const TlsServer&) = delete;

  [[nodiscard]] int port() const { return port_; }
  [[nodiscard]] int accepted() const { return accepted_; }
  [[nodiscard]] int requests() const { return requests_; }
  /// Cuts all connections, as an API server does when it restarts.
  void CutConnections();

 private:
  void Accept();
  void Serve(int fd);

  struct FreeContext {
    void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  };
  std::unique_ptr<SSL_CTX, FreeContext> context_;
  int listener_ = -1;
  int port_ = 0;
  std::atomic<int> accepted_ = 0;
  std::atomic<int> requests_ = 0;
  std::mutex mutex_;
  std::vector<int> connections_;  ///< Closed by the destructor alone, so that no number is used twice.
  std::vector<std::jthread> threads_;
};

}  // namespace reconciler
