// Where the API server is and who we are: from a kubeconfig file or from inside a pod.
#pragma once

#include <string>

#include "reconciler/base/error.h"

namespace reconciler {

/// All that a transport needs. PEM texts are held in memory only.
struct ClusterAccess {
  std::string server;  ///< "https://host:port" or "http://host:port", perhaps with a path.
  std::string ca_pem;  ///< Empty: nobody is trusted but whom $SSL_CERT_FILE names (see InitializeHttp).
  bool insecure_skip_tls_verify = false;
  std::string tls_server_name;  ///< Empty: the host of `server`.
  std::string client_cert_pem;
  std::string client_key_pem;
  std::string token;           ///< Fixed bearer token.
  std::string token_file;      ///< Read again every minute: projected tokens rotate. Wins over `token`.
  std::string ns = "default";  ///< The context's namespace.
};

/// Reads a kubeconfig: `path`, or $KUBECONFIG (its first existing file), or ~/.kube/config; `context` empty takes
/// current-context. Understands token, tokenFile, client certificates and CAs, inline (…-data) or as files; file names
/// are relative to the kubeconfig. exec plugins, auth providers and basic auth are kUnsupported, with a message that
/// names the user entry and the way out.
[[nodiscard]] Result<ClusterAccess> LoadKubeConfig(const std::string& path, const std::string& context = "");

/// From KUBERNETES_SERVICE_HOST/PORT and /var/run/secrets/kubernetes.io/serviceaccount. kNotFound outside a pod.
[[nodiscard]] Result<ClusterAccess> InClusterAccess();

/// `kubeconfig` if given, else in-cluster if we are in a pod, else the default kubeconfig.
[[nodiscard]] Result<ClusterAccess> FindCluster(const std::string& kubeconfig, const std::string& context);

}  // namespace reconciler
