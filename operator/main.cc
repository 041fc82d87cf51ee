// slotwright: one program, several subcommands.
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <iostream>

#include "operator/commands.h"
#include "operator/kube_options.h"
#include "reconciler/http/server.h"

namespace {

// A connection for each Redis node and a few more: the 1024 that containers are given to begin with are for programs
// that use select().
void RaiseLimitOfOpenFiles() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  (void)::setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace

int main(int argc, char** argv) {
  RaiseLimitOfOpenFiles();
  reconciler::InitializeHttp();
  slotwright::ExitStatus exit;
  // As a plugin of kubectl it is called by another name.
  const bool plugin = std::filesystem::path(argv[0]).filename() == "kubectl-slotwright";
  CLI::App app("Slotwright makes Redis Clusters on Kubernetes and keeps them as they are described.",
               plugin ? "kubectl slotwright" : "slotwright");
  app.set_version_flag("--version", slotwright::VersionText());
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
  // Not require_subcommand: that would say of an unknown one that there is none.
  if (app.get_subcommands().empty()) {
    std::cerr << app.help();
    return 2;
  }
  return exit.code;
}
