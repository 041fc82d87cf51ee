// The model of tests/simulation behind ClusterUnderTest.
#include <map>
#include <optional>

#include "tests/conformance/redis_model/cluster_under_test.h"
#include "tests/simulation/sim_redis.h"

namespace slotwright::redis_model {
namespace {

using simulation::Bus;
using simulation::Disk;
using simulation::Node;
using simulation::Simulator;

class SimulatedCluster final : public ClusterUnderTest {
 public:
  explicit SimulatedCluster(Engine engine) { bus_.valkey = engine == Engine::kValkey; }

  void Start(char node) override {
    bus_.Start(EndpointOf(node), HostnameFor(node), kPassword, std::move(disks_[node]));
    disks_[node].reset();
  }

  void Kill(char node) override {
    disks_[node] = bus_.At(EndpointOf(node))->disk();
    bus_.Stop(EndpointOf(node));
  }

  void Erase(char node) override { disks_[node].reset(); }

  void Move(char node) override { endpoints_.erase(node); }

  Endpoint EndpointOf(char node) override {
    const auto known = endpoints_.find(node);
    if (known != endpoints_.end()) return known->second;
    return endpoints_[node] = {"10.0.0." + std::to_string(++addresses_), 6379};
  }

  Reply Execute(char node, const Command& command, bool asking) override {
    simulator_.RunFor(milliseconds(1));
    Node* process = bus_.At(EndpointOf(node));
    if (process == nullptr) return {.type = Reply::Type::kError, .text = "no answer"};
    return process->Execute(command, asking);
  }

  bool WaitUntil(const std::function<bool()>& condition, milliseconds limit) override {
    const auto end = simulator_.Now() + limit;
    while (!condition()) {
      if (simulator_.Now() >= end) return false;
      simulator_.RunFor(milliseconds(10));
    }
    return true;
  }

  [[nodiscard]] std::chrono::steady_clock::time_point Now() const override { return simulator_.Now(); }

 private:
  Simulator simulator_{1};
  Bus bus_{simulator_, kNodeTimeout};
  int addresses_ = 0;
  std::map<char, Endpoint> endpoints_;
  std::map<char, std::optional<Disk>> disks_;
};

}  // namespace

std::unique_ptr<ClusterUnderTest> MakeSimulatedCluster(Engine engine) {
  return std::make_unique<SimulatedCluster>(engine);
}

}  // namespace slotwright::redis_model
