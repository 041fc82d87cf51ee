// slotwright status, check and crd: look at a cluster without touching it.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "controllers/api/names.h"
#include "operator/commands.h"
#include "operator/crd.h"
#include "operator/inspect.h"
#include "operator/kube_options.h"
#include "operator/report.h"

namespace slotwright {

namespace {

struct Settings {
  KubeOptions kube;
  std::string name;
};

int Complain(const reconciler::Error& error) {
  fmt::print(stderr, "slotwright: {}\n", error.message);
  return 2;
}

int ShowStatus(const Settings& settings) {
  const auto connection = Connect(settings.kube);
  if (!connection) return Complain(connection.error());
  const reconciler::Client client(connection->transport, {});
  const auto cluster = client.Get(kRedisClusters, {connection->ns, settings.name});
  if (!cluster) return Complain(cluster.error());
  fmt::print("{}", StatusReport(*cluster));
  return 0;
}

int ShowCheck(const Settings& settings) {
  const auto connection = Connect(settings.kube);
  if (!connection) return Complain(connection.error());
  const reconciler::Client client(connection->transport, {});
  const auto inspection = Inspect(client, {connection->ns, settings.name});
  if (!inspection) return Complain(inspection.error());
  const auto report = Check(inspection->observation, inspection->plan);
  fmt::print("{}\n{}", NodeTableReport(inspection->observation), report.text);
  return report.healthy ? 0 : 1;
}

std::shared_ptr<Settings> AddTo(CLI::App& command) {
  auto settings = std::make_shared<Settings>();
  settings->kube.AddTo(command);
  command.add_option("-n,--namespace", settings->kube.ns, "Namespace (default: the context's)");
  command.add_option("NAME", settings->name, "Name of the RedisCluster")->required();
  return settings;
}

}  // namespace

void AddStatusCommand(CLI::App& app, ExitStatus& exit) {
  auto* command = app.add_subcommand("status", "Show what the operator reports about a cluster");
  const auto settings = AddTo(*command);
  command->callback([settings, &exit] { exit.code = ShowStatus(*settings); });
}

void AddCheckCommand(CLI::App& app, ExitStatus& exit) {
  auto* command = app.add_subcommand(
      "check",
      "Ask every node of a cluster directly whether all is well; exits with 1 if not. Needs a way to the pods");
  const auto settings = AddTo(*command);
  command->callback([settings, &exit] { exit.code = ShowCheck(*settings); });
}

void AddCrdCommand(CLI::App& app, ExitStatus&) {
  auto* command = app.add_subcommand("crd", "Print the CustomResourceDefinition, for kubectl apply -f -");
  command->callback([] { fmt::print("{}", kCrdYaml); });
}

}  // namespace slotwright
