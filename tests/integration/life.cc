// See life.h.
#include "tests/integration/life.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <cstdio>

#include "controllers/plan/cluster_view.h"
#include "controllers/plan/slot_moves.h"

namespace slotwright::testing {

namespace {

std::vector<Endpoint> Seeds(const Inspection& look) {
  std::vector<Endpoint> seeds;
  for (const auto& node : look.observation.nodes) seeds.push_back(node.endpoint);
  return seeds;
}

}  // namespace

Life::Life(int masters, int replicas, const reconciler::Json& spec, const std::string& image, int keys)
    : filled_(keys) {
  harness.StartOperator();
  harness.Create(masters, replicas, spec, image);
  if (!harness.BecomesReady()) throw std::runtime_error("the cluster did not come up");
  ClusterClient client(harness.Password(), Seeds(harness.Look()));
  const std::string problem = client.Fill(keys, 100);
  EXPECT_EQ(problem, "");
}

void Life::StartWriters() {
  if (writers_) {
    writers_->Resume();
  } else {
    writers_.emplace(harness.Password(), Seeds(harness.Look()), kWriters, 300, [this] { return Addresses(); });
  }
  EXPECT_TRUE(writers_->AwaitEachKey(20s)) << "what is lost of a key that has nothing is not missed";
}

std::vector<Endpoint> Life::Addresses() const {
  std::vector<Endpoint> nodes;
  const auto pods = harness.client().ListAll(reconciler::types::kPods, {.ns = "default"});
  for (const auto& pod : pods ? pods->items : std::vector<reconciler::Json>{}) {
    const std::string address = reconciler::StringAt(pod, {"status", "podIP"});
    if (!address.empty()) nodes.push_back({address, 6379});
  }
  return nodes;
}

void Life::ExpectWritersGoOn() { ASSERT_TRUE(writers_->AwaitEachKey(30s)) << "a writer gets no answer any more"; }

void Life::ExpectAllIsWell(std::chrono::milliseconds patience, const Allowed& allowed) {
  EXPECT_TRUE(harness.BecomesReady("demo", patience));
  EXPECT_EQ(harness.ViolatedPromise(), "");
  const auto look = harness.Look();
  EXPECT_TRUE(look.plan.settled) << look.plan.message;
  const auto view = Merge(look.observation);
  if (look.observation.cluster.spec.rebalance.automatic) {
    EXPECT_TRUE(IsEven(view.owned, look.observation.cluster.spec.rebalance.threshold_percent));
  }
  if (writers_) {
    Verify();
    EXPECT_LE(report_.lost, allowed.lost) << report_.first_loss;
    EXPECT_EQ(report_.first_problem, "");
    EXPECT_GT(report_.least_progress, 0) << "a writer did not write while it happened";
    EXPECT_LE(report_.worst_gap_ms, static_cast<double>(allowed.longest_wait.count()));
    EXPECT_EQ(Keys(), filled_ + report_.keys);
  }
}

const WriteChecker::Report& Life::Verify() {
  writers_->Stop();
  report_ = writers_->Verify();
  fmt::print("writers: {}\n", report_.ToString());
  std::fflush(stdout);  // also if what comes next never ends
  return report_;
}

std::int64_t Life::Keys() const {
  std::int64_t keys = 0;
  const auto look = harness.Look();
  for (const auto& node : look.observation.nodes) {
    if (node.Answers() && node.me().flags.master) keys += node.server.keys;
  }
  return keys;
}

NodeView Life::NodeOf(const std::string& pod) const {
  const auto look = harness.Look();
  const auto found = std::ranges::find(look.observation.nodes, pod, &NodeView::pod);
  if (found == look.observation.nodes.end()) throw std::runtime_error("no node behind " + pod);
  return *found;
}

pid_t Life::PidOf(const std::string& pod) const {
  const Reply info = harness.Ask(NodeOf(pod).endpoint, {"INFO", "server"});
  return std::stoi(info.text.substr(info.text.find("process_id:") + 11));
}

void Life::DeletePod(const std::string& pod) const {
  const auto deleted = harness.client().Delete(reconciler::types::kPods, {"default", pod});
  EXPECT_TRUE(deleted) << deleted.error().message;
}

bool Life::IsNotReady() const { return harness.Condition("Ready").value("status", "") == "False"; }

void Life::KillServers(const std::vector<std::string>& pods) const {
  std::vector<pid_t> servers;
  for (const auto& pod : pods) servers.push_back(PidOf(pod));
  for (const pid_t server : servers) ASSERT_EQ(::kill(server, SIGKILL), 0);
  ASSERT_TRUE(Harness::Eventually([&] { return IsNotReady(); }));
}

std::string TagOf(Slot slot) {
  for (int i = 0;; ++i) {
    if (KeySlot(std::to_string(i)) == slot) return std::to_string(i);
  }
}

}  // namespace slotwright::testing
