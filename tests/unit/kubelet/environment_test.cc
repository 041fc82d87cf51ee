// Environment variables of containers.
#include "local/kubelet/environment.h"

#include <gtest/gtest.h>

#include "tests/unit/kubelet/pod_parts.h"

namespace slotwright::local {
namespace {

using reconciler::ErrorKind;
using reconciler::Json;

Json FieldVariable(const std::string& path) {
  return {{"name", "V"}, {"valueFrom", {{"fieldRef", {{"fieldPath", path}}}}}};
}

TEST(EnvironmentTest, EveryFieldOfTheDownwardApiHasItsValue) {
  const FakeFacts facts;
  const std::map<std::string, std::string> expected = {
      {"metadata.name", "web"},
      {"metadata.namespace", "default"},
      {"metadata.uid", "11"},
      {"metadata.labels['app']", "shop"},
      {"metadata.labels['slotwright.dev/shard']", "2"},
      {"metadata.labels['missing']", ""},
      {"metadata.annotations['note']", "a \"quoted\" one"},
      {"spec.nodeName", "local"},
      {"status.podIP", "127.77.0.9"},
      {"status.hostIP", "127.0.0.1"},
  };
  for (const auto& [path, value] : expected) {
    const auto environment = EnvironmentOf({{"env", Json::array({FieldVariable(path)})}}, facts.Get());
    ASSERT_TRUE(environment) << path;
    EXPECT_EQ(environment->Get("V"), value) << path;
  }
}

TEST(EnvironmentTest, AnUnknownFieldIsRefusedWithTheNameOfTheVariable) {
  const auto environment = EnvironmentOf({{"env", Json::array({FieldVariable("status.phase")})}}, FakeFacts().Get());
  ASSERT_FALSE(environment);
  EXPECT_EQ(environment.error().kind, ErrorKind::kInvalid);
  EXPECT_NE(environment.error().message.find("variable V"), std::string::npos);
  EXPECT_NE(environment.error().message.find("status.phase"), std::string::npos);
}

TEST(EnvironmentTest, ValuesMayUseVariablesDefinedBeforeThem) {
  const Json container = Json::parse(R"json({"env": [
    {"name": "LATER", "value": "$(HOST)"}, {"name": "HOST", "value": "h"}, {"name": "URL", "value": "http://$(HOST)/$$(X)"}]
})json");
  const auto environment = EnvironmentOf(container, FakeFacts().Get());
  ASSERT_TRUE(environment);
  EXPECT_EQ(environment->Get("LATER"), "$(HOST)");
  EXPECT_EQ(environment->Get("URL"), "http://h/$(X)");
}

TEST(EnvironmentTest, KeysOfConfigMapsAndSecretsBecomeValues) {
  FakeFacts facts;
  facts.Add("ConfigMap", "c", {{"level", "debug"}});
  facts.Add("Secret", "s", {{"password", "czNjcmV0"}});
  const Json container = Json::parse(R"({"env": [
    {"name": "LEVEL", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "level"}}},
    {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "s", "key": "password"}}},
    {"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "none", "optional": true}}},
    {"name": "B", "valueFrom": {"configMapKeyRef": {"name": "none", "key": "x", "optional": true}}}]})");
  const auto environment = EnvironmentOf(container, facts.Get());
  ASSERT_TRUE(environment);
  EXPECT_EQ(environment->Get("LEVEL"), "debug");
  EXPECT_EQ(environment->Get("PASSWORD"), "s3cret");
  EXPECT_EQ(environment->Get("A"), std::nullopt);
  EXPECT_EQ(environment->Get("B"), std::nullopt);
}

TEST(EnvironmentTest, WhatIsMissingAndNotOptionalIsSaidInTheKubeletsWords) {
  FakeFacts facts;
  facts.Add("ConfigMap", "c", {{"level", "debug"}});
  struct Row {
    const char* source;
    const char* message;
  };
  for (const auto& row : {
           Row{R"({"configMapKeyRef": {"name": "none", "key": "x"}})", "configmap \"none\" not found"},
           Row{R"({"secretKeyRef": {"name": "none", "key": "x"}})", "secret \"none\" not found"},
           Row{R"({"configMapKeyRef": {"name": "c", "key": "x"}})", "couldn't find key x in ConfigMap default/c"},
       }) {
    const Json container = {{"env", Json::array({{{"name", "V"}, {"valueFrom", Json::parse(row.source)}}})}};
    const auto environment = EnvironmentOf(container, facts.Get());
    ASSERT_FALSE(environment) << row.source;
    EXPECT_EQ(environment.error().kind, ErrorKind::kNotFound);
    EXPECT_NE(environment.error().message.find(row.message), std::string::npos) << environment.error().message;
  }
}

TEST(EnvironmentTest, EnvFromComesFirstWithItsPrefixAndEnvWins) {
  FakeFacts facts;
  facts.Add("ConfigMap", "c", {{"A", "1"}, {"B", "2"}, {"no=name", "3"}});
  const Json container = Json::parse(R"json({
    "envFrom": [{"configMapRef": {"name": "c"}}, {"prefix": "P_", "configMapRef": {"name": "c"}},
                {"secretRef": {"name": "none", "optional": true}}],
    "env": [{"name": "B", "value": "mine $(A)"
}]
})json");
  const auto environment = EnvironmentOf(container, facts.Get());
  ASSERT_TRUE(environment);
  EXPECT_EQ(environment->Get("A"), "1");
  EXPECT_EQ(environment->Get("P_A"), "1");
  EXPECT_EQ(environment->Get("B"), "mine 1");
  EXPECT_EQ(environment->Get("no=name"), std::nullopt);
}

TEST(EnvironmentTest, APodRefersToWhatItsContainersAndVolumesName) {
  const Json pod = Json::parse(R"({"spec": {
    "initContainers": [{"envFrom": [{"secretRef": {"name": "s1"}}]}],
    "containers": [{"env": [{"name": "V", "valueFrom": {"configMapKeyRef": {"name": "c1", "key": "k"}}}]}],
    "volumes": [{"name": "a", "configMap": {"name": "c2"}}, {"name": "b", "secret": {"secretName": "s2"}},
                {"name": "p", "projected": {"sources": [{"secret": {"name": "s3"}}]}}]}})");
  for (const char* name : {"c1", "c2"}) EXPECT_TRUE(RefersTo(pod, DataKind::kConfigMap, name)) << name;
  for (const char* name : {"s1", "s2", "s3"}) EXPECT_TRUE(RefersTo(pod, DataKind::kSecret, name)) << name;
  for (const char* name : {"c1", "c2", "other", ""}) EXPECT_FALSE(RefersTo(pod, DataKind::kSecret, name)) << name;
}

}  // namespace
}  // namespace slotwright::local
