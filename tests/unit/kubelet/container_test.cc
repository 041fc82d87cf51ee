// Containers as real processes: restarts, probes, hooks, stopping.
#include "local/kubelet/container.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "local/kubelet/command.h"
#include "reconciler/http/server.h"
#include "tests/support/temporary_folder.h"
#include "tests/unit/kubelet/loop_runner.h"
#include "tests/unit/kubelet/pod_parts.h"

namespace slotwright::local {
namespace {

using reconciler::Json;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::Contains;
using testing::HasSubstr;
using testing::Not;
using Kind = ContainerState::Kind;

class ContainerTest : public testing::Test {
 protected:
  static Json Shell(const std::string& script, Json more = Json::object()) {
    more.update({{"name", "main"}, {"image", "tools:1"}, {"command", {"/bin/sh", "-c", script}}});
    return more;
  }
  static Json Exec(const std::string& script) { return {{"exec", {{"command", {"/bin/sh", "-c", script}}}}}; }

  Container& Make(const Json& spec, RestartPolicy policy = RestartPolicy::kAlways) {
    container_ = std::make_unique<Container>(host_, spec, policy, before_);
    container_->Ensure();
    return *container_;
  }
  [[nodiscard]] bool Until(const std::function<bool(const ContainerStatus&)>& condition) {
    return RunUntil(loop_, [&] { return condition(container_->status()); });
  }
  [[nodiscard]] bool UntilReason(const std::string& reason) {
    return Until([&](const auto& status) { return status.state.reason == reason; });
  }
  [[nodiscard]] bool UntilRunning() {
    return Until([](const auto& status) { return status.state.kind == Kind::kRunning; });
  }
  [[nodiscard]] bool UntilReady() {
    return Until([](const auto& status) { return status.ready; });
  }
  [[nodiscard]] bool UntilEnded() {
    return RunUntil(loop_, [&] { return container_->ended(); });
  }
  std::string File(const std::string& name) const { return folder_.path() + "/" + name; }
  int Pid() const { return NumberIn(File("pod/main/main.pid")); }

  const TemporaryFolder folder_;
  FakeFacts facts_;
  EventLoop loop_;
  LogFiles logs_;
  ImageResolver images_{{{"tools:1", ""}, {"tools:2", ""}}, {}, File("links")};
  std::vector<std::string> events_;
  int changes_ = 0;
  std::optional<ContainerStatus> before_;
  ContainerHost host_{
      loop_,
      images_,
      logs_,
      milliseconds(20),
      {"default", "web"},
      "11",
      File("pod"),
      "127.79.255.9",
      seconds(30),
      [this] { return facts_.Get(); },
      [](const Json&) { return std::vector<MountedFolder>(); },
      [this](auto, const std::string& reason, const std::string& message) {
        events_.push_back(reason + ": " + message);
      },
      [this] { ++changes_; },
  };
  std::unique_ptr<Container> container_;
};

TEST_F(ContainerTest, ARunningContainerIsStartedReadyAndHasItsFiles) {
  Make(Shell("echo hello; exec sleep 1000"));
  ASSERT_TRUE(UntilReady());
  const ContainerStatus& status = container_->status();
  EXPECT_TRUE(status.started);
  EXPECT_EQ(status.restart_count, 0);
  EXPECT_EQ(status.image, "tools:1");
  EXPECT_EQ(status.container_id, "process://11.main.0");
  EXPECT_TRUE(IsAlive(Pid()));
  EXPECT_TRUE(RunUntil(loop_, [&] { return TextOf(File("pod/main/0.log")) == "hello\n"; }));
  EXPECT_THAT(events_, Contains("Started: Started container main"));
  EXPECT_GT(changes_, 0);
  const int pid = Pid();
  container_.reset();
  EXPECT_FALSE(IsAlive(pid));
  EXPECT_EQ(Pid(), 0);
}

TEST_F(ContainerTest, ACrashingContainerIsRestartedAtOnceAndThenWithBackOff) {
  host_.restart_backoff = milliseconds(100);
  // The n-th run ends with n.
  Make(Shell("n=$(cat " + File("n") + " || echo 0); n=$((n + 1)); echo $n > " + File("n") + "; exit $n"));
  ASSERT_TRUE(UntilReason("CrashLoopBackOff"));
  const ContainerStatus status = container_->status();
  EXPECT_EQ(status.restart_count, 1);  // the first restart did not wait
  ASSERT_TRUE(status.last_state);
  EXPECT_EQ(status.last_state->exit_code, 2);
  EXPECT_EQ(status.last_state->reason, "Error");
  EXPECT_THAT(status.state.message, HasSubstr("restarting failed container=main pod=web_default(11)"));
  const auto began = std::chrono::steady_clock::now();
  ASSERT_TRUE(Until([](const auto& s) { return s.restart_count == 3; }));
  EXPECT_GE(std::chrono::steady_clock::now() - began, milliseconds(250));  // 100 and 200
  EXPECT_THAT(events_, Contains(HasSubstr("BackOff: Back-off restarting failed container main")));
}

TEST_F(ContainerTest, LogsOfTheCurrentAndThePreviousRunAreKept) {
  Make(Shell("date +%N; exit 1"));
  ASSERT_TRUE(Until([](const auto& status) { return status.restart_count >= 3; }));
  ASSERT_TRUE(RunUntil(loop_, [&] { return std::filesystem::exists(File("pod/main/3.log")); }));
  EXPECT_FALSE(std::filesystem::exists(File("pod/main/1.log")));
  EXPECT_TRUE(std::filesystem::exists(File("pod/main/2.log")));
}

TEST_F(ContainerTest, ThePolicyDecidesWhetherAnEndIsFinal) {
  struct Row {
    RestartPolicy policy;
    const char* script;
    bool succeeded;
  };
  for (const auto& row : {Row{RestartPolicy::kNever, "exit 1", false}, Row{RestartPolicy::kNever, "exit 0", true},
                          Row{RestartPolicy::kOnFailure, "exit 0", true}}) {
    Make(Shell(row.script), row.policy);
    ASSERT_TRUE(UntilEnded()) << row.script;
    EXPECT_EQ(container_->succeeded(), row.succeeded) << row.script;
    EXPECT_EQ(container_->status().restart_count, 0) << row.script;
    EXPECT_EQ(container_->status().state.reason, row.succeeded ? "Completed" : "Error");
  }
  Make(Shell("exit 1"), RestartPolicy::kOnFailure);
  EXPECT_TRUE(Until([](const auto& status) { return status.restart_count >= 1; }));
  Make(Shell("exit 0"), RestartPolicy::kAlways);
  EXPECT_TRUE(Until([](const auto& status) { return status.restart_count >= 1; }));
}

TEST_F(ContainerTest, AnUnknownImageIsTriedAgainUntilItIsChanged) {
  Json spec = Shell("exec sleep 1000");
  spec["image"] = "nobody:9";
  Make(spec);
  EXPECT_EQ(container_->status().state.reason, "ErrImagePull");
  EXPECT_THAT(container_->status().state.message, HasSubstr("nobody:9"));
  EXPECT_THAT(container_->status().state.message, HasSubstr("tools:1"));
  EXPECT_THAT(events_, Contains(HasSubstr("Failed to pull image")));
  ASSERT_TRUE(UntilReason("ImagePullBackOff"));
  spec["image"] = "tools:2";
  container_->Update(spec);
  ASSERT_TRUE(UntilRunning());
  EXPECT_EQ(container_->status().image, "tools:2");
  EXPECT_EQ(container_->status().restart_count, 0);
}

TEST_F(ContainerTest, AnotherImageRestartsARunningContainerWithoutBackOff) {
  host_.restart_backoff = seconds(1000);
  Make(Shell("exec sleep 1000"));
  ASSERT_TRUE(UntilRunning());
  const int pid = Pid();
  Json spec = Shell("exec sleep 1000");
  for (const char* image : {"tools:2", "tools:1"}) {
    spec["image"] = image;
    container_->Update(spec);
    EXPECT_FALSE(container_->status().ready);
    ASSERT_TRUE(Until([&](const auto& status) { return status.image == image && status.ready; })) << image;
  }
  EXPECT_FALSE(IsAlive(pid));
  EXPECT_EQ(container_->status().restart_count, 2);
  EXPECT_EQ(container_->status().last_state->exit_code, 143);
  container_->Update(spec);  // nothing changed
  EXPECT_TRUE(container_->status().ready);
}

TEST_F(ContainerTest, AMissingSecretIsWaitedForAndStartsTheContainerOnceItIsThere) {
  Make(Shell("exec sleep 1000", Json::parse(R"({"env": [
    {"name": "P", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]})")));
  EXPECT_EQ(container_->status().state.reason, "CreateContainerConfigError");
  EXPECT_THAT(container_->status().state.message, HasSubstr("secret \"s\" not found"));
  container_->Retry();
  EXPECT_EQ(container_->status().state.reason, "CreateContainerConfigError");
  EXPECT_EQ(std::ranges::count_if(events_, [](const auto& e) { return e.starts_with("Failed:"); }), 1);
  facts_.Add("Secret", "s", {{"k", "dg=="}});
  container_->Retry();
  EXPECT_TRUE(UntilRunning());
}

TEST_F(ContainerTest, AProgramThatDoesNotExistIsAStartErrorInACrashLoop) {
  Json spec = Shell("");
  spec["command"] = {"no-such-program"};
  Make(spec);
  ASSERT_TRUE(UntilReason("CrashLoopBackOff"));
  EXPECT_EQ(container_->status().last_state->reason, "StartError");
  EXPECT_EQ(container_->status().last_state->exit_code, 128);
  EXPECT_THAT(container_->status().last_state->message, HasSubstr("no-such-program"));
}

TEST_F(ContainerTest, StopSendsSigtermAndTheContainerIsNotRestarted) {
  Make(Shell("trap 'exit 5' TERM; echo up; while :; do sleep 0.01; done"));
  ASSERT_TRUE(RunUntil(loop_, [&] { return TextOf(File("pod/main/0.log")) == "up\n" && container_->status().ready; }));
  container_->Stop(seconds(1000));
  EXPECT_FALSE(container_->status().ready);  // at once
  EXPECT_FALSE(container_->ended());
  ASSERT_TRUE(UntilEnded());
  EXPECT_EQ(container_->status().state.exit_code, 5);
  EXPECT_EQ(container_->status().restart_count, 0);
  EXPECT_THAT(events_, Contains("Killing: Stopping container main"));
}

TEST_F(ContainerTest, WhoIgnoresSigtermIsKilledAfterTheGracePeriodWhichCanOnlyShrink) {
  Make(Shell("trap '' TERM; echo up; while :; do sleep 0.01; done"));
  ASSERT_TRUE(RunUntil(loop_, [&] { return TextOf(File("pod/main/0.log")) == "up\n"; }));
  const auto began = std::chrono::steady_clock::now();
  container_->Stop(seconds(1000));
  container_->Stop(seconds(2));
  container_->Stop(seconds(1000));
  ASSERT_TRUE(UntilEnded());
  EXPECT_GE(std::chrono::steady_clock::now() - began, milliseconds(1990));
  EXPECT_EQ(container_->status().state.exit_code, 137);
}

TEST_F(ContainerTest, AStoppedContainerThatWaitsNeverStarts) {
  Make(Shell("exit 1"));
  ASSERT_TRUE(UntilReason("CrashLoopBackOff"));
  const int restarts = container_->status().restart_count;
  container_->Stop(seconds(1));
  EXPECT_TRUE(container_->ended());
  RunFor(loop_, milliseconds(100));
  EXPECT_EQ(container_->status().restart_count, restarts);
}

TEST_F(ContainerTest, PreStopRunsBeforeSigterm) {
  Json spec = Shell("trap 'cat " + File("hook") + "; exit 0' TERM; echo up; while :; do sleep 0.01; done");
  spec["lifecycle"]["preStop"] = Exec("echo hooked > " + File("hook"));
  Make(spec);
  ASSERT_TRUE(RunUntil(loop_, [&] { return TextOf(File("pod/main/0.log")) == "up\n"; }));
  container_->Stop(seconds(1000));
  ASSERT_TRUE(UntilEnded());
  EXPECT_EQ(TextOf(File("pod/main/0.log")), "up\nhooked\n");
}

TEST_F(ContainerTest, AFailedPreStopHookIsRecordedAndStopsNothing) {
  Json spec = Shell("exec sleep 1000");
  spec["lifecycle"]["preStop"] = Exec("echo broken; exit 1");
  Make(spec);
  ASSERT_TRUE(UntilRunning());
  container_->Stop(seconds(1000));
  ASSERT_TRUE(UntilEnded());
  EXPECT_THAT(events_, Contains("FailedPreStopHook: PreStopHook failed: broken"));
}

TEST_F(ContainerTest, AFailedPostStartHookRestartsTheContainer) {
  Json spec = Shell("exec sleep 1000");
  spec["lifecycle"]["postStart"] = Exec("exit 1");
  Make(spec);
  EXPECT_TRUE(Until([](const auto& status) { return status.restart_count >= 1; }));
  EXPECT_THAT(events_, Contains(HasSubstr("FailedPostStartHook")));
}

TEST_F(ContainerTest, ReadinessFollowsItsProbe) {
  Json spec = Shell("exec sleep 1000");
  spec["readinessProbe"] = Exec("test -e " + File("ready"));
  spec["readinessProbe"].update({{"periodSeconds", 1}, {"failureThreshold", 1}});
  Make(spec);
  ASSERT_TRUE(Until([](const auto& status) { return status.started; }));
  EXPECT_FALSE(container_->status().ready);
  std::ofstream(File("ready")) << "yes";
  ASSERT_TRUE(UntilReady());
  std::filesystem::remove(File("ready"));
  EXPECT_TRUE(Until([](const auto& status) { return !status.ready; }));
  EXPECT_THAT(events_, Contains(HasSubstr("Unhealthy: Readiness probe failed")));
  EXPECT_EQ(container_->status().restart_count, 0);
}

TEST_F(ContainerTest, AFailedLivenessProbeRestartsTheContainer) {
  Json spec = Shell("exec sleep 1000");
  spec["livenessProbe"] = Exec("echo sick; exit 1");
  spec["livenessProbe"].update({{"periodSeconds", 1}, {"failureThreshold", 2}});
  Make(spec);
  ASSERT_TRUE(Until([](const auto& status) { return status.restart_count == 1; }));
  // The next run is probed, too, so that only what came before counts.
  const auto killing = std::ranges::find(events_, "Killing: Container main failed liveness probe, will be restarted");
  ASSERT_NE(killing, events_.end());
  EXPECT_EQ(std::count(events_.begin(), killing, "Unhealthy: Liveness probe failed: sick"), 2);
}

TEST_F(ContainerTest, TheStartupProbeHoldsTheOthersBack) {
  Json spec = Shell("exec sleep 1000");
  spec["startupProbe"] = Exec("test -e " + File("up"));
  spec["startupProbe"].update({{"periodSeconds", 1}, {"failureThreshold", 100}});
  spec["livenessProbe"] = Exec("echo asked >> " + File("asked"));
  spec["livenessProbe"]["periodSeconds"] = 1;
  Make(spec);
  RunFor(loop_, milliseconds(300));
  EXPECT_FALSE(container_->status().started);
  EXPECT_FALSE(container_->status().ready);
  EXPECT_EQ(TextOf(File("asked")), "");
  std::ofstream(File("up")) << "yes";
  ASSERT_TRUE(UntilReady());
  EXPECT_TRUE(container_->status().started);
  EXPECT_TRUE(RunUntil(loop_, [&] { return !TextOf(File("asked")).empty(); }));
}

TEST_F(ContainerTest, LooksBetweenPeriodsCanSucceedButNotFail) {
  Json spec = Shell("exec sleep 1000");
  spec["startupProbe"] = Exec("test -e " + File("up"));
  spec["startupProbe"].update({{"periodSeconds", 1000}, {"failureThreshold", 2}});
  Make(spec);
  RunFor(loop_, milliseconds(300));
  EXPECT_EQ(container_->status().restart_count, 0);
  EXPECT_EQ(std::ranges::count_if(events_, [](const auto& e) { return e.starts_with("Unhealthy"); }), 1);
  std::ofstream(File("up")) << "yes";
  EXPECT_TRUE(Until([](const auto& status) { return status.started; }));  // long before the period is over
}

TEST_F(ContainerTest, AContainerThatStopsIsNotProbedAnyMore) {
  Json spec = Shell("trap '' TERM; echo up; while :; do sleep 0.01; done");
  spec["readinessProbe"] = Exec("echo asked >> " + File("asked"));
  spec["readinessProbe"]["periodSeconds"] = 1;
  Make(spec);
  ASSERT_TRUE(RunUntil(loop_, [&] { return TextOf(File("pod/main/0.log")) == "up\n" && container_->status().ready; }));
  container_->Stop(seconds(2));
  const std::string asked = TextOf(File("asked"));
  ASSERT_TRUE(UntilEnded());
  EXPECT_EQ(TextOf(File("asked")), asked);
}

TEST_F(ContainerTest, AFailedStartupProbeRestartsTheContainer) {
  Json spec = Shell("exec sleep 1000");
  spec["startupProbe"] = Exec("exit 1");
  spec["startupProbe"].update({{"periodSeconds", 1}, {"failureThreshold", 1}});
  Make(spec);
  EXPECT_TRUE(Until([](const auto& status) { return status.restart_count == 1; }));
  EXPECT_THAT(events_, Contains(HasSubstr("failed startup probe")));
}

TEST_F(ContainerTest, AProbeThatTakesTooLongHasFailed) {
  Json spec = Shell("exec sleep 1000");
  spec["livenessProbe"] = Exec("sleep 1000");
  spec["livenessProbe"].update({{"failureThreshold", 1}, {"timeoutSeconds", 1}});
  Make(spec);
  ASSERT_TRUE(Until([](const auto& status) { return status.restart_count == 1; }));
  EXPECT_THAT(events_, Contains("Unhealthy: Liveness probe failed: command timed out after 1 s"));
}

TEST_F(ContainerTest, HttpAndTcpProbesAskTheServer) {
  std::atomic<int> status = 503;
  std::atomic<bool> header = false;
  const auto server =
      reconciler::StartHttpServer({}, [&](const reconciler::ServerRequest& request, const auto& responder) {
        header = request.path == "/health" && request.headers.contains("x-probe");
        responder->Reply({.status = status});
      });
  ASSERT_TRUE(server) << server.error().message;
  Json spec =
      Shell("exec sleep 1000", {{"ports", Json::array({{{"name", "web"}, {"containerPort", (*server)->port()}}})}});
  spec["startupProbe"] = {{"tcpSocket", {{"port", "web"}, {"host", "127.0.0.1"}}}};
  spec["readinessProbe"] = {{"httpGet",
                             {{"port", "web"},
                              {"host", "127.0.0.1"},
                              {"path", "/health"},
                              {"httpHeaders", Json::array({{{"name", "X-Probe"}, {"value", "1"}}})}}},
                            {"periodSeconds", 1}};
  Make(spec);
  ASSERT_TRUE(Until([](const auto& s) { return s.started; }));
  ASSERT_TRUE(RunUntil(loop_, [&] {
    return std::ranges::count(events_, "Unhealthy: Readiness probe failed: HTTP probe failed with statuscode: 503") > 0;
  }));
  EXPECT_FALSE(container_->status().ready);
  EXPECT_TRUE(header);
  status = 302;
  EXPECT_TRUE(UntilReady());
}

TEST_F(ContainerTest, AnHttpsProbeTakesAnyCertificate) {
  const std::string key = File("key.pem");
  const std::string certificate = File("cert.pem");
  const auto made = OutputOf(
      {.command = {"/usr/bin/openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                   "-nodes", "-subj", "/CN=nobody", "-keyout", key, "-out", certificate}},
      seconds(20));
  ASSERT_TRUE(made) << made.error().message;
  Json spec =
      Shell("exec openssl s_server -accept " + host_.pod_ip + ":18443 -www -key " + key + " -cert " + certificate);
  spec["readinessProbe"]["httpGet"] = {{"port", 18443}, {"scheme", "HTTPS"}};
  Make(spec);
  EXPECT_TRUE(UntilReady());
}

TEST_F(ContainerTest, ADaemonThatLeftTheGroupEndsWithItsContainer) {
  // $$ would be expanded to $.
  Make(Shell("setsid sh -c 'echo $$$$ > " + File("daemon") + "; exec sleep 1000' & while [ ! -s " + File("daemon") +
             " ]; do :; done; exit 0"),
       RestartPolicy::kNever);
  ASSERT_TRUE(UntilEnded());
  const int daemon = NumberIn(File("daemon"));
  ASSERT_GT(daemon, 0);
  EXPECT_TRUE(RunUntil(loop_, [&] { return !IsAlive(daemon); }));
}

TEST_F(ContainerTest, ATcpProbeOfAClosedPortFails) {
  Json spec = Shell("exec sleep 1000");
  spec["livenessProbe"] = {{"tcpSocket", {{"port", 1}}}, {"failureThreshold", 1}};
  Make(spec);
  EXPECT_TRUE(Until([](const auto& status) { return status.restart_count == 1; }));
  EXPECT_THAT(events_, Contains("Unhealthy: Liveness probe failed: dial tcp 127.79.255.9:1: Connection refused"));
}

TEST_F(ContainerTest, RestartsOfAnEarlierKubeletAreCountedOn) {
  before_ = ContainerStatus{.name = "main", .state = {.kind = Kind::kRunning}, .restart_count = 4};
  Make(Shell("exec sleep 1000"));
  ASSERT_TRUE(UntilRunning());
  EXPECT_EQ(container_->status().restart_count, 5);
  EXPECT_EQ(container_->status().last_state->reason, "ContainerStatusUnknown");
  EXPECT_TRUE(std::filesystem::exists(File("pod/main/5.log")));
}

TEST_F(ContainerTest, WhatAContainerWritesOutsideVolumesIsGoneWithItsRestart) {
  Make(Shell("test -e mark && exit 9; touch mark; exit 1"));
  ASSERT_TRUE(Until([](const auto& status) { return status.restart_count >= 2; }));
  EXPECT_EQ(container_->status().last_state->exit_code, 1);
}

}  // namespace
}  // namespace slotwright::local
