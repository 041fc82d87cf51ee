// What the executor decides by what it is answered: about evictions, claims, nodes that leave and servers that load.
#include "controllers/act/executor.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "tests/unit/act/import_model.h"
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

class NoRedis final : public Commander {
 public:
  std::vector<NodeResult> Run(const std::vector<NodeRequest>& requests, std::chrono::milliseconds) override {
    ADD_FAILURE() << "an eviction asks no server";
    return std::vector<NodeResult>(requests.size());
  }
};

class EvictionTest : public ::testing::Test {
 protected:
  /// The outcome, if that is what the API server says to the trial.
  Outcome Evict(const HttpResponse& trial) {
    api_->on_send = [&](const HttpRequest& request, std::stop_token) {
      if (request.method == "GET") {
        const Json pods = {{"metadata", {{"resourceVersion", "7"}}}, {"items", pods_}};
        return HttpResponse{.status = 200, .body = pods.dump()};
      }
      if (request.target.find("/eviction") != std::string::npos) {
        return HttpResponse{.status = 201, .body = R"({"kind": "Status", "status": "Success"})"};
      }
      EXPECT_THAT(request.target, AllOf(HasSubstr("dryRun=All"), HasSubstr("fieldValidation=Strict")));
      return trial;
    };
    RedisCluster cluster;
    cluster.ns = "default";
    cluster.name = "demo";
    cluster.spec.replicas_per_master = 1;
    const Json successor = {{"metadata", {{"name", "demo-0-1"}, {"namespace", "default"}}}};
    Plan plan;
    plan.actions = {EvictPod{"demo-0-1", "uid", successor, std::nullopt, grace_period_}};
    const reconciler::Client client(api_, {}, clock_);
    NoRedis no_redis;
    return Executor(client, no_redis, clock_, {}).Carry(plan, cluster, "").at(0);
  }
  [[nodiscard]] bool Evicted() const {
    return std::ranges::any_of(api_->Requests(), [](const HttpRequest& request) {
      return request.method == "POST" && request.target.ends_with("/pods/demo-0-1/eviction");
    });
  }

  std::optional<std::chrono::seconds> grace_period_;
  Json pods_ = {{{"metadata", {{"name", "demo-0-0"}}}}, {{"metadata", {{"name", "demo-0-1"}}}}};
  std::shared_ptr<reconciler::FakeTransport> api_ = std::make_shared<reconciler::FakeTransport>();
  reconciler::FakeClock clock_;
};

TEST_F(EvictionTest, GoesAheadIfTheSuccessorWouldBeTaken) {
  const auto outcome = Evict({.status = 201, .body = "{}"});
  EXPECT_THAT(outcome.error, IsEmpty());
  EXPECT_TRUE(Evicted());
}

TEST_F(EvictionTest, DoesNotHappenWhileAnotherPodOfTheShardGoesOrIsGone) {
  pods_[0]["metadata"]["deletionTimestamp"] = "2026-11-23T06:00:00Z";
  EXPECT_THAT(Evict({.status = 201, .body = "{}"}).error, HasSubstr("demo-0-0"));
  pods_.erase(0);
  EXPECT_THAT(Evict({.status = 201, .body = "{}"}).error, HasSubstr("demo-0-0"));
  EXPECT_FALSE(Evicted());
}

TEST_F(EvictionTest, DoesNotHappenIfAPolicyRefusesTheSuccessor) {
  const auto outcome =
      Evict(reconciler::StatusResponse(403, "Forbidden", "violates PodSecurity \"restricted:latest\""));
  EXPECT_EQ(outcome.refusal, "PodRefused");
  EXPECT_THAT(outcome.error, HasSubstr("PodSecurity"));
  EXPECT_FALSE(Evicted());
}

TEST_F(EvictionTest, DoesNotHappenIfTheSuccessorIsInvalid) {
  EXPECT_EQ(Evict(reconciler::StatusResponse(422, "Invalid", "spec.containers[0]")).refusal, "PodRefused");
  EXPECT_FALSE(Evicted());
}

// The trial counts beside the pod that is to make room for it.
TEST_F(EvictionTest, IsNotKeptFromByAQuotaThatCountsBoth) {
  const auto outcome = Evict(reconciler::StatusResponse(
      403, "Forbidden",
      R"(pods "demo-0-1-trial" is forbidden: exceeded quota: small, requested: pods=1, used: pods=6)"));
  EXPECT_THAT(outcome.error, IsEmpty());
  EXPECT_TRUE(Evicted());
}

TEST_F(EvictionTest, IsNotKeptFromByAWebhookThatTakesNoTrials) {
  const auto outcome = Evict(reconciler::StatusResponse(
      400, "BadRequest", R"(admission webhook "audit.example.com" does not support dry run)"));
  EXPECT_THAT(outcome.error, IsEmpty());
  EXPECT_TRUE(Evicted());
}

TEST_F(EvictionTest, WaitsWithoutAVerdictIfTheServerCannotAnswer) {
  const auto outcome = Evict(reconciler::StatusResponse(500, "InternalError", "webhook is away"));
  EXPECT_THAT(outcome.refusal, IsEmpty());
  EXPECT_THAT(outcome.error, HasSubstr("webhook is away"));
  EXPECT_FALSE(Evicted());
}

// As make e2e showed: the operator was killed between the two steps of an eviction, and the next one waited two
// minutes.
TEST_F(EvictionTest, ThatWasGrantedAndNotCarriedOutIsCarriedOut) {
  const auto evict = [&](const Json& disrupted, int healthy, const char* uid) {
    Json deleted;
    api_ = std::make_shared<reconciler::FakeTransport>();
    api_->on_send = [&](const HttpRequest& request, std::stop_token) -> HttpResponse {
      const auto answer = [](const Json& body) { return HttpResponse{.status = 200, .body = body.dump()}; };
      if (request.method == "DELETE") {
        deleted = Json::parse(request.body);
        return answer({{"kind", "Status"}, {"status", "Success"}});
      }
      if (request.method == "POST") {
        return reconciler::StatusResponse(429, "TooManyRequests", "Cannot evict pod: disruption budget");
      }
      if (request.target.find("/poddisruptionbudgets/demo-0") != std::string::npos) {
        if (disrupted.is_null()) return answer({{"metadata", {{"name", "demo-0"}}}});
        return answer({{"metadata", {{"name", "demo-0"}}},
                       {"status", {{"disruptedPods", disrupted}, {"currentHealthy", healthy}, {"desiredHealthy", 1}}}});
      }
      if (request.target.find("/pods/demo-0-1") != std::string::npos) {
        return answer(
            {{"metadata", {{"name", "demo-0-1"}, {"uid", uid}, {"creationTimestamp", "2026-11-23T06:00:00Z"}}}});
      }
      return answer({{"metadata", {{"resourceVersion", "7"}}}, {"items", pods_}});
    };
    RedisCluster cluster;
    cluster.ns = "default";
    cluster.name = "demo";
    cluster.spec.replicas_per_master = 1;
    Plan plan;
    plan.actions = {EvictPod{"demo-0-1", "uid"}};
    const reconciler::Client client(api_, {}, clock_);
    NoRedis no_redis;
    const auto outcome = Executor(client, no_redis, clock_, {}).Carry(plan, cluster, "").at(0);
    EXPECT_EQ(outcome.error.empty(), !deleted.is_null());
    return deleted.is_null() ? "" : deleted["preconditions"]["uid"].get<std::string>();
  };
  const Json granted = {{"demo-0-1", "2026-11-23T06:10:00Z"}};
  EXPECT_EQ(evict(granted, 1, "uid"), "uid");
  EXPECT_EQ(evict(granted, 0, "uid"), "") << "another one is down by now";
  EXPECT_EQ(evict(granted, 1, "another"), "") << "a later pod of that name";
  EXPECT_EQ(evict({{"demo-0-1", "2026-11-23T05:59:59Z"}}, 1, "uid"), "") << "it was an earlier one's";
  EXPECT_EQ(evict({{"demo-0-0", "2026-11-23T06:10:00Z"}}, 1, "uid"), "") << "it was another's";
  EXPECT_EQ(evict(Json::object(), 1, "uid"), "");
  EXPECT_EQ(evict(nullptr, 1, "uid"), "") << "a new budget has no status";
}

// A master that writes all its data as it ends (replicasPerMaster 0).
TEST_F(EvictionTest, GivesAPodTheTimeThatItNeedsToEnd) {
  grace_period_ = std::chrono::hours(1);
  EXPECT_THAT(Evict({.status = 201, .body = "{}"}).error, IsEmpty());
  EXPECT_EQ(Json::parse(api_->Requests().back().body)["deleteOptions"]["gracePeriodSeconds"], 3600);
}

// Answers each command by itself, whoever is asked.
class EachByItself : public Commander {
 public:
  std::vector<NodeResult> Run(const std::vector<NodeRequest>& requests, std::chrono::milliseconds) override {
    std::vector<NodeResult> results;
    for (const auto& request : requests) {
      std::vector<Reply> replies;
      for (const auto& command : request.commands) replies.push_back(Answer(command));
      results.emplace_back(std::move(replies));
    }
    return results;
  }

 private:
  virtual Reply Answer(const Command& command) = 0;
};

class OneAnswer final : public EachByItself {
 public:
  explicit OneAnswer(std::string error) : error_(std::move(error)) {}

 private:
  Reply Answer(const Command&) override { return {.type = Reply::Type::kError, .text = error_}; }
  std::string error_;
};

// A replica of that master; it answers all else with an error.
class ReplicaOf final : public EachByItself {
 public:
  explicit ReplicaOf(const NodeId& master) : master_(master) {}
  std::vector<std::string> asked;  ///< The second words of all commands.

 private:
  Reply Answer(const Command& command) override {
    asked.push_back(command[1]);
    if (command[1] != "NODES") return {.type = Reply::Type::kError, .text = "ERR it was told"};
    return {.type = Reply::Type::kString,
            .text = fmt::format("{:040} 10.0.0.1:6379@16379 myself,slave {} 0 0 1 connected\n"
                                "{} 10.0.0.2:6379@16379 master - 0 0 1 connected\n",
                                7, master_.ToString(), master_.ToString())};
  }
  const NodeId master_;
};

const NodeId kDeadMaster = *NodeId::Parse(std::string(40, 'd'));

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

// Of a claim that is there before the operator wants to make it.
class ClaimTest : public ::testing::Test {
 protected:
  Outcome Carry(Action action, const Json& metadata) {
    api_->on_send = [&](const HttpRequest& request, std::stop_token) {
      const bool is_claim = request.target.find("/persistentvolumeclaims") != std::string::npos;
      if (request.method == "POST" && (is_claim || all_exist_))
        return reconciler::StatusResponse(409, "AlreadyExists", "it exists");
      if (request.method == "GET") {
        if (metadata.is_null()) return reconciler::StatusResponse(404, "NotFound", "it is not there");
        return HttpResponse{.status = 200, .body = Json{{"metadata", metadata}}.dump()};
      }
      return HttpResponse{.status = 200, .body = "{}"};
    };
    RedisCluster cluster;
    cluster.ns = "default";
    cluster.name = "demo";
    cluster.uid = "ours";
    cluster.spec.storage = StorageSpec{.size = "1Gi"};
    Plan plan;
    plan.actions = {std::move(action)};
    const reconciler::Client client(api_, {}, clock_);
    NoRedis no_redis;
    return Executor(client, no_redis, clock_, {}).Carry(plan, cluster, "").at(0);
  }
  Outcome Ensure(const Json& metadata) {
    const Json claim = {{"metadata",
                         {{"name", "data-demo-0-0"},
                          {"namespace", "default"},
                          {"labels", {{labels::kManagedBy, "slotwright"}, {labels::kInstance, "demo"}}}}}};
    return Carry(EnsureObject{{reconciler::types::kPersistentVolumeClaims, claim}, false}, metadata);
  }
  Outcome CreateItsPod(const Json& metadata) {
    return Carry(CreatePod{"demo-0-0", {{"metadata", {{"name", "demo-0-0"}, {"namespace", "default"}}}}}, metadata);
  }
  [[nodiscard]] bool Sent(const char* method, const char* what) const {
    return std::ranges::any_of(api_->Requests(), [&](const HttpRequest& request) {
      return request.method == method && request.target.find(what) != std::string::npos;
    });
  }
  static Json Named(const Json& more) {
    Json metadata = {{"name", "data-demo-0-0"}, {"namespace", "default"}};
    metadata.update(more);
    return metadata;
  }

  bool all_exist_ = false;
  const Json somebody_elses_ = Named({{"labels", {{labels::kInstance, "shop"}}}});
  std::shared_ptr<reconciler::FakeTransport> api_ = std::make_shared<reconciler::FakeTransport>();
  reconciler::FakeClock clock_;
};

// As one that a snapshot was restored into. Without our labels no cache would ever show it.
TEST_F(ClaimTest, OfNobodyIsTaken) {
  EXPECT_THAT(Ensure(Named(Json::object())).error, IsEmpty());
  EXPECT_TRUE(Sent("PATCH", "/persistentvolumeclaims/data-demo-0-0"));
  EXPECT_THAT(CreateItsPod(Named(Json::object())).error, IsEmpty());
  EXPECT_TRUE(Sent("POST", "/pods"));
}

TEST_F(ClaimTest, OfOursThatTheCacheDoesNotShowYetIsLeftAsItIs) {
  EXPECT_THAT(Ensure(Named({{"labels", {{labels::kManagedBy, "slotwright"}, {labels::kInstance, "demo"}}}})).error,
              IsEmpty());
  EXPECT_FALSE(Sent("PATCH", "/persistentvolumeclaims"));
}

// Where somebody took a label away no cache shows it, and it would be made again and again.
TEST_F(ClaimTest, OrPodOfOursWithoutItsLabelsGetsThemBack) {
  const Json pod = {
      {"metadata", {{"name", "demo-0-0"}, {"namespace", "default"}, {"labels", {{labels::kShard, "0"}}}}}};
  Json existing = {
      {"name", "demo-0-0"},
      {"ownerReferences", {{{"uid", "ours"}, {"kind", "RedisCluster"}, {"controller", true}}}},
      {"labels", {{labels::kInstance, "demo"}, {labels::kManagedBy, "slotwright"}, {labels::kShard, "0"}}}};
  all_exist_ = true;
  EXPECT_THAT(Carry(CreatePod{"demo-0-0", pod}, existing).error, IsEmpty());
  EXPECT_FALSE(Sent("PATCH", "/pods"));
  existing["labels"][labels::kShard] = "1";
  EXPECT_THAT(Carry(CreatePod{"demo-0-0", pod}, existing).error, IsEmpty());
  EXPECT_TRUE(Sent("PATCH", "/pods/demo-0-0"));
}

TEST_F(ClaimTest, OfSomebodyElseIsNeitherTouchedNorMounted) {
  const Json owned =
      Named({{"ownerReferences", {{{"uid", "theirs"}, {"kind", "Shop"}, {"name", "x"}, {"controller", true}}}}});
  for (const Json& metadata : {somebody_elses_, Named({{"labels", {{labels::kManagedBy, "Helm"}}}}), owned}) {
    EXPECT_EQ(Ensure(metadata).refusal, "NameTaken") << metadata;
    const auto outcome = CreateItsPod(metadata);
    EXPECT_EQ(outcome.refusal, "NameTaken") << metadata;
    EXPECT_THAT(outcome.error, HasSubstr("PersistentVolumeClaim data-demo-0-0"));
  }
  EXPECT_FALSE(Sent("PATCH", "/"));
  EXPECT_FALSE(Sent("POST", "/pods"));
}

TEST_F(ClaimTest, OfOursWithoutLabelsIsOursByItsOwner) {
  const Json ours = Named({{"ownerReferences", {{{"uid", "ours"}, {"kind", "RedisCluster"}, {"controller", true}}}},
                           {"labels", {{labels::kInstance, "demo"}}}});
  EXPECT_THAT(Ensure(ours).error, IsEmpty());
  EXPECT_TRUE(Sent("PATCH", "/persistentvolumeclaims/data-demo-0-0"));
  EXPECT_THAT(CreateItsPod(ours).error, IsEmpty());
}

TEST_F(ClaimTest, ThatIsNotThereYetHoldsUpNoPod) {
  EXPECT_THAT(CreateItsPod(nullptr).error, IsEmpty());
  EXPECT_TRUE(Sent("POST", "/pods"));
}

// A source with one key that never comes through.
class SourceOfALargeKey final : public EachByItself {
 public:
  int tries = 0;

 private:
  Reply Answer(const Command& command) override {
    const Reply key{.type = Reply::Type::kString, .text = "big\x01"};
    if (command[0] == "MIGRATE") ++tries;
    if (command[0] == "MIGRATE") return {.type = Reply::Type::kError, .text = "IOERR error or timeout reading"};
    if (command[0] == "MEMORY") return {.type = Reply::Type::kInteger, .integer = 500 << 20};
    const std::string second = command.size() > 1 ? command[1] : "";
    if (second == "COUNTKEYSINSLOT" || command[0] == "EXISTS") return {.type = Reply::Type::kInteger, .integer = 1};
    if (second == "GETKEYSINSLOT") return {.type = Reply::Type::kArray, .elements = {key}};
    if (command[0] == "FUNCTION") return {.type = Reply::Type::kArray};
    return {.type = Reply::Type::kStatus, .text = "OK"};
  }
};

// One for each claim of a large cluster, at each look, would be hundreds in a second.
TEST(GrowthTest, OfAClaimThatCannotGrowIsNotAskedToAgainForHalfAMinute) {
  const auto api = std::make_shared<reconciler::FakeTransport>();
  api->on_send = [](const HttpRequest&, std::stop_token) {
    return reconciler::StatusResponse(403, "Forbidden", "only dynamically provisioned pvc can be resized");
  };
  SteppingClock clock;
  const reconciler::Client client(api, {}, clock);
  OneAnswer redis("");
  Executor executor(client, redis, clock, {});
  const Json claim = {{"metadata", {{"name", "data-demo-0-0"}, {"namespace", "default"}}}, {"spec", Json::object()}};
  Plan plan;
  plan.actions = {EnsureObject{{reconciler::types::kPersistentVolumeClaims, claim}, true}};
  RedisCluster cluster;
  cluster.spec.storage = StorageSpec{.size = "2Gi"};
  for (int i = 0; i < 3; ++i) {
    const auto outcome = executor.Carry(plan, cluster, "").at(0);
    EXPECT_EQ(outcome.refusal, "StorageCannotGrow");
    EXPECT_THAT(outcome.error, AllOf(HasSubstr("\"2Gi\""), HasSubstr("can be resized")));
    EXPECT_EQ(api->Requests().size(), 1U);
  }
  cluster.spec.storage->size = "3Gi";
  EXPECT_THAT(executor.Carry(plan, cluster, "").at(0).error, HasSubstr("\"3Gi\""));
  EXPECT_EQ(api->Requests().size(), 2U) << "that is another question";
}

// Nor are pods for which there is no room.
TEST(RefusedPodTest, IsAskedForAgainAfterFiveSecondsOrWhenItIsAnotherOne) {
  const auto api = std::make_shared<reconciler::FakeTransport>();
  std::string answer = "exceeded quota: pods";
  api->on_send = [&](const HttpRequest&, std::stop_token) {
    return reconciler::StatusResponse(403, "Forbidden", answer);
  };
  SteppingClock clock;
  const reconciler::Client client(api, {}, clock);
  OneAnswer redis("");
  Executor executor(client, redis, clock, {});
  Json pod = {{"metadata", {{"name", "demo-0-0"}, {"namespace", "default"}}}};
  const auto create = [&] {
    Plan plan;
    plan.actions = {CreatePod{"demo-0-0", pod}};
    return executor.Carry(plan, {}, "").at(0);
  };
  for (const char* refusal : {"", "PodRefused"}) {
    if (*refusal != '\0') answer = "violates PodSecurity";
    pod["spec"]["why"] = answer;
    const auto before = api->Requests().size();
    for (int i = 0; i < 3; ++i) {
      const auto outcome = create();
      EXPECT_EQ(outcome.refusal, refusal);
      EXPECT_THAT(outcome.error, HasSubstr(answer));
      EXPECT_EQ(api->Requests().size(), before + 1);
    }
  }
  clock.RunFor(std::chrono::seconds(5));
  const auto before = api->Requests().size();
  (void)create();
  EXPECT_EQ(api->Requests().size(), before + 1);
}

// Each try stops the shard for seconds.
TEST(LargeKeyTest, IsNamedAndNotTriedAgainForHalfAMinute) {
  const auto api = std::make_shared<reconciler::FakeTransport>();
  api->on_send = [](const HttpRequest& request, std::stop_token) {
    const bool is_source = request.target.ends_with("/demo-0-0");
    return HttpResponse{
        .status = 200,
        .body = is_source ? R"({"status": {"podIP": "10.0.0.1"}})" : R"({"status": {"podIP": "10.0.0.2"}})"};
  };
  SteppingClock clock;
  const reconciler::Client client(api, {}, clock);
  SourceOfALargeKey source;
  Executor executor(client, source, clock, {});
  MigrateSlots move{NodeRef{"demo-0-0", {}, {"10.0.0.1", 6379}}, NodeRef{"demo-1-0", {}, {"10.0.0.2", 6379}},
                    SlotSet({SlotRange{7, 7}})};
  move.method = MigrationMethod::kKeys;
  Plan plan;
  plan.actions = {move};
  for (int i = 0; i < 3; ++i) {
    const auto outcome = executor.Carry(plan, {}, "").at(0);
    EXPECT_EQ(outcome.refusal, "KeyTooLarge");
    EXPECT_THAT(outcome.error, AllOf(HasSubstr("\"big?\""), HasSubstr("500 MB")));
    EXPECT_EQ(source.tries, 1);
  }
  clock.RunFor(std::chrono::seconds(30));
  EXPECT_EQ(executor.Carry(plan, {}, "").at(0).refusal, "KeyTooLarge");
  EXPECT_EQ(source.tries, 2);
}

// What it gives away in the moment in which it hands over is unknown to its successor.
TEST(MoveTest, DoesNotBeginAtASourceThatIsEndingUnlessThatIsWhy) {
  const auto api = std::make_shared<reconciler::FakeTransport>();
  api->on_send = [](const HttpRequest& request, std::stop_token) {
    const bool is_source = request.target.ends_with("/demo-0-0");
    Json pod = {{"status", {{"podIP", is_source ? "10.0.0.1" : "10.0.0.2"}}}};
    if (is_source) pod["metadata"]["deletionTimestamp"] = "2026-11-30T15:00:00Z";
    return HttpResponse{.status = 200, .body = pod.dump()};
  };
  SteppingClock clock;
  const reconciler::Client client(api, {}, clock);
  SourceOfALargeKey source;
  Executor executor(client, source, clock, {});
  MigrateSlots move{NodeRef{"demo-0-0", {}, {"10.0.0.1", 6379}}, NodeRef{"demo-1-0", {}, {"10.0.0.2", 6379}},
                    SlotSet({SlotRange{7, 7}})};
  Plan plan;
  plan.actions = {move};
  EXPECT_EQ(executor.Carry(plan, {}, "").at(0).error, "Pod demo-0-0 is being deleted");
  EXPECT_EQ(source.tries, 0);
  move.from_ending_pod = true;
  plan.actions = {move};
  (void)executor.Carry(plan, {}, "");
  EXPECT_EQ(source.tries, 1);
}

// A webhook may take ten seconds for each pod; a takeover beside it must not wait for that, nor act on an old look.
TEST(CarryTest, TellsRedisBeforeItWaitsForTheApiServer) {
  ReplicaOf redis(kDeadMaster);
  const auto api = std::make_shared<reconciler::FakeTransport>();
  api->on_send = [&](const HttpRequest& request, std::stop_token) {
    redis.asked.push_back(request.method);
    return HttpResponse{.status = 201, .body = "{}"};
  };
  reconciler::FakeClock clock;
  const reconciler::Client client(api, {}, clock);
  const NodeRef replica{"demo-0-1", *NodeId::Parse(std::string(40, 'a')), {"10.0.0.1", 6379}};
  Plan plan;
  plan.actions = {CreatePod{.name = "demo-1-0", .pod = {{"metadata", {{"name", "demo-1-0"}}}}},
                  Takeover{.replica = replica, .master = kDeadMaster, .unknown_slots = {}}};
  (void)Executor(client, redis, clock, {.parallel_requests = 1}).Carry(plan, {}, "");
  EXPECT_THAT(redis.asked, ::testing::ElementsAre("NODES", "FAILOVER", "POST"));
}

}  // namespace
}  // namespace slotwright
