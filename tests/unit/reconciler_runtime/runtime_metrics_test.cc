// Names, types, labels and buckets, as dashboards made for controller-runtime expect them.
#include "reconciler/metrics/runtime_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <prometheus/collectable.h>
#include <prometheus/metric_family.h>
#include <prometheus/registry.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <thread>

#include "reconciler/metrics/process_collector.h"
#include "reconciler/queue/work_queue.h"
#include "tests/unit/fakes/fake_clock.h"

namespace reconciler {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::Contains;
using testing::DoubleNear;
using testing::Gt;
using testing::HasSubstr;
using testing::IsSupersetOf;
using testing::Pair;

std::vector<std::string> Lines(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

/// The upper bounds of one histogram, as they are written.
std::vector<std::string> BucketsOf(const std::string& text, const std::string& histogram) {
  std::vector<std::string> bounds;
  for (const auto& line : Lines(text)) {
    if (!line.starts_with(histogram + "_bucket{")) continue;
    const size_t start = line.find("le=\"") + 4;
    bounds.push_back(line.substr(start, line.find('"', start) - start));
  }
  return bounds;
}

class RuntimeMetricsTest : public testing::Test {
 protected:
  RuntimeMetrics metrics_{std::make_shared<prometheus::Registry>()};
};

TEST_F(RuntimeMetricsTest, EverySeriesOfAControllerExistsFromRegistrationOn) {
  metrics_.RegisterController("rdc", 4);
  EXPECT_THAT(Lines(metrics_.Text()),
              IsSupersetOf({
                  "# TYPE controller_runtime_reconcile_total counter",
                  R"(controller_runtime_reconcile_total{controller="rdc",result="success"} 0)",
                  R"(controller_runtime_reconcile_total{controller="rdc",result="error"} 0)",
                  R"(controller_runtime_reconcile_total{controller="rdc",result="requeue"} 0)",
                  R"(controller_runtime_reconcile_total{controller="rdc",result="requeue_after"} 0)",
                  "# TYPE controller_runtime_reconcile_errors_total counter",
                  R"(controller_runtime_reconcile_errors_total{controller="rdc"} 0)",
                  R"(controller_runtime_terminal_reconcile_errors_total{controller="rdc"} 0)",
                  R"(controller_runtime_reconcile_panics_total{controller="rdc"} 0)",
                  "# TYPE controller_runtime_reconcile_time_seconds histogram",
                  R"(controller_runtime_reconcile_time_seconds_count{controller="rdc"} 0)",
                  "# TYPE controller_runtime_max_concurrent_reconciles gauge",
                  R"(controller_runtime_max_concurrent_reconciles{controller="rdc"} 4)",
                  "# TYPE controller_runtime_active_workers gauge",
                  R"(controller_runtime_active_workers{controller="rdc"} 0)",
              }));
}

TEST_F(RuntimeMetricsTest, EverySeriesOfAQueueExistsFromRegistrationOn) {
  metrics_.RegisterQueue("rdc");
  EXPECT_THAT(Lines(metrics_.Text()),
              IsSupersetOf({
                  "# TYPE workqueue_depth gauge",
                  R"(workqueue_depth{controller="rdc",name="rdc",priority=""} 0)",
                  "# TYPE workqueue_adds_total counter",
                  R"(workqueue_adds_total{controller="rdc",name="rdc"} 0)",
                  "# TYPE workqueue_retries_total counter",
                  R"(workqueue_retries_total{controller="rdc",name="rdc"} 0)",
                  "# TYPE workqueue_queue_duration_seconds histogram",
                  R"(workqueue_queue_duration_seconds_count{controller="rdc",name="rdc"} 0)",
                  "# TYPE workqueue_work_duration_seconds histogram",
                  R"(workqueue_work_duration_seconds_count{controller="rdc",name="rdc"} 0)",
                  "# TYPE workqueue_unfinished_work_seconds gauge",
                  R"(workqueue_unfinished_work_seconds{controller="rdc",name="rdc"} 0)",
                  "# TYPE workqueue_longest_running_processor_seconds gauge",
                  R"(workqueue_longest_running_processor_seconds{controller="rdc",name="rdc"} 0)",
              }));
}

TEST_F(RuntimeMetricsTest, BucketsAreThoseOfControllerRuntime) {
  metrics_.RegisterController("rdc", 1);
  metrics_.RegisterQueue("rdc");
  metrics_.RequestDone("200", "GET", "h:1", 1s);
  const std::string text = metrics_.Text();
  EXPECT_THAT(
      BucketsOf(text, "controller_runtime_reconcile_time_seconds"),
      testing::ElementsAre("0.005", "0.01", "0.025", "0.05", "0.1", "0.15", "0.2", "0.25", "0.3", "0.35", "0.4", "0.45",
                           "0.5", "0.6", "0.7", "0.8", "0.9", "1", "1.25", "1.5", "1.75", "2", "2.5", "3", "3.5", "4",
                           "4.5", "5", "6", "7", "8", "9", "10", "15", "20", "25", "30", "40", "50", "60", "+Inf"));
  for (const auto* histogram : {"workqueue_queue_duration_seconds", "workqueue_work_duration_seconds"}) {
    std::vector<double> bounds;
    for (const auto& bound : BucketsOf(text, histogram)) bounds.push_back(std::stod(bound));
    ASSERT_EQ(bounds.size(), 13U) << histogram;
    for (int i = 0; i < 12; ++i) EXPECT_THAT(bounds[i] / (1e-8 * std::pow(10, i)), DoubleNear(1, 1e-9));
  }
  EXPECT_THAT(
      BucketsOf(text, "rest_client_request_duration_seconds"),
      testing::ElementsAre("0.005", "0.025", "0.1", "0.25", "0.5", "1", "2", "4", "8", "15", "30", "60", "+Inf"));
}

TEST_F(RuntimeMetricsTest, RegisteringAgainKeepsWhatWasCounted) {
  metrics_.RegisterQueue("rdc");
  metrics_.QueueAdded("rdc");
  metrics_.RegisterQueue("rdc");
  EXPECT_THAT(metrics_.Text(), HasSubstr(R"(workqueue_adds_total{controller="rdc",name="rdc"} 1)"));
}

TEST_F(RuntimeMetricsTest, ActiveWorkersRiseAndFall) {
  const auto active = [](int n) {
    return HasSubstr("controller_runtime_active_workers{controller=\"rdc\"} " + std::to_string(n));
  };
  metrics_.ReconcileStarted("rdc");
  metrics_.ReconcileStarted("rdc");
  EXPECT_THAT(metrics_.Text(), active(2));
  metrics_.ReconcileDone("rdc", RuntimeMetrics::ReconcileResult::kSuccess, 1s);
  EXPECT_THAT(metrics_.Text(), active(1));
}

TEST_F(RuntimeMetricsTest, CountsRequestsByCodeMethodAndHost) {
  metrics_.RequestDone("200", "GET", "10.0.0.1:443", 20ms);
  metrics_.RequestDone("200", "GET", "10.0.0.1:443", 20ms);
  metrics_.RequestDone("<error>", "PUT", "10.0.0.1:443", 2s);
  EXPECT_THAT(Lines(metrics_.Text()),
              IsSupersetOf({R"(rest_client_requests_total{code="200",host="10.0.0.1:443",method="GET"} 2)",
                            R"(rest_client_requests_total{code="<error>",host="10.0.0.1:443",method="PUT"} 1)",
                            R"(rest_client_request_duration_seconds_count{host="10.0.0.1:443",verb="PUT"} 1)"}));
}

TEST_F(RuntimeMetricsTest, LeadershipIsAGaugeThatStartsAtZero) {
  metrics_.RegisterLease("slotwright");
  const std::string gauge = R"(leader_election_master_status{name="slotwright"} )";
  EXPECT_THAT(metrics_.Text(), HasSubstr(gauge + "0"));
  metrics_.LeaderStatus("slotwright", true);
  EXPECT_THAT(metrics_.Text(), HasSubstr(gauge + "1"));
  metrics_.LeaderStatus("slotwright", false);
  EXPECT_THAT(metrics_.Text(), HasSubstr(gauge + "0"));
}

TEST_F(RuntimeMetricsTest, FollowsAQueueThroughItsLife) {
  FakeClock clock;
  WorkQueue queue({.name = "q", .metrics = &metrics_}, clock);
  metrics_.ObserveUnfinished("q", queue);
  const auto line = [](const std::string& name, const std::string& value) {
    return Contains("workqueue_" + name + R"({controller="q",name="q"} )" + value);
  };
  const auto depth = [](const std::string& value) {
    return Contains(R"(workqueue_depth{controller="q",name="q",priority=""} )" + value);
  };
  const ObjectKey a{"", "a"};
  const ObjectKey b{"", "b"};
  for (const auto& key : {a, b, a}) queue.Add(key);
  EXPECT_THAT(Lines(metrics_.Text()), AllOf(depth("2"), line("adds_total", "2"), line("retries_total", "0")));

  clock.Advance(2s);
  ASSERT_EQ(queue.TryGet(), a);
  clock.Advance(3s);
  EXPECT_THAT(Lines(metrics_.Text()),
              AllOf(depth("1"), line("queue_duration_seconds_sum", "2"), line("unfinished_work_seconds", "3"),
                    line("longest_running_processor_seconds", "3")));

  queue.AddRateLimited(a);
  queue.AddAfter(b, 1s);
  queue.Done(a);
  EXPECT_THAT(Lines(metrics_.Text()),
              AllOf(line("work_duration_seconds_sum", "3"), line("retries_total", "2"),
                    line("unfinished_work_seconds", "0"), line("longest_running_processor_seconds", "0")));
}

TEST_F(RuntimeMetricsTest, MayBeReadWhileQueuesCount) {
  WorkQueue queue({.name = "q", .metrics = &metrics_});
  metrics_.ObserveUnfinished("q", queue);
  std::jthread worker([&](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      queue.Add({"", "a"});
      if (const auto key = queue.TryGet()) queue.Done(*key);
    }
  });
  for (int i = 0; i < 50; ++i) EXPECT_THAT(metrics_.Text(), HasSubstr("workqueue_unfinished_work_seconds"));
}

std::map<std::string, double> Collected(const std::string& proc) {
  std::map<std::string, double> values;
  for (const auto& family : MakeProcessCollector(proc)->Collect()) {
    const bool counter = family.type == prometheus::MetricType::Counter;
    EXPECT_EQ(counter, family.name.ends_with("_total")) << family.name;
    values[family.name] = counter ? family.metric.at(0).counter.value : family.metric.at(0).gauge.value;
  }
  return values;
}

TEST(ProcessCollector, ReadsProcAsItsManualDescribesIt) {
  const auto proc = std::filesystem::path(testing::TempDir()) / "slotwright-proc";
  std::filesystem::create_directories(proc / "self/fd");
  for (const auto* fd : {"0", "1", "17"}) std::ofstream(proc / "self/fd" / fd);
  std::ofstream(proc / "self/stat") << "42 (odd ) name) S 1 42 42 0 -1 4194560 9 9 9 9 150 50 7 8 20 0 3 0 1000 "
                                       "8192000 256 18446744073709551615 1 1 0 0 0\n";
  std::ofstream(proc / "self/limits") << "Limit                     Soft Limit           Hard Limit           Units\n"
                                         "Max open files            1024                 4096                 files\n";
  std::ofstream(proc / "stat") << "cpu  1 2 3\nbtime 1700000000\nprocesses 5\n";

  const auto ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
  const auto page = static_cast<double>(sysconf(_SC_PAGESIZE));
  EXPECT_THAT(Collected(proc),
              testing::UnorderedElementsAre(
                  Pair("process_cpu_seconds_total", 200 / ticks), Pair("process_resident_memory_bytes", 256 * page),
                  Pair("process_virtual_memory_bytes", 8192000), Pair("process_open_fds", 3),
                  Pair("process_max_fds", 1024), Pair("process_start_time_seconds", 1700000000 + 1000 / ticks)));
  std::filesystem::remove_all(proc);
}

TEST(ProcessCollector, LeavesOutWhatItCannotRead) { EXPECT_TRUE(Collected("/nonexistent").empty()); }

TEST_F(RuntimeMetricsTest, TellsOfThisVeryProcess) {
  EXPECT_THAT(metrics_.Text(), AllOf(HasSubstr("# TYPE process_cpu_seconds_total counter"),
                                     HasSubstr("# TYPE process_resident_memory_bytes gauge")));
  const auto values = Collected("/proc");
  EXPECT_THAT(values, Contains(Pair("process_resident_memory_bytes", Gt(1e6))));
  EXPECT_THAT(values, Contains(Pair("process_open_fds", Gt(2))));
  EXPECT_THAT(values, Contains(Pair("process_start_time_seconds", Gt(1.6e9))));
}

}  // namespace
}  // namespace reconciler
