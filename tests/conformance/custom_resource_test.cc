// CustomResourceDefinitions: schemas, defaults, subresources, server-side apply, discovery.
#include "tests/conformance/server_under_test.h"

namespace slotwright::conformance {
namespace {

using reconciler::StringAt;
using reconciler::types::kCustomResourceDefinitions;

using CustomResourceTest = ConformanceTest;

TEST_F(CustomResourceTest, DefaultsAreFilledInAndUnknownFieldsRemoved) {
  const Json made = Create(kWidgets, Widget("a", {{"size", 3}, {"unknown", 1}, {"free", {{"any", {{"thing", 1}}}}}}));
  const Json expected = {{"size", 3},
                         {"color", "Red"},
                         {"shape", "round"},
                         {"nested", {{"mode", "auto"}}},
                         {"free", {{"any", {{"thing", 1}}}}}};
  EXPECT_EQ(made["spec"], expected);
}

struct BadSpec {
  Json spec;
  std::string field;
  std::string cause;
};

TEST_F(CustomResourceTest, EachViolationIsNamedAsOnARealServer) {
  const std::vector<BadSpec> cases = {
      {{{"size", 0}}, "spec.size", "Invalid value: 0: spec.size in body should be greater than or equal to 1"},
      {{{"size", 11}}, "spec.size", "Invalid value: 11: spec.size in body should be less than or equal to 10"},
      {{{"size", "x"}},
       "spec.size",
       "Invalid value: \"string\": spec.size in body must be of type integer: \"string\""},
      {{{"color", "Red"}}, "spec.size", "Required value"},
      {{{"size", 1}, {"color", "Blue"}},
       "spec.color",
       "Unsupported value: \"Blue\": supported values: \"Red\", \"Green\""},
      {{{"size", 1}, {"shape", "abcdefghi"}}, "spec.shape", "Too long: may not be more than 8 bytes"},
      {{{"size", 1}, {"shape", "A"}}, "spec.shape", "Invalid value: \"A\": spec.shape in body should match '^[a-z]*$'"},
      {{{"size", 1}, {"options", {{"a", "1"}, {"b", "2"}, {"c", "3"}}}},
       "spec.options",
       "Too many: 3: must have at most 2 items"},
      {{{"size", 1}, {"options", {{"a", 1}}}},
       "spec.options.a",
       "Invalid value: \"integer\": spec.options.a in body must be of type string: \"integer\""},
      {{{"size", 1}, {"limit", true}},
       "spec.limit",
       "Invalid value: \"boolean\": spec.limit in body must be of type integer,string: \"boolean\""},
      {{{"size", 1}, {"tags", {"x", "x"}}}, "spec.tags[1]", "Duplicate value: \"x\""},
      {{{"size", 1}, {"parts", Json::array({{{"name", "p"}}, {{"name", "p"}}})}},
       "spec.parts[1]",
       "Duplicate value: {\"name\":\"p\"}"},
      {{{"size", 5}, {"upper", 4}}, "spec", "Invalid value: upper must not be below size"},
  };
  for (const auto& bad : cases) {
    Reply reply = Send("POST", Path(kWidgets), Widget("bad", bad.spec));
    EXPECT_EQ(reply.status, 422) << bad.spec;
    EXPECT_EQ(reply.reason(), "Invalid") << bad.spec;
    if (!reply.body.contains("details") || !reply.body["details"].contains("causes")) {
      ADD_FAILURE() << bad.spec << reply.body;
      continue;
    }
    Json& cause = reply.body["details"]["causes"][0];
    EXPECT_EQ(cause["field"], bad.field) << bad.spec;
    std::string text = cause["message"];
    // How a whole object is shown has changed between versions of Kubernetes.
    if (bad.field == "spec") text = "Invalid value" + text.substr(text.rfind(':'));
    EXPECT_EQ(text, bad.cause) << bad.spec;
    EXPECT_TRUE(reply.message().starts_with("Widget.conformance.slotwright.dev \"bad\" is invalid: "))
        << reply.message();
  }
}

TEST_F(CustomResourceTest, ATransitionRuleHoldsOnlyForChanges) {
  Create(kWidgets, Widget("a", {{"size", 1}, {"shape", "square"}}));
  Reply reply = MergePatch(kWidgets, "a", {{"spec", {{"shape", "round"}}}});
  EXPECT_EQ(reply.status, 422);
  EXPECT_NE(reply.message().find("shape cannot be changed"), std::string::npos) << reply.message();
  EXPECT_EQ(MergePatch(kWidgets, "a", {{"spec", {{"size", 2}}}}).status, 200);
}

TEST_F(CustomResourceTest, UnknownFieldsAreNamedWhenAskedFor) {
  const Json object = Widget("a", {{"size", 1}, {"sise", 2}});
  Reply strict = Send("POST", Path(kWidgets) + "?fieldValidation=Strict", object);
  EXPECT_EQ(strict.status, 400);
  EXPECT_NE(strict.message().find("strict decoding error: unknown field \"spec.sise\""), std::string::npos)
      << strict.message();
  Reply warned = Send("POST", Path(kWidgets) + "?fieldValidation=Warn", object);
  EXPECT_EQ(warned.status, 201);
  const auto warning = warned.headers.find("warning");
  ASSERT_NE(warning, warned.headers.end());
  EXPECT_EQ(warning->second, "299 - \"unknown field \\\"spec.sise\\\"\"");
}

TEST_F(CustomResourceTest, TheGenerationRisesWithTheSpecOnly) {
  EXPECT_EQ(Create(kWidgets, Widget("a"))["metadata"]["generation"], 1);
  EXPECT_EQ(MergePatch(kWidgets, "a", {{"metadata", {{"labels", {{"a", "b"}}}}}}).body["metadata"]["generation"], 1);
  EXPECT_EQ(MergePatch(kWidgets, "a", {{"status", {{"size", 1}}}}, "status").body["metadata"]["generation"], 1);
  EXPECT_EQ(MergePatch(kWidgets, "a", {{"spec", {{"size", 4}}}}).body["metadata"]["generation"], 2);
}

TEST_F(CustomResourceTest, StatusIsWrittenThroughItsSubresourceOnly) {
  Json object = Widget("a");
  object["status"] = {{"size", 9}};
  EXPECT_FALSE(Create(kWidgets, object).contains("status"));
  EXPECT_FALSE(MergePatch(kWidgets, "a", {{"status", {{"size", 9}}}}).body.contains("status"));
  const Json both = {{"spec", {{"size", 8}}}, {"status", {{"size", 2}}}};
  Reply reply = MergePatch(kWidgets, "a", both, "status");
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.body["status"]["size"], 2);
  EXPECT_EQ(reply.body["spec"]["size"], 3);
}

TEST_F(CustomResourceTest, ScaleReadsAndWritesTheReplicas) {
  Create(kWidgets, Widget("a"));
  MergePatch(kWidgets, "a", {{"status", {{"size", 2}, {"selector", "app=a"}}}}, "status");
  Reply scale = Send("GET", Path(kWidgets, "a", "scale"));
  EXPECT_EQ(scale.body["kind"], "Scale");
  EXPECT_EQ(scale.body["apiVersion"], "autoscaling/v1");
  EXPECT_EQ(scale.body["spec"]["replicas"], 3);
  EXPECT_EQ(scale.body["status"], Json({{"replicas", 2}, {"selector", "app=a"}}));
  EXPECT_EQ(MergePatch(kWidgets, "a", {{"spec", {{"replicas", 5}}}}, "scale").status, 200);
  EXPECT_EQ(Get(kWidgets, "a")["spec"]["size"], 5);
  Reply refused = MergePatch(kWidgets, "a", {{"spec", {{"replicas", 50}}}}, "scale");
  EXPECT_EQ(refused.status, 422) << refused.message();
}

TEST_F(CustomResourceTest, DiscoveryNamesTheResourceAndItsSubresources) {
  Reply reply = Send("GET", "/apis/conformance.slotwright.dev/v1");
  std::map<std::string, Json> resources;
  for (const auto& resource : reply.body["resources"]) resources[resource["name"]] = resource;
  ASSERT_TRUE(resources.contains("widgets"));
  EXPECT_EQ(resources["widgets"]["shortNames"], Json({"wdg"}));
  EXPECT_EQ(resources["widgets"]["categories"], Json({"all"}));
  EXPECT_EQ(resources["widgets"]["singularName"], "widget");
  EXPECT_EQ(resources["widgets/scale"]["group"], "autoscaling");
  EXPECT_TRUE(resources.contains("widgets/status"));
}

TEST_F(CustomResourceTest, OpenApiTellsThatFieldsAreValidatedAndDescribesThem) {
  Reply document;
  ASSERT_TRUE(Eventually([&] {
    document = Send("GET", "/openapi/v3/apis/conformance.slotwright.dev/v1");
    return document.status == 200;
  }));
  const std::string path = "/apis/conformance.slotwright.dev/v1/namespaces/{namespace}/widgets/{name}";
  bool found = false;
  for (const auto& parameter : document.body["paths"][path]["patch"]["parameters"]) {
    found = found || parameter.value("name", "") == "fieldValidation";
  }
  EXPECT_TRUE(found);
  EXPECT_EQ(document.body["paths"][path]["patch"]["x-kubernetes-group-version-kind"]["kind"], "Widget");
  EXPECT_EQ(document.body["components"]["schemas"]["dev.slotwright.conformance.v1.Widget"]["description"],
            "A Widget for tests.");
}

TEST_F(CustomResourceTest, ADefinitionIsEstablishedAndRefusesRulesThatItCannotRead) {
  const Json crd = Send("GET", Path(kCustomResourceDefinitions, "widgets.conformance.slotwright.dev")).body;
  std::map<std::string, std::string> conditions;
  for (const auto& condition : crd["status"]["conditions"]) conditions[condition["type"]] = condition["status"];
  EXPECT_EQ(conditions["Established"], "True");
  EXPECT_EQ(conditions["NamesAccepted"], "True");
  for (const char* rule : {"self.spec.size >", "self.spec.nothing == 1", "nonsense(self)", "other == 1"}) {
    Json bad = crd;
    bad["metadata"] = {{"name", "gadgets.conformance.slotwright.dev"}};
    bad.erase("status");
    bad["spec"]["names"] = {{"kind", "Gadget"}, {"plural", "gadgets"}};
    bad["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["x-kubernetes-validations"] =
        Json::array({{{"rule", rule}}});
    Reply reply = Send("POST", Path(kCustomResourceDefinitions), bad);
    EXPECT_EQ(reply.status, 422) << rule;
    EXPECT_NE(reply.message().find("compilation failed"), std::string::npos) << reply.message();
  }
}

TEST_F(CustomResourceTest, ApplyCreatesAndRemovesWhatItNoLongerNames) {
  const std::string query = "fieldManager=one";
  EXPECT_EQ(Apply(kWidgets, Widget("a", {{"size", 3}, {"upper", 5}}), query).status, 201);
  Reply again = Apply(kWidgets, Widget("a", {{"size", 3}}), query);
  EXPECT_EQ(again.status, 200);
  EXPECT_FALSE(again.body["spec"].contains("upper"));
  EXPECT_EQ(again.body["spec"]["color"], "Red");
}

TEST_F(CustomResourceTest, ApplyOfTheSameChangesNothing) {
  Reply first = Apply(kWidgets, Widget("a"), "fieldManager=one");
  Reply second = Apply(kWidgets, Widget("a"), "fieldManager=one");
  EXPECT_EQ(second.body["metadata"]["resourceVersion"], first.body["metadata"]["resourceVersion"]);
}

TEST_F(CustomResourceTest, ApplyNamesFieldsOfOthersAndTakesThemOverByForce) {
  Apply(kWidgets, Widget("a", {{"size", 3}, {"upper", 5}}), "fieldManager=one");
  const Json wanted = Widget("a", {{"size", 4}});
  Reply refused = Apply(kWidgets, wanted, "fieldManager=two");
  EXPECT_EQ(refused.status, 409);
  EXPECT_EQ(refused.message(), "Apply failed with 1 conflict: conflict with \"one\": .spec.size");
  EXPECT_EQ(refused.body["details"]["causes"][0]["reason"], "FieldManagerConflict");
  EXPECT_EQ(refused.body["details"]["causes"][0]["field"], ".spec.size");
  Reply forced = Apply(kWidgets, wanted, "fieldManager=two&force=true");
  EXPECT_EQ(forced.status, 200);
  EXPECT_EQ(forced.body["spec"]["size"], 4);
  EXPECT_EQ(forced.body["spec"]["upper"], 5);
  // Now "one" lets go of what is no longer its own without taking it away.
  Reply left = Apply(kWidgets, Widget("a", {{"size", 4}}), "fieldManager=one");
  EXPECT_EQ(left.status, 200) << left.message();
  EXPECT_FALSE(left.body["spec"].contains("upper"));
}

TEST_F(CustomResourceTest, ApplyMergesListsByTheirKeys) {
  const auto with_part = [this](const char* name) {
    return Widget("a", {{"size", 3}, {"parts", Json::array({{{"name", name}, {"weight", 1}}})}});
  };
  Apply(kWidgets, with_part("left"), "fieldManager=one");
  Reply both = Apply(kWidgets, with_part("right"), "fieldManager=two");
  EXPECT_EQ(both.status, 200) << both.message();
  EXPECT_EQ(both.body["spec"]["parts"].size(), 2U);
  Reply one = Apply(kWidgets, Widget("a"), "fieldManager=two");
  ASSERT_EQ(one.body["spec"]["parts"].size(), 1U);
  EXPECT_EQ(one.body["spec"]["parts"][0]["name"], "left");
}

TEST_F(CustomResourceTest, AnUpdateTakesFieldsOverWithoutAsking) {
  Apply(kWidgets, Widget("a"), "fieldManager=one");
  Send("PATCH", Path(kWidgets, "a") + "?fieldManager=editor", {{"spec", {{"size", 6}}}},
       "application/merge-patch+json");
  Reply refused = Apply(kWidgets, Widget("a"), "fieldManager=one");
  EXPECT_EQ(refused.status, 409);
  EXPECT_EQ(refused.message(),
            "Apply failed with 1 conflict: conflict with \"editor\" using "
            "conformance.slotwright.dev/v1: .spec.size");
}

}  // namespace
}  // namespace slotwright::conformance
