// See local_cluster.h.
#include "local/local_cluster.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "reconciler/kube/http_transport.h"

namespace slotwright::local {

using reconciler::ErrorKind;
using reconciler::Fail;
using reconciler::Json;
using reconciler::Result;

namespace fs = std::filesystem;

namespace {

// What tells our lock from a file of somebody else.
constexpr std::string_view kLockText = "slotwright local\n";

bool IsOurLock(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  return std::getline(file, line) && line == kLockText.substr(0, kLockText.size() - 1);
}

}  // namespace

Result<std::unique_ptr<LocalCluster>> LocalCluster::Start(Options options) {
  auto cluster = std::unique_ptr<LocalCluster>(new LocalCluster(std::move(options)));
  if (auto locked = cluster->LockStateDir(); !locked) return std::unexpected(locked.error());
  if (auto started = cluster->StartServer(); !started) return std::unexpected(started.error());
  for (const auto& crd : cluster->options_.crds) {
    const auto created = cluster->client_->Create(reconciler::types::kCustomResourceDefinitions, crd);
    if (!created) return std::unexpected(created.error().Within("installing " + reconciler::KeyOf(crd).name));
  }
  auto kubelet_options = cluster->options_.kubelet;
  kubelet_options.state_dir = cluster->options_.state_dir + "/kubelet";
  cluster->kubelet_ = Kubelet::Make(*cluster->client_, std::move(kubelet_options));
  if (auto ready = cluster->kubelet_->Prepare(); !ready) return std::unexpected(ready.error().Within("the kubelet"));
  cluster->api_server_->SetLogSource(cluster->kubelet_.get());
  cluster->kubelet_thread_ = std::jthread([&kubelet = *cluster->kubelet_](const std::stop_token& stop) {
    (void)kubelet.Run(stop);  // only Prepare can fail, and has not
  });
  cluster->ticker_ = std::jthread([&api_server = *cluster->api_server_](std::stop_token stop) {
    while (reconciler::SystemClock().SleepFor(std::chrono::milliseconds(500), stop)) api_server.Tick();
  });
  return cluster;
}

LocalCluster::~LocalCluster() { Stop(); }

Result<void> LocalCluster::LockStateDir() {
  std::error_code error;
  made_state_dir_ = fs::create_directories(options_.state_dir, error);
  if (error) {
    return Fail(ErrorKind::kUnavailable,
                fmt::format("the folder {} cannot be made: {}; choose another with --state-dir", options_.state_dir,
                            error.message()));
  }
  options_.state_dir = fs::absolute(options_.state_dir);
  const std::string path = options_.state_dir + "/lock";
  made_state_dir_ = made_state_dir_ || IsOurLock(path);  // one of us that was killed has made it
  for (const char* ours : {"lock", "kubeconfig", "kubelet", "operator.log"}) {
    const std::string occupied = options_.state_dir + "/" + ours;
    if (made_state_dir_ || !fs::exists(occupied, error)) continue;
    return Fail(ErrorKind::kUnavailable,
                fmt::format("{} exists and was not made by slotwright local, which would overwrite it; move it away or "
                            "choose another folder with --state-dir",
                            occupied));
  }
  const int file = ::open(path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
  if (file < 0) {
    return Fail(ErrorKind::kUnavailable, fmt::format("cannot write {}: {}; choose another folder with --state-dir",
                                                     path, std::generic_category().message(errno)));
  }
  if (::flock(file, LOCK_EX | LOCK_NB) != 0) {
    ::close(file);
    return Fail(ErrorKind::kUnavailable,
                fmt::format("the folder {} is used by another slotwright local; stop it or choose another with "
                            "--state-dir",
                            options_.state_dir));
  }
  if (::write(file, kLockText.data(), kLockText.size()) < 0) {
    ::close(file);
    return Fail(ErrorKind::kUnavailable,
                fmt::format("cannot write {}: {}", path, std::generic_category().message(errno)));
  }
  lock_fd_ = file;  // from here on the folder is ours, and removed at the end
  return {};
}

Result<void> LocalCluster::StartServer() {
  api_server_ = std::make_unique<ApiServer>(ApiServer::Options{});
  auto server = reconciler::StartHttpServer({.host = "127.0.0.1", .port = options_.port}, api_server_->Handler());
  if (!server) return std::unexpected(server.error());
  server_ = std::move(*server);
  if (auto written = WriteKubeConfig(); !written) return std::unexpected(written.error());
  auto transport = reconciler::MakeHttpTransport({.server = this->server()}, "slotwright-local");
  if (!transport) return std::unexpected(transport.error());
  transport_ = std::move(*transport);
  client_ = std::make_unique<reconciler::Client>(transport_, reconciler::Client::Options{});
  return {};
}

std::string LocalCluster::server() const { return fmt::format("http://127.0.0.1:{}", server_->port()); }

Result<void> LocalCluster::WriteKubeConfig() {
  kubeconfig_ = options_.state_dir + "/kubeconfig";
  const Json config = {
      {"apiVersion", "v1"},
      {"kind", "Config"},
      {"clusters", Json::array({{{"name", "slotwright-local"}, {"cluster", {{"server", server()}}}}})},
      {"contexts",
       Json::array(
           {{{"name", "slotwright-local"},
             {"context", {{"cluster", "slotwright-local"}, {"user", "slotwright-local"}, {"namespace", "default"}}}}})},
      {"users", Json::array({{{"name", "slotwright-local"}, {"user", Json::object()}}})},
      {"current-context", "slotwright-local"},
  };
  const fs::path temporary = kubeconfig_ + ".new";
  {
    std::ofstream file(temporary);
    fs::permissions(temporary, fs::perms::owner_read | fs::perms::owner_write);
    file << config.dump(2) << "\n";
    if (!file.flush()) return Fail(ErrorKind::kUnavailable, fmt::format("{} cannot be written", kubeconfig_));
  }
  fs::rename(temporary, kubeconfig_);
  return {};
}

void LocalCluster::RemoveStateDir(bool keep_log) {
  std::error_code ignored;
  if (!kubeconfig_.empty()) fs::remove(kubeconfig_, ignored);
  if (keep_log) return;  // and the lock, by which the next one knows that the folder is ours
  fs::remove(options_.state_dir + "/lock", ignored);
  fs::remove(options_.state_dir + "/operator.log", ignored);
  if (made_state_dir_) fs::remove(options_.state_dir, ignored);  // only if empty: a user may have put something there
}

void LocalCluster::Stop(bool keep_log) {
  if (lock_fd_ < 0) return;
  kubelet_thread_ = {};
  ticker_ = {};
  if (api_server_) api_server_->SetLogSource(nullptr);
  kubelet_.reset();
  if (api_server_) api_server_->Shutdown();
  server_.reset();
  RemoveStateDir(keep_log);
  ::close(lock_fd_);
  lock_fd_ = -1;
}

}  // namespace slotwright::local
