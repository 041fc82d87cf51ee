// See sim_config.h.
#include "tests/simulation/sim_config.h"

#include <fmt/format.h>

namespace slotwright::simulation {

std::string RefusalOf(const Directives& directives) {
  for (const auto& [name, value] : directives) {
    if (value == kRefusedValue) {
      return fmt::format("CONFIG SET failed (possibly related to argument '{}') - argument is not valid", name);
    }
  }
  return "";
}

Directives DirectivesAmong(const reconciler::Json& arguments) {
  Directives directives;
  for (const auto& argument : arguments) {
    const auto text = argument.get<std::string>();
    const auto space = text.find(' ');
    if (text.starts_with("--") && space != std::string::npos) {
      directives[text.substr(2, space - 2)] = text.substr(space + 1);
    }
  }
  return directives;
}

}  // namespace slotwright::simulation
