// What a kubelet does with pods, from their creation to their end.
#include <signal.h>

#include "tests/unit/kubelet/kubelet_fixture.h"

namespace slotwright::local {
namespace {

TEST_F(KubeletTest, ItRegistersAReadyNode) {
  StartKubelet();
  ASSERT_TRUE(Eventually([&] {
    const auto node = client_.Get(types::kNodes, {"", "local"});
    return node && ConditionOf(*node, "Ready") == "True";
  }));
}

TEST_F(KubeletTest, APodBecomesReadyWithAnAddressOfItsOwn) {
  StartKubelet();
  CreatePod(
      Pod("a", "echo $IP; exec sleep 1000",
          {{"env", Json::array({{{"name", "IP"}, {"valueFrom", {{"fieldRef", {{"fieldPath", "status.podIP"}}}}}}})}}));
  CreatePod(Pod("b", "exec sleep 1000"));
  ASSERT_TRUE(UntilReady("a"));
  ASSERT_TRUE(UntilReady("b"));
  const Json a = GetPod("a");
  EXPECT_EQ(StringAt(a, {"spec", "nodeName"}), "local");
  EXPECT_EQ(StringAt(a, {"status", "phase"}), "Running");
  EXPECT_EQ(StringAt(a, {"status", "hostIP"}), "127.0.0.1");
  for (const char* type : {"PodScheduled", "Initialized", "ContainersReady"}) EXPECT_EQ(ConditionOf(a, type), "True");
  EXPECT_TRUE(ContainerOf(a)["state"].contains("running"));
  EXPECT_THAT(StringAt(a, {"status", "podIP"}), StartsWith("127.79."));
  EXPECT_NE(StringAt(GetPod("b"), {"status", "podIP"}), StringAt(a, {"status", "podIP"}));
  EXPECT_TRUE(Eventually([&] { return LogOf("a") == StringAt(a, {"status", "podIP"}) + "\n"; }));
  EXPECT_TRUE(UntilEvent("Started"));
}

TEST_F(KubeletTest, InitContainersRunOneAfterTheOtherBeforeTheRest) {
  StartKubelet();
  Json pod = Pod("a", "cat /work/order; exec sleep 1000",
                 Json::parse(R"({"volumeMounts": [{"name": "w", "mountPath": "/work"}]})"),
                 Json::parse(R"({"volumes": [{"name": "w", "emptyDir": {}}]})"));
  for (const char* name : {"one", "two"}) {
    Json init = pod["spec"]["containers"][0];
    init["name"] = name;
    init["command"][2] = std::string("echo ") + name + " >> /work/order";
    pod["spec"]["initContainers"].push_back(init);
  }
  CreatePod(pod);
  ASSERT_TRUE(UntilReady("a"));
  EXPECT_TRUE(Eventually([&] { return LogOf("a") == "one\ntwo\n"; }));
  const Json init = GetPod("a")["status"]["initContainerStatuses"][1];
  EXPECT_EQ(init["state"]["terminated"]["reason"], "Completed");
  EXPECT_EQ(init["ready"], true);
}

TEST_F(KubeletTest, ASidecarRunsBesideTheOthersAndEndsWithThem) {
  StartKubelet();
  Json pod = Pod("a", "exit 0", Json::object(), {{"restartPolicy", "Never"}});
  Json sidecar = pod["spec"]["containers"][0];
  sidecar.update({{"name", "side"}, {"restartPolicy", "Always"}, {"command", {"/bin/sleep", "1000"}}});
  pod["spec"]["initContainers"] = Json::array({sidecar});
  CreatePod(pod);
  EXPECT_TRUE(UntilPhase("a", "Succeeded"));
  EXPECT_TRUE(UntilPod(
      "a", [](const Json& p) { return p["status"]["initContainerStatuses"][0]["state"].contains("terminated"); }));
}

TEST_F(KubeletTest, TheRestartPolicyDecidesThePhaseInWhichAPodEnds) {
  StartKubelet();
  CreatePod(Pod("good", "exit 0", Json::object(), {{"restartPolicy", "OnFailure"}}));
  CreatePod(Pod("bad", "exit 4", Json::object(), {{"restartPolicy", "Never"}}));
  CreatePod(Pod("loop", "exit 4"));
  ASSERT_TRUE(UntilPhase("good", "Succeeded"));
  ASSERT_TRUE(UntilPhase("bad", "Failed"));
  EXPECT_EQ(ContainerOf(GetPod("bad"))["state"]["terminated"]["exitCode"], 4);
  ASSERT_TRUE(UntilPod("loop", [](const Json& pod) { return ContainerOf(pod).value("restartCount", 0) >= 2; }));
  EXPECT_EQ(StringAt(GetPod("loop"), {"status", "phase"}), "Running");
}

TEST_F(KubeletTest, AFailedInitContainerFailsAPodThatIsNeverRestarted) {
  StartKubelet();
  Json pod = Pod("a", "exec sleep 1000", Json::object(), {{"restartPolicy", "Never"}});
  pod["spec"]["initContainers"] = Json::array({pod["spec"]["containers"][0]});
  pod["spec"]["initContainers"][0]["name"] = "init";
  pod["spec"]["initContainers"][0]["command"][2] = "exit 1";
  CreatePod(pod);
  ASSERT_TRUE(UntilPhase("a", "Failed"));
  EXPECT_EQ(ContainerOf(GetPod("a"))["state"]["waiting"]["reason"], "PodInitializing");
}

TEST_F(KubeletTest, DeletionIsGracefulAndReadinessEndsAtOnce) {
  StartKubelet();
  CreatePod(Pod("a", "trap 'while [ ! -e " + File("go") +
                         " ]; do sleep 0.01; done; exit 0' TERM; echo up; while :; do sleep 0.01; done"));
  ASSERT_TRUE(UntilReady("a"));
  ASSERT_TRUE(Eventually([&] { return LogOf("a") == "up\n"; }));
  const int pid = PidOf("a");
  const std::string folder = PodFile("a", "");
  DeletePod("a");
  ASSERT_TRUE(UntilPod("a", [](const Json& pod) { return ConditionOf(pod, "Ready") == "False"; }));
  EXPECT_TRUE(IsAlive(pid));
  EXPECT_EQ(StringAt(GetPod("a"), {"status", "phase"}), "Running");
  std::ofstream(File("go")) << "now";
  ASSERT_TRUE(UntilGone("a"));
  EXPECT_FALSE(IsAlive(pid));
  EXPECT_TRUE(Eventually([&] { return !fs::exists(folder); }));
}

TEST_F(KubeletTest, WhoDoesNotEndInItsGracePeriodIsKilled) {
  StartKubelet();
  CreatePod(Pod("a", "trap '' TERM; echo up; while :; do sleep 0.01; done"));
  ASSERT_TRUE(Eventually([&] { return LogOf("a") == "up\n"; }));
  const int pid = PidOf("a");
  DeletePod("a", seconds(2));
  ASSERT_TRUE(UntilGone("a"));
  EXPECT_FALSE(IsAlive(pid));
}

TEST_F(KubeletTest, AForceDeletedPodsProcessesEndToo) {
  StartKubelet();
  CreatePod(Pod("a", "trap '' TERM; echo up; while :; do sleep 0.01; done"));
  ASSERT_TRUE(Eventually([&] { return LogOf("a") == "up\n"; }));
  const int pid = PidOf("a");
  DeletePod("a", seconds(0));
  EXPECT_TRUE(GetPod("a").empty());
  EXPECT_TRUE(Eventually([&] { return !IsAlive(pid); }));
}

TEST_F(KubeletTest, APodThatAFinalizerKeepsIsDeletedOnceByItsUidAndItsStatusStaysAsItEnded) {
  StartKubelet();
  Json pod = Pod("a", "trap 'exit 0' TERM; echo up; while :; do sleep 0.01; done");
  pod["metadata"]["finalizers"] = {"example.com/wait"};
  CreatePod(pod);
  ASSERT_TRUE(Eventually([&] { return LogOf("a") == "up\n"; }));
  DeletePod("a");
  ASSERT_TRUE(UntilPhase("a", "Succeeded"));
  const Json touched = {{"metadata", {{"labels", {{"touched", "yes"}}}}}};
  ASSERT_TRUE(client_.Patch(types::kPods, {"default", "a"}, reconciler::PatchType::kMerge, touched));
  CreatePod(Pod("b", "exec sleep 1000"));
  ASSERT_TRUE(UntilReady("b"));  // the kubelet has seen the change by now
  EXPECT_EQ(ContainerOf(GetPod("a"))["state"]["terminated"]["exitCode"], 0);
  ASSERT_EQ(deletes_->bodies().size(), 1U);
  EXPECT_EQ(deletes_->bodies()[0]["gracePeriodSeconds"], 0);
  EXPECT_EQ(deletes_->bodies()[0]["preconditions"]["uid"], reconciler::UidOf(GetPod("a")));
  const Json released = {{"metadata", {{"finalizers", nullptr}}}};
  ASSERT_TRUE(client_.Patch(types::kPods, {"default", "a"}, reconciler::PatchType::kMerge, released));
  EXPECT_TRUE(UntilGone("a"));
}

TEST_F(KubeletTest, ANamesakeOfAForceDeletedPodIsNotTouched) {
  StartKubelet();
  CreatePod(Pod("a", "trap '' TERM; echo up; while :; do sleep 0.01; done"));
  ASSERT_TRUE(Eventually([&] { return LogOf("a") == "up\n"; }));
  const int old = PidOf("a");
  const std::string address = StringAt(GetPod("a"), {"status", "podIP"});
  DeletePod("a", seconds(0));
  CreatePod(Pod("a", "exec sleep 1000"));
  ASSERT_TRUE(UntilReady("a"));
  const std::string uid = reconciler::UidOf(GetPod("a"));
  ASSERT_TRUE(Eventually([&] { return !IsAlive(old); }));
  EXPECT_TRUE(IsAlive(PidOf("a")));
  EXPECT_EQ(reconciler::UidOf(GetPod("a")), uid);
  EXPECT_NE(StringAt(GetPod("a"), {"status", "podIP"}), address);
}

TEST_F(KubeletTest, AKilledProcessIsRestartedInItsPod) {
  StartKubelet();
  CreatePod(Pod("a", "exec sleep 1000"));
  ASSERT_TRUE(UntilReady("a"));
  const std::string address = StringAt(GetPod("a"), {"status", "podIP"});
  const int pid = PidOf("a");
  ::kill(pid, SIGKILL);
  ASSERT_TRUE(UntilPod("a", [](const Json& pod) {
    return ContainerOf(pod).value("restartCount", 0) == 1 && ConditionOf(pod, "Ready") == "True";
  }));
  EXPECT_EQ(ContainerOf(GetPod("a"))["lastState"]["terminated"]["exitCode"], 137);
  EXPECT_EQ(StringAt(GetPod("a"), {"status", "podIP"}), address);
  EXPECT_NE(PidOf("a"), pid);
}

TEST_F(KubeletTest, AnUnknownImageIsReportedAndAChangedOneIsUsed) {
  StartKubelet();
  CreatePod(Pod("a", "exec sleep 1000", {{"image", "nobody:1"}}));
  ASSERT_TRUE(UntilPod("a", [](const Json& pod) {
    return ContainerOf(pod).value(Json::json_pointer("/state/waiting/reason"), "").starts_with("ErrImagePull");
  }));
  EXPECT_EQ(StringAt(GetPod("a"), {"status", "phase"}), "Pending");
  EXPECT_TRUE(UntilEvent("Failed"));
  const auto set_image = [&](const std::string& image) {
    const Json patch = Json::array({{{"op", "replace"}, {"path", "/spec/containers/0/image"}, {"value", image}}});
    const auto patched = client_.Patch(types::kPods, {"default", "a"}, reconciler::PatchType::kJson, patch);
    ASSERT_TRUE(patched) << patched.error().message;
  };
  set_image("tools:1");
  ASSERT_TRUE(UntilReady("a"));
  set_image("tools:2");
  ASSERT_TRUE(UntilPod("a", [](const Json& pod) {
    return ContainerOf(pod).value("image", "") == "tools:2" && ConditionOf(pod, "Ready") == "True";
  }));
  EXPECT_EQ(ContainerOf(GetPod("a"))["restartCount"], 1);
}

TEST_F(KubeletTest, StopEndsAllProcessesAndRemovesEverything) {
  StartKubelet();
  CreatePod(Pod("a", "trap 'echo orderly > " + File("end") + "; exit 0' TERM; echo up; while :; do sleep 0.01; done"));
  CreatePod(Pod("b", "sleep 1000 & echo $! > " + File("child") + "; wait"));
  ASSERT_TRUE(Eventually([&] { return LogOf("a") == "up\n" && NumberIn(File("child")) > 0; }));
  const int pid = PidOf("a");
  const int child = NumberIn(File("child"));
  StopKubelet();
  EXPECT_TRUE(ran_);
  EXPECT_EQ(TextOf(File("end")), "orderly\n");
  EXPECT_FALSE(IsAlive(pid));
  EXPECT_FALSE(IsAlive(child));
  EXPECT_FALSE(fs::exists(File("state")));
  EXPECT_FALSE(GetPod("a").empty());  // pods are the API server's
}

TEST_F(KubeletTest, TheNextKubeletStartsTheSamePodsAgain) {
  StartKubelet();
  CreatePod(Pod("a", "exec sleep 1000"));
  CreatePod(Pod("done", "exit 0", Json::object(), {{"restartPolicy", "Never"}}));
  ASSERT_TRUE(UntilReady("a"));
  ASSERT_TRUE(UntilPhase("done", "Succeeded"));
  StopKubelet();
  StartKubelet();
  ASSERT_TRUE(UntilPod("a", [](const Json& pod) {
    return ContainerOf(pod).value("restartCount", 0) == 1 && ConditionOf(pod, "Ready") == "True";
  }));
  EXPECT_EQ(StringAt(GetPod("done"), {"status", "phase"}), "Succeeded");
  DeletePod("done");
  EXPECT_TRUE(UntilGone("done"));
}

TEST_F(KubeletTest, WhatACrashLeftBehindIsCleanedAtTheStart) {
  fs::create_directories(File("state/pods/default_x_1/main"));
  fs::create_directories(File("state/volumes/default_x_1"));
  std::ofstream(File("state/pods/default_x_1/main/0.log")) << "old";
  std::ofstream(File("state/mine")) << "not the kubelet's";
  StartKubelet();
  EXPECT_TRUE(Eventually([&] { return !fs::exists(File("state/pods/default_x_1")); }));
  EXPECT_TRUE(Eventually([&] { return !fs::exists(File("state/volumes/default_x_1")); }));
  StopKubelet();
  EXPECT_TRUE(fs::exists(File("state/mine")));
}

TEST_F(KubeletTest, LogsAreServed) {
  StartKubelet();
  CreatePod(Pod("a", "echo one; echo two; exec sleep 1000"));
  ASSERT_TRUE(UntilReady("a"));
  ASSERT_TRUE(Eventually([&] { return LogOf("a") == "one\ntwo\n"; }));
  server_.SetLogSource(kubelet_.get());
  const auto text = client_.GetRaw("/api/v1/namespaces/default/pods/a/log?tailLines=1");
  ASSERT_TRUE(text) << text.error().message;
  EXPECT_EQ(*text, "two\n");
  for (const auto& [option, said] :
       {std::pair("previous=true", "previous terminated container"), std::pair("sinceSeconds=60", "sinceSeconds"),
        std::pair("timestamps=true", "timestamps")}) {
    const auto refused = client_.GetRaw(std::string("/api/v1/namespaces/default/pods/a/log?") + option);
    ASSERT_FALSE(refused) << option;
    EXPECT_THAT(refused.error().message, HasSubstr(said));
  }
  server_.SetLogSource(nullptr);
}

TEST_F(KubeletTest, AnActiveDeadlineFailsThePod) {
  StartKubelet();
  CreatePod(Pod("a", "exec sleep 1000", Json::object(), {{"activeDeadlineSeconds", 1}}));
  ASSERT_TRUE(UntilPhase("a", "Failed"));
  EXPECT_EQ(StringAt(GetPod("a"), {"status", "reason"}), "DeadlineExceeded");
}

TEST_F(KubeletTest, PodsOfOtherNodesAreLeftAlone) {
  StartKubelet();
  CreatePod(Pod("other", "exec sleep 1000", Json::object(), {{"nodeName", "elsewhere"}}));
  CreatePod(Pod("ours", "exec sleep 1000"));
  ASSERT_TRUE(UntilReady("ours"));
  EXPECT_EQ(PidOf("other"), 0);
}

TEST_F(KubeletTest, OptionsThatCannotBeUsedEndItAtOnce) {
  options_.pod_cidr = "10.0.0.0/16";
  StartKubelet();
  StopKubelet();
  ASSERT_FALSE(ran_);
  EXPECT_THAT(ran_.error().message, HasSubstr("10.0.0.0/16"));
  options_.pod_cidr = "127.79.0.0/16";
  options_.state_dir = "/proc/nothing";
  StartKubelet();
  StopKubelet();
  ASSERT_FALSE(ran_);
  EXPECT_THAT(ran_.error().message, HasSubstr("/proc/nothing"));
}

TEST_F(KubeletTest, ARedisServerRunsAtItsPodsAddressAndBecomesValkeyWithItsImage) {
  const auto installed = [](const std::string& engine) {
    return fs::exists(std::string(std::getenv("HOME")) + "/.cache/slotwright/engines/" + engine);
  };
  if (!fs::exists("/usr/bin/redis-server") || !installed("valkey-9.1.2")) {
    GTEST_SKIP() << "needs redis-server and what scripts/engines.sh fetches";
  }
  StartKubelet();
  const Json container = Json::parse(R"json({
    "image": "redis:7.0", "command": null, "args": ["--bind", "$(IP)", "--dir", "/data", "--save", "''"],
    "env": [{"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}],
    "ports": [{"name": "redis", "containerPort": 6379}],
    "readinessProbe": {"tcpSocket": {"port": "redis"}, "periodSeconds": 2},
    "livenessProbe": {"exec": {"command": ["/bin/sh", "-c", "redis-cli -h $IP PING | grep -q PONG"]}, "timeoutSeconds": 5},
    "volumeMounts": [{"name": "data", "mountPath": "/data"}]})json");
  Json pod = Pod("r", "", container, Json::parse(R"({"volumes": [{"name": "data", "emptyDir": {}}]})"));
  pod["spec"]["containers"][0].erase("command");
  CreatePod(pod);
  ASSERT_TRUE(UntilReady("r"));
  EXPECT_THAT(LogOf("r"), HasSubstr("Redis version=7.0"));
  const Json patch =
      Json::array({{{"op", "replace"}, {"path", "/spec/containers/0/image"}, {"value", "valkey/valkey:9.1"}}});
  ASSERT_TRUE(client_.Patch(types::kPods, {"default", "r"}, reconciler::PatchType::kJson, patch));
  ASSERT_TRUE(UntilPod("r", [](const Json& p) {
    return ContainerOf(p).value("imageID", "") == "local://valkey:9.1.2" && ConditionOf(p, "Ready") == "True";
  }));
  EXPECT_THAT(LogOf("r", 1), HasSubstr("Valkey version=9.1.2"));
}

TEST_F(KubeletTest, AnOutageOfTheApiServerKeepsPodsRunningAndIsCaughtUpWith) {
  StartKubelet();
  CreatePod(Pod("a", "exec sleep 1000"));
  ASSERT_TRUE(UntilReady("a"));
  const std::string pid_file = PodFile("a", "main/main.pid");
  const int pid = NumberIn(pid_file);
  server_.SetOutage(503);
  ::kill(pid, SIGKILL);
  ASSERT_TRUE(Eventually([&] { return NumberIn(pid_file) > 0 && NumberIn(pid_file) != pid; }));
  server_.SetOutage(0);
  EXPECT_TRUE(UntilPod("a", [](const Json& pod) { return ContainerOf(pod).value("restartCount", 0) == 1; }));
}

}  // namespace
}  // namespace slotwright::local
