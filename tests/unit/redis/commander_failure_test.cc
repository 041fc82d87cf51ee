// The Commander against servers that fail in every way that a network has.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <thread>

#include "controllers/redis/commander.h"
#include "tests/support/redis_process.h"
#include "tests/unit/redis/fake_server.h"

namespace slotwright {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::BlackHole;
using testing::Eventually;
using testing::FakeConnection;
using testing::FakeServer;
using testing::FreshEndpoint;
using ::testing::HasSubstr;
using ::testing::Not;
using Clock = std::chrono::steady_clock;
using Kind = RedisError::Kind;

constexpr milliseconds kPlenty = seconds(20);

NodeRequest Ping(const Endpoint& endpoint) { return {endpoint, "", {{"PING"}}}; }

void AnswerPings(FakeConnection& connection) {
  while (connection.ReadCommand("PING")) connection.Send("+PONG\r\n");
}

NodeResult RunOne(Commander& commander, const NodeRequest& request, milliseconds budget = kPlenty) {
  return commander.Run({request}, budget).at(0);
}

RedisError ErrorOf(const NodeResult& result) {
  if (result) ADD_FAILURE() << "succeeded";
  return result ? RedisError{} : result.error();
}

std::string TextOf(const NodeResult& result) {
  if (!result) ADD_FAILURE() << result.error().message;
  return result ? result->at(0).text : "";
}

TEST(Commander, LetsNobodyWaitForNodesThatAreSilentOrLost) {
  FakeServer healthy(AnswerPings);
  FakeServer silent([](FakeConnection& c) { c.AwaitClose(); });
  BlackHole lost;
  const Endpoint closed = FreshEndpoint();
  const auto commander = MakeTcpCommander();
  const auto start = Clock::now();
  const auto results = commander->Run(
      {Ping(healthy.endpoint()), Ping(silent.endpoint()), Ping(lost.endpoint()), Ping(closed)}, milliseconds(300));
  const auto took = Clock::now() - start;
  EXPECT_GE(took, milliseconds(295));
  EXPECT_LT(took, milliseconds(1000));
  EXPECT_EQ(TextOf(results[0]), "PONG");
  EXPECT_EQ(ErrorOf(results[1]).kind, Kind::kDeadline);
  EXPECT_THAT(ErrorOf(results[1]).message, HasSubstr("0 of 1 answers"));
  EXPECT_EQ(ErrorOf(results[2]).kind, Kind::kDeadline);
  EXPECT_THAT(ErrorOf(results[2]).message, HasSubstr("neither accepted nor refused the connection within 300 ms"));
  EXPECT_EQ(ErrorOf(results[3]).kind, Kind::kConnect);
  EXPECT_THAT(ErrorOf(results[3]).message, HasSubstr("refused"));
}

TEST(Commander, ReturnsAtOnceWhenAllHaveAnsweredOrFailed) {
  FakeServer healthy(AnswerPings);
  const auto commander = MakeTcpCommander();
  const auto start = Clock::now();
  const auto results = commander->Run({Ping(healthy.endpoint()), Ping(FreshEndpoint())}, seconds(30));
  EXPECT_LT(Clock::now() - start, seconds(5));
  EXPECT_EQ(TextOf(results[0]), "PONG");
  EXPECT_EQ(ErrorOf(results[1]).kind, Kind::kConnect);
}

TEST(Commander, HoldsUpNoRunWithAnotherThatWaits) {
  std::latch answered(1);
  FakeServer healthy(AnswerPings);
  FakeServer slow([&](FakeConnection& c) {
    c.ReadCommand("PING");
    answered.wait();
    c.Send("+LATE\r\n");
    c.AwaitClose();
  });
  const auto commander = MakeTcpCommander();
  std::thread waiting([&] { EXPECT_EQ(TextOf(RunOne(*commander, Ping(slow.endpoint()))), "LATE"); });
  EXPECT_TRUE(Eventually([&] { return slow.accepted() == 1; }));
  EXPECT_EQ(TextOf(RunOne(*commander, Ping(healthy.endpoint()))), "PONG");
  answered.count_down();
  waiting.join();
}

TEST(Commander, NeverUsesAConnectionAgainThatTheDeadlineHasCut) {
  std::latch late(1);
  FakeServer server([&](FakeConnection& c) {
    if (!c.ReadCommand("PING")) return;
    if (c.number == 0) {
      late.wait();
      c.Send("+STALE\r\n");
      c.AwaitClose();
    } else {
      c.Send("+FRESH\r\n");
      c.AwaitClose();
    }
  });
  const auto commander = MakeTcpCommander();
  EXPECT_EQ(ErrorOf(RunOne(*commander, Ping(server.endpoint()), milliseconds(100))).kind, Kind::kDeadline);
  late.count_down();
  EXPECT_EQ(TextOf(RunOne(*commander, Ping(server.endpoint()))), "FRESH");
  EXPECT_EQ(server.accepted(), 2);
}

TEST(Commander, ClosesAtTheDeadlineWhatHasNotAnsweredByThen) {
  FakeServer server([](FakeConnection& c) {
    c.ReadCommand("PING");
    c.Send("$100\r\nbegun");
    c.AwaitClose();
  });
  const auto commander = MakeTcpCommander();
  EXPECT_EQ(ErrorOf(RunOne(*commander, Ping(server.endpoint()), milliseconds(100))).kind, Kind::kDeadline);
  EXPECT_TRUE(Eventually([&] { return server.finished() == 1; }));
}

TEST(Commander, NeverUsesAConnectionAgainOnWhichMoreCameThanWasAskedFor) {
  FakeServer server([](FakeConnection& c) {
    c.ReadCommand("PING");
    c.Send(c.number == 0 ? "+ONE\r\n+TOO MANY\r\n" : "+TWO\r\n");
    c.AwaitClose();
  });
  const auto commander = MakeTcpCommander();
  EXPECT_EQ(TextOf(RunOne(*commander, Ping(server.endpoint()))), "ONE");
  EXPECT_EQ(TextOf(RunOne(*commander, Ping(server.endpoint()))), "TWO");
}

TEST(Commander, NeverUsesAConnectionAgainOnWhichSomethingCameUnasked) {
  std::latch first_done(1);
  std::latch unasked(1);
  FakeServer server([&](FakeConnection& c) {
    c.ReadCommand("PING");
    c.Send(c.number == 0 ? "+ONE\r\n" : "+TWO\r\n");
    if (c.number == 0) {
      first_done.wait();
      c.Send("+UNASKED\r\n");
      c.AwaitDelivery();
      unasked.count_down();
    }
    c.AwaitClose();
  });
  const auto commander = MakeTcpCommander();
  EXPECT_EQ(TextOf(RunOne(*commander, Ping(server.endpoint()))), "ONE");
  first_done.count_down();
  unasked.wait();
  EXPECT_EQ(TextOf(RunOne(*commander, Ping(server.endpoint()))), "TWO");
}

TEST(Commander, TriesNothingTwiceOnAConnectionThatBreaksAfterTheCommandWasWritten) {
  std::atomic<int> commands{0};
  FakeServer server([&](FakeConnection& c) {
    if (c.ReadCommand("PING")) ++commands;
    c.Send("+PONG\r\n");
    if (c.ReadUntil("$4\r\nQUIT\r\n")) ++commands;  // closed without an answer
  });
  const auto commander = MakeTcpCommander();
  EXPECT_EQ(TextOf(RunOne(*commander, Ping(server.endpoint()))), "PONG");
  EXPECT_EQ(ErrorOf(RunOne(*commander, {server.endpoint(), "", {{"QUIT"}}})).kind, Kind::kIo);
  EXPECT_EQ(commands, 2);
  EXPECT_EQ(server.accepted(), 1);
}

TEST(Commander, NamesTheFailureOfEveryBrokenAnswer) {
  const struct {
    std::string answer;  // then the server closes
    Kind kind;
    std::string message;
  } cases[] = {
      {"", Kind::kIo, "broke before 3 of 3 answers"},
      {"$10\r\nabc", Kind::kIo, "broke before 3 of 3 answers"},
      {"+OK\r\n+OK\r\n", Kind::kIo, "broke before 1 of 3 answers"},
      {"+OK\r\n*2\r\n:1\r\n", Kind::kIo, "broke before 2 of 3 answers"},
      {"HTTP/1.1 400 Bad Request\r\n\r\n", Kind::kProtocol, "no RESP2"},
      {"+OK\r\n+OK\r\nrubbish\r\n", Kind::kProtocol, "no RESP2"},
      {"-NOAUTH Authentication required.\r\n", Kind::kAuth, "refused the password"},
      {"-WRONGPASS invalid username-password pair or user is disabled.\r\n", Kind::kAuth, "refused the password"},
      {"-ERR max number of clients reached\r\n", Kind::kConnect, "Raise maxclients"},
  };
  const auto commander = MakeTcpCommander();
  for (const auto& c : cases) {
    SCOPED_TRACE(c.answer);
    FakeServer server([&](FakeConnection& connection) {
      connection.ReadUntil("last\r\n");
      connection.Send(c.answer);
    });
    const RedisError error = ErrorOf(RunOne(
        *commander, {server.endpoint(), "", {{"CONFIG", "SET", "requirepass", "secret"}, {"PING"}, {"ECHO", "last"}}}));
    EXPECT_EQ(error.kind, c.kind);
    EXPECT_THAT(error.message, HasSubstr(c.message));
    EXPECT_THAT(error.message, HasSubstr(server.endpoint().ToString()));
    EXPECT_THAT(error.message, Not(HasSubstr("secret")));
  }
}

TEST(Commander, TakesErrorsOfTheServerAsReplies) {
  FakeServer server([](FakeConnection& c) {
    c.ReadUntil("$4\r\nEXEC\r\n");
    c.Send("-LOADING Redis is loading the dataset in memory\r\n*2\r\n-MOVED 7 10.0.0.1:6379\r\n-NOAUTH nested\r\n");
    c.AwaitClose();
  });
  const auto commander = MakeTcpCommander();
  const NodeResult result = RunOne(*commander, {server.endpoint(), "", {{"GET", "k"}, {"EXEC"}}});
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_TRUE(result->at(0).IsError());
  EXPECT_EQ(result->at(1).elements.at(1).text, "NOAUTH nested");
}

// Who does not say which node he is may still be the expected one.
TEST(Commander, CallsNobodyAStrangerWhoIsTooBusyToSayWhoHeIs) {
  FakeServer server([](FakeConnection& c) {
    c.ReadUntil("MYID\r\n");
    c.Send("-BUSY Redis is busy running a script.\r\n");
    c.AwaitClose();
  });
  const auto commander = MakeTcpCommander();
  const auto id = *NodeId::Parse(std::string(40, 'a'));
  const auto error = ErrorOf(RunOne(*commander, {server.endpoint(), "", {{"SAVE"}}, id}));
  EXPECT_NE(error.kind, Kind::kStranger);
  EXPECT_THAT(error.message, HasSubstr("BUSY Redis is busy running a script."));
  EXPECT_THAT(error.message, Not(HasSubstr("any more")));
}

TEST(Commander, PutsAnswersTogetherThatComeByteByByte) {
  FakeServer server([](FakeConnection& c) {
    c.ReadCommand("PING");
    for (const char byte : std::string("*2\r\n$3\r\na\r\n\r\n:42\r\n")) c.Send({&byte, 1});
    c.AwaitClose();
  });
  const auto commander = MakeTcpCommander();
  const NodeResult result = RunOne(*commander, Ping(server.endpoint()));
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->at(0).elements.at(0).text, "a\r\n");
  EXPECT_EQ(result->at(0).elements.at(1).integer, 42);
}

TEST(Commander, StopsReadingAnAnswerThatIsBeyondAllBounds) {
  FakeServer server([](FakeConnection& c) {
    c.ReadCommand("PING");
    c.Send(c.number == 0 ? "$100000000\r\n" : "$900000\r\n");
    c.Send(std::string(900'000, 'x'));
    c.Send(c.number == 0 ? std::string(90'000'000, 'x') : "\r\n");
    c.AwaitClose();
  });
  const auto commander = MakeTcpCommander({.largest_answer = 1'000'000});
  const RedisError error = ErrorOf(RunOne(*commander, Ping(server.endpoint())));
  EXPECT_EQ(error.kind, Kind::kProtocol);
  EXPECT_THAT(error.message, HasSubstr("answered PING with more than 1"));
  EXPECT_TRUE(Eventually([&] { return server.finished() == 1; })) << "the connection is still open";
  EXPECT_EQ(TextOf(RunOne(*commander, Ping(server.endpoint()))).size(), 900'000U);
}

TEST(Commander, BoundsAnswersBySixtyFourMebibytesUnlessToldOtherwise) {
  EXPECT_EQ(TcpCommanderOptions{}.largest_answer, 64U << 20U);
  EXPECT_EQ(TcpCommanderOptions{}.idle_timeout, seconds(30));
}

TEST(Commander, SendsNothingButAuthUntilThatIsAccepted) {
  std::string seen;
  FakeServer server([&](FakeConnection& c) {
    c.ReadUntil("pass\r\n");
    c.Send("-ERR AUTH <password> called without any password configured for the default user.\r\n");
    c.AwaitClose();
    seen = c.received();
  });
  const auto commander = MakeTcpCommander();
  const RedisError error = ErrorOf(RunOne(*commander, {server.endpoint(), "pass", {{"CLUSTER", "MEET"}}}));
  EXPECT_EQ(error.kind, Kind::kAuth);
  ASSERT_TRUE(Eventually([&] { return server.finished() == 1; }));
  EXPECT_EQ(seen, "*2\r\n$4\r\nAUTH\r\n$4\r\npass\r\n");
}

TEST(Commander, ClosesConnectionsThatNobodyUses) {
  FakeServer server(AnswerPings);
  const auto commander = MakeTcpCommander({.idle_timeout = milliseconds(50)});
  for (int round = 1; round <= 2; ++round) {
    EXPECT_EQ(TextOf(RunOne(*commander, Ping(server.endpoint()))), "PONG");
    EXPECT_TRUE(Eventually([&] { return server.finished() == round; }));
  }
}

TEST(Commander, KeepsNoMoreConnectionsToANodeThanItMay) {
  FakeServer server(AnswerPings);
  const auto commander = MakeTcpCommander({.kept_per_node = 2});
  const std::vector<NodeRequest> requests(5, Ping(server.endpoint()));
  for (const NodeResult& result : commander->Run(requests, kPlenty)) EXPECT_EQ(TextOf(result), "PONG");
  EXPECT_EQ(server.accepted(), 5);
  EXPECT_TRUE(Eventually([&] { return server.finished() == 3; }));
  EXPECT_EQ(commander->Run({2, Ping(server.endpoint())}, kPlenty).size(), 2U);
  EXPECT_EQ(server.accepted(), 5);
  EXPECT_EQ(server.finished(), 3);
}

TEST(Commander, TrustsNoneOfTheConnectionsBesideOneThatFailed) {
  FakeServer server([](FakeConnection& c) {
    c.ReadCommand("PING");
    c.Send("+PONG\r\n");
    c.AwaitClose();  // whatever comes next gets no answer
  });
  const auto commander = MakeTcpCommander();
  (void)commander->Run(std::vector<NodeRequest>(3, Ping(server.endpoint())), kPlenty);
  EXPECT_EQ(ErrorOf(RunOne(*commander, Ping(server.endpoint()), milliseconds(100))).kind, Kind::kDeadline);
  EXPECT_EQ(TextOf(RunOne(*commander, Ping(server.endpoint()), kPlenty)), "PONG");
  EXPECT_EQ(server.accepted(), 4);
}

TEST(Commander, ClosesItsConnectionsWhenItIsDestroyed) {
  FakeServer server(AnswerPings);
  auto commander = MakeTcpCommander();
  EXPECT_EQ(TextOf(RunOne(*commander, Ping(server.endpoint()))), "PONG");
  const auto start = Clock::now();
  commander.reset();
  EXPECT_LT(Clock::now() - start, seconds(5));
  EXPECT_TRUE(Eventually([&] { return server.finished() == 1; }));
}

TEST(Commander, RefusesWhatItCannotSend) {
  const Endpoint nowhere = FreshEndpoint();
  const struct {
    NodeRequest request;
    Kind kind;
  } cases[] = {
      {Ping({"", 6379}), Kind::kConnect},        {Ping({"redis-0.svc", 6379}), Kind::kConnect},
      {Ping({nowhere.host, 0}), Kind::kConnect}, {Ping({nowhere.host, 65536}), Kind::kConnect},
      {Ping({"::1", 1}), Kind::kConnect},        {{nowhere, "", {{"PING"}, {}}}, Kind::kProtocol},
  };
  const auto commander = MakeTcpCommander();
  for (const auto& c : cases) {
    const RedisError error = ErrorOf(RunOne(*commander, c.request));
    EXPECT_EQ(error.kind, c.kind) << error.message;
  }
}

TEST(Commander, AsksNobodyWhenThereIsNothingToAskOrNoTime) {
  FakeServer server(AnswerPings);
  const auto commander = MakeTcpCommander();
  EXPECT_TRUE(commander->Run({}, kPlenty).empty());
  const NodeResult nothing = RunOne(*commander, {server.endpoint(), "", {}});
  ASSERT_TRUE(nothing);
  EXPECT_TRUE(nothing->empty());
  for (const milliseconds budget : {milliseconds(0), milliseconds(-5), milliseconds::min()}) {
    EXPECT_EQ(ErrorOf(RunOne(*commander, Ping(server.endpoint()), budget)).kind, Kind::kDeadline);
  }
  EXPECT_EQ(server.accepted(), 0);
  EXPECT_EQ(TextOf(RunOne(*commander, Ping(server.endpoint()), milliseconds::max())), "PONG");
}

}  // namespace
}  // namespace slotwright
