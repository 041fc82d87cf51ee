// Whom the transport trusts, what it says when it does not, and how long it keeps a connection.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "reconciler/kube/http_transport.h"
#include "tests/unit/reconciler_kube/tls_server.h"

namespace reconciler {
namespace {

using namespace std::chrono_literals;
using ::testing::AllOf;
using ::testing::HasSubstr;

std::unique_ptr<Transport> Connect(const TlsServer& server, ClusterAccess access) {
  access.server = fmt::format("https://127.0.0.1:{}", server.port());
  auto transport = MakeHttpTransport(std::move(access), "test/1");
  EXPECT_TRUE(transport) << transport.error().message;
  return *std::move(transport);
}

struct TrustCase {
  std::string name;
  CertificateRequest certificate;
  bool other_authority = false;
  std::string expected_name;  ///< tls-server-name of the kubeconfig.
  bool skip_verify = false;
  std::string refusal;  ///< Empty: trusted.
};

class TlsTrust : public ::testing::TestWithParam<TrustCase> {};

TEST_P(TlsTrust, IsDecidedByAuthorityNameAndTime) {
  const CertificateAuthority authority("ours");
  const CertificateAuthority other("theirs");
  const TlsServer server(authority.Issue(GetParam().certificate));
  const auto transport = Connect(server, {.ca_pem = (GetParam().other_authority ? other : authority).pem(),
                                          .insecure_skip_tls_verify = GetParam().skip_verify,
                                          .tls_server_name = GetParam().expected_name});
  const auto sent = transport->Send({.target = "/"}, {});
  const auto streamed = transport->Stream({.target = "/"}, [](std::string_view) {}, {});
  for (const auto* response : {&sent, &streamed}) {
    if (GetParam().refusal.empty()) {
      ASSERT_TRUE(*response) << response->error().message;
      EXPECT_EQ((*response)->body, "ok");
      continue;
    }
    ASSERT_FALSE(*response);
    EXPECT_EQ(response->error().kind, ErrorKind::kUnavailable);
    EXPECT_THAT(response->error().message,
                AllOf(HasSubstr(transport->Host()), HasSubstr("not trusted"), HasSubstr(GetParam().refusal)));
  }
  if (!GetParam().refusal.empty()) {
    EXPECT_EQ(server.requests(), 0) << "the token must not reach a stranger";
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, TlsTrust,
    ::testing::Values(
        TrustCase{.name = "RightAddress"},
        TrustCase{.name = "OneOfSeveralNames", .certificate = {.names = "DNS:a,IP:10.0.0.1,IP:127.0.0.1"}},
        TrustCase{.name = "RightNameGivenByTheKubeconfig",
                  .certificate = {.names = "DNS:kubernetes"},
                  .expected_name = "kubernetes"},
        TrustCase{.name = "OtherAuthority", .other_authority = true, .refusal = "unable to get local issuer"},
        TrustCase{.name = "OtherAddress", .certificate = {.names = "IP:127.0.0.2"}, .refusal = "IP address mismatch"},
        TrustCase{.name = "OtherName",
                  .certificate = {.names = "DNS:kubernetes.example.com,IP:127.0.0.1"},
                  .expected_name = "kubernetes",
                  .refusal = "ostname mismatch"},
        TrustCase{.name = "AddressInTheSubjectOnly",
                  .certificate = {.names = "DNS:a", .common_name = "127.0.0.1"},
                  .refusal = "IP address mismatch"},
        TrustCase{.name = "NoAlternativeNames",
                  .certificate = {.names = "", .common_name = "kubernetes"},
                  .expected_name = "kubernetes",
                  .refusal = "ostname mismatch"},
        TrustCase{.name = "Expired",
                  .certificate = {.not_before = -48h, .not_after = -24h},
                  .refusal = "certificate has expired"},
        TrustCase{.name = "NotYetValid",
                  .certificate = {.not_before = 24h, .not_after = 48h},
                  .refusal = "certificate is not yet valid"},
        TrustCase{.name = "AnythingIfTheUserSaysSo",
                  .certificate = {.names = "DNS:a", .not_before = -48h, .not_after = -24h},
                  .other_authority = true,
                  .skip_verify = true}),
    [](const auto& param_info) { return param_info.param.name; });

TEST(Tls, ShowsTheClientsCertificate) {
  const CertificateAuthority authority("ours");
  const CertificateAuthority clients("clients");
  const TlsServer server(authority.Issue({}), clients.pem());
  const Certificate own = clients.Issue({.names = "", .common_name = "system:admin"});
  const auto response =
      Connect(server, {.ca_pem = authority.pem(), .client_cert_pem = own.cert_pem, .client_key_pem = own.key_pem})
          ->Send({.target = "/"}, {});
  ASSERT_TRUE(response) << response.error().message;
  const auto without = Connect(server, {.ca_pem = authority.pem()})->Send({.target = "/"}, {});
  ASSERT_FALSE(without);
  EXPECT_EQ(without.error().kind, ErrorKind::kUnavailable);
}

TEST(Tls, RefusesACertificateAndAKeyOfTwoPairs) {
  const CertificateAuthority authority("ours");
  const auto transport = MakeHttpTransport({.server = "https://127.0.0.1:1",
                                            .ca_pem = authority.pem(),
                                            .client_cert_pem = authority.Issue({}).cert_pem,
                                            .client_key_pem = authority.Issue({}).key_pem},
                                           "test/1");
  ASSERT_FALSE(transport);
  EXPECT_THAT(transport.error().message, HasSubstr("do not belong together"));
}

TEST(Tls, KeepsConnectionsForRequestsThatFollowEachOther) {
  const CertificateAuthority authority("ours");
  const TlsServer server(authority.Issue({}));
  const auto transport = Connect(server, {.ca_pem = authority.pem()});
  for (int i = 0; i < 200; ++i) ASSERT_TRUE(transport->Send({.target = "/"}, {}));
  EXPECT_EQ(server.requests(), 200);
  // Some more than one: the library puts a connection back a moment after it has told the answer, which a busy machine
  // draws out.
  EXPECT_LT(server.accepted(), 50);
}

TEST(Tls, ComesBackAfterTheServerHasCutAllConnections) {
  const CertificateAuthority authority("ours");
  TlsServer server(authority.Issue({}));
  const auto transport = Connect(server, {.ca_pem = authority.pem()});
  ASSERT_TRUE(transport->Send({.target = "/"}, {}));
  server.CutConnections();
  const auto again = transport->Send({.target = "/"}, {});
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_GE(server.accepted(), 2);
}

}  // namespace
}  // namespace reconciler
