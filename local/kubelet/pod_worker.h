// One pod from its appearance to its end: volumes, init containers, containers, status, graceful termination.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "local/kubelet/api_writer.h"
#include "local/kubelet/claims.h"
#include "local/kubelet/container.h"
#include "local/kubelet/ip_pool.h"
#include "local/kubelet/pod_volumes.h"

namespace slotwright::local {

/// What all pods of a kubelet share. Everything outlives the workers.
struct PodServices {
  EventLoop& loop;
  ImageResolver& images;
  LogFiles& logs;
  IpPool& addresses;
  Claims& claims;
  ApiWriter& writer;
  reconciler::EventRecorder& events;
  ObjectLookup config_maps;
  ObjectLookup secrets;
  std::string state_dir;
  std::string host_ip;
  reconciler::Duration restart_backoff;
};

/// Only in the loop's thread. Destroying it kills what runs.
class PodWorker {
 public:
  /// `gone` is called once, from the loop, when the pod has ended and its folder is removed; it may destroy the worker.
  PodWorker(PodServices& services, const reconciler::ObjectPtr& pod, std::function<void()> gone);
  ~PodWorker();
  PodWorker(const PodWorker&) = delete;
  PodWorker& operator=(const PodWorker&) = delete;

  /// A newer version of the same pod.
  void Update(const reconciler::ObjectPtr& pod);
  /// The object is gone: force-deleted, or we missed its deletion.
  void Vanished();
  /// A ConfigMap or Secret of its namespace has changed.
  void DataChanged(DataKind kind, const std::string& name);
  /// A claim of its namespace has changed.
  void ClaimChanged();
  /// The kubelet stops: ends the processes but leaves the object alone.
  void Shutdown(std::chrono::seconds max_grace);

  [[nodiscard]] const reconciler::ObjectPtr& pod() const { return pod_; }

 private:
  void MakeContainers();
  /// Something has changed: looks at everything anew, soon.
  void Touch();
  void Sync();
  [[nodiscard]] bool PrepareVolumes();
  void SyncContainers();
  /// True once all init containers are done.
  [[nodiscard]] bool SyncInitContainers();
  void Finish(const std::string& failure_reason, const std::string& failure_message);
  void BeginTermination(std::chrono::seconds grace);
  void SyncTermination();
  void ReportStatus();
  void Gone();
  [[nodiscard]] PodFacts Facts() const;
  [[nodiscard]] PodReport Report() const;
  [[nodiscard]] bool AllEnded() const;
  void Record(reconciler::EventType type, const std::string& reason, const std::string& message);

  PodServices& services_;
  reconciler::ObjectPtr pod_;
  const reconciler::ObjectKey key_;
  const std::string uid_;
  const std::function<void()> gone_;
  const std::string folder_;
  const reconciler::WallTime start_time_;
  bool host_network_ = false;
  bool own_address_ = false;
  bool mount_due_ = true;  ///< Something that volumes hold may have changed.
  bool mounted_ = false;
  bool finished_ = false;  ///< Succeeded or Failed: nothing is started any more.
  bool terminating_ = false;
  bool object_exists_ = true;
  bool shutting_down_ = false;
  std::string failure_reason_;
  std::string failure_message_;
  std::string mount_error_;
  reconciler::Json reported_;  ///< The status as last submitted.
  std::optional<PodVolumes> volumes_;
  std::optional<ContainerHost> host_;
  std::vector<std::unique_ptr<Container>> init_containers_;
  std::vector<std::unique_ptr<Container>> containers_;
  Timer touch_;
  Timer mount_event_;
  Timer deadline_;
};

}  // namespace slotwright::local
