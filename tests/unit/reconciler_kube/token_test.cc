// Bearer tokens of files, which kubelet replaces while we run.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include "reconciler/http/server.h"
#include "reconciler/kube/http_transport.h"
#include "tests/unit/fakes/fake_clock.h"

namespace reconciler {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

class TokenFile : public ::testing::Test {
 protected:
  TokenFile() {
    std::string path = (std::filesystem::temp_directory_path() / "token-XXXXXX").string();
    folder_ = ::mkdtemp(path.data());
    server_ = *StartHttpServer({}, [](const ServerRequest& request, const std::shared_ptr<Responder>& responder) {
      responder->Reply({.status = 200, .headers = {}, .body = request.headers.at("authorization")});
    });
  }
  ~TokenFile() override { std::filesystem::remove_all(folder_); }

  [[nodiscard]] std::string path() const { return folder_ / "token"; }
  void Write(const std::string& text) { std::ofstream(path()) << text; }
  std::unique_ptr<Transport> Connect() {
    return *MakeHttpTransport({.server = fmt::format("http://127.0.0.1:{}", server_->port()),
                               .token = "of the kubeconfig",
                               .token_file = path()},
                              "test/1", clock_);
  }

  FakeClock clock_;
  std::filesystem::path folder_;
  std::unique_ptr<HttpServer> server_;
};

TEST_F(TokenFile, IsReadAgainEveryMinute) {
  Write("one\n");
  const auto transport = Connect();
  const auto shown = [&] { return transport->Send({.target = "/"}, {}).value().body; };
  EXPECT_EQ(shown(), "Bearer one");
  Write("two");
  clock_.Advance(59s);
  EXPECT_EQ(shown(), "Bearer one") << "not for each request";
  clock_.Advance(1s);
  EXPECT_EQ(shown(), "Bearer two");
}

TEST_F(TokenFile, ThatIsMissingIsOurOwnProblemAndSaysSo) {
  const auto transport = Connect();
  const auto refused = transport->Send({.target = "/"}, {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kUnauthorized);
  EXPECT_THAT(refused.error().message, HasSubstr(path()));
  Write("here");
  EXPECT_EQ(transport->Send({.target = "/"}, {}).value().body, "Bearer here") << "a failure is not kept for a minute";
}

}  // namespace
}  // namespace reconciler
