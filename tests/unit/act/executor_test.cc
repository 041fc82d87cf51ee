// In which order actions are carried out, and which moves of slots are not begun.
#include "controllers/act/executor.h"

#include <gmock/gmock.h>

#include "tests/unit/act/import_model.h"
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
    if (second == "NODES") {
      return {.type = Reply::Type::kString,
              .text = std::string(40, 'b') + " 10.0.0.2:6379@16379 myself,master - 0 0 1 connected\n"};
    }
    if (second == "COUNTKEYSINSLOT" || command[0] == "EXISTS") return {.type = Reply::Type::kInteger, .integer = 1};
    if (second == "GETKEYSINSLOT") return {.type = Reply::Type::kArray, .elements = {key}};
    if (command[0] == "FUNCTION") return {.type = Reply::Type::kArray};
    return {.type = Reply::Type::kStatus, .text = "OK"};
  }
};

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

// In a thread of its own nobody would catch it, and all other clusters would be without an operator.
TEST(CarryTest, TakesAnExceptionForAFailureOfItsAction) {
  const auto api = std::make_shared<reconciler::FakeTransport>();
  api->on_send = [](const HttpRequest&, std::stop_token) { return HttpResponse{.status = 201, .body = "{}"}; };
  reconciler::FakeClock clock;
  const reconciler::Client client(api, {}, clock);
  OneAnswer redis("");
  Executor::Options options;
  options.after_effect = [](const std::string&) { throw std::runtime_error("what nobody thought of"); };
  Plan plan;
  for (const char* name : {"demo-0-0", "demo-0-1", "demo-1-0"}) {
    plan.actions.emplace_back(
        CreatePod{.name = name, .pod = {{"metadata", {{"name", name}, {"namespace", "default"}}}}});
  }
  for (const auto& outcome : Executor(client, redis, clock, options).Carry(plan, {}, "")) {
    EXPECT_EQ(outcome.error, "internal error: what nobody thought of");
  }
}

}  // namespace
}  // namespace slotwright
