// Real server processes behind ClusterUnderTest, with the directives that production gives to pods with storage.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <stdlib.h>

#include <filesystem>
#include <map>

#include "controllers/resources/configuration.h"
#include "controllers/resources/resources.h"
#include "tests/conformance/redis_model/cluster_under_test.h"
#include "tests/support/engines.h"
#include "tests/support/redis_process.h"

namespace slotwright::redis_model {
namespace {

using testing::RedisProcess;

constexpr milliseconds kAnswerWithin{5000};
constexpr milliseconds kPoll{10};

// In memory if there is such a place: nodes.conf is written with fsync, and a slow disk would look like a dead node.
std::filesystem::path FreshDirectory() {
  const std::filesystem::path memory = "/dev/shm";
  const auto parent = std::filesystem::is_directory(memory) ? memory : std::filesystem::temp_directory_path();
  std::string pattern = (parent / "slotwright-model-XXXXXX").string();
  return ::mkdtemp(pattern.data()) == nullptr ? std::filesystem::path() : std::filesystem::path(pattern);
}

std::vector<std::string> Arguments(char node, const Endpoint& endpoint) {
  RedisCluster cluster;
  cluster.spec.port = endpoint.port;
  cluster.spec.storage = StorageSpec{};
  cluster.spec.config = {{"cluster-node-timeout", std::to_string(kNodeTimeout.count())}};
  std::vector<std::string> arguments = {"--cluster-announce-ip",
                                        endpoint.host,  //
                                        "--cluster-announce-hostname",
                                        HostnameFor(node),  //
                                        "--requirepass",
                                        kPassword,  //
                                        "--masterauth",
                                        kPassword};
  for (const auto& directives : {LiveDirectives(cluster), RestartDirectives(cluster)}) {
    for (const auto& [name, value] : directives) {
      // The servers share an address, so that each has its bus at the usual distance from its port.
      if (name != "cluster-port") arguments.insert(arguments.end(), {"--" + name, value});
    }
  }
  return arguments;
}

class RealCluster final : public ClusterUnderTest {
 public:
  explicit RealCluster(std::string program)
      : program_(std::move(program)), commander_(MakeTcpCommander()), directory_(FreshDirectory()) {}

  ~RealCluster() override {
    processes_.clear();
    std::error_code ignored;
    if (!directory_.empty()) std::filesystem::remove_all(directory_, ignored);
  }

  void Start(char node) override {
    const auto home = directory_ / std::string(1, node);
    std::filesystem::create_directories(home);
    auto process = RedisProcess::Start({.binary = program_,
                                        .endpoint = EndpointOf(node),
                                        .arguments = Arguments(node, EndpointOf(node)),
                                        .directory = home});
    ASSERT_TRUE(process) << process.error();
    processes_[node] = *std::move(process);
    // While it loads its data it answers, but not this.
    EXPECT_TRUE(WaitUntil([&] { return !Execute(node, {"CLUSTER", "MYID"}, false).IsError(); }, kAnswerWithin));
  }

  void Kill(char node) override { processes_.at(node)->Kill(); }

  void Erase(char node) override {
    processes_.erase(node);
    std::filesystem::remove_all(directory_ / std::string(1, node));
  }

  void Move(char node) override { endpoints_.erase(node); }

  Endpoint EndpointOf(char node) override {
    const auto known = endpoints_.find(node);
    return known == endpoints_.end() ? endpoints_[node] = testing::FreshEndpoint() : known->second;
  }

  Reply Execute(char node, const Command& command, bool asking) override {
    std::vector<Command> commands;
    if (asking) commands.push_back({"ASKING"});
    commands.push_back(command);
    const auto result = commander_->Run({{EndpointOf(node), kPassword, commands}}, kAnswerWithin)[0];
    return result ? result->back() : Reply{.type = Reply::Type::kError, .text = "no answer"};
  }

  bool WaitUntil(const std::function<bool()>& condition, milliseconds limit) override {
    const auto end = Now() + limit;
    while (!condition()) {
      if (Now() >= end) return false;
      ::poll(nullptr, 0, static_cast<int>(kPoll.count()));
    }
    return true;
  }

  [[nodiscard]] std::chrono::steady_clock::time_point Now() const override { return std::chrono::steady_clock::now(); }

 private:
  const std::string program_;
  std::unique_ptr<Commander> commander_;
  std::filesystem::path directory_;
  std::map<char, Endpoint> endpoints_;
  std::map<char, std::unique_ptr<RedisProcess>> processes_;
};

}  // namespace

std::unique_ptr<ClusterUnderTest> MakeRealCluster(const std::string& program) {
  return std::make_unique<RealCluster>(program);
}

std::string ProgramOf(Engine engine) {
  // Found once: each search asks every server of this machine for its version.
  static const std::string valkey = testing::ServerFor("valkey:9.1");
  static const std::string redis = [] {
    const char* other = ::getenv("SLOTWRIGHT_MODEL_SERVER");
    const std::string server = other == nullptr ? testing::ServerFor("redis:7.0") : other;
    return server.empty() ? "redis-server" : server;
  }();
  return engine == Engine::kValkey ? valkey : redis;
}

}  // namespace slotwright::redis_model
