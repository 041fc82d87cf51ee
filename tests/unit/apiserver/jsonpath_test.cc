// JSONPath as printer columns and scale paths use it.
#include "local/apiserver/jsonpath.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace slotwright::local::apiserver {
namespace {

using reconciler::Json;
using ::testing::HasSubstr;

const Json kObject = Json::parse(R"({
  "metadata": {"name": "demo", "labels": {"app.kubernetes.io/name": "redis", "it's": 1}},
  "spec": {"ports": [{"name": "a", "port": 1}, {"name": "b", "port": 2}, {"port": 3}], "empty": [], "null": null},
  "status": {"conditions": [{"type": "Ready", "status": "True", "n": 5}, {"type": "Busy", "status": "False"}]}})");

struct PathCase {
  const char* path;
  const char* found;  ///< All values, as one JSON list.
};

class JsonPathFind : public ::testing::TestWithParam<PathCase> {};

TEST_P(JsonPathFind, ReturnsTheValuesInOrder) {
  const auto path = JsonPath::Parse(GetParam().path);
  ASSERT_TRUE(path) << path.error().message;
  Json found = Json::array();
  for (const Json* value : path->Find(kObject)) found.push_back(*value);
  EXPECT_EQ(found, Json::parse(GetParam().found)) << found.dump();
}

INSTANTIATE_TEST_SUITE_P(
    All, JsonPathFind,
    ::testing::Values(PathCase{".metadata.name", R"(["demo"])"}, PathCase{"$.metadata.name", R"(["demo"])"},
                      PathCase{".metadata.absent", "[]"}, PathCase{".metadata.name.deeper", "[]"},
                      PathCase{".spec.null", "[null]"},
                      PathCase{R"(.metadata.labels['app\.kubernetes\.io/name'])", R"(["redis"])"},
                      PathCase{R"(.metadata.labels["it's"])", "[1]"},
                      PathCase{R"(.metadata.labels.app\.kubernetes\.io/name)", R"(["redis"])"},
                      PathCase{".spec.ports[0].port", "[1]"}, PathCase{".spec.ports[-1].port", "[3]"},
                      PathCase{".spec.ports[3].port", "[]"}, PathCase{".spec.ports[-4].port", "[]"},
                      PathCase{".spec.ports[*].port", "[1,2,3]"}, PathCase{".spec.ports[*].name", R"(["a","b"])"},
                      PathCase{".spec.empty[*]", "[]"}, PathCase{".metadata.labels.*", R"(["redis",1])"},
                      PathCase{R"(.status.conditions[?(@.type=="Ready")].status)", R"(["True"])"},
                      PathCase{R"(.status.conditions[?(@.type == 'Busy')].status)", R"(["False"])"},
                      PathCase{R"(.status.conditions[?(@.type!="Ready")].type)", R"(["Busy"])"},
                      PathCase{R"(.status.conditions[?(@.n==5)].type)", R"(["Ready"])"},
                      PathCase{R"(.status.conditions[?(@.n)].type)", R"(["Ready"])"},
                      PathCase{R"(.metadata[?(@.name=="demo")])", "[]"}));

class JsonPathRefusal : public ::testing::TestWithParam<PathCase> {};

TEST_P(JsonPathRefusal, SaysWhereAndWhy) {
  const auto path = JsonPath::Parse(GetParam().path);
  ASSERT_FALSE(path);
  EXPECT_EQ(path.error().kind, reconciler::ErrorKind::kInvalid);
  EXPECT_THAT(path.error().message, HasSubstr(GetParam().found));
}

INSTANTIATE_TEST_SUITE_P(
    All, JsonPathRefusal,
    ::testing::Values(PathCase{"spec", "expected '.' or '['"}, PathCase{"{.spec}", "expected '.' or '['"},
                      PathCase{".", "field name is missing"}, PathCase{"..name", "field name is missing"},
                      PathCase{".a[", "may stand in brackets"}, PathCase{".a[0:2]", "expected ']'"},
                      PathCase{".a[0,1]", "expected ']'"}, PathCase{".a[x]", "may stand in brackets"},
                      PathCase{".a['b", "does not end"}, PathCase{".a[?(.b==1)]", "begins with '@'"},
                      PathCase{".a[?(@.b>1)]", "only == and !="}, PathCase{".a[?(@.b==c)]", "no literal"},
                      PathCase{".a[?(@.b==1", "does not end"}, PathCase{".a[99999999999]", "may stand in brackets"}));

}  // namespace
}  // namespace slotwright::local::apiserver
