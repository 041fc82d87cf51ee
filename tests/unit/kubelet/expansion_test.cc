// $(NAME) expansion.
#include "local/kubelet/expansion.h"

#include <gtest/gtest.h>

#include <map>

namespace slotwright::local {
namespace {

TEST(ExpansionTest, ReferencesBecomeValuesAndEverythingElseStays) {
  const std::map<std::string, std::string, std::less<>> variables = {
      {"IP", "127.77.0.1"}, {"A", "$(IP)"}, {"EMPTY", ""}};
  const VariableLookup lookup = [&](std::string_view name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    return found == variables.end() ? std::nullopt : std::optional(found->second);
  };
  struct Row {
    const char* text;
    const char* expanded;
  };
  for (const auto& row : {
           Row{"", ""},
           Row{"plain", "plain"},
           Row{"$(IP)", "127.77.0.1"},
           Row{"http://$(IP):80/$(IP)", "http://127.77.0.1:80/127.77.0.1"},
           Row{"$(EMPTY)!", "!"},
           Row{"$(UNKNOWN)", "$(UNKNOWN)"},
           Row{"$$(IP)", "$(IP)"},
           Row{"$$$(IP)", "$127.77.0.1"},
           Row{"$(A)", "$(IP)"},  // values are not expanded again
           Row{"$HOME and ${HOME}", "$HOME and ${HOME}"},
           Row{"$(IP", "$(IP"},
           Row{"cost: 5$", "cost: 5$"},
           Row{"$$", "$"},
           Row{"$()", "$()"},
       }) {
    EXPECT_EQ(ExpandVariables(row.text, lookup), row.expanded) << row.text;
  }
}

}  // namespace
}  // namespace slotwright::local
