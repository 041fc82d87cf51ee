// Every way in which a list or a watch can end, and what the reflector asks for next.
#include "reconciler/cache/reflector.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <set>
#include <thread>

#include "tests/unit/fakes/fake_clock.h"
#include "tests/unit/fakes/fake_transport.h"

namespace reconciler {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::ElementsAre;
using testing::Ge;
using testing::HasSubstr;
using testing::Lt;

Json Pod(const std::string& name, const std::string& version) {
  return {{"metadata", {{"namespace", "ns"}, {"name", name}, {"uid", name}, {"resourceVersion", version}}}};
}

HttpResponse ListOf(const std::string& version, const std::vector<Json>& items) {
  const Json list = {{"kind", "PodList"}, {"metadata", {{"resourceVersion", version}}}, {"items", items}};
  return {.status = 200, .body = list.dump()};
}

std::string Event(const std::string& type, const Json& object) {
  return Json{{"type", type}, {"object", object}}.dump();
}

std::string Bookmark(const std::string& version) {
  return Event("BOOKMARK", {{"kind", "Pod"}, {"metadata", {{"resourceVersion", version}}}});
}

const HttpResponse kWatchEnd{.status = 200};

/// One value of a query: Param("/x?a=1&b=2", "b") is "2"; "-" if it is not there.
std::string Param(const std::string& target, const std::string& name) {
  for (const char* prefix : {"?", "&"}) {
    const size_t found = target.find(prefix + name + "=");
    if (found == std::string::npos) continue;
    const size_t start = found + name.size() + 2;
    return target.substr(start, target.find('&', start) - start);
  }
  return "-";
}

/// What a watch of the script does: tells its lines, lasts its time, ends.
struct WatchScript {
  std::vector<std::string> lines;
  Duration lasts = 10s;
  Result<HttpResponse> end = kWatchEnd;
};

class ReflectorTest : public testing::Test {
 protected:
  ReflectorTest() {
    transport_->on_send = [this](const HttpRequest& request, std::stop_token) -> Result<HttpResponse> {
      asked_.push_back("list " + Param(request.target, "resourceVersion"));
      return Next(lists_);
    };
    transport_->on_stream = [this](const HttpRequest& request, const Transport::LineHandler& on_line,
                                   const std::stop_token&) -> Result<HttpResponse> {
      asked_.push_back("watch " + Param(request.target, "resourceVersion"));
      const WatchScript script = Next(watches_);
      for (const auto& line : script.lines) on_line(line);
      clock_.Advance(script.lasts);
      return script.end;
    };
  }

  template <typename T>
  static T Next(std::deque<T>& script) {
    EXPECT_FALSE(script.empty()) << "asked for more than the test expects";
    if (script.empty()) std::abort();
    T next = std::move(script.front());
    script.pop_front();
    return next;
  }
  std::vector<std::string> Asked() { return std::exchange(asked_, {}); }
  [[nodiscard]] std::vector<std::string> Names() const {
    std::vector<std::string> names;
    for (const auto& object : informer_.List()) names.push_back(KeyOf(*object).name + "@" + ResourceVersionOf(*object));
    return names;
  }
  /// A reflector that has listed at 10 and watched for a while, to no effect.
  void Settle() {
    lists_.push_front(ListOf("10", {Pod("a", "3")}));
    watches_.push_front({});
    ASSERT_TRUE(reflector_.RunOnce({}));
    Asked();
  }

  FakeClock clock_;
  std::shared_ptr<FakeTransport> transport_ = std::make_shared<FakeTransport>();
  Client client_{transport_, {}, clock_};
  Informer informer_{types::kPods};
  Reflector reflector_{client_, informer_, {.ns = "ns", .label_selector = "app=x", .seed = 1}, clock_};
  std::deque<Result<HttpResponse>> lists_;
  std::deque<WatchScript> watches_;
  std::vector<std::string> asked_;
};

TEST_F(ReflectorTest, ListsFromTheServersCacheAndWatchesFromThere) {
  lists_ = {ListOf("10", {Pod("a", "3"), Pod("b", "4")})};
  watches_ = {
      {.lines = {Event("ADDED", Pod("c", "11")), Event("MODIFIED", Pod("a", "12")), Event("DELETED", Pod("b", "13"))}}};
  EXPECT_FALSE(informer_.HasSynced());
  EXPECT_TRUE(reflector_.RunOnce({}));
  EXPECT_THAT(Asked(), ElementsAre("list 0", "watch 10"));
  EXPECT_THAT(Names(), ElementsAre("a@12", "c@11"));
  EXPECT_TRUE(informer_.HasSynced());
}

TEST_F(ReflectorTest, AsksAsTheApiConventionsWantIt) {
  for (int i = 0; i < 50; ++i) {
    if (i == 0) lists_.push_back(ListOf("10", {}));
    watches_.push_back({});
    ASSERT_TRUE(reflector_.RunOnce({}));
  }
  const auto requests = transport_->Requests();
  const std::string list = requests.at(0).target;
  EXPECT_THAT(list, AllOf(HasSubstr("/api/v1/namespaces/ns/pods?"), HasSubstr("labelSelector=app%3Dx")));
  EXPECT_EQ(Param(list, "limit"), "-");
  std::set<int> timeouts;
  for (size_t i = 1; i < requests.size(); ++i) {
    const std::string& watch = requests[i].target;
    EXPECT_EQ(Param(watch, "allowWatchBookmarks"), "true");
    EXPECT_THAT(watch, HasSubstr("labelSelector=app%3Dx"));
    timeouts.insert(std::stoi(Param(watch, "timeoutSeconds")));
  }
  EXPECT_THAT(timeouts, testing::Each(AllOf(Ge(300), Lt(600))));
  EXPECT_GT(timeouts.size(), 10U);
}

TEST_F(ReflectorTest, ResumesFromTheLastEventOrBookmark) {
  Settle();
  watches_ = {{.lines = {Event("ADDED", Pod("b", "11"))}}, {.lines = {Bookmark("50")}}, {}};
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(reflector_.RunOnce({}));
  EXPECT_THAT(Asked(), ElementsAre("watch 10", "watch 11", "watch 50"));
  EXPECT_THAT(Names(), ElementsAre("a@3", "b@11"));
}

const std::string kExpiredEvent =
    Event("ERROR", {{"kind", "Status"}, {"code", 410}, {"reason", "Expired"}, {"message", "too old resource version"}});

struct ExpiryCase {
  std::string name;
  WatchScript watch;
};

class ReflectorExpiryTest : public ReflectorTest, public testing::WithParamInterface<ExpiryCase> {};

TEST_P(ReflectorExpiryTest, MeansANewListThatIsNotOlderThanWhatWasSeen) {
  Settle();
  watches_ = {GetParam().watch, {}};
  lists_ = {ListOf("90", {Pod("new", "80")})};
  EXPECT_TRUE(reflector_.RunOnce({})) << "no reason to wait";
  EXPECT_TRUE(reflector_.RunOnce({}));
  EXPECT_THAT(Asked(), ElementsAre("watch 10", "list 10", "watch 90"));
  EXPECT_THAT(Names(), ElementsAre("new@80"));
}

INSTANTIATE_TEST_SUITE_P(Forms, ReflectorExpiryTest,
                         testing::Values(ExpiryCase{"AsStatus", {.lasts = 1ms, .end = StatusResponse(410, "Expired")}},
                                         ExpiryCase{"AsEvent", {.lines = {kExpiredEvent}, .lasts = 1ms}},
                                         ExpiryCase{"AsOneBodyWithStatus200",
                                                    {.lasts = 1ms,
                                                     .end = HttpResponse{.status = 200, .body = kExpiredEvent}}}),
                         [](const auto& test) { return test.param.name; });

TEST_F(ReflectorTest, AListThatIsExpiredItselfIsReadFromTheStore) {
  Settle();
  watches_ = {{.end = StatusResponse(410, "Expired")}, {}};
  lists_ = {StatusResponse(410, "Expired"), ListOf("90", {})};
  EXPECT_TRUE(reflector_.RunOnce({}));
  EXPECT_TRUE(reflector_.RunOnce({}));
  EXPECT_THAT(Asked(), ElementsAre("watch 10", "list 10", "list -", "watch 90"));
}

TEST_F(ReflectorTest, AServerThatIsBehindUsIsReadFromItsStore) {
  Settle();
  const auto behind = StatusResponse(504, "Timeout", "Too large resource version: 10, current: 5");
  watches_ = {{.end = behind}, {}};
  lists_ = {behind, ListOf("5", {Pod("a", "3")})};
  EXPECT_FALSE(reflector_.RunOnce({}));
  EXPECT_TRUE(reflector_.RunOnce({}));
  EXPECT_THAT(Asked(), ElementsAre("watch 10", "list 10", "list -", "watch 5"));
}

TEST_F(ReflectorTest, AWatchThatExpiresRightAfterItsListIsAFailure) {
  lists_ = {ListOf("10", {})};
  watches_ = {{.lasts = 1ms, .end = StatusResponse(410, "Expired")}};
  EXPECT_FALSE(reflector_.RunOnce({}));
}

struct FailureCase {
  std::string name;
  Result<HttpResponse> end;
  std::string next;
};

class ReflectorFailureTest : public ReflectorTest, public testing::WithParamInterface<FailureCase> {};

TEST_P(ReflectorFailureTest, OfAWatchIsWaitedOutAndThenGotOver) {
  Settle();
  watches_ = {{.lasts = 20ms, .end = GetParam().end}, {.lines = {Bookmark("12")}}};
  lists_ = {ListOf("10", {})};
  EXPECT_FALSE(reflector_.RunOnce({}));
  EXPECT_FALSE(reflector_.Healthy());
  EXPECT_THAT(reflector_.LastError(), HasSubstr("pods"));
  EXPECT_THAT(Asked(), ElementsAre("watch 10"));
  EXPECT_TRUE(reflector_.RunOnce({}));
  EXPECT_EQ(Asked().at(0), GetParam().next);
  EXPECT_TRUE(reflector_.Healthy());
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, ReflectorFailureTest,
    testing::Values(FailureCase{"Refused", Fail(ErrorKind::kUnavailable, "connection refused"), "watch 10"},
                    FailureCase{"Silent", Fail(ErrorKind::kTimeout, "nothing for 90 s"), "watch 10"},
                    FailureCase{"TooManyRequests", StatusResponse(429, "TooManyRequests"), "watch 10"},
                    FailureCase{"ServerError", StatusResponse(500, "InternalError"), "watch 10"},
                    FailureCase{"Overloaded", StatusResponse(503, "ServiceUnavailable"), "watch 10"},
                    FailureCase{"TokenRotated", StatusResponse(401, "Unauthorized"), "watch 10"},
                    FailureCase{"EndedAtOnce", kWatchEnd, "watch 10"},
                    FailureCase{"Forbidden", StatusResponse(403, "Forbidden"), "list 10"},
                    FailureCase{"TypeIsGone", StatusResponse(404, "NotFound"), "list 10"},
                    FailureCase{"Nonsense", HttpResponse{.status = 200, .body = "<html>"}, "list 10"}),
    [](const auto& test) { return test.param.name; });

TEST_F(ReflectorTest, AShortWatchThatToldSomethingIsNoFailure) {
  Settle();
  watches_ = {{.lines = {Event("ADDED", Pod("b", "11"))}, .lasts = 1ms}};
  EXPECT_TRUE(reflector_.RunOnce({}));
  EXPECT_TRUE(reflector_.Healthy());
}

TEST_F(ReflectorTest, ASimulationMayEndItsWatchesAtOnce) {
  Reflector reflector(client_, informer_, {.ns = "ns", .shortest_watch = 0s}, clock_);
  lists_ = {ListOf("10", {})};
  watches_ = {{.lasts = 0s}};
  EXPECT_TRUE(reflector.RunOnce({}));
}

TEST_F(ReflectorTest, AWatchThatWorkedAndThenBrokeIsResumedAtOnce) {
  Settle();
  watches_ = {{.lines = {Bookmark("11")}, .lasts = 70s, .end = Fail(ErrorKind::kUnavailable, "reset by peer")}};
  EXPECT_TRUE(reflector_.RunOnce({}));
  EXPECT_FALSE(reflector_.Healthy());
}

TEST_F(ReflectorTest, AWatchThatBreaksAtOnceEachTimeIsNotAHotLoop) {
  Settle();
  watches_ = {{.lines = {Bookmark("11")}, .lasts = 1ms, .end = Fail(ErrorKind::kUnavailable, "reset by peer")}};
  EXPECT_FALSE(reflector_.RunOnce({}));
}

TEST_F(ReflectorTest, AFailedListIsTriedAgainTheSameWay) {
  lists_ = {Fail(ErrorKind::kUnavailable, "connection refused"), StatusResponse(403, "Forbidden", "no"),
            ListOf("7", {})};
  watches_ = {{}};
  EXPECT_FALSE(reflector_.Healthy());
  EXPECT_FALSE(reflector_.RunOnce({}));
  EXPECT_FALSE(reflector_.RunOnce({}));
  EXPECT_THAT(reflector_.LastError(), HasSubstr("no"));
  EXPECT_FALSE(informer_.HasSynced());
  EXPECT_TRUE(reflector_.RunOnce({}));
  EXPECT_THAT(Asked(), ElementsAre("list 0", "list 0", "list 0", "watch 7"));
  EXPECT_TRUE(reflector_.Healthy());
}

TEST_F(ReflectorTest, IsHealthyAsSoonAsAListOrAnEventIsIn) {
  std::vector<std::string> seen;
  const auto look = [&] { seen.push_back(reflector_.Healthy() ? "healthy" : "ill"); };
  transport_->on_stream = [&](const HttpRequest&, const Transport::LineHandler& on_line,
                              const std::stop_token&) -> Result<HttpResponse> {
    look();
    on_line(Bookmark("11"));
    look();
    return Fail(ErrorKind::kUnavailable, "reset by peer");
  };
  lists_ = {ListOf("10", {})};
  look();
  EXPECT_FALSE(reflector_.RunOnce({}));
  EXPECT_FALSE(reflector_.RunOnce({}));
  EXPECT_THAT(seen, ElementsAre("ill", "healthy", "healthy", "ill", "healthy"));
}

TEST_F(ReflectorTest, AListThatShutdownCutShortIsNoFailure) {
  std::stop_source stop;
  transport_->on_send = [&](const HttpRequest&, const std::stop_token&) -> Result<HttpResponse> {
    stop.request_stop();
    return Fail(ErrorKind::kCancelled, "stopped");
  };
  EXPECT_TRUE(reflector_.RunOnce(stop.get_token()));
  EXPECT_EQ(reflector_.LastError(), "not listed yet");
}

TEST_F(ReflectorTest, AFailureKeepsWhatIsKnown) {
  Settle();
  watches_ = {{.lasts = 1ms, .end = StatusResponse(403, "Forbidden")}};
  lists_ = {Fail(ErrorKind::kUnavailable, "connection refused")};
  EXPECT_FALSE(reflector_.RunOnce({}));
  EXPECT_FALSE(reflector_.RunOnce({}));
  EXPECT_THAT(Names(), ElementsAre("a@3"));
}

TEST_F(ReflectorTest, DelaysDoubleWithJitterUpToTheirLimit) {
  for (const auto& [shortest, longest] : std::initializer_list<std::pair<Duration, Duration>>{
           {800ms, 1600ms}, {1600ms, 3200ms}, {3200ms, 6400ms}, {6400ms, 12800ms}, {12800ms, 25600ms}}) {
    EXPECT_THAT(reflector_.NextDelay(), AllOf(Ge(shortest), testing::Le(longest)));
  }
  std::set<Duration> delays;
  for (int i = 0; i < 20; ++i) {
    const Duration delay = reflector_.NextDelay();
    EXPECT_THAT(delay, AllOf(Ge(Duration(15s) - 2200ms), testing::Le(Duration(30s))));
    delays.insert(delay);
  }
  EXPECT_GT(delays.size(), 10U) << "no jitter";
}

class ReflectorBackoffTest : public ReflectorTest {
 protected:
  Duration FailOnce(std::optional<std::chrono::milliseconds> retry_after = std::nullopt) {
    lists_ = {std::unexpected(Error{ErrorKind::kUnavailable, "away", retry_after})};
    EXPECT_FALSE(reflector_.RunOnce({}));
    return reflector_.NextDelay();
  }
};

TEST_F(ReflectorBackoffTest, LongHealthForgivesAllFailures) {
  for (int i = 0; i < 6; ++i) FailOnce();
  clock_.Advance(119s);
  EXPECT_GT(FailOnce(), Duration(10s));
  clock_.Advance(120s);
  EXPECT_LE(FailOnce(), Duration(1600ms));
}

TEST_F(ReflectorBackoffTest, WaitsAsLongAsTheServerAsks) {
  EXPECT_EQ(FailOnce(17s), Duration(17s));
  EXPECT_EQ(FailOnce(3600s), Duration(30s)) << "a proxy in maintenance knows no better";
  EXPECT_LT(FailOnce(), Duration(17s));
}

// One of thousands of pods takes a busy server its time; one that is silent is to be noticed soon.
TEST_F(ReflectorTest, ListsForLongerEachTimeThatItWasTooShort) {
  std::vector<Duration> allowed;
  Result<HttpResponse> answer = Fail(ErrorKind::kTimeout, "no answer in time");
  transport_->on_send = [&](const HttpRequest& request, const std::stop_token&) {
    allowed.push_back(request.timeout);
    return answer;
  };
  for (int i = 0; i < 5; ++i) EXPECT_FALSE(reflector_.RunOnce({}));
  EXPECT_THAT(allowed, ElementsAre(10s, 20s, 40s, 60s, 60s));
  answer = ListOf("7", {});
  const WatchScript expires{.lines = {}, .lasts = 10s, .end = Fail(ErrorKind::kExpired, "too old")};
  watches_ = {expires, expires};
  (void)reflector_.RunOnce({});
  (void)reflector_.RunOnce({});
  EXPECT_EQ(allowed.back(), Duration(10s));
}

TEST_F(ReflectorTest, EndsAListThatIsUnderWayWhenItIsStopped) {
  std::stop_source stop;
  transport_->on_send = [&](const HttpRequest&, const std::stop_token& token) -> Result<HttpResponse> {
    stop.request_stop();
    EXPECT_TRUE(token.stop_requested());
    return Fail(ErrorKind::kCancelled, "stopped");
  };
  EXPECT_TRUE(reflector_.RunOnce(stop.get_token()));
}

TEST_F(ReflectorTest, RunGoesOnThroughFailuresUntilItIsStopped) {
  lists_ = {Fail(ErrorKind::kUnavailable, "connection refused"), ListOf("7", {Pod("a", "3")})};
  transport_->on_stream = [this](const HttpRequest&, const Transport::LineHandler& on_line,
                                 std::stop_token stop) -> Result<HttpResponse> {
    on_line(Event("ADDED", Pod("b", "8")));
    clock_.SleepFor(1h, stop);
    return Fail(ErrorKind::kCancelled, "stopped");
  };
  std::jthread runner([this](std::stop_token stop) { reflector_.Run(std::move(stop)); });
  ASSERT_TRUE(clock_.AwaitSleepers(1));
  EXPECT_FALSE(informer_.HasSynced());
  clock_.Advance(2s);
  const auto give_up = std::chrono::steady_clock::now() + 10s;
  while (Names().size() < 2 && std::chrono::steady_clock::now() < give_up) std::this_thread::yield();
  EXPECT_THAT(Names(), ElementsAre("a@3", "b@8"));
  runner.request_stop();
  runner.join();
  EXPECT_TRUE(reflector_.Healthy()) << "being stopped is no failure";
}

TEST_F(ReflectorTest, ANewListOfOneNamespaceKeepsWhatAnotherReflectorHasSeen) {
  Informer informer(types::kPods);
  Reflector ours(client_, informer, {.ns = "ns", .seed = 1}, clock_);
  Reflector other(client_, informer, {.ns = "other", .seed = 1}, clock_);
  Json foreign = Pod("foreign", "5");
  foreign["metadata"]["namespace"] = "other";
  const auto names = [&] {
    std::vector<std::string> shown;
    for (const auto& object : informer.List()) shown.push_back(KeyOf(*object).ToString());
    return shown;
  };

  lists_ = {ListOf("10", {Pod("a", "3")}), ListOf("11", {foreign}), ListOf("90", {Pod("b", "80")})};
  watches_ = {{.end = StatusResponse(410, "Expired")}, {}, {.lines = {Event("DELETED", Pod("b", "91"))}}};
  (void)ours.RunOnce({});
  EXPECT_FALSE(informer.HasSynced()) << "one namespace is not all";
  EXPECT_TRUE(other.RunOnce({}));
  EXPECT_TRUE(informer.HasSynced());
  EXPECT_THAT(names(), ElementsAre("ns/a", "other/foreign"));
  EXPECT_TRUE(ours.RunOnce({}));
  EXPECT_THAT(names(), ElementsAre("other/foreign")) << "a was not in the new list, b was deleted";
}

}  // namespace
}  // namespace reconciler
