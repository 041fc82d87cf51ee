// See kube_options.h.
#include "operator/kube_options.h"

#include <fmt/format.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <thread>

#include "reconciler/kube/http_transport.h"
#include "reconciler/kube/kube_config.h"

namespace slotwright {

void KubeOptions::AddTo(CLI::App& command) {
  command.add_option("--kubeconfig", kubeconfig, "The kubeconfig file; default: in-cluster credentials, $KUBECONFIG, ~/.kube/config");
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

std::stop_token StopOnSignals() {
  static std::stop_source source;
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  // Every thread that starts later inherits the mask, so that only the waiter below sees these signals.
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
  std::thread([signals] {
    int which = 0;
    sigwait(&signals, &which);
    source.request_stop();
    sigwait(&signals, &which);
    ::_exit(128 + which);
  }).detach();
  return source.get_token();
}

std::string VersionText() { return "slotwright " SLOTWRIGHT_VERSION; }

}  // namespace slotwright
