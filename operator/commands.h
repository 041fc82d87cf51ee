// The subcommands of `slotwright`: each adds itself to the command line and runs when chosen.
#pragma once

#include <memory>
#include <string>

namespace CLI {
class App;
}

namespace slotwright {

/// 0: fine. 1: it ran and found a problem. 2: it could not run (usage, no such cluster, no API server). Each command
/// writes here what main is to return.
struct ExitStatus {
  int code = 0;
};

void AddOperatorCommand(CLI::App& app, ExitStatus& exit);
void AddStatusCommand(CLI::App& app, ExitStatus& exit);
void AddCheckCommand(CLI::App& app, ExitStatus& exit);
void AddPlanCommand(CLI::App& app, ExitStatus& exit);
/// Prints the CustomResourceDefinition, for `slotwright crd | kubectl apply -f -`.
void AddCrdCommand(CLI::App& app, ExitStatus& exit);
/// Absent from the operator's container image.
void AddLocalCommand(CLI::App& app, ExitStatus& exit);

}  // namespace slotwright
