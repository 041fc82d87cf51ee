// See operator_process.h.
#include "operator/operator_process.h"

#include <fmt/format.h>
#include <openssl/rand.h>
#include <prometheus/registry.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <cstdlib>
#include <thread>

#include "controllers/api/names.h"
#include "controllers/cluster_metrics.h"
#include "controllers/redis/fenced_commander.h"
#include "controllers/rediscluster_controller.h"
#include "reconciler/base/log.h"
#include "reconciler/cache/reflector.h"
#include "reconciler/metrics/runtime_metrics.h"
#include "reconciler/runtime/controller.h"
#include "reconciler/runtime/health.h"
#include "reconciler/runtime/leader_election.h"

namespace slotwright {

using reconciler::ErrorKind;
using reconciler::Fail;
using reconciler::LogLevel;
using reconciler::Result;
using reconciler::SystemClock;

namespace {

constexpr const char* kController = "rediscluster";

Result<reconciler::ServerOptions> ParseAddress(const std::string& option, const std::string& address) {
  reconciler::ServerOptions options;
  const auto colon = address.rfind(':');
  const char* const end = address.data() + address.size();
  const char* const digits = colon == std::string::npos ? end : address.data() + colon + 1;
  const auto [rest, error] = std::from_chars(digits, end, options.port);
  if (digits == end || error != std::errc() || rest != end || options.port < 0 || options.port > 65535) {
    return Fail(ErrorKind::kInvalid,
                fmt::format("{}: \"{}\": use HOST:PORT, :PORT for every address, or 0 for none", option, address));
  }
  options.host = colon == 0 ? "0.0.0.0" : address.substr(0, colon);
  return options;
}

// Each once. What is no name is refused here, as a request to the API server would ask for something else with it: an
// empty one for all namespaces.
Result<std::vector<std::string>> NamespacesToWatch(std::vector<std::string> given) {
  for (const auto& ns : given) {
    const bool is_name = !ns.empty() && ns.size() <= 63 && !ns.starts_with('-') && !ns.ends_with('-') &&
                         ns.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string::npos;
    if (!is_name) {
      return Fail(ErrorKind::kInvalid,
                  fmt::format("--namespace: \"{}\" is no name of a namespace; give names, or leave the option out to "
                              "watch all",
                              ns));
    }
  }
  std::ranges::sort(given);
  given.erase(std::ranges::unique(given).begin(), given.end());
  return given;
}

constexpr auto kContactPeriod = std::chrono::seconds(1);

std::string Joined(const std::vector<std::string>& names) { return fmt::format("{}", fmt::join(names, ",")); }

std::string HostName() {
  std::array<char, 256> name{};
  ::gethostname(name.data(), name.size() - 1);
  return name.data();
}

std::string Identity(const OperatorOptions& options) {
  if (!options.identity.empty()) return options.identity;
  std::array<unsigned char, 8> random{};
  RAND_bytes(random.data(), random.size());
  std::string hex;
  for (const unsigned char byte : random) hex += fmt::format("{:02x}", byte);
  return HostName() + "_" + hex;
}

// Everything that lives as long as the operator, in the order in which it is built.
class Process {
 public:
  Process(const std::shared_ptr<reconciler::Transport>& transport, const OperatorOptions& options)
      : options_(options),
        registry_(std::make_shared<prometheus::Registry>()),
        metrics_(registry_),
        cluster_metrics_(registry_),
        client_(transport, StoppableOptions(transport->Host())),
        probe_(transport, ProbeOptions()),
        events_(client_, {.component = "slotwright", .instance = HostName()}),
        commander_(MakeTcpCommander()),
        fenced_(*commander_, [this] { return !options_.leader_elect || elector_.IsLeader(); }),
        queue_({.name = kController, .metrics = &metrics_}),
        clusters_({.client = client_,
                   .caches = caches_,
                   .commander = fenced_,
                   .events = events_,
                   .clock = SystemClock(),
                   .metrics = &cluster_metrics_,
                   .executor = options.executor}),
        controller_(
            {.name = kController, .workers = options.workers}, queue_,
            [this](const auto& key, auto stop) { return clusters_.Reconcile(key, stop); }, &metrics_),
        elector_(transport, ClientOptions(transport->Host()),
                 {.lease = {options.lease_namespace, options.lease_name},
                  .identity = options.identity,
                  .lease_duration = options.lease_duration,
                  .renew_deadline = options.renew_deadline,
                  .retry_period = options.retry_period,
                  .metrics = &metrics_,
                  .events = &events_}) {
    metrics_.RegisterController(kController, options.workers);
    metrics_.RegisterQueue(kController);
    metrics_.ObserveUnfinished(kController, queue_);
    if (options.leader_elect) metrics_.RegisterLease(options.lease_name);
    clusters_.WireEvents(queue_);
    for (auto* informer : caches_.All()) AddReflectors(*informer);
  }

  Result<void> Run(std::stop_token stop) {
    if (auto served = Serve(); !served) return served;
    events_.Start();
    std::stop_source stop_reflectors;
    std::vector<std::jthread> threads;
    threads.emplace_back([this, token = stop_reflectors.get_token()] { WatchContact(token); });
    for (auto& reflector : reflectors_) {
      threads.emplace_back([&reflector = *reflector, token = stop_reflectors.get_token()] { reflector.Run(token); });
    }
    const auto result = options_.leader_elect ? RunAsLeader(stop) : RunController(stop);
    stop_reflectors.request_stop();
    threads.clear();
    if (result && options_.leader_elect) elector_.Release();
    events_.Flush();
    events_.Stop();
    return result;
  }

 private:
  reconciler::Client::Options ClientOptions(const std::string& host) {
    return {.observer = [this, host](const std::string& code, const std::string& method, reconciler::Duration took) {
      metrics_.RequestDone(code, method, host, took);
      const int status = std::atoi(code.c_str());  // 0 of "<error>"
      if (status > 0 && status < 500) answered_at_ = SystemClock().Now().time_since_epoch().count();
    }};
  }

  reconciler::Client::Options StoppableOptions(const std::string& host) {
    auto options = ClientOptions(host);
    options.stop = lost_.get_token();
    return options;
  }

  reconciler::Client::Options ProbeOptions() {
    auto options = ClientOptions("");
    options.timeout = std::chrono::milliseconds(500);
    return options;
  }

  // Watches tell of a server that fell silent only after a minute and a half. Asked by a thread of its own: who waits
  // for an answer in a handler holds one of the few threads that would deliver it.
  void WatchContact(const std::stop_token& stop) {
    do {
      const reconciler::MonotonicTime answered{reconciler::MonotonicTime::duration(answered_at_.load())};
      std::string problem;
      if (SystemClock().Now() - answered >= options_.contact_life) {
        const auto version = probe_.GetRaw("/version");
        if (!version) problem = "the API server does not answer: " + version.error().message;
      }
      const std::lock_guard lock(contact_mutex_);
      contact_problem_ = std::move(problem);
    } while (SystemClock().SleepFor(kContactPeriod, stop));
  }

  std::string ApiServerProblem() const {
    const std::lock_guard lock(contact_mutex_);
    return contact_problem_;
  }

  void AddReflectors(reconciler::Informer& informer) {
    reconciler::ReflectorOptions reflector;
    // Other people's objects stay out of our memory.
    if (&informer != &caches_.clusters) reflector.label_selector = fmt::format("{}=slotwright", labels::kManagedBy);
    // One for each namespace rather than one for all that drops the rest: that would need a ClusterRole.
    const std::vector<std::string> all = {""};
    for (const auto& ns : options_.namespaces.empty() ? all : options_.namespaces) {
      reflector.ns = ns;
      reflectors_.push_back(std::make_unique<reconciler::Reflector>(client_, informer, reflector));
    }
  }

  std::string CachesProblem() const {
    for (const auto& reflector : reflectors_) {
      if (!reflector->Healthy()) return reflector->LastError();
    }
    return "";
  }

  bool Synced() {
    for (auto* informer : caches_.All()) {
      if (!informer->HasSynced()) return false;
    }
    return true;
  }

  Result<void> Serve() {
    const std::vector<reconciler::HealthCheck> alive = {
        {"leader-election", [this] { return elector_.Healthy() ? "" : "the lease could not be renewed"; }}};
    const std::vector<reconciler::HealthCheck> ready = {
        {"caches", [this] { return Synced() ? CachesProblem() : "the caches are not filled yet: " + CachesProblem(); }},
        {"api-server", [this] { return ApiServerProblem(); }}};
    if (auto served = Listen("health", "--health-probe-bind-address", options_.health_address,
                             reconciler::HealthHandler(alive, ready));
        !served) {
      return served;
    }
    return Listen("metrics", "--metrics-bind-address", options_.metrics_address,
                  reconciler::MetricsHandler([this] { return metrics_.Text(); }));
  }

  Result<void> Listen(const std::string& what, const std::string& option, const std::string& address,
                      reconciler::ServerHandler handler) {
    if (address == "0") return {};
    const auto server_options = ParseAddress(option, address);
    if (!server_options) return std::unexpected(server_options.error());
    auto server = reconciler::StartHttpServer(*server_options, std::move(handler));
    if (!server) return std::unexpected(server.error().Within(option));
    if (options_.on_listen) options_.on_listen(what, (*server)->port());
    servers_.push_back(std::move(*server));
    return {};
  }

  Result<void> RunController(std::stop_token stop) {
    while (!Synced()) {
      if (!SystemClock().SleepFor(std::chrono::milliseconds(5), stop)) return {};
    }
    reconciler::Log(LogLevel::kInfo, "caches are filled, reconciling",
                    {{"namespaces", options_.namespaces.empty() ? "all" : Joined(options_.namespaces)},
                     {"clusters", std::to_string(caches_.clusters.List().size())}});
    controller_.Run(stop);
    return {};
  }

  Result<void> RunAsLeader(std::stop_token stop) {
    reconciler::Log(LogLevel::kInfo, "waiting for the lease",
                    {{"lease", options_.lease_namespace + "/" + options_.lease_name}});
    if (!elector_.Acquire(stop)) return {};
    std::stop_source work;
    const std::stop_callback on_stop(stop, [&work] { work.request_stop(); });
    bool kept = true;
    std::stop_source holding;
    std::jthread holder([&] {
      kept = elector_.Hold(holding.get_token());
      if (kept) return;
      work.request_stop();
      lost_.request_stop();  // no request of ours may arrive when another leads
    });
    auto result = RunController(work.get_token());
    holding.request_stop();  // only now: the lease is ours for as long as a worker is at work
    holder.join();
    if (!kept) return Fail(ErrorKind::kConflict, "leader election lost");
    return result;
  }

  const OperatorOptions& options_;
  std::shared_ptr<prometheus::Registry> registry_;
  reconciler::RuntimeMetrics metrics_;
  ClusterMetrics cluster_metrics_;
  std::atomic<reconciler::MonotonicTime::rep> answered_at_ = SystemClock().Now().time_since_epoch().count();
  mutable std::mutex contact_mutex_;
  std::string contact_problem_;
  std::stop_source lost_;
  reconciler::Client client_;
  reconciler::Client probe_;
  Caches caches_;
  reconciler::EventRecorder events_;
  std::unique_ptr<Commander> commander_;
  FencedCommander fenced_;  // a slice of a migration may take longer than the lease lasts, if nodes hang
  reconciler::WorkQueue queue_;
  RedisClusterController clusters_;
  reconciler::Controller controller_;
  reconciler::LeaderElector elector_;
  std::vector<std::unique_ptr<reconciler::Reflector>> reflectors_;
  std::vector<std::unique_ptr<reconciler::HttpServer>> servers_;
};

}  // namespace

Result<void> RunOperator(const std::shared_ptr<reconciler::Transport>& transport, const OperatorOptions& options,
                         std::stop_token stop) {
  auto namespaces = NamespacesToWatch(options.namespaces);
  if (!namespaces) return std::unexpected(namespaces.error());
  if (options.lease_duration <= options.renew_deadline || options.renew_deadline * 5 <= options.retry_period * 6) {
    return Fail(
        ErrorKind::kInvalid,
        "--leader-elect-lease-duration must be longer than --leader-elect-renew-deadline, and that longer than 1.2 "
        "times --leader-elect-retry-period");
  }
  OperatorOptions checked = options;
  checked.namespaces = *std::move(namespaces);
  checked.identity = Identity(options);
  while (true) {
    auto ended = Process(transport, checked).Run(stop);
    const bool lost_the_lease = !ended && ended.error().kind == ErrorKind::kConflict;
    if (!lost_the_lease) return ended;
    // Kubernetes would start a process that ends here less and less often, and nobody could ask it why it waits.
    reconciler::Log(LogLevel::kWarn, "the lease is lost: all work has stopped, standing by for it");
  }
}

}  // namespace slotwright
