// Probes as values, and their thresholds.
#include "local/kubelet/probe.h"

#include <gtest/gtest.h>

namespace slotwright::local {
namespace {

using reconciler::Json;
using std::chrono::seconds;

TEST(ProbeTest, DefaultsAreThoseOfKubernetes) {
  const auto probes = ParseProbes(Json::parse(R"({"readinessProbe": {"exec": {"command": ["true"]}}})"));
  ASSERT_TRUE(probes);
  ASSERT_EQ(probes->size(), 1U);
  const Probe& probe = probes->at(ProbeKind::kReadiness);
  EXPECT_EQ(probe.initial_delay, seconds(0));
  EXPECT_EQ(probe.period, seconds(10));
  EXPECT_EQ(probe.timeout, seconds(1));
  EXPECT_EQ(probe.success_threshold, 1);
  EXPECT_EQ(probe.failure_threshold, 3);
  EXPECT_FALSE(probe.termination_grace);
}

TEST(ProbeTest, EveryFieldIsReadAndNamedPortsAreFound) {
  const auto probes = ParseProbes(Json::parse(R"({
    "name": "c", "ports": [{"name": "redis", "containerPort": 6379}],
    "startupProbe": {"tcpSocket": {"port": "redis", "host": "127.0.0.1"}, "periodSeconds": 2, "failureThreshold": 30,
                     "initialDelaySeconds": 4, "timeoutSeconds": 5, "terminationGracePeriodSeconds": 6},
    "livenessProbe": {"httpGet": {"path": "healthz", "port": 8080, "scheme": "HTTPS",
                      "httpHeaders": [{"name": "X-A", "value": "b"}]}, "successThreshold": 1}})"));
  ASSERT_TRUE(probes) << probes.error().message;
  const Probe& startup = probes->at(ProbeKind::kStartup);
  const auto& tcp = std::get<TcpAction>(startup.action);
  EXPECT_EQ(tcp.port, 6379);
  EXPECT_EQ(tcp.host, "127.0.0.1");
  EXPECT_EQ(startup.period, seconds(2));
  EXPECT_EQ(startup.failure_threshold, 30);
  EXPECT_EQ(startup.initial_delay, seconds(4));
  EXPECT_EQ(startup.timeout, seconds(5));
  EXPECT_EQ(startup.termination_grace, seconds(6));
  const auto& http = std::get<HttpAction>(probes->at(ProbeKind::kLiveness).action);
  EXPECT_EQ(http.path, "/healthz");
  EXPECT_EQ(http.port, 8080);
  EXPECT_EQ(http.scheme, "HTTPS");
  EXPECT_EQ(http.headers, (std::vector<std::pair<std::string, std::string>>{{"X-A", "b"}}));
}

TEST(ProbeTest, WhatThisKubeletDoesNotKnowIsRefused) {
  for (const char* probe : {R"({"grpc": {"port": 1}})", R"({"tcpSocket": {"port": "nobody"}})", "{}"}) {
    const auto probes = ParseProbes({{"name", "c"}, {"livenessProbe", Json::parse(probe)}});
    ASSERT_FALSE(probes) << probe;
    EXPECT_EQ(probes.error().kind, reconciler::ErrorKind::kInvalid);
    EXPECT_NE(probes.error().message.find("livenessProbe"), std::string::npos) << probes.error().message;
  }
}

TEST(ProbeTest, AVerdictTakesAsManyResultsInARowAsItsThresholdSays) {
  struct Row {
    int success_threshold;
    int failure_threshold;
    const char* results;   // s, f
    const char* verdicts;  // after each: S, F or - for none
  };
  for (const auto& row : {
           Row{1, 3, "ffsfff", "--S--F"},
           Row{2, 1, "sfss", "-F-S"},
           Row{1, 1, "sfsf", "SFSF"},
           Row{1, 3, "ffffs", "--FFS"},
       }) {
    ProbeTracker tracker(row.success_threshold, row.failure_threshold);
    std::string verdicts;
    for (const char* result = row.results; *result != '\0'; ++result) {
      const auto verdict = tracker.Add(*result == 's');
      verdicts += !verdict ? '-' : *verdict ? 'S' : 'F';
    }
    EXPECT_EQ(verdicts, row.verdicts) << row.results;
  }
}

}  // namespace
}  // namespace slotwright::local
