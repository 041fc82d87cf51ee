// Kubernetes on one machine in one object: API server, kubelet, their clocks and a kubeconfig for kubectl.
#pragma once

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "local/apiserver/api_server.h"
#include "local/kubelet/kubelet.h"
#include "reconciler/http/server.h"
#include "reconciler/kube/client.h"

namespace slotwright::local {

class LocalCluster {
 public:
  struct Options {
    std::string state_dir = ".slotwright";  ///< Made if it is not there; emptied and removed by Stop if we made it.
    int port = 0;                           ///< Of the API server on 127.0.0.1; 0: any.
    std::vector<reconciler::Json> crds;     ///< Installed before anything else.
    KubeletOptions kubelet;                 ///< state_dir is filled in.
  };

  /// kUnavailable if the port or the folder is in use by another one that runs or the kubelet finds no addresses,
  /// kInvalid if a CRD or the kubelet's options are refused.
  [[nodiscard]] static reconciler::Result<std::unique_ptr<LocalCluster>> Start(Options options);
  ~LocalCluster();

  /// Terminates all pods' processes (each gets its grace period), then the API server. Returns when nothing is left,
  /// but for operator.log if that is to be kept.
  void Stop(bool keep_log = false);

  [[nodiscard]] const std::string& kubeconfig() const { return kubeconfig_; }
  [[nodiscard]] const std::string& state_dir() const { return options_.state_dir; }
  [[nodiscard]] std::string server() const;
  /// A client over HTTP, as any other program would have one.
  [[nodiscard]] std::shared_ptr<reconciler::Transport> transport() const { return transport_; }
  [[nodiscard]] ApiServer& api_server() { return *api_server_; }

 private:
  explicit LocalCluster(Options options) : options_(std::move(options)) {}
  [[nodiscard]] reconciler::Result<void> LockStateDir();
  [[nodiscard]] reconciler::Result<void> StartServer();
  [[nodiscard]] reconciler::Result<void> WriteKubeConfig();
  void RemoveStateDir(bool keep_log);

  Options options_;
  bool made_state_dir_ = false;
  int lock_fd_ = -1;
  std::string kubeconfig_;
  std::unique_ptr<ApiServer> api_server_;
  std::unique_ptr<reconciler::HttpServer> server_;
  std::shared_ptr<reconciler::Transport> transport_;
  std::unique_ptr<reconciler::Client> client_;
  std::unique_ptr<Kubelet> kubelet_;
  std::jthread ticker_;
  std::jthread kubelet_thread_;
};

}  // namespace slotwright::local
