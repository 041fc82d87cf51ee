// One elector's dealings with its lease.
#include "reconciler/runtime/leader_election.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <prometheus/registry.h>

#include <atomic>
#include <thread>

#include "reconciler/metrics/runtime_metrics.h"
#include "reconciler/runtime/event_recorder.h"
#include "tests/unit/fakes/fake_api.h"
#include "tests/unit/fakes/fake_clock.h"
#include "tests/unit/fakes/faulty_link.h"
#include "tests/unit/reconciler_runtime/replica.h"

namespace reconciler {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;

class LeaderElectionTest : public testing::Test {
 protected:
  std::unique_ptr<Replica> MakeReplica(const std::string& identity, unsigned seed = 1) {
    return std::make_unique<Replica>(identity, api_, clock_, seed, &metrics_);
  }
  [[nodiscard]] Json Spec() const { return api_->Objects().at(0)["spec"]; }
  [[nodiscard]] Duration Now() const { return clock_.Now().time_since_epoch(); }

  /// Lets time pass, from one waking to the next, until all sleep again at its end.
  void Pass(Duration time, size_t threads = 1) {
    const MonotonicTime until = clock_.Now() + time;
    ASSERT_TRUE(clock_.AwaitSleepers(threads));
    while (clock_.Now() < until) {
      ASSERT_TRUE(clock_.AdvanceToNextWake(threads, until));
      ASSERT_TRUE(clock_.AwaitSleepers(threads));
    }
  }
  /// A lease that somebody else wrote.
  void PutLease(const std::string& holder, int seconds, const std::string& renewed) {
    Client client(api_, {}, clock_);
    ASSERT_TRUE(client.Create(types::kLeases, {{"metadata", {{"namespace", "ns"}, {"name", "op"}}},
                                               {"spec",
                                                {{"holderIdentity", holder},
                                                 {"leaseDurationSeconds", seconds},
                                                 {"acquireTime", renewed},
                                                 {"renewTime", renewed},
                                                 {"leaseTransitions", 4}}}}));
  }
  /// How long `replica` takes to become leader.
  Duration AcquireTime(Replica& replica) {
    const Duration start = Now();
    replica.Start();
    const Duration give_up = start + 10min;
    while (replica.terms == 0 && Now() < give_up) {
      const bool waits = clock_.AwaitSleepers(1) && (replica.terms > 0 || clock_.AdvanceToNextWake(1));
      if (!waits) break;
    }
    EXPECT_EQ(replica.terms, 1);
    return Now() - start;
  }

  FakeClock clock_;
  std::shared_ptr<FakeApi> api_ = std::make_shared<FakeApi>();
  RuntimeMetrics metrics_{std::make_shared<prometheus::Registry>()};
};

TEST_F(LeaderElectionTest, TheFirstCandidateCreatesTheLease) {
  auto a = MakeReplica("a");
  EXPECT_EQ(AcquireTime(*a), 0s);
  EXPECT_TRUE(a->elector.IsLeader());
  EXPECT_THAT(api_->Log(), ElementsAre("GET 404", "POST 201"));
  EXPECT_EQ(Spec(), (Json{{"holderIdentity", "a"},
                          {"leaseDurationSeconds", 15},
                          {"acquireTime", "2026-01-01T00:00:00.000000Z"},
                          {"renewTime", "2026-01-01T00:00:00.000000Z"},
                          {"leaseTransitions", 0}}));
}

TEST_F(LeaderElectionTest, ALeaderRenewsEachRetryPeriodWithOneRequest) {
  auto a = MakeReplica("a");
  AcquireTime(*a);
  Pass(6s);
  EXPECT_THAT(api_->Log(), ElementsAre("GET 404", "POST 201", "PUT 200", "PUT 200", "PUT 200"));
  EXPECT_EQ(Spec()["renewTime"], "2026-01-01T00:00:06.000000Z");
  EXPECT_EQ(Spec()["acquireTime"], "2026-01-01T00:00:00.000000Z");
  EXPECT_EQ(Spec()["leaseTransitions"], 0);
}

TEST_F(LeaderElectionTest, ALeaderGetsOverOthersEditingItsLease) {
  auto a = MakeReplica("a");
  AcquireTime(*a);
  api_->Edit([](Json& lease) {
    lease["metadata"]["labels"]["team"] = "x";
    lease["spec"]["strategy"] = "OldestEmulationVersion";
  });
  Pass(2s);
  EXPECT_THAT(api_->Log(), ElementsAre("GET 404", "POST 201", "PUT 409", "GET 200", "PUT 200"));
  EXPECT_TRUE(a->elector.IsLeader());
  EXPECT_EQ(LabelOf(api_->Objects()[0], "team"), "x");
  EXPECT_EQ(Spec()["strategy"], "OldestEmulationVersion");
}

TEST_F(LeaderElectionTest, ALeaderWhoseLeaseWasDeletedWritesItAgain) {
  auto a = MakeReplica("a");
  AcquireTime(*a);
  api_->Clear();
  Pass(2s);
  EXPECT_EQ(Spec()["holderIdentity"], "a");
  EXPECT_EQ(a->terms, 1);
}

TEST_F(LeaderElectionTest, ACandidateTakesOverALeaseThatStandsStillForItsDurationAndNotBefore) {
  auto a = MakeReplica("a");
  AcquireTime(*a);
  a->Stop();
  auto b = MakeReplica("b");
  const Duration took = AcquireTime(*b);
  EXPECT_GE(took, 15s);
  EXPECT_LE(took, 15s + 4400ms);
  EXPECT_EQ(Spec()["holderIdentity"], "b");
  EXPECT_EQ(Spec()["leaseTransitions"], 1);
  EXPECT_EQ(Spec()["acquireTime"], Spec()["renewTime"]);
}

struct ForeignLeaseCase {
  std::string name;
  int seconds;
  std::string renewed;
  Duration expected;
};

class ForeignLeaseTest : public LeaderElectionTest, public testing::WithParamInterface<ForeignLeaseCase> {};

TEST_P(ForeignLeaseTest, RunsByOurClockAndByItsHoldersPromise) {
  PutLease("other", GetParam().seconds, GetParam().renewed);
  auto a = MakeReplica("a");
  const Duration took = AcquireTime(*a);
  EXPECT_GE(took, GetParam().expected);
  EXPECT_LE(took, GetParam().expected + 4400ms);
  EXPECT_EQ(Spec()["leaseTransitions"], 5);
}

INSTANTIATE_TEST_SUITE_P(
    Records, ForeignLeaseTest,
    testing::Values(ForeignLeaseCase{"OfAClockThatIsFarAhead", 15, "2040-01-01T00:00:00.000000Z", 15s},
                    ForeignLeaseCase{"OfAClockThatIsFarBehind", 15, "1999-01-01T00:00:00.000000Z", 15s},
                    ForeignLeaseCase{"OfAHolderWithALongerDuration", 60, "2026-01-01T00:00:00.000000Z", 60s},
                    ForeignLeaseCase{"WithoutADuration", 0, "2026-01-01T00:00:00.000000Z", 15s}),
    [](const auto& test) { return test.param.name; });

TEST_F(LeaderElectionTest, ALeaseWithoutAHolderIsFree) {
  PutLease("", 1, "2026-01-01T00:00:00.000000Z");
  auto a = MakeReplica("a");
  EXPECT_EQ(AcquireTime(*a), 0s);
}

TEST_F(LeaderElectionTest, ADeletedLeaseStillBindsWhoeverSawIt) {
  PutLease("other", 15, "2026-01-01T00:00:00.000000Z");
  auto a = MakeReplica("a");
  a->Start();
  ASSERT_TRUE(clock_.AwaitSleepers(1));
  api_->Clear();
  EXPECT_GE(AcquireTime(*a), 15s);
}

TEST_F(LeaderElectionTest, AReleasedLeaseIsTakenWithoutWaitingForItsEnd) {
  auto a = MakeReplica("a");
  AcquireTime(*a);
  auto b = MakeReplica("b", 2);
  b->Start();
  Pass(7s, 2);
  EXPECT_EQ(b->terms, 0);
  a->Stop();
  a->elector.Release();
  EXPECT_FALSE(a->elector.IsLeader());
  EXPECT_EQ(Spec()["holderIdentity"], "");
  EXPECT_EQ(Spec()["leaseDurationSeconds"], 1);
  EXPECT_EQ(Spec()["leaseTransitions"], 0);
  Pass(4400ms);
  EXPECT_TRUE(b->elector.IsLeader());
  EXPECT_EQ(Spec()["leaseTransitions"], 1);
}

TEST_F(LeaderElectionTest, ReleaseGetsOverAWriteThatItDoesNotKnowOf) {
  auto a = MakeReplica("a");
  AcquireTime(*a);
  api_->Edit([](Json& lease) { lease["metadata"]["labels"]["team"] = "x"; });
  a->Stop();
  a->elector.Release();
  EXPECT_EQ(Spec()["holderIdentity"], "");
}

TEST_F(LeaderElectionTest, ReleaseLeavesALeaseOfSomebodyElseAlone) {
  auto a = MakeReplica("a");
  a->elector.Release();
  EXPECT_TRUE(api_->Log().empty());
  AcquireTime(*a);
  api_->Edit([](Json& lease) { lease["spec"]["holderIdentity"] = "b"; });
  a->Stop();
  a->elector.Release();
  EXPECT_EQ(Spec()["holderIdentity"], "b");
}

class OutageTest : public LeaderElectionTest, public testing::WithParamInterface<Fault> {};

TEST_P(OutageTest, LosesTheLeaseAtTheRenewDeadlineAndNotBefore) {
  auto a = MakeReplica("a");
  AcquireTime(*a);
  Pass(4s);
  const Duration last_renewal = Now();
  a->link->SetFault(GetParam());
  Pass(10s - 1ns);
  EXPECT_TRUE(a->working);
  EXPECT_TRUE(a->elector.IsLeader());
  Pass(1ns);
  EXPECT_FALSE(a->working);
  EXPECT_EQ(a->LostAt(), last_renewal + 10s);
}

TEST_P(OutageTest, AShortOneIsSurvived) {
  auto a = MakeReplica("a");
  AcquireTime(*a);
  ASSERT_TRUE(clock_.AwaitSleepers(1));
  a->link->SetFault(GetParam());
  Pass(6500ms);
  a->link->SetFault(Fault::kNone);
  Pass(60s);
  EXPECT_TRUE(a->working);
  EXPECT_EQ(a->terms, 1);
}

INSTANTIATE_TEST_SUITE_P(Faults, OutageTest, testing::Values(Fault::kRefuse, Fault::kBlackHole),
                         [](const auto& test) { return test.param == Fault::kRefuse ? "Refused" : "Silent"; });

TEST_P(OutageTest, ALeaseLostThatWayIsNotReleased) {
  auto a = MakeReplica("a");
  AcquireTime(*a);
  ASSERT_TRUE(clock_.AwaitSleepers(1));
  a->link->SetFault(GetParam());
  Pass(10s);
  a->Stop();
  a->link->SetFault(Fault::kNone);
  const auto before = api_->Log();
  a->elector.Release();
  EXPECT_EQ(api_->Log(), before);
}

TEST_F(LeaderElectionTest, TheRenewDeadlineIsKeptBetweenTwoAttempts) {
  auto link = std::make_shared<FaultyLink>(api_, clock_);
  LeaderElector elector(link, {}, {.lease = {"ns", "op"}, .identity = "a", .retry_period = 4s}, clock_);
  ASSERT_TRUE(elector.Acquire({}));
  const Duration acquired = Now();
  link->SetFault(Fault::kRefuse);
  std::atomic<Duration::rep> lost_at = 0;
  std::jthread holder([&](const std::stop_token& stop) {
    EXPECT_FALSE(elector.Hold(stop));
    lost_at = Now().count();
  });
  for (const auto attempt : {4s, 8s, 10s}) {
    ASSERT_TRUE(clock_.AdvanceToNextWake(1));
    EXPECT_EQ(Now(), acquired + attempt);
  }
  holder.join();
  EXPECT_EQ(Duration(lost_at), acquired + 10s);
}

TEST_F(LeaderElectionTest, TheLeaseRunsFromWhenItWasAskedForAndNotFromTheAnswer) {
  auto a = MakeReplica("a");
  a->link->SetFault(Fault::kSlowAnswer);
  const MonotonicTime start = clock_.Now();
  std::jthread acquiring([&](const std::stop_token& stop) { EXPECT_TRUE(a->elector.Acquire(stop)); });
  for (const auto answer : {3s, 6s}) {  // to GET, to POST
    ASSERT_TRUE(clock_.AdvanceToNextWake(1));
    EXPECT_EQ(clock_.Now(), start + answer);
  }
  acquiring.join();
  clock_.Advance(start + 3s + 15s - 1ns - clock_.Now());
  EXPECT_TRUE(a->elector.IsLeader());
  clock_.Advance(1ns);
  EXPECT_FALSE(a->elector.IsLeader());
}

TEST_F(LeaderElectionTest, ALostAnswerIsNoLostLease) {
  auto a = MakeReplica("a");
  AcquireTime(*a);
  ASSERT_TRUE(clock_.AwaitSleepers(1));
  a->link->SetFault(Fault::kLoseAnswer);
  Pass(2s);
  a->link->SetFault(Fault::kNone);
  Pass(60s);
  EXPECT_TRUE(a->working);
  EXPECT_EQ(a->terms, 1);
}

TEST_F(LeaderElectionTest, ACandidateWaitsForAServerThatIsAway) {
  auto a = MakeReplica("a");
  a->link->SetFault(Fault::kBlackHole);
  a->Start();
  Pass(60s);
  EXPECT_EQ(a->terms, 0);
  a->link->SetFault(Fault::kNone);
  Pass(10s);
  EXPECT_TRUE(a->elector.IsLeader());
}

TEST_F(LeaderElectionTest, ALeaderWhoseLeaseWasTakenStopsAtOnce) {
  auto a = MakeReplica("a");
  AcquireTime(*a);
  ASSERT_TRUE(clock_.AwaitSleepers(1));
  api_->Edit([](Json& lease) { lease["spec"]["holderIdentity"] = "b"; });
  const Duration taken = Now();
  Pass(2s);
  EXPECT_FALSE(a->working);
  EXPECT_EQ(a->LostAt(), taken + 2s);
  EXPECT_EQ(Spec()["holderIdentity"], "b");
}

TEST_F(LeaderElectionTest, ASuspendedLeaderDoesNotWakeUpAsLeader) {
  auto a = MakeReplica("a");
  AcquireTime(*a);
  ASSERT_TRUE(clock_.AwaitSleepers(1));
  const auto before = api_->Log();
  a->link->SetFault(Fault::kBlackHole);  // So that it cannot become leader again at once.
  clock_.Advance(20s);
  EXPECT_FALSE(a->elector.IsLeader()) << "even if Hold has not noticed yet";
  ASSERT_TRUE(clock_.AwaitSleepers(1));
  EXPECT_FALSE(a->working);
  EXPECT_EQ(api_->Log(), before);
}

TEST_F(LeaderElectionTest, IsUnhealthyIfItLeadsWithoutRenewing) {
  auto a = MakeReplica("a");
  EXPECT_TRUE(a->elector.Healthy());
  ASSERT_TRUE(a->elector.Acquire({}));
  EXPECT_TRUE(a->elector.Healthy());
  clock_.Advance(15s);
  EXPECT_TRUE(a->elector.Healthy());
  clock_.Advance(1ns);
  EXPECT_FALSE(a->elector.Healthy());
}

TEST_F(LeaderElectionTest, StopEndsAcquireAndHold) {
  auto a = MakeReplica("a");
  auto b = MakeReplica("b");
  std::stop_source stop;
  ASSERT_TRUE(a->elector.Acquire(stop.get_token()));
  std::jthread holding([&] { EXPECT_TRUE(a->elector.Hold(stop.get_token())); });
  std::jthread acquiring([&] { EXPECT_FALSE(b->elector.Acquire(stop.get_token())); });
  ASSERT_TRUE(clock_.AwaitSleepers(2));
  stop.request_stop();
  holding.join();
  acquiring.join();
  EXPECT_TRUE(a->elector.IsLeader()) << "until it is released";
}

TEST_F(LeaderElectionTest, StopEndsARequestThatHangs) {
  auto a = MakeReplica("a");
  a->link->SetFault(Fault::kBlackHole);
  std::stop_source stop;
  std::jthread acquiring([&] { EXPECT_FALSE(a->elector.Acquire(stop.get_token())); });
  ASSERT_TRUE(clock_.AwaitSleepers(1));
  stop.request_stop();
}

TEST_F(LeaderElectionTest, LeadershipIsAMetric) {
  const std::string gauge = "leader_election_master_status{name=\"op\"} ";
  auto a = MakeReplica("a");
  AcquireTime(*a);
  EXPECT_THAT(metrics_.Text(), HasSubstr(gauge + "1"));
  a->Stop();
  a->elector.Release();
  EXPECT_THAT(metrics_.Text(), HasSubstr(gauge + "0"));
}

TEST_F(LeaderElectionTest, TellsOnTheLeaseWhoLeads) {
  const Client client(api_, {}, clock_);
  EventRecorder events(client, {}, clock_);
  LeaderElector elector(api_, {}, {.lease = {"ns", "op"}, .identity = "host_1", .events = &events, .seed = 1}, clock_);
  ASSERT_TRUE(elector.Acquire({}));
  elector.Release();
  events.Flush();
  std::vector<std::string> told;
  for (const Json& object : api_->Objects()) {
    if (object["kind"] != "Event") continue;
    told.push_back(object["reason"].get<std::string>() + ": " + object["message"].get<std::string>());
    EXPECT_EQ(object["metadata"]["namespace"], "ns");
    const Json& lease = object["involvedObject"];
    EXPECT_EQ(lease["apiVersion"], "coordination.k8s.io/v1");
    EXPECT_EQ(lease["kind"], "Lease");
    EXPECT_EQ(lease["name"], "op");
  }
  EXPECT_THAT(told, ElementsAre("LeaderElection: host_1 became leader", "LeaderElection: host_1 stopped leading"));
}

}  // namespace
}  // namespace reconciler
