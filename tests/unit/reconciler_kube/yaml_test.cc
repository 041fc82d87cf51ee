// YAML as kubectl reads it.
#include "reconciler/base/yaml.h"

#include <gtest/gtest.h>

namespace reconciler {
namespace {

TEST(Yaml, ReadsScalarsAsKubectlDoes) {
  const std::vector<std::pair<const char*, Json>> table = {{"yes", true},
                                                           {"\"yes\"", "yes"},
                                                           {"off", false},
                                                           {"5000", 5000},
                                                           {"'5000'", "5000"},
                                                           {"1.5", 1.5},
                                                           {"1Gi", "1Gi"},
                                                           {"~", nullptr},
                                                           {"null", nullptr},
                                                           {"1e3", 1000.0},
                                                           {"0x10", "0x10"},
                                                           {"nan", "nan"},
                                                           {"redis:7.0", "redis:7.0"},
                                                           {"-3", -3},
                                                           {"+3", 3}};
  for (const auto& [text, value] : table) {
    const auto documents = ParseYaml(std::string("a: ") + text);
    ASSERT_TRUE(documents) << text;
    EXPECT_EQ((*documents)[0]["a"], value) << text;
  }
}

TEST(Yaml, RefusesWhatContainsItself) {
  const auto documents = ParseYaml("a: &a [*a]\n");
  ASSERT_FALSE(documents);
  EXPECT_EQ(documents.error().kind, ErrorKind::kInvalid);
}

TEST(Yaml, ReadsSeveralDocumentsAndLeavesEmptyOnesOut) {
  const auto documents = ParseYaml("# nothing\n---\na: 1\n---\n---\n{\"b\": [2]}\n");
  ASSERT_TRUE(documents);
  ASSERT_EQ(documents->size(), 2U);
  EXPECT_EQ((*documents)[1]["b"][0], 2);
}

}  // namespace
}  // namespace reconciler
