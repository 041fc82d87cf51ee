// slotwright: one program, several subcommands.
#include <CLI/CLI.hpp>

#include "operator/commands.h"
#include "operator/kube_options.h"
#include "reconciler/http/server.h"

int main(int argc, char** argv) {
  reconciler::InitializeHttp();
  slotwright::ExitStatus exit;
  CLI::App app("Slotwright makes Redis Clusters on Kubernetes and keeps them as they are described.", "slotwright");
  app.set_version_flag("--version", slotwright::VersionText());
  app.require_subcommand(1);
  slotwright::AddOperatorCommand(app, exit);
  slotwright::AddStatusCommand(app, exit);
  slotwright::AddCheckCommand(app, exit);
  slotwright::AddPlanCommand(app, exit);
  slotwright::AddCrdCommand(app, exit);
#ifdef SLOTWRIGHT_LOCAL
  slotwright::AddLocalCommand(app, exit);
#endif
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  return exit.code;
}
