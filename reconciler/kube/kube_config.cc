// See kube_config.h.
#include "reconciler/kube/kube_config.h"

#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "reconciler/base/base64.h"
#include "reconciler/base/yaml.h"

namespace reconciler {

namespace {

namespace fs = std::filesystem;

constexpr const char* kServiceAccount = "/var/run/secrets/kubernetes.io/serviceaccount";

Result<std::string> ReadFile(const fs::path& path) {
  const std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  if (!file) return Fail(ErrorKind::kInvalid, fmt::format("{} cannot be read", path.string()));
  return text.str();
}

// A PEM text: inline under `field`-data, or in the file that `field` names.
Result<std::string> Material(const Json& entry, const std::string& field, const fs::path& folder) {
  const std::string inline_data = StringAt(entry, {(field + "-data").c_str()});
  if (!inline_data.empty()) {
    auto decoded = DecodeBase64(inline_data);
    if (!decoded) return Fail(ErrorKind::kInvalid, field + "-data: not base64");
    return *std::move(decoded);
  }
  const std::string file = StringAt(entry, {field.c_str()});
  if (file.empty()) return std::string();
  auto text = ReadFile(folder / file);
  if (!text) return std::unexpected(text.error().Within(field));
  return text;
}

const Json* FindNamed(const Json& config, const char* list, const char* entry, const std::string& name) {
  const Json* entries = ValueAt(config, {list});
  if (entries == nullptr || !entries->is_array()) return nullptr;
  for (const auto& candidate : *entries) {
    if (StringAt(candidate, {"name"}) == name) return ValueAt(candidate, {entry});
  }
  return nullptr;
}

Result<void> ReadUser(const Json& user, const std::string& name, const fs::path& folder, ClusterAccess& access) {
  for (const char* unsupported : {"exec", "auth-provider", "username"}) {
    if (!user.contains(unsupported)) continue;
    return Fail(
        ErrorKind::kUnsupported,
        fmt::format("user \"{}\" logs in by \"{}\", which is not supported; use a token or a client certificate "
                    "(kubectl create token SERVICEACCOUNT gives one)",
                    name, unsupported));
  }
  auto certificate = Material(user, "client-certificate", folder);
  if (!certificate) return std::unexpected(certificate.error());
  auto key = Material(user, "client-key", folder);
  if (!key) return std::unexpected(key.error());
  access.client_cert_pem = *std::move(certificate);
  access.client_key_pem = *std::move(key);
  access.token = StringAt(user, {"token"});
  const std::string token_file = StringAt(user, {"tokenFile"});
  if (!token_file.empty()) access.token_file = folder / token_file;
  return {};
}

Result<ClusterAccess> FromConfig(const Json& config, std::string context_name, const fs::path& folder) {
  if (context_name.empty()) context_name = StringAt(config, {"current-context"});
  if (context_name.empty()) return Fail(ErrorKind::kInvalid, "there is no current-context; name one with --context");
  const Json* context = FindNamed(config, "contexts", "context", context_name);
  if (context == nullptr) return Fail(ErrorKind::kInvalid, fmt::format("there is no context \"{}\"", context_name));
  const std::string cluster_name = StringAt(*context, {"cluster"});
  const Json* cluster = FindNamed(config, "clusters", "cluster", cluster_name);
  if (cluster == nullptr) return Fail(ErrorKind::kInvalid, fmt::format("there is no cluster \"{}\"", cluster_name));

  ClusterAccess access;
  access.server = StringAt(*cluster, {"server"});
  if (access.server.empty())
    return Fail(ErrorKind::kInvalid, fmt::format("cluster \"{}\" has no server", cluster_name));
  if (cluster->contains("proxy-url")) {
    return Fail(ErrorKind::kUnsupported, fmt::format("cluster \"{}\": proxy-url is not supported", cluster_name));
  }
  access.insecure_skip_tls_verify = cluster->value("insecure-skip-tls-verify", false);
  access.tls_server_name = StringAt(*cluster, {"tls-server-name"});
  auto ca = Material(*cluster, "certificate-authority", folder);
  if (!ca) return std::unexpected(ca.error());
  access.ca_pem = *std::move(ca);
  if (const std::string ns = StringAt(*context, {"namespace"}); !ns.empty()) access.ns = ns;
  const std::string user_name = StringAt(*context, {"user"});
  if (user_name.empty()) return access;
  const Json* user = FindNamed(config, "users", "user", user_name);
  if (user == nullptr) return Fail(ErrorKind::kInvalid, fmt::format("there is no user \"{}\"", user_name));
  if (!user->is_object()) return access;
  if (auto read = ReadUser(*user, user_name, folder, access); !read) return std::unexpected(read.error());
  return access;
}

std::string DefaultPath() {
  if (const char* list = std::getenv("KUBECONFIG"); list != nullptr && *list != '\0') {
    std::istringstream paths(list);
    for (std::string path; std::getline(paths, path, ':');) {
      if (fs::exists(path)) return path;
    }
    return list;
  }
  const char* home = std::getenv("HOME");
  return std::string(home == nullptr ? "" : home) + "/.kube/config";
}

}  // namespace

Result<ClusterAccess> LoadKubeConfig(const std::string& path, const std::string& context) {
  const std::string file = path.empty() ? DefaultPath() : path;
  const auto documents = ReadYamlFile(file);
  if (!documents) return std::unexpected(documents.error().Within("kubeconfig"));
  if (documents->size() != 1 || !(*documents)[0].is_object()) {
    return Fail(ErrorKind::kInvalid, fmt::format("kubeconfig {}: it is not one YAML mapping", file));
  }
  try {
    auto access = FromConfig((*documents)[0], context, fs::path(file).parent_path());
    if (!access) return std::unexpected(access.error().Within("kubeconfig " + file));
    return access;
  } catch (const Json::exception& e) {
    return Fail(ErrorKind::kInvalid, fmt::format("kubeconfig {}: {}", file, e.what()));
  }
}

Result<ClusterAccess> InClusterAccess() {
  const char* host = std::getenv("KUBERNETES_SERVICE_HOST");
  const char* port = std::getenv("KUBERNETES_SERVICE_PORT");
  if (host == nullptr || port == nullptr) {
    return Fail(ErrorKind::kNotFound, "not in a pod: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set");
  }
  const fs::path folder = kServiceAccount;
  auto ca = ReadFile(folder / "ca.crt");
  if (!ca) return std::unexpected(ca.error());
  ClusterAccess access;
  const bool ipv6 = std::string_view(host).find(':') != std::string_view::npos;
  access.server = ipv6 ? fmt::format("https://[{}]:{}", host, port) : fmt::format("https://{}:{}", host, port);
  access.ca_pem = *std::move(ca);
  access.token_file = folder / "token";
  if (const auto ns = ReadFile(folder / "namespace"); ns && !ns->empty()) access.ns = *ns;
  return access;
}

Result<ClusterAccess> FindCluster(const std::string& kubeconfig, const std::string& context) {
  if (kubeconfig.empty() && context.empty()) {
    auto access = InClusterAccess();
    if (access || access.error().kind != ErrorKind::kNotFound) return access;
  }
  return LoadKubeConfig(kubeconfig, context);
}

}  // namespace reconciler
