// See kube_options.h.
#include "operator/kube_options.h"

#include <fmt/format.h>
#include <semaphore.h>
#include <signal.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <thread>

#include "reconciler/kube/http_transport.h"
#include "reconciler/kube/kube_config.h"

namespace slotwright {

void KubeOptions::AddTo(CLI::App& command) {
  command.add_option("--kubeconfig", kubeconfig,
                     "The kubeconfig file; default: in-cluster credentials, $KUBECONFIG, ~/.kube/config");
  command.add_option("--context", context, "The context of the kubeconfig");
}

reconciler::Result<KubeConnection> Connect(const KubeOptions& options) {
  auto access = reconciler::FindCluster(options.kubeconfig, options.context);
  if (!access) return std::unexpected(access.error());
  const std::string ns = options.ns.empty() ? access->ns : options.ns;
  auto transport = reconciler::MakeHttpTransport(*std::move(access), "slotwright/" SLOTWRIGHT_VERSION);
  if (!transport) return std::unexpected(transport.error());
  return KubeConnection{std::move(*transport), ns};
}

namespace {

sem_t signal_came;
volatile std::sig_atomic_t signals_left = 0;

// Only what a signal handler may do.
void OnSignal(int which) {
  signals_left = signals_left - 1;
  if (signals_left == 0) ::_exit(128 + which);
  ::sem_post(&signal_came);
}

}  // namespace

std::stop_token StopOnSignals(int last) {
  static std::stop_source source;
  signals_left = last;
  ::sem_init(&signal_came, 0, 0);
  struct sigaction action{};
  action.sa_handler = OnSignal;
  action.sa_flags = SA_RESTART;
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGHUP, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  // A handler may not call request_stop, which takes locks.
  std::thread([] {
    while (::sem_wait(&signal_came) != 0) {
    }
    source.request_stop();
  }).detach();
  return source.get_token();
}

std::string VersionText() { return "slotwright " SLOTWRIGHT_VERSION; }

}  // namespace slotwright
