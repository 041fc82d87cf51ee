// The client's verbs on a transport that answers whatever a test wants.
#include "reconciler/kube/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "tests/unit/fakes/fake_clock.h"
#include "tests/unit/fakes/fake_transport.h"

namespace reconciler {
namespace {

using ::testing::HasSubstr;

HttpResponse Answer(const Json& body, int status = 200) {
  return {.status = status, .headers = {}, .body = body.dump()};
}

struct Wired {
  std::shared_ptr<FakeTransport> transport = std::make_shared<FakeTransport>();
  Client client{transport, {}};
};

TEST(Client, TurnsEveryStatusIntoWhatACallerMayDoAboutIt) {
  const std::vector<std::tuple<int, const char*, ErrorKind>> table = {
      {400, "BadRequest", ErrorKind::kInvalid},
      {401, "Unauthorized", ErrorKind::kUnauthorized},
      {403, "Forbidden", ErrorKind::kForbidden},
      {404, "NotFound", ErrorKind::kNotFound},
      {409, "AlreadyExists", ErrorKind::kAlreadyExists},
      {409, "Conflict", ErrorKind::kConflict},
      {410, "Expired", ErrorKind::kExpired},
      {422, "Invalid", ErrorKind::kInvalid},
      {429, "TooManyRequests", ErrorKind::kTooManyRequests},
      {500, "InternalError", ErrorKind::kUnavailable},
      {503, "ServiceUnavailable", ErrorKind::kUnavailable},
      {504, "Timeout", ErrorKind::kTimeout}};
  for (const auto& [code, reason, kind] : table) {
    Wired wired;
    wired.transport->on_send = [&](const HttpRequest&, std::stop_token) { return StatusResponse(code, reason, "why"); };
    const auto result = wired.client.Get(types::kPods, {"ns", "pod"});
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().kind, kind) << code << " " << reason;
    EXPECT_EQ(result.error().message, "GET /api/v1/namespaces/ns/pods/pod: why");
  }
}

TEST(Client, UnderstandsAnErrorThatIsNotAStatus) {
  Wired wired;
  wired.transport->on_send = [](const HttpRequest&, std::stop_token) {
    return HttpResponse{.status = 502, .headers = {}, .body = "<html>bad gateway"};
  };
  const auto result = wired.client.Get(types::kPods, {"ns", "pod"});
  EXPECT_EQ(result.error().kind, ErrorKind::kUnavailable);
  EXPECT_THAT(result.error().message, HasSubstr("502"));
}

// It may be a Secret that was cut off.
TEST(Client, KeepsAnAnswerThatIsNotJsonOutOfItsErrors) {
  Wired wired;
  const HttpResponse half = {
      .status = 200, .headers = {{"content-type", "application/json"}}, .body = R"({"data":{"password":"cGFzc3)"};
  wired.transport->on_send = [&](const HttpRequest&, std::stop_token) { return half; };
  wired.transport->on_stream = [&](const HttpRequest&, const Transport::LineHandler& on_line, std::stop_token) {
    on_line(half.body);
    return HttpResponse{.status = 200};
  };
  EXPECT_EQ(wired.client.Get(types::kSecrets, {"ns", "a"}).error().message,
            "GET /api/v1/namespaces/ns/secrets/a: the answer is not JSON: 27 bytes of application/json");
  const auto watched = wired.client.Watch(types::kSecrets, {}, [](const WatchEvent&) {}, {});
  EXPECT_EQ(watched.error().message, "watch secrets: a line of 27 bytes is not JSON");
}

TEST(Client, TriesAgainWhenTheServerAsksForItAndTheTimeAllows) {
  Wired wired;
  int calls = 0;
  wired.transport->on_send = [&](const HttpRequest&, std::stop_token) {
    if (++calls == 1) {
      auto refused = StatusResponse(429, "TooManyRequests", "later");
      refused.headers["retry-after"] = "0";
      return refused;
    }
    return Answer({{"kind", "Pod"}});
  };
  EXPECT_TRUE(wired.client.Get(types::kPods, {"ns", "pod"}));
  EXPECT_EQ(calls, 2);

  wired.transport->on_send = [&](const HttpRequest&, std::stop_token) {
    ++calls;
    auto refused = StatusResponse(503, "ServiceUnavailable", "in an hour");
    refused.headers["retry-after"] = "3600";
    return refused;
  };
  const auto result = wired.client.Get(types::kPods, {"ns", "pod"});
  EXPECT_EQ(calls, 3) << "an hour is longer than the request may take";
  EXPECT_EQ(result.error().retry_after, std::chrono::seconds(3600));
}

TEST(Client, PausesForATenthOfASecondWhateverTheServerAsksFor) {
  auto at_once = StatusResponse(429, "TooManyRequests", "later");
  at_once.headers["retry-after"] = "0";
  auto before_now = StatusResponse(429, "TooManyRequests", "later");
  before_now.body = Json{{"code", 429}, {"details", {{"retryAfterSeconds", -5}}}}.dump();
  for (const HttpResponse& refusal : {at_once, before_now}) {
    FakeClock clock;
    const auto transport = std::make_shared<FakeTransport>();
    int calls = 0;
    transport->on_send = [&](const HttpRequest&, std::stop_token) {
      return ++calls == 1 ? refusal : Answer({{"kind", "Pod"}});
    };
    const Client client(transport, {}, clock);
    const auto start = clock.Now();
    std::jthread thread([&] { EXPECT_TRUE(client.Get(types::kPods, {"ns", "pod"})); });
    EXPECT_TRUE(clock.AdvanceToNextWake(1));
    thread.join();
    EXPECT_EQ(clock.Now() - start, std::chrono::milliseconds(100));
    EXPECT_EQ(calls, 2);
  }
}

TEST(Client, BuildsThePathsOfTheApi) {
  EXPECT_EQ(PathOf(types::kPods, {"ns", "a"}), "/api/v1/namespaces/ns/pods/a");
  EXPECT_EQ(PathOf(types::kPodDisruptionBudgets, {"ns", ""}), "/apis/policy/v1/namespaces/ns/poddisruptionbudgets");
  EXPECT_EQ(PathOf(types::kNodes, {"", "n"}, "status"), "/api/v1/nodes/n/status");
  EXPECT_EQ(PathOf(types::kPods, {}), "/api/v1/pods");
}

TEST(Client, SendsSelectorsEncoded) {
  Wired wired;
  wired.transport->on_send = [](const HttpRequest&, std::stop_token) { return Answer({{"items", nullptr}}); };
  const auto page = wired.client.List(types::kPods, {.ns = "ns", .label_selector = "a in (b,c)", .limit = 5});
  ASSERT_TRUE(page);
  EXPECT_TRUE(page->items.empty());
  EXPECT_EQ(wired.transport->Requests()[0].target,
            "/api/v1/namespaces/ns/pods?labelSelector=a%20in%20%28b%2Cc%29&limit=5");
}

TEST(Client, ReadsAllPagesAndStartsAnewWhenTheTokenExpiresHalfWay) {
  Wired wired;
  int calls = 0;
  wired.transport->on_send = [&](const HttpRequest& request, std::stop_token) {
    ++calls;
    const bool first = request.target.find("continue=") == std::string::npos;
    if (calls == 2) return StatusResponse(410, "Expired", "too old");
    return Answer({{"metadata", {{"resourceVersion", "9"}, {"continue", first ? "more" : ""}}},
                   {"items", {{{"metadata", {{"name", first ? "a" : "b"}}}}}}});
  };
  const auto page = wired.client.ListAll(types::kPods, {});
  ASSERT_TRUE(page) << page.error().message;
  EXPECT_EQ(calls, 4);
  ASSERT_EQ(page->items.size(), 2U) << "nothing twice after the restart";
  EXPECT_EQ(page->items[1]["kind"], "Pod") << "servers leave it out in lists";
}

TEST(Client, SendsPreconditionsWithADeletion) {
  Wired wired;
  wired.transport->on_send = [](const HttpRequest&, std::stop_token) { return Answer({{"kind", "Status"}}); };
  ASSERT_TRUE(wired.client.Delete(types::kPods, {"ns", "a"}, {.uid = "u", .resource_version = "7"}));
  const Json body = Json::parse(wired.transport->Requests()[0].body);
  EXPECT_EQ(body["preconditions"]["uid"], "u");
  EXPECT_EQ(body["preconditions"]["resourceVersion"], "7");
}

TEST(Client, EscapesEverythingThatIsNotAscii) {
  Wired wired;
  wired.transport->on_send = [](const HttpRequest&, std::stop_token) { return Answer(Json::object()); };
  ASSERT_TRUE(wired.client.Patch(types::kPods, {"ns", "a"}, PatchType::kApply, {{"x", "ä"}}, {.field_manager = "m"}));
  EXPECT_EQ(wired.transport->Requests()[0].body, R"({"x":"\u00e4"})");
  EXPECT_EQ(wired.transport->Requests()[0].headers.at("Content-Type"), "application/apply-patch+yaml");
}

struct WatchCase {
  const char* name;
  HttpResponse response;
  std::vector<std::string> lines;
  std::optional<ErrorKind> error;
  int events;
};

class ClientWatch : public ::testing::TestWithParam<WatchCase> {};

TEST_P(ClientWatch, EndsAsTheServerMeansIt) {
  Wired wired;
  wired.transport->on_stream = [](const HttpRequest&, const Transport::LineHandler& on_line, std::stop_token) {
    for (const auto& line : GetParam().lines) on_line(line);
    return GetParam().response;
  };
  int events = 0;
  const auto result = wired.client.Watch(types::kPods, {}, [&](const WatchEvent&) { ++events; }, {});
  EXPECT_EQ(events, GetParam().events);
  EXPECT_EQ(result ? std::nullopt : std::optional(result.error().kind), GetParam().error);
}

INSTANTIATE_TEST_SUITE_P(
    All, ClientWatch,
    ::testing::Values(
        WatchCase{"CleanEnd",
                  {.status = 200},
                  {R"({"type":"ADDED","object":{}})", R"({"type":"BOOKMARK","object":{}})"},
                  std::nullopt,
                  2},
        WatchCase{"ExpiredInTheStream",
                  {.status = 200},
                  {R"({"type":"ADDED","object":{}})", R"({"type":"ERROR","object":{"code":410,"reason":"Expired"}})"},
                  ErrorKind::kExpired,
                  1},
        WatchCase{"ExpiredAsStatus",
                  {.status = 410, .headers = {}, .body = R"({"code":410,"reason":"Expired"})"},
                  {},
                  ErrorKind::kExpired,
                  0},
        WatchCase{"StatusAsOneBody",
                  {.status = 200, .headers = {}, .body = R"({"kind":"Status","code":410,"reason":"Expired"})"},
                  {},
                  ErrorKind::kExpired,
                  0},
        WatchCase{"OverloadInWords",
                  {.status = 429},
                  {"Too many requests, please try again later."},
                  ErrorKind::kTooManyRequests,
                  0},
        WatchCase{"ProxyWithoutAServer", {.status = 503}, {"<html>", "<p>no</p>"}, ErrorKind::kUnavailable, 0},
        WatchCase{"Garbage", {.status = 200}, {"<html>"}, ErrorKind::kInternal, 0}),
    [](const auto& param_info) { return param_info.param.name; });

}  // namespace
}  // namespace reconciler
