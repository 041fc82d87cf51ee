// What reaches the API server, and what is kept from it.
#include "reconciler/runtime/event_recorder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/fakes/fake_api.h"
#include "tests/unit/fakes/fake_clock.h"
#include "tests/unit/fakes/faulty_link.h"

namespace reconciler {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

Json Cluster(const std::string& name = "demo", const std::string& ns = "prod") {
  return {{"apiVersion", "slotwright.dev/v1alpha1"},
          {"kind", "RedisCluster"},
          {"metadata", {{"namespace", ns}, {"name", name}, {"uid", "uid-" + name}, {"resourceVersion", "7"}}}};
}

class EventRecorderTest : public testing::Test {
 protected:
  void Record(const std::string& message, const Json& object = Cluster(), EventType type = EventType::kNormal) {
    recorder_.Record(object, type, "CreatedPod", message);
  }
  [[nodiscard]] std::vector<std::string> MessagesAndCounts() const {
    std::vector<std::string> shown;
    for (const auto& event : api_->Objects()) {
      shown.push_back(StringAt(event, {"message"}) + " x" + event["count"].dump());
    }
    return shown;
  }

  FakeClock clock_;
  std::shared_ptr<FakeApi> api_ = std::make_shared<FakeApi>();
  std::shared_ptr<FaultyLink> link_ = std::make_shared<FaultyLink>(api_, clock_);
  Client client_{link_, {}, clock_};
  EventRecorder recorder_{client_, {.component = "slotwright", .instance = "pod-1"}, clock_};
};

TEST_F(EventRecorderTest, AnEventSaysWhoDidWhatToWhomAndWhen) {
  recorder_.Record(Cluster(), EventType::kWarning, "DeletedPod", "it was broken");
  recorder_.Flush();
  ASSERT_THAT(api_->Objects(), SizeIs(1));
  Json event = api_->Objects()[0];
  event["metadata"].erase("resourceVersion");
  EXPECT_EQ(event, (Json{{"apiVersion", "v1"},
                         {"kind", "Event"},
                         {"metadata", {{"namespace", "prod"}, {"name", "demo.6474846204000"}}},
                         {"involvedObject",
                          {{"apiVersion", "slotwright.dev/v1alpha1"},
                           {"kind", "RedisCluster"},
                           {"namespace", "prod"},
                           {"name", "demo"},
                           {"uid", "uid-demo"},
                           {"resourceVersion", "7"}}},
                         {"type", "Warning"},
                         {"reason", "DeletedPod"},
                         {"message", "it was broken"},
                         {"source", {{"component", "slotwright"}}},
                         {"reportingComponent", "slotwright"},
                         {"reportingInstance", "pod-1"},
                         {"firstTimestamp", "2026-01-01T00:00:00Z"},
                         {"lastTimestamp", "2026-01-01T00:00:00Z"},
                         {"count", 1}}));
}

TEST_F(EventRecorderTest, EventsOfClusterScopedObjectsLiveInTheDefaultNamespace) {
  Record("hello", Cluster("node-1", ""));
  recorder_.Flush();
  EXPECT_EQ(KeyOf(api_->Objects().at(0)).ns, "default");
  EXPECT_EQ(StringAt(api_->Objects()[0], {"involvedObject", "namespace"}), "");
}

TEST_F(EventRecorderTest, ARepetitionRaisesTheCountOfOneEvent) {
  Record("hello");
  recorder_.Flush();
  clock_.Advance(90s);
  Record("hello");
  recorder_.Flush();
  EXPECT_THAT(api_->Log(), ElementsAre("POST 201", "PATCH 200"));
  EXPECT_THAT(MessagesAndCounts(), ElementsAre("hello x2"));
  EXPECT_EQ(api_->Objects()[0]["firstTimestamp"], "2026-01-01T00:00:00Z");
  EXPECT_EQ(api_->Objects()[0]["lastTimestamp"], "2026-01-01T00:01:30Z");
}

TEST_F(EventRecorderTest, RepetitionsThatWaitAreSentAsOne) {
  for (int i = 0; i < 100; ++i) Record("hello");
  recorder_.Flush();
  EXPECT_THAT(api_->Log(), ElementsAre("POST 201"));
  EXPECT_THAT(MessagesAndCounts(), ElementsAre("hello x100"));
}

TEST_F(EventRecorderTest, WhateverDiffersIsAnotherEvent) {
  recorder_.Record(Cluster("a"), EventType::kNormal, "R", "m");
  recorder_.Record(Cluster("b"), EventType::kNormal, "R", "m");
  recorder_.Record(Cluster("a"), EventType::kWarning, "R", "m");
  recorder_.Record(Cluster("a"), EventType::kNormal, "S", "m");
  recorder_.Record(Cluster("a"), EventType::kNormal, "R", "n");
  recorder_.Flush();
  EXPECT_THAT(api_->Objects(), SizeIs(5));
}

TEST_F(EventRecorderTest, AfterTenQuietMinutesItIsANewEvent) {
  for (int i = 0; i < 3; ++i) {
    if (i > 0) clock_.Advance(10min - 1s);
    Record("hello");
    recorder_.Flush();
  }
  clock_.Advance(10min);
  Record("hello");
  recorder_.Flush();
  EXPECT_THAT(MessagesAndCounts(), ElementsAre("hello x3", "hello x1"));
}

TEST_F(EventRecorderTest, AnEventThatStillWaitsIsRaisedHoweverOldItIs) {
  Record("hello");
  clock_.Advance(1h);
  Record("hello");
  recorder_.Flush();
  EXPECT_THAT(MessagesAndCounts(), ElementsAre("hello x2"));
}

TEST_F(EventRecorderTest, ASeriesWhoseEventHasExpiredStartsANewOne) {
  Record("hello");
  recorder_.Flush();
  api_->Clear();
  clock_.Advance(1min);
  Record("hello");
  recorder_.Flush();
  EXPECT_THAT(MessagesAndCounts(), ElementsAre("hello x2"));
}

TEST_F(EventRecorderTest, ACreateThatIsSentTwiceMakesOneEvent) {
  Record("hello");
  link_->SetFault(Fault::kLoseAnswer);
  recorder_.Flush();
  link_->SetFault(Fault::kNone);
  recorder_.Flush();
  EXPECT_THAT(api_->Log(), ElementsAre("POST 201", "POST 409"));
  EXPECT_THAT(MessagesAndCounts(), ElementsAre("hello x1"));
  EXPECT_EQ(recorder_.Dropped(), 0U);
}

TEST_F(EventRecorderTest, NamesAreUniqueWhateverTheClockDoes) {
  for (const auto step : {0s, 5s, -3600s, 0s}) {
    clock_.StepWall(step);
    Record(std::to_string(api_->Objects().size()));
    Record("second " + std::to_string(api_->Objects().size()));
    recorder_.Flush();
  }
  EXPECT_THAT(api_->Objects(), SizeIs(8));
}

TEST_F(EventRecorderTest, NamesStayWithinTheLimitAndTheSyntaxOfNames) {
  const std::string name = std::string(237, 'x') + "-." + std::string(14, 'y');
  Record("hello", Cluster(name));
  recorder_.Flush();
  const std::string event_name = KeyOf(api_->Objects().at(0)).name;
  EXPECT_LE(event_name.size(), 253U);
  EXPECT_THAT(event_name, testing::MatchesRegex("x+\\.[0-9a-f]+"));
}

TEST_F(EventRecorderTest, LongMessagesAreCutBetweenCharacters) {
  std::string message(1019, 'x');
  for (int i = 0; i < 10; ++i) message += "\u20ac";  // three bytes each
  Record(message);
  recorder_.Flush();
  EXPECT_EQ(StringAt(api_->Objects().at(0), {"message"}), std::string(1019, 'x') + "…");
}

TEST_F(EventRecorderTest, AMessageOf1024BytesIsNotCut) {
  Record(std::string(1024, 'x'));
  recorder_.Flush();
  EXPECT_EQ(StringAt(api_->Objects().at(0), {"message"}), std::string(1024, 'x'));
}

TEST_F(EventRecorderTest, MessagesMayQuoteBytesThatAreNoText) {
  Record("node said \xff\xfe");
  recorder_.Flush();
  EXPECT_EQ(StringAt(api_->Objects().at(0), {"message"}), "node said \ufffd\ufffd");
}

TEST_F(EventRecorderTest, OneObjectCannotFloodTheServer) {
  for (int i = 0; i < 40; ++i) Record(std::to_string(i));
  Record("other", Cluster("other"));
  recorder_.Flush();
  EXPECT_THAT(api_->Objects(), SizeIs(25 + 1));
  EXPECT_EQ(recorder_.Dropped(), 15U);
  clock_.Advance(5min);
  Record("one more");
  Record("one too many");
  recorder_.Flush();
  EXPECT_THAT(api_->Objects(), SizeIs(25 + 1 + 1));
}

TEST_F(EventRecorderTest, ProgressDoesNotSilenceAWarning) {
  for (int i = 0; i < 40; ++i) Record(std::to_string(i));
  recorder_.Record(Cluster("demo"), EventType::kWarning, "DataLost", "gone");
  recorder_.Flush();
  EXPECT_THAT(api_->Objects(), SizeIs(25 + 1));
  EXPECT_EQ(StringAt(api_->Objects().back(), {"reason"}), "DataLost");
}

TEST_F(EventRecorderTest, RepetitionsCannotFloodTheServerAndAreCountedAllTheSame) {
  for (int i = 0; i < 100; ++i) {
    Record("hello");
    recorder_.Flush();
  }
  EXPECT_THAT(api_->Log(), SizeIs(25));
  clock_.Advance(5min);
  Record("hello");
  recorder_.Flush();
  EXPECT_THAT(MessagesAndCounts(), ElementsAre("hello x101"));
}

TEST_F(EventRecorderTest, TheQueueIsBounded) {
  for (int i = 0; i < 1003; ++i) Record("hello", Cluster("c" + std::to_string(i)));
  EXPECT_EQ(recorder_.Dropped(), 3U);
  recorder_.Flush();
  EXPECT_THAT(api_->Objects(), SizeIs(1000));
}

TEST_F(EventRecorderTest, MemoryIsBounded) {
  for (int i = 0; i < 10'000; ++i) {
    Record("hello", Cluster("c" + std::to_string(i)));
    if (i % 500 == 0) recorder_.Flush();
  }
  recorder_.Flush();
  EXPECT_THAT(api_->Objects(), SizeIs(10'000)) << "pruning must not lose what waits";
}

TEST_F(EventRecorderTest, WaitsForAServerThatIsAwayAndKeepsTheOrder) {
  Record("first");
  Record("second");
  link_->SetFault(Fault::kRefuse);
  recorder_.Flush();
  EXPECT_THAT(api_->Objects(), IsEmpty());
  Record("third");
  Record("first");
  link_->SetFault(Fault::kNone);
  recorder_.Flush();
  EXPECT_THAT(MessagesAndCounts(), ElementsAre("first x2", "second x1", "third x1"));
  std::vector<std::string> versions;
  for (const auto& event : api_->Objects()) versions.push_back(ResourceVersionOf(event));
  EXPECT_THAT(versions, ElementsAre("1", "2", "3"));
}

TEST_F(EventRecorderTest, GivesUpAfterTwelveTries) {
  Record("hello");
  link_->SetFault(Fault::kRefuse);
  for (int i = 0; i < 12; ++i) {
    EXPECT_EQ(recorder_.Dropped(), 0U);
    recorder_.Flush();
  }
  EXPECT_EQ(recorder_.Dropped(), 1U);
  link_->SetFault(Fault::kNone);
  recorder_.Flush();
  EXPECT_THAT(api_->Objects(), IsEmpty());
}

TEST_F(EventRecorderTest, WhatTheServerRefusesStandsInNobodysWay) {
  auto transport = std::make_shared<FakeTransport>();
  int requests = 0;
  transport->on_send = [&](const HttpRequest& request, std::stop_token) -> Result<HttpResponse> {
    if (++requests == 1) return StatusResponse(403, "Forbidden", "namespace is being terminated");
    return HttpResponse{.status = 201, .body = request.body};
  };
  const Client client(transport, {}, clock_);
  EventRecorder recorder(client, {}, clock_);
  recorder.Record(Cluster(), EventType::kNormal, "R", "refused");
  recorder.Record(Cluster(), EventType::kNormal, "R", "taken");
  recorder.Flush();
  EXPECT_EQ(requests, 2);
  EXPECT_EQ(recorder.Dropped(), 1U);
}

TEST_F(EventRecorderTest, TheSenderSendsByItself) {
  recorder_.Start();
  ASSERT_TRUE(clock_.AwaitSleepers(1));
  Record("hello");
  const auto give_up = std::chrono::steady_clock::now() + 10s;
  while (api_->Objects().empty() && std::chrono::steady_clock::now() < give_up) std::this_thread::yield();
  EXPECT_THAT(MessagesAndCounts(), ElementsAre("hello x1"));
}

TEST_F(EventRecorderTest, TheSenderWakesUpForEachEventOnTheMachinesClock) {
  const Client client(api_, {});
  EventRecorder recorder(client, {});
  recorder.Start();
  for (size_t i = 1; i <= 20; ++i) {
    recorder.Record(Cluster(), EventType::kNormal, "R", std::to_string(i));
    const auto give_up = std::chrono::steady_clock::now() + 10s;
    while (api_->Objects().size() < i && std::chrono::steady_clock::now() < give_up) std::this_thread::yield();
    ASSERT_THAT(api_->Objects(), SizeIs(i));
  }
}

TEST_F(EventRecorderTest, TheSenderTriesAgainAfterAWhile) {
  link_->SetFault(Fault::kRefuse);
  Record("hello");
  recorder_.Start();
  ASSERT_TRUE(clock_.AwaitSleepers(1));
  link_->SetFault(Fault::kNone);
  clock_.Advance(10s);
  const auto give_up = std::chrono::steady_clock::now() + 10s;
  while (api_->Objects().empty() && std::chrono::steady_clock::now() < give_up) std::this_thread::yield();
  EXPECT_THAT(MessagesAndCounts(), ElementsAre("hello x1"));
}

TEST_F(EventRecorderTest, RecordDoesNotWaitForAServerThatHangs) {
  link_->SetFault(Fault::kBlackHole);
  Record("first");  // before there is a sender: one that has nothing to do sleeps, too
  recorder_.Start();
  ASSERT_TRUE(clock_.AwaitSleepers(1));
  for (int i = 0; i < 10; ++i) Record(std::to_string(i));
  clock_.Advance(1h);  // Lets the request time out, and Stop return.
  recorder_.Stop();
}

TEST_F(EventRecorderTest, ManyThreadsMayRecord) {
  recorder_.Start();
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([this, t] {
        for (int i = 0; i < 200; ++i) Record("hello", Cluster("c" + std::to_string(t) + "-" + std::to_string(i % 50)));
      });
    }
  }
  recorder_.Stop();
  recorder_.Flush();
  int total = 0;
  for (const auto& event : api_->Objects()) total += event["count"].get<int>();
  EXPECT_EQ(total, 4 * 200);
}

}  // namespace
}  // namespace reconciler
