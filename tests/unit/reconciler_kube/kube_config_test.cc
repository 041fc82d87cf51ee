// Reading kubeconfig files.
#include "reconciler/kube/kube_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

namespace reconciler {
namespace {

using ::testing::HasSubstr;

class KubeConfig : public ::testing::Test {
 protected:
  KubeConfig() {
    std::string path = (std::filesystem::temp_directory_path() / "kubeconfig-XXXXXX").string();
    folder_ = ::mkdtemp(path.data());
  }
  ~KubeConfig() override { std::filesystem::remove_all(folder_); }

  void Write(const std::string& name, const std::string& text) { std::ofstream(folder_ / name) << text; }
  Result<ClusterAccess> Load(const std::string& user, const std::string& cluster = "server: https://h:1",
                             const std::string& context = "") {
    Write("config", "current-context: one\nclusters: [{name: c, cluster: {" + cluster +
                        "}}]\ncontexts: [{name: one, context: {cluster: c, user: u, namespace: space}}]\n" +
                        "users: [{name: u, user: {" + user + "}}]\n");
    return LoadKubeConfig(folder_ / "config", context);
  }

  std::filesystem::path folder_;
};

TEST_F(KubeConfig, GivesServerNamespaceAndToken) {
  const auto access = Load("token: abc");
  ASSERT_TRUE(access) << access.error().message;
  EXPECT_EQ(access->server, "https://h:1");
  EXPECT_EQ(access->ns, "space");
  EXPECT_EQ(access->token, "abc");
}

TEST_F(KubeConfig, ReadsMaterialInlineAndFromFilesBesideIt) {
  Write("ca.pem", "CA");
  Write("key.pem", "KEY");
  const auto access = Load("client-certificate-data: Q0VSVA==, client-key: key.pem",
                           "server: https://h:1, certificate-authority: ca.pem");
  ASSERT_TRUE(access) << access.error().message;
  EXPECT_EQ(access->ca_pem, "CA");
  EXPECT_EQ(access->client_cert_pem, "CERT");
  EXPECT_EQ(access->client_key_pem, "KEY");
}

TEST_F(KubeConfig, RefusesWhatItCannotDoWithAWayOut) {
  const auto access = Load("exec: {command: aws}");
  ASSERT_FALSE(access);
  EXPECT_EQ(access.error().kind, ErrorKind::kUnsupported);
  EXPECT_THAT(access.error().message, HasSubstr("user \"u\""));
  EXPECT_THAT(access.error().message, HasSubstr("kubectl create token"));
}

TEST_F(KubeConfig, NamesWhatIsMissing) {
  EXPECT_THAT(Load("token: a", "server: https://h:1", "two").error().message, HasSubstr("no context \"two\""));
  EXPECT_THAT(Load("client-key: none.pem").error().message, HasSubstr("none.pem"));
  EXPECT_THAT(Load("token: a", "insecure-skip-tls-verify: true").error().message, HasSubstr("no server"));
  EXPECT_THAT(LoadKubeConfig(folder_ / "absent").error().message, HasSubstr("absent"));
}

TEST_F(KubeConfig, NamesFileAndLineOfBadYaml) {
  Write("bad", "a: 1\nb: [\n");
  EXPECT_THAT(LoadKubeConfig(folder_ / "bad").error().message, ::testing::AllOf(HasSubstr("bad"), HasSubstr("line ")));
}

}  // namespace
}  // namespace reconciler
