// The options by which every command finds its API server, named as kubectl names them.
#pragma once

#include <memory>
#include <string>

#include "reconciler/base/error.h"
#include "reconciler/kube/client.h"

namespace CLI {
class App;
}

namespace slotwright {

struct KubeOptions {
  std::string kubeconfig;
  std::string context;
  std::string ns;  ///< Empty: the context's.

  void AddTo(CLI::App& command);
};

struct KubeConnection {
  std::shared_ptr<reconciler::Transport> transport;
  std::string ns;
};
[[nodiscard]] reconciler::Result<KubeConnection> Connect(const KubeOptions& options);

/// Fires when SIGINT, SIGTERM or SIGHUP comes; the `last` of them ends the process at once.
[[nodiscard]] std::stop_token StopOnSignals(int last = 2);

/// "slotwright" and its version, for --version and the log.
[[nodiscard]] std::string VersionText();

}  // namespace slotwright
