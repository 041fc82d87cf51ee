// Transport and server, against each other over real sockets.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "reconciler/http/server.h"
#include "reconciler/kube/http_transport.h"
#include "reconciler/runtime/health.h"

namespace reconciler {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

std::unique_ptr<HttpServer> Serve(ServerHandler handler, ServerOptions options = {}) {
  auto server = StartHttpServer(options, std::move(handler));
  EXPECT_TRUE(server) << (server ? "" : server.error().message);
  return *std::move(server);
}

std::unique_ptr<Transport> Connect(int port) {
  auto transport = MakeHttpTransport({.server = fmt::format("http://127.0.0.1:{}", port)}, "test/1");
  EXPECT_TRUE(transport);
  return *std::move(transport);
}

TEST(Http, CarriesMethodPathQueryHeadersAndBodyBothWays) {
  ServerRequest seen;
  const auto server = Serve([&](ServerRequest request, const std::shared_ptr<Responder>& responder) {
    seen = std::move(request);
    responder->Reply({.status = 201, .headers = {{"x-answer", "yes"}}, .body = "made"});
  });
  const auto transport = Connect(server->port());
  const auto response = transport->Send({.method = "PATCH",
                                         .target = "/a%20b?x=1%2C2&y=",
                                         .headers = {{"Content-Type", "application/merge-patch+json"}},
                                         .body = "{}"},
                                        {});
  ASSERT_TRUE(response) << response.error().message;
  EXPECT_EQ(response->status, 201);
  EXPECT_EQ(response->headers.at("x-answer"), "yes");
  EXPECT_EQ(response->body, "made");
  EXPECT_EQ(seen.method, "PATCH");
  EXPECT_EQ(seen.path, "/a b");
  EXPECT_EQ(seen.query.at("x"), "1,2");
  EXPECT_EQ(seen.headers.at("content-type"), "application/merge-patch+json");
  EXPECT_EQ(seen.headers.at("user-agent"), "test/1");
  EXPECT_EQ(seen.body, "{}");
}

TEST(Http, StreamsLinesAsTheyComeAndEndsCleanly) {
  const auto server = Serve([](const ServerRequest&, const std::shared_ptr<Responder>& responder) {
    const auto stream = responder->Stream(200, {{"content-type", "application/json"}});
    stream->Write("one\ntw");
    stream->Write("o\n");
    stream->Close();
  });
  const auto transport = Connect(server->port());
  std::vector<std::string> lines;
  bool opened = false;
  const auto response = transport->Stream({.target = "/", .on_open = [&] { opened = true; }},
                                          [&](std::string_view line) { lines.emplace_back(line); }, {});
  ASSERT_TRUE(response) << response.error().message;
  EXPECT_TRUE(opened);
  EXPECT_THAT(lines, ::testing::ElementsAre("one", "two"));
}

TEST(Http, CallsASilentServerATimeoutAndDoesNotWaitLonger) {
  std::shared_ptr<Responder> kept;
  const auto server =
      Serve([&](const ServerRequest&, const std::shared_ptr<Responder>& responder) { kept = responder; });
  const auto transport = Connect(server->port());
  const auto start = std::chrono::steady_clock::now();
  const auto response = transport->Send({.target = "/", .timeout = 300ms}, {});
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().kind, ErrorKind::kTimeout);
  EXPECT_LT(std::chrono::steady_clock::now() - start, 5s);
  kept->Reply({.status = 200, .headers = {}, .body = ""});
}

TEST(Http, EndsAStreamSoonAfterItIsAskedToStop) {
  std::shared_ptr<ResponseStream> stream;
  const auto server = Serve([&](const ServerRequest&, const std::shared_ptr<Responder>& responder) {
    stream = responder->Stream(200, {});
    stream->Write("first\n");
  });
  const auto transport = Connect(server->port());
  std::stop_source source;
  std::jthread stopper;
  const auto response = transport->Stream(
      {.target = "/", .timeout = 30s},
      [&](std::string_view) { stopper = std::jthread([&source] { source.request_stop(); }); }, source.get_token());
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().kind, ErrorKind::kCancelled);
}

TEST(Http, SaysThatNobodyListens) {
  int port = 0;
  {
    port = Serve([](const ServerRequest&, const std::shared_ptr<Responder>&) {})->port();
  }
  const auto response = Connect(port)->Send({.target = "/", .timeout = 2s}, {});
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().kind, ErrorKind::kUnavailable);
  EXPECT_THAT(response.error().message, HasSubstr("refused"));
}

TEST(Http, NamesThePortOfTheSchemeWhereTheAddressNamesNone) {
  const auto host_of = [](const std::string& server) {
    const auto transport = MakeHttpTransport({.server = server}, "test/1");
    return transport ? (*transport)->Host() : transport.error().message;
  };
  EXPECT_EQ(host_of("https://api.example.com/k8s/c-1"), "api.example.com:443");
  EXPECT_EQ(host_of("http://api.example.com"), "api.example.com:80");
  EXPECT_EQ(host_of("https://api.example.com:6443"), "api.example.com:6443");
}

TEST(HttpServer, SaysWhenAPortIsTaken) {
  const auto server = Serve([](const ServerRequest&, const std::shared_ptr<Responder>&) {});
  const auto second =
      StartHttpServer({.port = server->port()}, [](const ServerRequest&, const std::shared_ptr<Responder>&) {});
  ASSERT_FALSE(second);
  EXPECT_THAT(second.error().message, HasSubstr("in use"));
}

TEST(HttpServer, RefusesABodyThatIsTooLarge) {
  const auto server = Serve(
      [](const ServerRequest&, const std::shared_ptr<Responder>& responder) {
        responder->Reply({.status = 200, .headers = {}, .body = ""});
      },
      {.max_body_bytes = 1000});
  const auto response =
      Connect(server->port())->Send({.method = "POST", .target = "/", .body = std::string(2000, 'x')}, {});
  ASSERT_TRUE(response);
  EXPECT_EQ(response->status, 413);
}

TEST(HttpServer, StopsWithOpenStreams) {
  std::shared_ptr<ResponseStream> stream;
  auto server = Serve([&](const ServerRequest&, const std::shared_ptr<Responder>& responder) {
    stream = responder->Stream(200, {});
    stream->Write("first\n");
  });
  const auto transport = Connect(server->port());
  std::jthread stopper;
  const auto stop = [&](std::string_view) { stopper = std::jthread([&] { server->Stop(); }); };
  const auto response = transport->Stream({.target = "/"}, stop, {});
  EXPECT_TRUE(response) << response.error().message;  // its last chunk came
  stopper.join();
  EXPECT_FALSE(stream->Write("late\n"));
}

TEST(Health, IsTerseInPublicAndNeverSaysWhy) {
  bool well = true;
  const auto server = Serve(HealthHandler(
      {{"ping", [] { return std::string(); }}},
      {{"caches", [&] { return well ? "" : "secret reason"; }}, {"other", [] { return std::string(); }}}));
  const auto transport = Connect(server->port());
  const auto get = [&](const char* target) { return *transport->Send({.target = target}, {}); };
  EXPECT_EQ(get("/healthz").body, "ok");
  EXPECT_EQ(get("/readyz").status, 200);
  EXPECT_THAT(get("/readyz?verbose").body, HasSubstr("[+]caches ok"));
  well = false;
  EXPECT_EQ(get("/healthz").status, 200);
  const auto failed = get("/readyz");
  EXPECT_EQ(failed.status, 500);
  EXPECT_THAT(failed.body, HasSubstr("[-]caches failed: reason withheld"));
  EXPECT_THAT(failed.body, ::testing::Not(HasSubstr("secret")));
  EXPECT_EQ(get("/readyz?exclude=caches").status, 200);
  EXPECT_EQ(get("/readyz/other").status, 200);
  EXPECT_EQ(get("/readyz/caches").status, 500);
  EXPECT_EQ(get("/nothing").status, 404);
}

}  // namespace
}  // namespace reconciler
