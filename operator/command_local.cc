// slotwright local: Kubernetes, the operator and real Redis processes on this machine, for trying and testing.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <map>
#include <thread>

#include "controllers/api/conditions.h"
#include "controllers/api/names.h"
#include "local/local_cluster.h"
#include "operator/commands.h"
#include "operator/crd.h"
#include "operator/inspect.h"
#include "operator/kube_options.h"
#include "operator/manifest.h"
#include "operator/operator_process.h"
#include "operator/progress.h"
#include "operator/report.h"
#include "operator/shell.h"
#include "reconciler/base/log.h"
#include "reconciler/base/yaml.h"
#include "reconciler/cache/reflector.h"

namespace slotwright {

using reconciler::Json;
using reconciler::Result;

namespace {

struct Settings {
  std::vector<std::string> files;
  std::vector<std::string> engines;  // IMAGE=FOLDER
  std::string state_dir = ".slotwright";
  std::string when_ready;
  int port = 0;
  int timeout_seconds = 120;
  bool exit_when_ready = false;
  bool no_operator = false;
};

int Complain(const std::string& message) {
  fmt::print(stderr, "slotwright: {}\n", message);
  return 2;
}

// The type of any object, from what the API server knows.
Result<reconciler::ResourceType> TypeOf(const Json& object) {
  namespace types = reconciler::types;
  for (const auto& type : {kRedisClusters, types::kNamespaces, types::kSecrets, types::kConfigMaps, types::kServices}) {
    if (object.value("kind", "") == type.kind && object.value("apiVersion", "") == type.ApiVersion()) return type;
  }
  return reconciler::Fail(reconciler::ErrorKind::kUnsupported,
                          fmt::format("{} {} cannot be applied here; use kubectl apply", object.value("apiVersion", ""),
                                      object.value("kind", "")));
}

// Creates what the files describe; returns the RedisClusters among it.
Result<std::vector<reconciler::ObjectKey>> Apply(const reconciler::Client& client,
                                                 const std::vector<std::string>& files) {
  std::vector<reconciler::ObjectKey> clusters;
  for (const auto& file : files) {
    auto documents = ReadManifest(file);
    if (!documents) return std::unexpected(documents.error());
    for (Json& object : *documents) {
      const auto type = TypeOf(object);
      if (!type) return std::unexpected(type.error().Within(file));
      if (type->namespaced && reconciler::KeyOf(object).ns.empty()) object["metadata"]["namespace"] = "default";
      const auto created = client.Create(*type, object);
      if (!created) return std::unexpected(created.error().Within(file));
      if (*type == kRedisClusters) clusters.push_back(reconciler::KeyOf(object));
    }
  }
  return clusters;
}

// Watches clusters and pods, and prints how they do.
class Display {
 public:
  Display(const reconciler::Client& client, Progress& progress)
      : progress_(progress),
        clusters_(kRedisClusters),
        pods_(reconciler::types::kPods),
        cluster_reflector_(client, clusters_, {}),
        pod_reflector_(client, pods_, {}) {
    pods_.AddIndex("instance", [](const Json& pod) {
      return std::vector<std::string>{reconciler::KeyOf(pod).ns + "/" + reconciler::LabelOf(pod, labels::kInstance)};
    });
    const auto show = [this](const auto& before, const auto& after) { Show(after ? *after : *before); };
    clusters_.AddHandler([this](const auto&, const auto& after) {
      if (after) ShowCluster(*after);
    });
    pods_.AddHandler(show);
    threads_.emplace_back([this](std::stop_token stop) { cluster_reflector_.Run(stop); });
    threads_.emplace_back([this](std::stop_token stop) { pod_reflector_.Run(stop); });
  }

  [[nodiscard]] bool Ready(const reconciler::ObjectKey& key) const {
    const auto cluster = clusters_.Get(key);
    if (!cluster) return false;
    const Json status = cluster->value("status", Json::object());
    const Json ready = FindCondition(status.value("conditions", Json::array()), "Ready");
    return ready.is_object() && ready.value("status", "") == "True" &&
           status.value("observedGeneration", 0) == cluster->value(Json::json_pointer("/metadata/generation"), 0);
  }

 private:
  void Show(const Json& pod) {
    const auto cluster = clusters_.Get({reconciler::KeyOf(pod).ns, reconciler::LabelOf(pod, labels::kInstance)});
    if (cluster) ShowCluster(*cluster);
  }

  void ShowCluster(const Json& cluster) {
    const auto key = reconciler::KeyOf(cluster);
    int running = 0;
    for (const auto& pod : pods_.ByIndex("instance", key.ns + "/" + key.name)) {
      running += reconciler::StringAt(*pod, {"status", "phase"}) == "Running" ? 1 : 0;
    }
    progress_.Show(cluster, running);
  }

  Progress& progress_;
  reconciler::Informer clusters_;
  reconciler::Informer pods_;
  reconciler::Reflector cluster_reflector_;
  reconciler::Reflector pod_reflector_;
  std::vector<std::jthread> threads_;
};

int WaitUntilReady(const Settings& settings, const Display& display, const std::vector<reconciler::ObjectKey>& clusters,
                   const std::stop_token& stop) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(settings.timeout_seconds);
  for (const auto& key : clusters) {
    while (!display.Ready(key)) {
      if (!reconciler::SystemClock().SleepFor(std::chrono::milliseconds(20), stop)) return 130;
      if (std::chrono::steady_clock::now() > deadline) {
        return Complain(
            fmt::format("{} is not ready after {} s; the last line above says what it waits for, {}/operator.log "
                        "has the details",
                        key.ToString(), settings.timeout_seconds, settings.state_dir));
      }
    }
  }
  return 0;
}

int ShowResult(const reconciler::Client& client, const std::vector<reconciler::ObjectKey>& clusters) {
  bool healthy = true;
  for (const auto& key : clusters) {
    const auto inspection = Inspect(client, key);
    if (!inspection) return Complain(inspection.error().message);
    const auto report = Check(inspection->observation, inspection->plan);
    fmt::print("\n{}\n{}\n{}", NodeTableReport(inspection->observation), SlotMapReport(inspection->observation),
               report.text);
    std::fflush(stdout);
    healthy = healthy && report.healthy;
  }
  return healthy ? 0 : 1;
}

// A running operator in a thread of its own; joined on destruction.
class OperatorThread {
 public:
  OperatorThread(const std::shared_ptr<reconciler::Transport>& transport, Progress& progress) {
    options_.leader_elect = false;
    options_.metrics_address = "127.0.0.1:0";
    options_.health_address = "127.0.0.1:0";
    options_.on_listen = [&progress](const std::string& what, int port) {
      progress.Say(what == "metrics" ? fmt::format("metrics    http://127.0.0.1:{}/metrics", port)
                                     : fmt::format("health     http://127.0.0.1:{}/healthz and /readyz", port));
    };
    thread_ = std::jthread([this, transport](std::stop_token stop) {
      const auto result = RunOperator(transport, options_, stop);
      if (!result) fmt::print(stderr, "slotwright: {}\n", result.error().message);
    });
  }

 private:
  OperatorOptions options_;
  std::jthread thread_;
};

int RunCluster(const Settings& settings, local::LocalCluster& cluster, Progress& progress,
               const std::stop_token& stop) {
  const reconciler::Client client(cluster.transport(), {});
  std::unique_ptr<OperatorThread> operator_thread;
  if (!settings.no_operator) operator_thread = std::make_unique<OperatorThread>(cluster.transport(), progress);
  const Display display(client, progress);
  const auto clusters = Apply(client, settings.files);
  if (!clusters) return Complain(clusters.error().message);
  if (const int status = WaitUntilReady(settings, display, *clusters, stop); status != 0) return status;
  if (!clusters->empty()) {
    if (const int status = ShowResult(client, *clusters); status != 0) return status;
  }
  if (!settings.when_ready.empty()) {
    const auto status = RunShell(settings.when_ready, {{"KUBECONFIG", cluster.kubeconfig()}});
    if (!status) return Complain(status.error().Within("--when-ready").message);
    if (*status != 0) return *status;
  }
  if (settings.exit_when_ready) return 0;
  fmt::print(
      "\nUp until Ctrl-C. In another terminal:\n  export KUBECONFIG=\"{}\"\n  kubectl get rdc,pods,svc,secrets -o "
      "wide\n",
      cluster.kubeconfig());
  std::fflush(stdout);
  while (reconciler::SystemClock().SleepFor(std::chrono::hours(1), stop)) {
  }
  return 0;
}

int Run(const Settings& settings) {
  // A second Ctrl-C is impatience, and would leave files behind.
  const auto stop = StopOnSignals(3);
  local::LocalCluster::Options options{
      .state_dir = settings.state_dir, .port = settings.port, .crds = {}, .kubelet = {}};
  for (const auto& engine : settings.engines) {
    const auto equals = engine.find('=');
    if (equals == std::string::npos || !std::filesystem::is_directory(engine.substr(equals + 1))) {
      return Complain(fmt::format("--engine {}: use IMAGE=FOLDER with a folder that exists", engine));
    }
    options.kubelet.images[engine.substr(0, equals)] = engine.substr(equals + 1);
  }
  options.crds = *reconciler::ParseYaml(std::string(kCrdYaml));

  Progress progress;
  auto cluster = local::LocalCluster::Start(std::move(options));
  if (!cluster) return Complain(cluster.error().message);
  const std::string log = (*cluster)->state_dir() + "/operator.log";
  reconciler::ConfigureLog(reconciler::LogLevel::kInfo, reconciler::LogFormat::kText, log);
  progress.Say(fmt::format("Kubernetes {} (kubeconfig {})", (*cluster)->server(), (*cluster)->kubeconfig()));
  const int status = RunCluster(settings, **cluster, progress, stop);
  progress.Say("stopping the pods; that takes 10 s at most");
  const bool failed = status != 0 && !stop.stop_requested();
  (*cluster)->Stop(failed);
  progress.Say(failed ? fmt::format("stopped, nothing is left running; the operator's log is {}", log)
                      : "stopped, nothing is left running");
  return status;
}

}  // namespace

void AddLocalCommand(CLI::App& app, ExitStatus& exit) {
  auto settings = std::make_shared<Settings>();
  auto* command = app.add_subcommand(
      "local", "Run Kubernetes, the operator and real Redis processes on this machine, for trying and testing");
  auto* apply =
      command->add_option("--apply", settings->files, "YAML files to apply; shows how their RedisClusters become ready")
          ->check(CLI::ExistingFile);
  command
      ->add_option("--when-ready", settings->when_ready,
                   "Shell command to run, with KUBECONFIG set, once all applied clusters are ready")
      ->needs(apply);
  command->add_flag("--exit-when-ready", settings->exit_when_ready, "Then stop instead of staying up until Ctrl-C")
      ->needs(apply);
  command->add_option("--timeout", settings->timeout_seconds, "Seconds to wait for the applied clusters")
      ->capture_default_str()
      ->check(CLI::Range(1, 86400));
  command->add_option("--state-dir", settings->state_dir, "Folder for kubeconfig, volumes and logs; emptied at the end")
      ->capture_default_str();
  command->add_option("--port", settings->port, "Port of the API server on 127.0.0.1; 0: any")
      ->capture_default_str()
      ->check(CLI::Range(0, 65535));
  command->add_option("--engine", settings->engines,
                      "IMAGE=FOLDER: the programs (redis-server, redis-cli, …) that an image name stands for");
  command->add_flag("--no-operator", settings->no_operator, "Only Kubernetes; run slotwright operator yourself");
  command->callback([settings, &exit] { exit.code = Run(*settings); });
}

}  // namespace slotwright
