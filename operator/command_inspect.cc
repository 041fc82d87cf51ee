// slotwright status, check and crd: look at a cluster without touching it.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "controllers/api/names.h"
#include "operator/commands.h"
#include "operator/crd.h"
#include "operator/inspect.h"
#include "operator/kube_options.h"
#include "operator/manifest.h"
#include "operator/report.h"

namespace slotwright {

namespace {

struct Settings {
  KubeOptions kube;
  std::string name;
  std::string file;
};

int Complain(const reconciler::Error& error) {
  fmt::print(stderr, "slotwright: {}\n", error.message);
  return 2;
}

int ShowStatus(const Settings& settings) {
  const auto connection = Connect(settings.kube);
  if (!connection) return Complain(connection.error());
  const reconciler::Client client(connection->transport, {});
  const auto cluster = GetCluster(client, {connection->ns, settings.name});
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

// The one RedisCluster of a file.
reconciler::Result<reconciler::Json> ReadCluster(const std::string& path, const std::string& ns) {
  auto documents = ReadManifest(path);
  if (!documents) return std::unexpected(documents.error());
  std::erase_if(*documents, [](const reconciler::Json& d) { return d["kind"] != kRedisClusters.kind; });
  if (documents->size() != 1) {
    return reconciler::Fail(reconciler::ErrorKind::kInvalid,
                            fmt::format("{} holds {} RedisClusters; give a file with one", path, documents->size()));
  }
  reconciler::Json& object = documents->front();
  if (!object.contains("spec") || !object["spec"].is_object()) {
    return reconciler::Fail(reconciler::ErrorKind::kInvalid, path + ": the RedisCluster needs a spec");
  }
  if (!object["metadata"].contains("namespace")) object["metadata"]["namespace"] = ns;
  return object;
}

int ShowPlan(const Settings& settings) {
  const auto connection = Connect(settings.kube);
  if (!connection) return Complain(connection.error());
  const reconciler::Client client(connection->transport, {});
  reconciler::Result<Inspection> inspection;
  if (settings.file.empty()) {
    inspection = Inspect(client, {connection->ns, settings.name});
  } else {
    const auto object = ReadCluster(settings.file, connection->ns);
    if (!object) return Complain(object.error());
    inspection = InspectAsIf(client, *object);
    if (!inspection && inspection.error().kind == reconciler::ErrorKind::kInvalid) {
      return Complain(inspection.error().Within(settings.file));
    }
  }
  if (!inspection) return Complain(inspection.error());
  fmt::print("{}", PlanReport(inspection->plan));
  return inspection->plan.refusal ? 1 : 0;
}

// An unset variable of a script would otherwise ask for all of them.
const CLI::Validator kNotEmpty([](const std::string& name) { return name.empty() ? "it is empty" : ""; }, "");

std::shared_ptr<Settings> AddTo(CLI::App& command) {
  auto settings = std::make_shared<Settings>();
  settings->kube.AddTo(command);
  command.add_option("-n,--namespace", settings->kube.ns, "Namespace (default: the context's)");
  command.add_option("NAME", settings->name, "Name of the RedisCluster")->required()->check(kNotEmpty);
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

void AddPlanCommand(CLI::App& app, ExitStatus& exit) {
  auto* command = app.add_subcommand("plan",
                                     "Print what the operator would do next and why, without doing it; exits with 1 if "
                                     "it would refuse. Needs a way to "
                                     "the pods");
  auto settings = std::make_shared<Settings>();
  settings->kube.AddTo(*command);
  command->add_option("-n,--namespace", settings->kube.ns, "Namespace (default: the context's)");
  auto* which = command->add_option_group("which");
  which->add_option("--name,NAME", settings->name, "Name of the RedisCluster")->check(kNotEmpty);
  which
      ->add_option("-f,--filename", settings->file,
                   "As if this file's RedisCluster had been applied by kubectl apply (a dry run of that is asked for)")
      ->check(CLI::ExistingFile);
  which->require_option(1);
  command->callback([settings, &exit] { exit.code = ShowPlan(*settings); });
}

void AddCrdCommand(CLI::App& app, ExitStatus&) {
  auto* command = app.add_subcommand("crd", "Print the CustomResourceDefinition, for kubectl apply -f -");
  command->callback([] { fmt::print("{}", kCrdYaml); });
}

}  // namespace slotwright
