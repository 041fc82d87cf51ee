// The Commander against real servers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <thread>

#include "controllers/redis/commander.h"
#include "tests/support/redis_process.h"
#include "tests/unit/redis/fake_server.h"

namespace slotwright {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::RedisProcess;
using Clock = std::chrono::steady_clock;
using Type = Reply::Type;

constexpr milliseconds kPlenty = seconds(20);

std::unique_ptr<RedisProcess> StartServer(std::vector<std::string> arguments = {}) {
  auto process = RedisProcess::Start({.arguments = std::move(arguments)});
  if (!process) throw std::runtime_error(process.error());
  return *std::move(process);
}

NodeResult RunOne(Commander& commander, const NodeRequest& request, milliseconds budget = kPlenty) {
  return commander.Run({request}, budget).at(0);
}

// The replies, of a request that must succeed.
std::vector<Reply> Ask(Commander& commander, const NodeRequest& request) {
  NodeResult result = RunOne(commander, request);
  if (!result) {
    ADD_FAILURE() << result.error().message;
    return std::vector<Reply>(request.commands.size());
  }
  return *std::move(result);
}

RedisError ErrorOf(const NodeResult& result) {
  if (result) ADD_FAILURE() << "succeeded";
  return result ? RedisError{} : result.error();
}

std::int64_t ClientId(Commander& commander, const Endpoint& endpoint, const std::string& password = "") {
  return Ask(commander, {endpoint, password, {{"CLIENT", "ID"}}})[0].integer;
}

TEST(Commander, LetsNoCommandReachAnotherNodeThanTheExpectedOne) {
  const auto server = StartServer({"--cluster-enabled", "yes"});
  const auto commander = MakeTcpCommander();
  const auto id = NodeId::Parse(Ask(*commander, {server->endpoint(), "", {{"CLUSTER", "MYID"}}})[0].text);
  ASSERT_TRUE(id);
  const Command command = {"CLUSTER", "ADDSLOTS", "1"};
  const auto stranger = *NodeId::Parse(std::string(40, 'a'));
  const auto refused = ErrorOf(RunOne(*commander, {server->endpoint(), "", {command}, stranger}));
  EXPECT_EQ(refused.kind, RedisError::Kind::kStranger) << refused.message;
  const auto slots = [&] {
    return Ask(*commander, {server->endpoint(), "", {{"CLUSTER", "SLOTS"}}})[0].elements.size();
  };
  EXPECT_EQ(slots(), 0U);
  EXPECT_TRUE(Ask(*commander, {server->endpoint(), "", {command}, *id})[0].IsOk());
  EXPECT_EQ(slots(), 1U);
}

TEST(Commander, ReturnsOneReplyForEachCommandInOrderAndWithItsType) {
  const auto server = StartServer();
  const auto commander = MakeTcpCommander();
  const std::string bytes("a key\r\nwith\0all\xff", 16);
  const std::vector<Reply> replies = Ask(*commander, {server->endpoint(),
                                                      "",
                                                      {{"PING"},
                                                       {"SET", bytes, bytes + bytes},
                                                       {"GET", bytes},
                                                       {"GET", "none"},
                                                       {"INCR", "counter"},
                                                       {"NOSUCHCOMMAND"},
                                                       {"RPUSH", "list", "x", ""},
                                                       {"LRANGE", "list", "0", "-1"},
                                                       {"MULTI"},
                                                       {"INCR", "counter"},
                                                       {"INCR", "list"},
                                                       {"LRANGE", "list", "0", "0"},
                                                       {"EXEC"}}});
  ASSERT_EQ(replies.size(), 13U);
  EXPECT_EQ(replies[0], (Reply{.type = Type::kStatus, .text = "PONG"}));
  EXPECT_TRUE(replies[1].IsOk());
  EXPECT_EQ(replies[2], (Reply{.type = Type::kString, .text = bytes + bytes}));
  EXPECT_EQ(replies[3], Reply{});
  EXPECT_EQ(replies[4], (Reply{.type = Type::kInteger, .integer = 1}));
  EXPECT_TRUE(replies[5].IsError());
  EXPECT_THAT(replies[5].text, HasSubstr("unknown command"));
  ASSERT_EQ(replies[7].elements.size(), 2U);
  EXPECT_EQ(replies[7].elements[1], (Reply{.type = Type::kString}));
  const std::vector<Reply>& exec = replies[12].elements;
  ASSERT_EQ(exec.size(), 3U);
  EXPECT_EQ(exec[0].integer, 2);
  EXPECT_TRUE(exec[1].IsError());
  EXPECT_EQ(exec[2].elements.at(0).text, "x");
}

TEST(Commander, UnderstandsWhatARealClusterNodeSaysOfItself) {
  const auto server = StartServer({"--cluster-enabled", "yes"});
  const auto commander = MakeTcpCommander();
  const auto replies = Ask(*commander, {server->endpoint(),
                                        "",
                                        {{"CLUSTER", "ADDSLOTS", "7", "8", "9", "16383"},
                                         {"CLUSTER", "SETSLOT", "8", "STABLE"},
                                         {"CLUSTER", "MYID"},
                                         {"CLUSTER", "NODES"},
                                         {"CLUSTER", "INFO"},
                                         {"INFO"}}});
  EXPECT_TRUE(replies[0].IsOk());
  const auto table = ParseClusterNodes(replies[3].text);
  ASSERT_TRUE(table) << table.error();
  EXPECT_EQ(table->myself().id.ToString(), replies[2].text);
  EXPECT_EQ(table->myself().slots.ToString(), "7-9 16383");
  EXPECT_EQ(table->myself().endpoint.port, server->endpoint().port);
  EXPECT_EQ(ParseClusterInfo(replies[4].text).known_nodes, 1);
  const ServerInfo info = ParseServerInfo(replies[5].text);
  EXPECT_EQ(info.run_id.size(), 40U);
  EXPECT_GT(info.used_memory, 0);
  EXPECT_TRUE(info.master_role);
}

TEST(Commander, KeepsTheFiftyEightAnswersOfSixtyNodesWhenTwoAreStopped) {
  std::vector<std::unique_ptr<RedisProcess>> servers;
  std::vector<NodeRequest> requests;
  for (int i = 0; i < 60; ++i) {
    auto server = RedisProcess::Launch({});
    ASSERT_TRUE(server) << server.error();
    requests.push_back({(*server)->endpoint(), "", {{"ECHO", std::to_string(i)}}});
    servers.push_back(*std::move(server));
  }
  for (const auto& server : servers) {
    const auto ready = server->AwaitReady(seconds(40));
    ASSERT_TRUE(ready) << ready.error();
  }
  const auto commander = MakeTcpCommander();
  for (const bool connected_before : {false, true}) {
    SCOPED_TRACE(connected_before);
    servers[17]->Signal(SIGSTOP);
    servers[59]->Signal(SIGSTOP);
    const auto start = Clock::now();
    const std::vector<NodeResult> results = commander->Run(requests, milliseconds(700));
    const auto took = Clock::now() - start;
    servers[17]->Signal(SIGCONT);
    servers[59]->Signal(SIGCONT);
    EXPECT_GE(took, milliseconds(690));
    EXPECT_LT(took, milliseconds(1500));
    ASSERT_EQ(results.size(), 60U);
    for (int i = 0; i < 60; ++i) {
      if (i == 17 || i == 59) {
        EXPECT_EQ(ErrorOf(results[i]).kind, RedisError::Kind::kDeadline);
      } else {
        ASSERT_TRUE(results[i]) << results[i].error().message;
        EXPECT_EQ(results[i]->at(0).text, std::to_string(i));
      }
    }
    // Once they go on, the late answers to the first question are nobody's answers to the second.
    for (NodeRequest& request : requests) request.commands = {{"ECHO", request.commands[0][1] + "'"}};
    const std::vector<NodeResult> again = commander->Run(requests, kPlenty);
    for (int i = 0; i < 60; ++i) {
      ASSERT_TRUE(again[i]) << again[i].error().message;
      EXPECT_EQ(again[i]->at(0).text, std::to_string(i) + "'");
      requests[i].commands = {{"ECHO", std::to_string(i)}};
    }
  }
}

TEST(Commander, AuthenticatesOnceForEachKeptConnection) {
  const auto server = StartServer({"--requirepass", "right-password"});
  const auto commander = MakeTcpCommander();
  const std::int64_t id = ClientId(*commander, server->endpoint(), "right-password");
  EXPECT_EQ(ClientId(*commander, server->endpoint(), "right-password"), id);
  const auto stats = Ask(*commander, {server->endpoint(), "right-password", {{"INFO", "commandstats"}}});
  EXPECT_THAT(stats[0].text, HasSubstr("cmdstat_auth:calls=1,"));
}

TEST(Commander, SaysAuthWhenThePasswordIsWrongOrMissingAndNeverRepeatsIt) {
  const auto server = StartServer({"--requirepass", "right-password"});
  const auto commander = MakeTcpCommander();
  for (const std::string password : {"wrong-password", ""}) {
    const RedisError error = ErrorOf(RunOne(*commander, {server->endpoint(), password, {{"SET", "k", "v"}}}));
    EXPECT_EQ(error.kind, RedisError::Kind::kAuth) << password;
    EXPECT_THAT(error.message, HasSubstr(server->endpoint().ToString()));
    EXPECT_THAT(error.message, Not(HasSubstr("wrong-password")));
  }
  EXPECT_EQ(Ask(*commander, {server->endpoint(), "right-password", {{"GET", "k"}}})[0], Reply{});
}

TEST(Commander, LetsNoCommandReachAServerThatKnowsNoPasswordWhenOneIsGiven) {
  const auto stranger = StartServer();
  const auto commander = MakeTcpCommander();
  const RedisError error = ErrorOf(RunOne(*commander, {stranger->endpoint(), "our-password", {{"SET", "k", "v"}}}));
  EXPECT_EQ(error.kind, RedisError::Kind::kAuth);
  EXPECT_EQ(Ask(*commander, {stranger->endpoint(), "", {{"GET", "k"}}})[0], Reply{});
}

TEST(Commander, SharesNoConnectionBetweenPasswords) {
  const auto server = StartServer({"--requirepass", "old-password"});
  const auto commander = MakeTcpCommander();
  Ask(*commander, {server->endpoint(), "old-password", {{"CONFIG", "SET", "requirepass", "new-password"}}});
  const std::int64_t id = ClientId(*commander, server->endpoint(), "new-password");
  EXPECT_EQ(ClientId(*commander, server->endpoint(), "new-password"), id);
  EXPECT_NE(ClientId(*commander, server->endpoint(), "old-password"), id);
}

TEST(Commander, ReplacesAConnectionThatARestartOfTheServerHasClosed) {
  const Endpoint endpoint = testing::FreshEndpoint();
  const auto commander = MakeTcpCommander();
  for (int start = 0; start < 3; ++start) {
    const auto server = RedisProcess::Start({.endpoint = endpoint});
    ASSERT_TRUE(server) << server.error();
    EXPECT_EQ(Ask(*commander, {endpoint, "", {{"PING"}}})[0].text, "PONG");
  }
  EXPECT_EQ(ErrorOf(RunOne(*commander, {endpoint, "", {{"PING"}}})).kind, RedisError::Kind::kConnect);
}

TEST(Commander, TellsAServerThatIsFullFromOneThatRefusesThePassword) {
  const auto server = StartServer({"--requirepass", "right-password", "--maxclients", "1"});
  const auto first = MakeTcpCommander();
  ASSERT_TRUE(testing::Eventually([&] {
    return RunOne(*first, {server->endpoint(), "right-password", {{"PING"}}}).has_value();
  })) << "the connection that awaited the start is still there";
  const auto second = MakeTcpCommander();
  const RedisError error = ErrorOf(RunOne(*second, {server->endpoint(), "right-password", {{"PING"}}}));
  EXPECT_NE(error.kind, RedisError::Kind::kAuth) << error.message;
}

TEST(Commander, ServesManyThreadsWithoutMixingTheirAnswers) {
  std::vector<std::unique_ptr<RedisProcess>> servers;
  for (int i = 0; i < 4; ++i) servers.push_back(StartServer());
  const auto commander = MakeTcpCommander();
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      for (int round = 0; round < 100; ++round) {
        std::vector<NodeRequest> requests;
        for (std::size_t s = 0; s < servers.size(); ++s) {
          const std::string mine = std::to_string(t) + "/" + std::to_string(round) + "/" + std::to_string(s);
          requests.push_back({servers[s]->endpoint(), "", {{"ECHO", mine}, {"PING"}, {"ECHO", mine + "!"}}});
        }
        const auto results = commander->Run(requests, kPlenty);
        for (std::size_t s = 0; s < servers.size(); ++s) {
          ASSERT_TRUE(results[s]) << results[s].error().message;
          ASSERT_EQ(results[s]->at(0).text, requests[s].commands[0][1]);
          ASSERT_EQ(results[s]->at(1).text, "PONG");
          ASSERT_EQ(results[s]->at(2).text, requests[s].commands[2][1]);
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(Commander, CarriesLargeValuesBothWays) {
  const auto server = StartServer();
  const auto commander = MakeTcpCommander();
  std::string large(20U << 20U, 'x');
  for (std::size_t i = 0; i < large.size(); i += 997) large[i] = static_cast<char>(i);
  const auto replies = Ask(*commander, {server->endpoint(), "", {{"SET", "k", large}, {"GET", "k"}, {"PING"}}});
  EXPECT_TRUE(replies[1].text == large);
  EXPECT_EQ(replies[2].text, "PONG");
}

}  // namespace
}  // namespace slotwright
