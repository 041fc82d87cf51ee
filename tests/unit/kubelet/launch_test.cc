// Command lines, environments and working folders.
#include "local/kubelet/launch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "tests/support/temporary_folder.h"
#include "tests/unit/kubelet/pod_parts.h"

namespace slotwright::local {
namespace {

using reconciler::Json;
using testing::Contains;
using testing::ElementsAre;
using testing::Not;
using testing::StartsWith;

LaunchInputs InputsWith(std::vector<MountedFolder> mounts, const FakeFacts& facts) {
  return {facts.Get(), {"/images/redis", "local://redis:7", {"redis-server"}}, std::move(mounts), "/home/of/it"};
}

TEST(LaunchTest, VariablesAreExpandedAndThenMountPathsReplaced) {
  const FakeFacts facts;
  const Json container = Json::parse(R"json({
    "command": ["/bin/sh", "/conf/start.sh"], "args": ["--bind", "$(POD_IP)", "$(DIR)/x", "$$(DIR)"], "workingDir": "/data/w",
    "env": [{"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            {"name": "DIR", "value": "/data"}]
})json");
  const auto plan = PlanLaunch(container, InputsWith({{"/data", "/data/state/v"}, {"/conf", "/s/conf"}}, facts));
  ASSERT_TRUE(plan) << plan.error().message;
  EXPECT_THAT(plan->process.command,
              ElementsAre("/bin/sh", "/s/conf/start.sh", "--bind", "127.77.0.9", "/data/state/v/x", "$(DIR)"));
  EXPECT_EQ(plan->process.working_dir, "/data/state/v/w");
  EXPECT_THAT(plan->process.environment, Contains("DIR=/data/state/v"));
  EXPECT_THAT(plan->WithCommand({"cat", "/conf/x"}).command, ElementsAre("cat", "/s/conf/x"));
}

TEST(LaunchTest, NothingOfTheOperatorsEnvironmentLeaksIntoAContainer) {
  ::setenv("SLOTWRIGHT_TEST_SECRET", "x", 1);
  const FakeFacts facts;
  const auto plan =
      PlanLaunch(Json::parse(R"({"command": ["x"], "env": [{"name": "A", "value": "1"}]})"), InputsWith({}, facts));
  ASSERT_TRUE(plan);
  EXPECT_THAT(plan->process.environment, ElementsAre(StartsWith("PATH=/images/redis:/usr/local/sbin:"),
                                                     "HOME=/home/of/it", "HOSTNAME=web", "A=1"));
  ::unsetenv("SLOTWRIGHT_TEST_SECRET");
}

TEST(LaunchTest, WithoutCommandTheImagesEntryPointTakesOptionsAndConfigurationFiles) {
  const FakeFacts facts;
  struct Row {
    const char* container;
    std::vector<std::string> command;
  };
  for (const auto& row : {
           Row{"{}", {"redis-server"}},
           Row{R"({"args": ["--port", "1"]})", {"redis-server", "--port", "1"}},
           Row{R"({"args": ["/etc/redis.conf", "--x"]})", {"redis-server", "/etc/redis.conf", "--x"}},
           Row{R"({"args": ["redis-cli", "ping"]})", {"redis-cli", "ping"}},
           Row{R"({"command": ["sh", "-c"], "args": ["true"]})", {"sh", "-c", "true"}},
           Row{R"({"command": ["sleep"]})", {"sleep"}},
       }) {
    const auto plan = PlanLaunch(Json::parse(row.container), InputsWith({}, facts));
    ASSERT_TRUE(plan) << row.container;
    EXPECT_EQ(plan->process.command, row.command) << row.container;
    EXPECT_EQ(plan->process.working_dir, "/home/of/it");
  }
}

TEST(LaunchTest, AnImageWithoutEntryPointNeedsACommand) {
  const FakeFacts facts;
  LaunchInputs inputs = InputsWith({}, facts);
  inputs.image.entry_point.clear();
  const auto plan = PlanLaunch({{"name", "c"}, {"image", "tools:1"}}, inputs);
  ASSERT_FALSE(plan);
  EXPECT_NE(plan.error().message.find("tools:1"), std::string::npos);
}

TEST(LaunchTest, ProgramsOfTheImageShadowThoseOfThisMachine) {
  const FakeFacts facts;
  const TemporaryFolder folder;
  std::ofstream(folder.path() + "/redis-server") << "#!/bin/sh\n";
  std::filesystem::permissions(folder.path() + "/redis-server", std::filesystem::perms::owner_all);
  LaunchInputs inputs = InputsWith({}, facts);
  inputs.image.folder = folder.path();
  const auto program = [&](const std::string& path) {
    return PlanLaunch({{"command", {path}}}, inputs)->process.command[0];
  };
  EXPECT_EQ(program("/usr/local/bin/redis-server"), folder.path() + "/redis-server");
  EXPECT_EQ(program("/usr/bin/redis-server"), folder.path() + "/redis-server");
  EXPECT_EQ(program("/usr/bin/sleep"), "/usr/bin/sleep");
  EXPECT_EQ(program("/opt/redis-server"), "/opt/redis-server");
}

}  // namespace
}  // namespace slotwright::local
