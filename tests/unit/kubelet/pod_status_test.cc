// Pod status: phases, conditions, container statuses.
#include "local/kubelet/pod_status.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace slotwright::local {
namespace {

using reconciler::FormatTime;
using reconciler::Json;
using reconciler::StringAt;
using reconciler::WallTime;
using Kind = ContainerState::Kind;

WallTime At(int second) { return WallTime(std::chrono::seconds(1'800'000'000 + second)); }

ContainerStatus Waiting(const std::string& name) {
  return {.name = name, .image = "i", .state = {.kind = Kind::kWaiting, .reason = "ContainerCreating"}};
}
ContainerStatus Running(const std::string& name, bool ready = true) {
  return {.name = name,
          .image = "i",
          .state = {.kind = Kind::kRunning, .started_at = At(1)},
          .ready = ready,
          .started = true};
}
ContainerStatus Ended(const std::string& name, int exit_code) {
  return {.name = name,
          .image = "i",
          .state = {.kind = Kind::kTerminated,
                    .reason = exit_code == 0 ? "Completed" : "Error",
                    .exit_code = exit_code,
                    .started_at = At(1),
                    .finished_at = At(2),
                    .container_id = "process://x"}};
}
ContainerStatus BackingOff(const std::string& name) {
  ContainerStatus status = Waiting(name);
  status.state.reason = "CrashLoopBackOff";
  status.last_state = Ended(name, 1).state;
  status.restart_count = 2;
  return status;
}
ContainerStatus Sidecar(ContainerStatus status) {
  status.sidecar = true;
  return status;
}

Json PodWith(const std::string& policy) { return {{"spec", {{"restartPolicy", policy}}}}; }

Json ConditionOf(const Json& status, const std::string& type) {
  for (const auto& condition : status["conditions"]) {
    if (condition["type"] == type) return condition;
  }
  return nullptr;
}

TEST(PodStatusTest, ThePhaseFollowsContainersAndPolicy) {
  struct Row {
    const char* what;
    const char* policy;
    std::vector<ContainerStatus> init;
    std::vector<ContainerStatus> containers;
    bool terminating;
    const char* phase;
  };
  for (const auto& row : {
           Row{"nothing runs yet", "Always", {}, {Waiting("a")}, false, "Pending"},
           Row{"one of two runs", "Always", {}, {Running("a"), Waiting("b")}, false, "Pending"},
           Row{"all run", "Always", {}, {Running("a"), Running("b")}, false, "Running"},
           Row{"init runs", "Always", {Running("i")}, {Waiting("a")}, false, "Pending"},
           Row{"init failed and is tried again", "Always", {BackingOff("i")}, {Waiting("a")}, false, "Pending"},
           Row{"init failed for good", "Never", {Ended("i", 1)}, {Waiting("a")}, false, "Failed"},
           Row{"a sidecar runs", "Always", {Sidecar(Running("i"))}, {Running("a")}, false, "Running"},
           Row{"a sidecar ended but all is done",
               "Never",
               {Sidecar(Running("i"))},
               {Ended("a", 0)},
               false,
               "Succeeded"},
           Row{"crash loop", "Always", {}, {BackingOff("a")}, false, "Running"},
           Row{"ended and will restart", "Always", {}, {Ended("a", 1)}, false, "Running"},
           Row{"ended well", "OnFailure", {}, {Ended("a", 0)}, false, "Succeeded"},
           Row{"a sidecar was stopped after all was done",
               "Never",
               {Sidecar(Ended("i", 143))},
               {Ended("a", 0)},
               false,
               "Succeeded"},
           Row{"a sidecar is not up yet", "Always", {Sidecar(Waiting("i"))}, {Waiting("a")}, false, "Pending"},
           Row{"ended badly and will restart", "OnFailure", {}, {Ended("a", 1)}, false, "Running"},
           Row{"ended badly", "Never", {}, {Ended("a", 1), Ended("b", 0)}, false, "Failed"},
           Row{"one still runs", "Never", {}, {Ended("a", 1), Running("b")}, false, "Running"},
           Row{"deleted, still running", "Always", {}, {Running("a")}, true, "Running"},
           Row{"deleted, ended well", "Always", {}, {Ended("a", 0)}, true, "Succeeded"},
           Row{"deleted, killed", "Always", {}, {Ended("a", 137)}, true, "Failed"},
           Row{"deleted before it ran", "Always", {}, {Waiting("a")}, true, "Failed"},
       }) {
    const PodReport report{.init_containers = row.init, .containers = row.containers, .terminating = row.terminating};
    EXPECT_EQ(PhaseOf(PodWith(row.policy), report), row.phase) << row.what;
  }
}

TEST(PodStatusTest, ConditionsNameTheContainersTheyWaitFor) {
  const PodReport report{.init_containers = {Running("i")}, .containers = {Waiting("a"), Waiting("b")}};
  const Json status = PodStatusOf(PodWith("Always"), nullptr, report, At(5));
  EXPECT_EQ(ConditionOf(status, "PodScheduled")["status"], "True");
  EXPECT_EQ(ConditionOf(status, "Initialized")["status"], "False");
  EXPECT_EQ(ConditionOf(status, "Initialized")["message"], "containers with incomplete status: [i]");
  for (const char* type : {"ContainersReady", "Ready"}) {
    EXPECT_EQ(ConditionOf(status, type)["status"], "False");
    EXPECT_EQ(ConditionOf(status, type)["reason"], "ContainersNotReady");
    EXPECT_EQ(ConditionOf(status, type)["message"], "containers with unready status: [a b]");
  }
}

TEST(PodStatusTest, ATransitionTimeChangesOnlyWithTheStatusOfItsCondition) {
  const PodReport unready{.containers = {Running("a", false)}};
  const PodReport ready{.containers = {Running("a", true)}};
  const Json first = PodStatusOf(PodWith("Always"), nullptr, unready, At(5));
  const Json second = PodStatusOf(PodWith("Always"), first, ready, At(9));
  EXPECT_EQ(ConditionOf(second, "Initialized")["lastTransitionTime"], FormatTime(At(5)));
  EXPECT_EQ(ConditionOf(second, "Ready")["lastTransitionTime"], FormatTime(At(9)));
  EXPECT_EQ(PodStatusOf(PodWith("Always"), second, ready, At(20)), second);
}

TEST(PodStatusTest, ReadinessGatesOfOthersHoldThePodBack) {
  Json pod = PodWith("Always");
  pod["spec"]["readinessGates"] = Json::array({{{"conditionType", "example.com/go"}}});
  const PodReport report{.containers = {Running("a")}};
  Json status = PodStatusOf(pod, nullptr, report, At(5));
  EXPECT_EQ(ConditionOf(status, "ContainersReady")["status"], "True");
  EXPECT_EQ(ConditionOf(status, "Ready")["reason"], "ReadinessGatesNotReady");

  pod["status"]["conditions"] = Json::array({{{"type", "example.com/go"}, {"status", "True"}}});
  status = PodStatusOf(pod, status, report, At(6));
  EXPECT_EQ(ConditionOf(status, "Ready")["status"], "True");
  EXPECT_EQ(ConditionOf(status, "example.com/go")["status"], "True");  // kept as it is
}

TEST(PodStatusTest, ContainerStatesAreWrittenAsTheApiHasThem) {
  PodReport report{.pod_ip = "127.77.0.1", .host_ip = "127.0.0.1", .start_time = At(0)};
  report.containers = {BackingOff("a"), Running("b"), Ended("c", 3)};
  const Json status = PodStatusOf(PodWith("Always"), nullptr, report, At(5));
  EXPECT_EQ(status["podIP"], "127.77.0.1");
  EXPECT_EQ(status["podIPs"][0]["ip"], "127.77.0.1");
  EXPECT_EQ(status["hostIP"], "127.0.0.1");
  EXPECT_EQ(status["startTime"], FormatTime(At(0)));
  const Json& a = status["containerStatuses"][0];
  EXPECT_EQ(a["state"]["waiting"]["reason"], "CrashLoopBackOff");
  EXPECT_EQ(a["lastState"]["terminated"]["exitCode"], 1);
  EXPECT_EQ(a["restartCount"], 2);
  EXPECT_EQ(a["ready"], false);
  const Json& b = status["containerStatuses"][1];
  EXPECT_EQ(b["state"]["running"]["startedAt"], FormatTime(At(1)));
  EXPECT_EQ(b["lastState"], Json::object());
  EXPECT_EQ(b["ready"], true);
  EXPECT_EQ(b["started"], true);
  const Json& c = status["containerStatuses"][2];
  EXPECT_EQ(c["state"]["terminated"], Json::parse(fmt::format(
                                          R"({{"reason": "Error", "exitCode": 3, "startedAt": "{}", "finishedAt": "{}",
                                             "containerID": "process://x"}})",
                                          FormatTime(At(1)), FormatTime(At(2)))));
}

TEST(PodStatusTest, AFailureOfThePodAsAWholeIsItsPhaseReasonAndMessage) {
  const PodReport report{
      .containers = {Running("a")}, .failure_reason = "DeadlineExceeded", .failure_message = "too long"};
  const Json status = PodStatusOf(PodWith("Always"), nullptr, report, At(5));
  EXPECT_EQ(status["phase"], "Failed");
  EXPECT_EQ(status["reason"], "DeadlineExceeded");
  EXPECT_EQ(status["message"], "too long");
}

TEST(PodStatusTest, AContainersStatusCanBeReadBack) {
  PodReport report{.init_containers = {Ended("i", 0)}, .containers = {Running("a")}};
  report.containers[0].restart_count = 7;
  const Json pod = {{"status", PodStatusOf(PodWith("Always"), nullptr, report, At(5))}};
  const auto a = FindContainerStatus(pod, "a");
  ASSERT_TRUE(a);
  EXPECT_EQ(a->restart_count, 7);
  EXPECT_EQ(a->state.kind, Kind::kRunning);
  EXPECT_EQ(a->state.started_at, At(1));
  ASSERT_TRUE(FindContainerStatus(pod, "i"));
  EXPECT_EQ(FindContainerStatus(pod, "none"), std::nullopt);
}

}  // namespace
}  // namespace slotwright::local
