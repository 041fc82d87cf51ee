// The operator, dying like a process that gets SIGKILL right after its n-th effect, with 0 never.
// Usage: crashing_operator KUBECONFIG N [in-order]
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>

#include "operator/operator_process.h"
#include "reconciler/base/log.h"
#include "reconciler/http/server.h"
#include "reconciler/kube/http_transport.h"
#include "reconciler/kube/kube_config.h"

int main(int argc, char** argv) {
  if (argc != 3 && argc != 4) return 2;
  reconciler::InitializeHttp();
  reconciler::ConfigureLog(reconciler::LogLevel::kError, reconciler::LogFormat::kText);
  const auto access = reconciler::LoadKubeConfig(argv[1]);
  if (!access) return 2;
  auto transport = reconciler::MakeHttpTransport(*access, "crashing-operator");
  if (!transport) return 2;
  std::atomic<int> left = std::atoi(argv[2]);
  slotwright::OperatorOptions options;
  options.leader_elect = false;
  options.metrics_address = "0";
  options.health_address = "0";
  options.workers = 1;
  if (argc == 4) options.executor.parallel_requests = 1;  // "the n-th effect" is the same one in every run
  options.executor.after_effect = [&left](const std::string&) {
    if (--left == 0) ::kill(::getpid(), SIGKILL);
  };
  const auto result = slotwright::RunOperator(std::move(*transport), options, {});
  if (!result) std::fprintf(stderr, "%s\n", result.error().message.c_str());
  return 1;
}
