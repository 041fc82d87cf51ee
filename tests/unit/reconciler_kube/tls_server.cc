// See tls_server.h.
#include "tests/unit/reconciler_kube/tls_server.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>

namespace reconciler {

namespace {

template <typename T, void (*Free)(T*)>
struct Freer {
  void operator()(T* p) const { Free(p); }
};
using BioPtr = std::unique_ptr<BIO, Freer<BIO, BIO_free_all>>;
using X509Ptr = std::unique_ptr<X509, Freer<X509, X509_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY, EVP_PKEY_free>>;
using SslPtr = std::unique_ptr<SSL, Freer<SSL, SSL_free>>;

BioPtr Memory(const std::string& text) { return BioPtr(BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))); }
X509Ptr ReadCertificate(const std::string& pem) {
  return X509Ptr(PEM_read_bio_X509(Memory(pem).get(), nullptr, nullptr, nullptr));
}
KeyPtr ReadKey(const std::string& pem) {
  return KeyPtr(PEM_read_bio_PrivateKey(Memory(pem).get(), nullptr, nullptr, nullptr));
}

std::string TextOf(BIO* bio) {
  char* data = nullptr;
  const auto size = BIO_get_mem_data(bio, &data);
  return {data, static_cast<size_t>(size)};
}

void AddExtension(X509* certificate, int nid, const std::string& value) {
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, nid, value.c_str());
  ASSERT_NE(extension, nullptr) << value;
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

// Signed by itself without an issuer.
Certificate Make(const CertificateRequest& request, const Certificate* issuer) {
  const KeyPtr key(EVP_EC_gen("P-256"));
  const X509Ptr certificate(X509_new());
  X509_set_version(certificate.get(), X509_VERSION_3);
  static std::atomic<long> serial = 1;
  ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), serial++);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), request.not_before.count());
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), request.not_after.count());
  X509_set_pubkey(certificate.get(), key.get());
  X509_NAME* subject = X509_get_subject_name(certificate.get());
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(request.common_name.c_str()), -1, -1, 0);
  const X509Ptr parent = issuer == nullptr ? nullptr : ReadCertificate(issuer->cert_pem);
  const KeyPtr parent_key = issuer == nullptr ? nullptr : ReadKey(issuer->key_pem);
  X509_set_issuer_name(certificate.get(), parent ? X509_get_subject_name(parent.get()) : subject);
  if (!parent) AddExtension(certificate.get(), NID_basic_constraints, "critical,CA:TRUE");
  if (!request.names.empty()) AddExtension(certificate.get(), NID_subject_alt_name, request.names);
  EXPECT_NE(X509_sign(certificate.get(), parent ? parent_key.get() : key.get(), EVP_sha256()), 0);

  const BioPtr cert_text(BIO_new(BIO_s_mem()));
  const BioPtr key_text(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509(cert_text.get(), certificate.get());
  PEM_write_bio_PrivateKey(key_text.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  return {TextOf(cert_text.get()), TextOf(key_text.get())};
}

}  // namespace

CertificateAuthority::CertificateAuthority(const std::string& name)
    : own_(Make({.names = "", .common_name = name}, nullptr)) {}

Certificate CertificateAuthority::Issue(const CertificateRequest& request) const { return Make(request, &own_); }

TlsServer::TlsServer(const Certificate& certificate, const std::string& client_ca_pem)
    : context_(SSL_CTX_new(TLS_server_method())) {
  ::signal(SIGPIPE, SIG_IGN);  // a client that refuses the certificate is gone before we answer
  SSL_CTX_use_certificate(context_.get(), ReadCertificate(certificate.cert_pem).get());
  SSL_CTX_use_PrivateKey(context_.get(), ReadKey(certificate.key_pem).get());
  if (!client_ca_pem.empty()) {
    X509_STORE_add_cert(SSL_CTX_get_cert_store(context_.get()), ReadCertificate(client_ca_pem).get());
    SSL_CTX_set_verify(context_.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  }
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  EXPECT_EQ(::listen(listener_, 16), 0);
  socklen_t size = sizeof address;
  ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
  port_ = ntohs(address.sin_port);
  threads_.emplace_back([this] { Accept(); });
}

TlsServer::~TlsServer() {
  ::shutdown(listener_, SHUT_RDWR);
  threads_.front().join();  // from here on no connection comes
  CutConnections();
  threads_.clear();
  for (const int fd : connections_) ::close(fd);
  ::close(listener_);
}

void TlsServer::CutConnections() {
  const std::lock_guard lock(mutex_);
  for (const int fd : connections_) ::shutdown(fd, SHUT_RDWR);
}

void TlsServer::Accept() {
  while (true) {
    const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) return;
    ++accepted_;
    const std::lock_guard lock(mutex_);
    connections_.push_back(fd);
    threads_.emplace_back([this, fd] { Serve(fd); });
  }
}

void TlsServer::Serve(int fd) {
  const SslPtr ssl(SSL_new(context_.get()));
  SSL_set_fd(ssl.get(), fd);
  std::string received;
  bool open = SSL_accept(ssl.get()) == 1;
  while (open) {
    std::array<char, 4096> block{};
    const int size = SSL_read(ssl.get(), block.data(), block.size());
    if (size <= 0) break;
    received.append(block.data(), static_cast<size_t>(size));
    for (size_t end = 0; open && (end = received.find("\r\n\r\n")) != std::string::npos;) {
      received.erase(0, end + 4);
      ++requests_;
      const std::string answer = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok";
      open = SSL_write(ssl.get(), answer.data(), static_cast<int>(answer.size())) > 0;
    }
  }
  ::shutdown(fd, SHUT_RDWR);
}

}  // namespace reconciler
