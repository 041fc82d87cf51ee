// Label and field selectors: what they choose and what is no selector.
#include "local/apiserver/selectors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace slotwright::local::apiserver {
namespace {

using ::testing::HasSubstr;

const Json kPod = Json::parse(R"({
  "metadata": {"name": "p", "namespace": "ns", "labels": {"app": "redis", "tier": "", "example.com/shard": "1"}},
  "spec": {"nodeName": "n1", "hostNetwork": true}, "status": {"phase": "Running"}})");

struct MatchCase {
  const char* selector;
  bool matches;
};

class LabelMatch : public ::testing::TestWithParam<MatchCase> {};

TEST_P(LabelMatch, ChoosesByLabels) {
  const auto selector = LabelSelector::Parse(GetParam().selector);
  ASSERT_TRUE(selector) << selector.error().message();
  EXPECT_EQ(selector->Matches(kPod), GetParam().matches) << GetParam().selector;
}

INSTANTIATE_TEST_SUITE_P(
    All, LabelMatch,
    ::testing::Values(MatchCase{"", true}, MatchCase{"app=redis", true}, MatchCase{"app==redis", true},
                      MatchCase{" app = redis , tier = ", true}, MatchCase{"app=valkey", false},
                      MatchCase{"app!=redis", false}, MatchCase{"absent!=x", true}, MatchCase{"absent=", false},
                      MatchCase{"tier=", true}, MatchCase{"app", true}, MatchCase{"absent", false},
                      MatchCase{"!app", false}, MatchCase{"! absent", true}, MatchCase{"app in (valkey, redis)", true},
                      MatchCase{"app in(valkey)", false}, MatchCase{"app notin (valkey)", true},
                      MatchCase{"absent notin (x)", true}, MatchCase{"tier in ()", true},
                      MatchCase{"app=redis,tier!=gold,!absent", true}, MatchCase{"app=redis,absent", false},
                      MatchCase{"example.com/shard=1", true}, MatchCase{"in in (in)", false}));

class LabelRefusal : public ::testing::TestWithParam<const char*> {};

TEST_P(LabelRefusal, IsABadRequest) {
  const auto selector = LabelSelector::Parse(GetParam());
  ASSERT_FALSE(selector) << GetParam();
  EXPECT_EQ(selector.error().code, 400);
  EXPECT_THAT(selector.error().message(), HasSubstr("unable to parse requirement"));
}

INSTANTIATE_TEST_SUITE_P(All, LabelRefusal,
                         ::testing::Values(",", "a,", "a,,b", "=a", "!", "!a=b", "a!b", "a in", "a in b", "a in (b",
                                           "a in b)", "a within (b)", "a=b=c", "a b", "a>1", "a=b;c", "-a", "a=-b",
                                           "/a", "x_y/a"));

struct ObjectCase {
  const char* selector;
  bool matches;
};

class SelectorObject : public ::testing::TestWithParam<ObjectCase> {};

TEST_P(SelectorObject, MeansTheSameAsItsText) {
  const auto selector = LabelSelector::FromObject(Json::parse(GetParam().selector));
  ASSERT_TRUE(selector) << selector.error().message();
  EXPECT_EQ(selector->Matches(kPod), GetParam().matches);
}

INSTANTIATE_TEST_SUITE_P(
    All, SelectorObject,
    ::testing::Values(
        ObjectCase{"{}", true}, ObjectCase{R"({"matchLabels": {"app": "redis"}})", true},
        ObjectCase{R"({"matchLabels": {"app": "redis", "absent": "x"}})", false},
        ObjectCase{R"({"matchExpressions": [{"key": "app", "operator": "In", "values": ["a", "redis"]}]})", true},
        ObjectCase{R"({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["redis"]}]})", false},
        ObjectCase{R"({"matchExpressions": [{"key": "app", "operator": "Exists"}]})", true},
        ObjectCase{R"({"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]})", false},
        ObjectCase{R"({"matchLabels": {"app": "redis"}, "matchExpressions": [{"key": "x", "operator": "Exists"}]})",
                   false}));

TEST(SelectorObject, RefusesWhatHasNoMeaning) {
  for (const char* text :
       {R"({"matchLabels": {"a": 1}})", R"({"matchExpressions": [{"key": "a", "operator": "Like", "values": ["b"]}]})",
        R"({"matchExpressions": [{"key": "a"}]})", R"({"matchExpressions": [{"key": "a", "operator": "In"}]})",
        R"({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": []}]})",
        R"({"matchExpressions": [{"key": "a", "operator": "Exists", "values": ["b"]}]})"}) {
    EXPECT_FALSE(LabelSelector::FromObject(Json::parse(text))) << text;
  }
}

class FieldMatch : public ::testing::TestWithParam<MatchCase> {};

const std::vector<std::string> kSupported = {"metadata.name", "spec.nodeName", "spec.hostNetwork", "status.phase",
                                             "status.podIP"};

TEST_P(FieldMatch, ChoosesByFields) {
  const auto selector = FieldSelector::Parse(GetParam().selector, kSupported);
  ASSERT_TRUE(selector) << selector.error().message();
  EXPECT_EQ(selector->Matches(kPod), GetParam().matches) << GetParam().selector;
}

INSTANTIATE_TEST_SUITE_P(All, FieldMatch,
                         ::testing::Values(MatchCase{"", true}, MatchCase{"metadata.name=p", true},
                                           MatchCase{"metadata.name==p", true}, MatchCase{"metadata.name!=p", false},
                                           MatchCase{"status.phase!=Failed,spec.nodeName=n1", true},
                                           MatchCase{"status.podIP=", true}, MatchCase{"status.podIP!=", false},
                                           MatchCase{"spec.hostNetwork=true", true}));

TEST(FieldSelector, RefusesOtherFieldsAndOtherOperators) {
  for (const char* text : {"spec.other=1", "metadata.name", "=p", "metadata.name>p", "!metadata.name=p"}) {
    const auto selector = FieldSelector::Parse(text, kSupported);
    ASSERT_FALSE(selector) << text;
    EXPECT_EQ(selector.error().code, 400);
  }
}

}  // namespace
}  // namespace slotwright::local::apiserver
