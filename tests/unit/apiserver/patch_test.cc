// The three patch formats, by example.
#include "local/apiserver/patch.h"

#include <gtest/gtest.h>

#include "local/apiserver/resource.h"

namespace slotwright::local::apiserver {
namespace {

struct PatchCase {
  const char* object;
  const char* patch;
  const char* result;
};

void ExpectResult(const ApiResult<Json>& patched, const PatchCase& wanted) {
  ASSERT_TRUE(patched) << wanted.patch << ": " << patched.error().message();
  EXPECT_EQ(*patched, Json::parse(wanted.result)) << wanted.patch << " made " << patched->dump();
}

class JsonPatchTable : public ::testing::TestWithParam<PatchCase> {};
TEST_P(JsonPatchTable, IsCarriedOutInOrder) {
  ExpectResult(JsonPatch(Json::parse(GetParam().object), Json::parse(GetParam().patch)), GetParam());
}
INSTANTIATE_TEST_SUITE_P(
    All, JsonPatchTable,
    ::testing::Values(
        PatchCase{"{}", "[]", "{}"},
        PatchCase{R"({"a":1})", R"([{"op":"add","path":"/b","value":2}])", R"({"a":1,"b":2})"},
        PatchCase{R"({"a":[1,3]})", R"([{"op":"add","path":"/a/1","value":2}])", R"({"a":[1,2,3]})"},
        PatchCase{R"({"a":[1]})", R"([{"op":"add","path":"/a/-","value":2}])", R"({"a":[1,2]})"},
        PatchCase{R"({"a":1})", R"([{"op":"replace","path":"/a","value":null}])", R"({"a":null})"},
        PatchCase{R"({"a":1})", R"([{"op":"remove","path":"/a"}])", "{}"},
        PatchCase{R"({"a":1})", R"([{"op":"move","from":"/a","path":"/b"}])", R"({"b":1})"},
        PatchCase{R"({"a":1})", R"([{"op":"copy","from":"/a","path":"/b"}])", R"({"a":1,"b":1})"},
        PatchCase{R"({"a/b":1,"~":2})", R"([{"op":"remove","path":"/a~1b"},{"op":"remove","path":"/~0"}])", "{}"},
        PatchCase{R"({"a":1})", R"([{"op":"test","path":"/a","value":1},{"op":"remove","path":"/a"}])", "{}"}));

struct RefusalCase {
  const char* patch;
  int code;
};

class JsonPatchRefusal : public ::testing::TestWithParam<RefusalCase> {};
TEST_P(JsonPatchRefusal, ChangesNothing) {
  const auto patched = JsonPatch(Json::parse(R"({"a":1,"list":[1,2]})"), Json::parse(GetParam().patch));
  ASSERT_FALSE(patched) << GetParam().patch;
  EXPECT_EQ(patched.error().code, GetParam().code) << GetParam().patch;
}
INSTANTIATE_TEST_SUITE_P(
    All, JsonPatchRefusal,
    ::testing::Values(RefusalCase{"{}", 400}, RefusalCase{"null", 400}, RefusalCase{"[1]", 422},
                      RefusalCase{"[{}]", 422}, RefusalCase{R"([{"op":"spin","path":"/a"}])", 422},
                      RefusalCase{R"([{"op":"remove"}])", 422}, RefusalCase{R"([{"op":"add","path":"/b"}])", 422},
                      RefusalCase{R"([{"op":"remove","path":"/b"}])", 422},
                      RefusalCase{R"([{"op":"replace","path":"/b","value":1}])", 422},
                      RefusalCase{R"([{"op":"add","path":"/x/y","value":1}])", 422},
                      RefusalCase{R"([{"op":"add","path":"a","value":1}])", 422},
                      RefusalCase{R"([{"op":"add","path":"/list/9","value":1}])", 422},
                      RefusalCase{R"([{"op":"remove","path":"/list/2"}])", 422},
                      RefusalCase{R"([{"op":"remove","path":"/list/x"}])", 422},
                      RefusalCase{R"([{"op":"remove","path":"/list/-"}])", 422},
                      RefusalCase{R"([{"op":"remove","path":"/list/00"}])", 422},
                      RefusalCase{R"([{"op":"move","from":"/b","path":"/c"}])", 422},
                      RefusalCase{R"([{"op":"remove","path":"/a"},{"op":"test","path":"/list","value":[]}])", 422}));

// The examples of RFC 7386 that concern objects.
class MergePatchTable : public ::testing::TestWithParam<PatchCase> {};
TEST_P(MergePatchTable, MergesObjectsAndReplacesTheRest) {
  ExpectResult(MergePatch(Json::parse(GetParam().object), Json::parse(GetParam().patch)), GetParam());
}
INSTANTIATE_TEST_SUITE_P(All, MergePatchTable,
                         ::testing::Values(PatchCase{R"({"a":"b"})", R"({"a":"c"})", R"({"a":"c"})"},
                                           PatchCase{R"({"a":"b"})", R"({"b":"c"})", R"({"a":"b","b":"c"})"},
                                           PatchCase{R"({"a":"b","b":"c"})", R"({"a":null})", R"({"b":"c"})"},
                                           PatchCase{R"({"a":["b"]})", R"({"a":"c"})", R"({"a":"c"})"},
                                           PatchCase{R"({"a":[{"b":"c"}]})", R"({"a":[1]})", R"({"a":[1]})"},
                                           PatchCase{R"({"a":{"b":"c"}})", R"({"a":{"b":"d","c":null}})",
                                                     R"({"a":{"b":"d"}})"},
                                           PatchCase{R"({"e":null})", R"({"a":1})", R"({"a":1,"e":null})"},
                                           PatchCase{"{}", R"({"a":{"bb":{"ccc":null}}})", R"({"a":{"bb":{}}})"}));

TEST(MergePatch, RefusesWhatIsNoObject) {
  for (const char* patch : {"[]", "null", R"("text")", "1"}) {
    EXPECT_EQ(MergePatch(Json::object(), Json::parse(patch)).error().code, 400) << patch;
  }
}

ApiResult<Json> PatchPod(const char* object, const char* patch) {
  static const Registry kRegistry;
  const auto pods = kRegistry.ForTable("pods");
  return StrategicMergePatch(Json::parse(object), Json::parse(patch), MergeType(*pods));
}

class StrategicMergeTable : public ::testing::TestWithParam<PatchCase> {};
TEST_P(StrategicMergeTable, MergesListsByTheirKeys) {
  ExpectResult(PatchPod(GetParam().object, GetParam().patch), GetParam());
}
INSTANTIATE_TEST_SUITE_P(
    All, StrategicMergeTable,
    ::testing::Values(
        PatchCase{R"({"spec":{"containers":[{"name":"a","image":"1"},{"name":"b"}]}})",
                  R"({"spec":{"containers":[{"name":"a","image":"2"}]}})",
                  R"({"spec":{"containers":[{"name":"a","image":"2"},{"name":"b"}]}})"},
        PatchCase{R"({"spec":{"containers":[{"name":"a"}]}})", R"({"spec":{"containers":[{"name":"b"}]}})",
                  R"({"spec":{"containers":[{"name":"a"},{"name":"b"}]}})"},
        PatchCase{R"({"spec":{"containers":[{"name":"a"},{"name":"b"}]}})",
                  R"({"spec":{"containers":[{"name":"a","$patch":"delete"}]}})",
                  R"({"spec":{"containers":[{"name":"b"}]}})"},
        PatchCase{R"({"spec":{"containers":[{"name":"a"}]}})",
                  R"({"spec":{"containers":[{"$patch":"replace"},{"name":"c"}]}})",
                  R"({"spec":{"containers":[{"name":"c"}]}})"},
        PatchCase{R"({"spec":{"containers":[{"name":"a"},{"name":"b"}]}})",
                  R"({"spec":{"$setElementOrder/containers":[{"name":"b"},{"name":"a"}]}})",
                  R"({"spec":{"containers":[{"name":"b"},{"name":"a"}]}})"},
        PatchCase{R"({"spec":{"containers":[{"name":"a","args":["x"]}]}})",
                  R"({"spec":{"containers":[{"name":"a","args":["y"]}]}})",
                  R"({"spec":{"containers":[{"name":"a","args":["y"]}]}})"},
        PatchCase{R"({"metadata":{"finalizers":["a"]}})", R"({"metadata":{"finalizers":["b","a"]}})",
                  R"({"metadata":{"finalizers":["a","b"]}})"},
        PatchCase{R"({"metadata":{"finalizers":["a","b"]}})",
                  R"({"metadata":{"$deleteFromPrimitiveList/finalizers":["a"]}})",
                  R"({"metadata":{"finalizers":["b"]}})"},
        PatchCase{R"({"metadata":{"labels":{"a":"1","b":"2"}}})", R"({"metadata":{"labels":{"a":null,"c":"3"}}})",
                  R"({"metadata":{"labels":{"b":"2","c":"3"}}})"},
        PatchCase{R"({"metadata":{"labels":{"a":"1"}}})", R"({"metadata":{"labels":{"$patch":"replace","b":"2"}}})",
                  R"({"metadata":{"labels":{"b":"2"}}})"},
        PatchCase{R"({"spec":{"volumes":[{"name":"v","emptyDir":{}}]}})",
                  R"({"spec":{"volumes":[{"name":"v","$retainKeys":["name","configMap"],"configMap":{"name":"c"}}]}})",
                  R"({"spec":{"volumes":[{"name":"v","configMap":{"name":"c"}}]}})"}));

TEST(StrategicMergePatch, RefusesWhatItCannotCarryOut) {
  const char* object = R"({"spec":{"containers":[{"name":"a"}]}})";
  EXPECT_EQ(PatchPod(object, "[]").error().code, 400);
  EXPECT_EQ(PatchPod(object, R"({"spec":{"$setElementOrder/containers":"a"}})").error().code, 422);
}

}  // namespace
}  // namespace slotwright::local::apiserver
