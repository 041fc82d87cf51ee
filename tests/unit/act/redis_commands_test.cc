// What the executor makes of the answers of replicas that take over, servers that load and nodes that leave.
#include "controllers/act/executor.h"

#include <gmock/gmock.h>

#include "tests/unit/act/scripted_redis.h"
#include "tests/unit/fakes/fake_clock.h"
#include "tests/unit/fakes/fake_transport.h"

namespace slotwright {
namespace {

using reconciler::HttpRequest;
using reconciler::HttpResponse;
using reconciler::Json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

// The look was before the election of another one.
TEST(TakeoverTest, IsNotForcedOnAReplicaThatFollowsAnotherMasterByNow) {
  auto api = std::make_shared<reconciler::FakeTransport>();
  api->on_send = [](const HttpRequest&, std::stop_token) { return HttpResponse{.status = 200, .body = "{}"}; };
  reconciler::FakeClock clock;
  const reconciler::Client client(api, {}, clock);
  const NodeRef replica{.pod = "demo-0-1", .id = {}, .endpoint = {}};
  for (const Action& action : {Action(Takeover{.replica = replica, .master = kDeadMaster, .unknown_slots = {}}),
                               Action(Failover{.replica = replica, .forced = true, .master = kDeadMaster})}) {
    const auto carry = [&](const NodeId& master) {
      ReplicaOf redis(master);
      Plan plan;
      plan.actions = {action};
      const std::string error = Executor(client, redis, clock, {}).Carry(plan, {}, "").at(0).error;
      return std::pair(error, redis.asked);
    };
    EXPECT_EQ(carry(kDeadMaster).first, "ERR it was told");
    const auto [error, asked] = carry(*NodeId::Parse(std::string(40, 'e')));
    EXPECT_EQ(error, "demo-0-1 follows another master by now");
    EXPECT_THAT(asked, ::testing::ElementsAre("NODES"));
  }
}

// Valkey 9 takes what it has keys of as it is promoted, and refuses to be given a range in which it owns one slot.
TEST(TakeoverTest, AddsOnlyThoseUnknownSlotsThatItDidNotTakeByItself) {
  class Promoted final : public Commander {
   public:
    std::vector<NodeResult> Run(const std::vector<NodeRequest>& requests, std::chrono::milliseconds) override {
      std::vector<Reply> replies;
      for (const auto& command : requests.at(0).commands) {
        promoted_ = promoted_ || command[1] == "FAILOVER";
        const bool is_busy = command[1] == "ADDSLOTSRANGE" && added.empty();
        if (command[1] == "ADDSLOTSRANGE") added = command;
        const std::string table = fmt::format(
            "{:040} 10.0.0.1:6379@16379 myself,{} 0 0 1 connected{}\n{} 10.0.0.2:6379@16379 {} 0 0 1 connected\n", 7,
            promoted_ ? "master -" : "slave " + kDeadMaster.ToString(), promoted_ ? " 3 7-8" : "",
            kDeadMaster.ToString(), "master -");
        replies.push_back({.type = is_busy ? Reply::Type::kError : Reply::Type::kString,
                           .text = is_busy                 ? "ERR Slot 3 is already busy"
                                   : command[1] == "NODES" ? table
                                                           : "OK"});
      }
      return {std::move(replies)};
    }
    Command added;

   private:
    bool promoted_ = false;
  };
  const auto api = std::make_shared<reconciler::FakeTransport>();
  reconciler::FakeClock clock;
  const reconciler::Client client(api, {}, clock);
  Promoted redis;
  Plan plan;
  plan.actions = {Takeover{{.pod = "demo-0-1", .id = {}, .endpoint = {}}, kDeadMaster, SlotSet({SlotRange{0, 9}}), ""}};
  EXPECT_EQ(Executor(client, redis, clock, {}).Carry(plan, {}, "").at(0).error, "");
  EXPECT_EQ(redis.added, (Command{"CLUSTER", "ADDSLOTSRANGE", "0", "2", "4", "6", "9", "9"}));
}

// No cache shows a pod without our labels, and it may run and serve.
TEST(TakeoverTest, OfAMasterWhosePodSeemsToBeMissingAsksTheApiServerFirst) {
  const auto carry = [](const HttpResponse& pod) {
    auto api = std::make_shared<reconciler::FakeTransport>();
    api->on_send = [&](const HttpRequest&, std::stop_token) { return pod; };
    reconciler::FakeClock clock;
    const reconciler::Client client(api, {}, clock);
    ReplicaOf redis(kDeadMaster);
    const NodeRef replica{.pod = "demo-0-1", .id = {}, .endpoint = {"10.0.0.1", 6379}};
    Plan plan;
    plan.actions = {Takeover{replica, kDeadMaster, {}, "demo-0-0"}};
    RedisCluster cluster;
    cluster.ns = "default";
    return Executor(client, redis, clock, {}).Carry(plan, cluster, "").at(0).error;
  };
  const auto pod = [](const Json& object) { return HttpResponse{.status = 200, .body = object.dump()}; };
  EXPECT_EQ(carry(reconciler::StatusResponse(404, "NotFound", "pods \"demo-0-0\" not found")), "ERR it was told");
  EXPECT_EQ(carry(pod({{"status", {{"phase", "Pending"}}}})), "ERR it was told") << "it was made this very moment";
  EXPECT_EQ(carry(pod({{"status", {{"podIP", "10.0.0.2"}}}})), "Pod demo-0-0 is there");
  EXPECT_EQ(carry(pod({{"metadata", {{"deletionTimestamp", "2026-11-30T15:00:00Z"}}}})), "Pod demo-0-0 is there");
  EXPECT_THAT(carry(reconciler::StatusResponse(500, "InternalError", "etcd is away")), HasSubstr("etcd"));
}

class LoadingTest : public ::testing::Test {
 protected:
  Outcome Carry(Action action, const std::string& answer) {
    api_->on_send = [](const HttpRequest&, std::stop_token) { return HttpResponse{.status = 200, .body = "{}"}; };
    RedisCluster cluster;
    cluster.ns = "default";
    cluster.name = "demo";
    cluster.spec.config["appendonly"] = "yes";
    Plan plan;
    plan.actions.push_back(std::move(action));
    const reconciler::Client client(api_, {}, clock_);
    OneAnswer redis(answer);
    return Executor(client, redis, clock_, {}).Carry(plan, cluster, "").at(0);
  }
  [[nodiscard]] std::string Notes() const {
    std::string notes;
    for (const auto& request : api_->Requests()) notes += request.body;
    return notes;
  }

  static constexpr const char* kLoading = "LOADING Valkey is loading the dataset in memory";
  const NodeRef node_{.pod = "demo-0-1", .id = {}, .endpoint = {"10.0.0.1", 6379}};
  std::shared_ptr<reconciler::FakeTransport> api_ = std::make_shared<reconciler::FakeTransport>();
  reconciler::FakeClock clock_;
};

TEST_F(LoadingTest, IsNoRefusalOfAValue) {
  LiveChange change{
      .directives = {{"appendonly", "yes"}}, .before = LiveNotes(), .after = {}, .if_refused = LiveNotes()};
  change.before->Doubt("appendonly");
  change.if_refused->refused = change.directives;
  EXPECT_THAT(Carry(SetConfig{node_, change}, kLoading).error, IsEmpty());
  EXPECT_THAT(Notes(), AllOf(HasSubstr("appendonly"), Not(HasSubstr("@refused"))));
  EXPECT_THAT(Carry(SetConfig{node_, change}, "ERR no").error, HasSubstr("the server does not take it (ERR no)"));
  EXPECT_THAT(Notes(), HasSubstr("@refused"));
}

// A right that somebody has taken away is no fault of the value.
TEST_F(LoadingTest, IsNoMoreARefusalOfAValueThanAMissingRightIs) {
  LiveChange change{.directives = {{"hz", "25"}}, .before = LiveNotes(), .after = {}, .if_refused = LiveNotes()};
  change.if_refused->refused = change.directives;
  const std::string error = Carry(SetConfig{node_, change}, "NOPERM no permissions to run 'config|set'").error;
  EXPECT_EQ(error, "NOPERM no permissions to run 'config|set'");
  EXPECT_THAT(Notes(), Not(HasSubstr("@refused")));
}

TEST_F(LoadingTest, IsNoFailureOfAnIntroduction) {
  const Meet meet{.from = node_, .peers = {{{"10.0.0.2", 6379}, 16379}}, .epoch = std::nullopt};
  EXPECT_THAT(Carry(meet, kLoading).error, IsEmpty());
  EXPECT_THAT(Carry(meet, "ERR no").error, HasSubstr("ERR no"));
}

// Answers CLUSTER NODES and INFO, and remembers whether it was reset.
class LeavingNode final : public Commander {
 public:
  std::vector<NodeResult> Run(const std::vector<NodeRequest>& requests, std::chrono::milliseconds) override {
    std::vector<Reply> replies;
    for (const auto& command : requests.at(0).commands) {
      was_reset = was_reset || command == Command{"CLUSTER", "RESET", "HARD"};
      replies.push_back({.type = Reply::Type::kString, .text = command[0] == "INFO" ? info : table});
    }
    return {std::move(replies)};
  }

  std::string table;
  std::string info;
  bool was_reset = false;
};

class LeavingTest : public ::testing::Test {
 protected:
  bool IsReset(const std::string& table, const std::string& info) {
    const auto api = std::make_shared<reconciler::FakeTransport>();
    api->on_send = [this](const HttpRequest&, std::stop_token) {
      return HttpResponse{.status = 200, .body = Json{{"metadata", pod_}}.dump()};
    };
    reconciler::FakeClock clock;
    const reconciler::Client client(api, {}, clock);
    LeavingNode node;
    node.table = std::string(40, 'a') + " 10.0.0.1:6379@16379,host " + table + "\n";
    node.info = info;
    Plan plan;
    plan.actions = {DeletePod{"demo-3-0", "uid", NodeRef{"demo-3-0", {}, {"10.0.0.1", 6379}}}};
    const auto outcome = Executor(client, node, clock, {}).Carry(plan, {}, "").at(0);
    EXPECT_THAT(outcome.error, IsEmpty());
    return node.was_reset;
  }
  Json pod_ = {{"name", "demo-3-0"}, {"uid", "uid"}, {"deletionTimestamp", "2026-11-23T06:00:00Z"}};
  const std::string kMaster = "myself,master - 0 0 1 connected";
  const std::string kKeys = "# Keyspace\r\ndb0:keys=7,expires=0,avg_ttl=0\r\n";
  const std::string kReplica = "myself,slave " + std::string(40, 'b') + " 0 0 1 connected";
};

TEST_F(LeavingTest, NodeThatHasNothingIsReset) {
  EXPECT_TRUE(IsReset(kMaster, "role:master\r\n"));
  EXPECT_TRUE(IsReset(kReplica, "role:slave\r\nmaster_link_status:down\r\n")) << "its master may have left before it";
  EXPECT_TRUE(IsReset(kReplica, "role:slave\r\nmaster_link_status:up\r\n" + kKeys));
}

TEST_F(LeavingTest, NodeWhosePodStaysIsNot) {
  pod_["uid"] = "another";
  EXPECT_FALSE(IsReset(kMaster, "role:master\r\n"));
  pod_ = {{"name", "demo-3-0"}, {"uid", "uid"}};
  EXPECT_FALSE(IsReset(kMaster, "role:master\r\n"));
}

// Since the look it may have become the only one that has something.
TEST_F(LeavingTest, NodeThatHasSomethingIsNot) {
  EXPECT_FALSE(IsReset(kMaster + " 0-99", "role:master\r\n"));
  EXPECT_FALSE(IsReset(kMaster + " [7-<-" + std::string(40, 'b') + "]", "role:master\r\n"));
  EXPECT_FALSE(IsReset(kMaster, "role:master\r\n" + kKeys));
  EXPECT_FALSE(IsReset(kReplica, "role:slave\r\nmaster_link_status:down\r\n" + kKeys));
  EXPECT_FALSE(IsReset(kReplica, "role:slave\r\nmaster_link_status:down\r\nloading:1\r\n"));
}

}  // namespace
}  // namespace slotwright
