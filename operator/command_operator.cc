// slotwright operator: watches RedisClusters and makes the world look like them.
#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "operator/commands.h"
#include "operator/kube_options.h"
#include "operator/operator_process.h"
#include "reconciler/base/log.h"

namespace slotwright {

namespace {

struct Settings {
  KubeOptions kube;
  OperatorOptions options;
  std::string log_level = "info";
  std::string log_format = "text";
};

reconciler::LogLevel LevelOf(const std::string& name) {
  if (name == "debug") return reconciler::LogLevel::kDebug;
  if (name == "warn") return reconciler::LogLevel::kWarn;
  if (name == "error") return reconciler::LogLevel::kError;
  return reconciler::LogLevel::kInfo;
}

int Run(Settings& settings) {
  reconciler::ConfigureLog(LevelOf(settings.log_level),
                           settings.log_format == "json" ? reconciler::LogFormat::kJson : reconciler::LogFormat::kText);
  const auto stop = StopOnSignals();
  auto connection = Connect(settings.kube);
  if (!connection) {
    reconciler::Log(reconciler::LogLevel::kError, connection.error().message);
    return 2;
  }
  if (settings.options.lease_namespace.empty()) settings.options.lease_namespace = connection->ns;
  reconciler::Log(reconciler::LogLevel::kInfo, "starting",
                  {{"version", VersionText()}, {"server", connection->transport->Host()}});
  const auto result = RunOperator(connection->transport, settings.options, stop);
  if (!result) {
    reconciler::Log(reconciler::LogLevel::kError, result.error().message);
    return 2;
  }
  reconciler::Log(reconciler::LogLevel::kInfo, "stopped");
  return 0;
}

}  // namespace

void AddOperatorCommand(CLI::App& app, ExitStatus& exit) {
  auto settings = std::make_shared<Settings>();
  settings->options.lease_namespace = "";
  auto* command = app.add_subcommand("operator", "Watch RedisClusters and keep them as they are described");
  settings->kube.AddTo(*command);
  auto& options = settings->options;
  command
      ->add_option("--namespace", options.namespaces,
                   "Watch only this namespace; repeat it, or separate names by commas, for more (default: all)")
      ->envname("WATCH_NAMESPACE")
      ->delimiter(',');
  command->add_option("--metrics-bind-address", options.metrics_address, "HOST:PORT of /metrics; 0: none")
      ->capture_default_str();
  command
      ->add_option("--health-probe-bind-address", options.health_address, "HOST:PORT of /healthz and /readyz; 0: none")
      ->capture_default_str();
  command->add_option("--max-concurrent-reconciles", options.workers, "Clusters that are worked on at the same time")
      ->capture_default_str()
      ->check(CLI::Range(1, 256));
  command->add_flag("--leader-elect,!--no-leader-elect", options.leader_elect,
                    "Let only one of several operators work (default: on)");
  command->add_option("--leader-election-namespace", options.lease_namespace, "Where the Lease lives")
      ->envname("OPERATOR_NAMESPACE");
  command
      ->add_option("--leader-election-id", options.lease_name,
                   "Name of the Lease; operators that watch different namespaces need different ones")
      ->capture_default_str();
  const auto add_seconds = [&](const char* name, std::chrono::milliseconds& value, const char* help) {
    command->add_option_function<int>(
               name, [&value](int seconds) { value = std::chrono::seconds(seconds); }, help)
        ->default_str(std::to_string(std::chrono::duration_cast<std::chrono::seconds>(value).count()) + "s")
        ->transform(CLI::AsNumberWithUnit(std::map<std::string, int>{{"s", 1}, {"m", 60}}))
        ->check(CLI::Range(1, 3600));
  };
  add_seconds("--leader-elect-lease-duration", options.lease_duration, "Time after which another may take the Lease");
  add_seconds("--leader-elect-renew-deadline", options.renew_deadline,
              "Time after which a leader that cannot renew it stops");
  add_seconds("--leader-elect-retry-period", options.retry_period, "Time between two tries");
  command->add_option("--log-level", settings->log_level, "debug, info, warn or error")
      ->capture_default_str()
      ->check(CLI::IsMember({"debug", "info", "warn", "error"}));
  command->add_option("--log-format", settings->log_format, "text (key=value) or json")
      ->capture_default_str()
      ->check(CLI::IsMember({"text", "json"}));
  command->callback([settings, &exit] { exit.code = Run(*settings); });
}

}  // namespace slotwright
