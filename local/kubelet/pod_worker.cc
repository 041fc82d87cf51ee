// The life of a pod.
#include "local/kubelet/pod_worker.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

namespace slotwright::local {

using reconciler::EventType;
using reconciler::Json;
using reconciler::ObjectPtr;
using reconciler::Result;
using reconciler::StringAt;
using reconciler::SystemClock;

namespace {

// Objects of different types arrive in any order; what is missing for longer is worth an event.
constexpr std::chrono::seconds kMountPatience{2};
// A pod whose object vanished without a word was force-deleted; the kubelet grants such a pod no more than this.
constexpr std::chrono::seconds kForcedGrace{2};

std::chrono::seconds SecondsAt(const Json& pod, std::initializer_list<const char*> path, int fallback) {
  const Json* value = reconciler::ValueAt(pod, path);
  return std::chrono::seconds(value != nullptr && value->is_number() ? value->get<int>() : fallback);
}

RestartPolicy PolicyOf(const Json& pod) {
  const std::string policy = StringAt(pod, {"spec", "restartPolicy"});
  if (policy == "Never") return RestartPolicy::kNever;
  return policy == "OnFailure" ? RestartPolicy::kOnFailure : RestartPolicy::kAlways;
}

// An init container is over once it succeeded, so that "Always" means "until then"; but one with a policy of its own
// is a sidecar.
RestartPolicy InitPolicyOf(const Json& pod, const Json& container) {
  if (StringAt(container, {"restartPolicy"}) == "Always") return RestartPolicy::kAlways;
  return PolicyOf(pod) == RestartPolicy::kNever ? RestartPolicy::kNever : RestartPolicy::kOnFailure;
}

Result<void> PatchStatus(const reconciler::Client& client, const reconciler::ObjectKey& key, const std::string& uid,
                         const Json& status) {
  const auto patched = client.Patch(reconciler::types::kPods, key, reconciler::PatchType::kMerge,
                                    {{"metadata", {{"uid", uid}}}, {"status", status}}, {.subresource = "status"});
  if (!patched) return std::unexpected(patched.error());
  return {};
}

}  // namespace

PodWorker::PodWorker(PodServices& services, const ObjectPtr& pod, std::function<void()> gone)
    : services_(services),
      pod_(pod),
      key_(reconciler::KeyOf(*pod)),
      uid_(reconciler::UidOf(*pod)),
      gone_(std::move(gone)),
      folder_(PodFolder(services.state_dir, key_, uid_)),
      start_time_(SystemClock().WallNow()) {
  const std::string phase = StringAt(*pod, {"status", "phase"});
  // An earlier kubelet has ended it; all that is left to do is to wait for its deletion.
  finished_ = phase == "Succeeded" || phase == "Failed";
  const Json* host_network = reconciler::ValueAt(*pod, {"spec", "hostNetwork"});
  host_network_ = host_network != nullptr && *host_network == true;
  volumes_.emplace(folder_ + "/volumes", [this](const auto& claim) { return services_.claims.Use(claim, uid_); });
  host_.emplace(ContainerHost{
      services.loop,
      services.images,
      services.logs,
      services.restart_backoff,
      key_,
      uid_,
      folder_,
      host_network_ ? services.host_ip : "",
      SecondsAt(*pod, {"spec", "terminationGracePeriodSeconds"}, 30),
      [this] { return Facts(); },
      [this](const Json& container) { return volumes_->Mounts(container, Facts()); },
      [this](EventType type, const std::string& reason, const std::string& message) { Record(type, reason, message); },
      [this] { Touch(); },
  });
  if (!finished_) MakeContainers();
  const auto deadline = SecondsAt(*pod, {"spec", "activeDeadlineSeconds"}, 0);
  if (deadline.count() > 0) {
    deadline_ = services.loop.After(deadline, [this] {
      Finish("DeadlineExceeded", "Pod was active on the node longer than the specified deadline");
    });
  }
  Touch();
}

PodWorker::~PodWorker() {
  // Before what they call back to.
  containers_.clear();
  init_containers_.clear();
  if (own_address_) services_.addresses.Release(host_->pod_ip);
}

void PodWorker::MakeContainers() {
  const Json spec = pod_->value("spec", Json::object());
  for (const auto& container : spec.value("initContainers", Json::array())) {
    init_containers_.push_back(std::make_unique<Container>(*host_, container, InitPolicyOf(*pod_, container),
                                                           FindContainerStatus(*pod_, StringAt(container, {"name"}))));
  }
  for (const auto& container : spec.value("containers", Json::array())) {
    containers_.push_back(std::make_unique<Container>(*host_, container, PolicyOf(*pod_),
                                                      FindContainerStatus(*pod_, StringAt(container, {"name"}))));
  }
}

void PodWorker::Update(const ObjectPtr& pod) {
  for (const char* field : {"labels", "annotations"}) {
    const Json* before = reconciler::ValueAt(*pod_, {"metadata", field});
    const Json* after = reconciler::ValueAt(*pod, {"metadata", field});
    if ((before == nullptr ? Json() : *before) != (after == nullptr ? Json() : *after)) mount_due_ = true;
  }
  pod_ = pod;
  if (reconciler::IsBeingDeleted(*pod)) {
    BeginTermination(SecondsAt(*pod, {"metadata", "deletionGracePeriodSeconds"}, 30));
  } else {
    const auto update = [&](const char* list, auto& containers) {
      for (const auto& spec : pod->value("spec", Json::object()).value(list, Json::array())) {
        for (auto& container : containers) {
          if (container->status().name == StringAt(spec, {"name"})) container->Update(spec);
        }
      }
    };
    update("initContainers", init_containers_);
    update("containers", containers_);
  }
  Touch();
}

void PodWorker::Vanished() {
  object_exists_ = false;
  BeginTermination(kForcedGrace);
  Touch();
}

void PodWorker::DataChanged(DataKind kind, const std::string& name) {
  if (!RefersTo(*pod_, kind, name)) return;
  mount_due_ = true;
  for (auto& container : init_containers_) container->Retry();
  for (auto& container : containers_) container->Retry();
  Touch();
}

void PodWorker::ClaimChanged() {
  if (mounted_) return;
  mount_due_ = true;
  Touch();
}

void PodWorker::Shutdown(std::chrono::seconds max_grace) {
  shutting_down_ = true;
  BeginTermination(std::min(host_->grace, max_grace));
  Touch();
}

// All changes of one moment make one look, and no container is ever changed from within its own call.
void PodWorker::Touch() {
  touch_ = services_.loop.After({}, [this] { Sync(); });
}

void PodWorker::Sync() {
  if (terminating_) return SyncTermination();
  if (!finished_ && PrepareVolumes()) SyncContainers();
  ReportStatus();
}

bool PodWorker::PrepareVolumes() {
  if (!mount_due_) return mounted_;
  if (host_->pod_ip.empty()) {
    auto address = services_.addresses.Take();
    if (!address) {
      mount_error_ = address.error().message;
      Record(EventType::kWarning, "FailedCreatePodSandBox", mount_error_);
      touch_ = services_.loop.After(std::chrono::seconds(5), [this] { Sync(); });
      return false;
    }
    host_->pod_ip = *address;
    own_address_ = true;
  }
  mount_due_ = false;
  const auto prepared = volumes_->Prepare(Facts());
  if (prepared) {
    mount_error_.clear();
    mount_event_.Cancel();
    mounted_ = true;
    return true;
  }
  if (mount_error_ != prepared.error().message) {
    mount_error_ = prepared.error().message;
    mount_event_ =
        services_.loop.After(kMountPatience, [this] { Record(EventType::kWarning, "FailedMount", mount_error_); });
  }
  // What is mounted already stays as it was, as with the kubelet.
  return mounted_;
}

void PodWorker::SyncContainers() {
  if (!SyncInitContainers() || finished_) return;
  for (auto& container : containers_) container->Ensure();
  if (AllEnded()) Finish("", "");
}

bool PodWorker::SyncInitContainers() {
  for (auto& init : init_containers_) {
    init->Ensure();
    if (init->status().sidecar ? init->status().started : init->succeeded()) continue;
    if (init->ended()) Finish("", "");
    return false;
  }
  return true;
}

void PodWorker::Finish(const std::string& failure_reason, const std::string& failure_message) {
  if (finished_ || terminating_) return;
  finished_ = true;
  failure_reason_ = failure_reason;
  failure_message_ = failure_message;
  for (auto& container : containers_) container->Stop(host_->grace);
  for (auto& init : init_containers_) init->Stop(host_->grace);
  Touch();
}

void PodWorker::BeginTermination(std::chrono::seconds grace) {
  terminating_ = true;
  deadline_.Cancel();
  mount_event_.Cancel();
  for (auto& container : containers_) container->Stop(grace);
  for (auto& init : init_containers_) init->Stop(grace);
}

bool PodWorker::AllEnded() const {
  return std::ranges::all_of(containers_, [](const auto& container) { return container->ended(); });
}

void PodWorker::SyncTermination() {
  const bool over = AllEnded() && std::ranges::all_of(init_containers_, [](const auto& init) { return init->ended(); });
  if (!over) return ReportStatus();
  if (object_exists_ && !shutting_down_) {
    ReportStatus();
    services_.writer.Submit(
        "pod/" + uid_, [key = key_, uid = uid_, status = reported_](const auto& client) -> Result<void> {
          if (!status.is_null()) {
            if (auto patched = PatchStatus(client, key, uid, status); !patched) return patched;
          }
          return client.Delete(reconciler::types::kPods, key, {.uid = uid, .grace_period = std::chrono::seconds(0)});
        });
  }
  Gone();
}

void PodWorker::Gone() {
  touch_.Cancel();
  services_.logs.Forget(key_, folder_);
  services_.claims.Release(uid_);
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
  const auto gone = gone_;
  gone();
}

void PodWorker::ReportStatus() {
  if (!object_exists_ || shutting_down_ || containers_.empty()) return;
  Json status = PodStatusOf(*pod_, reported_.is_null() ? pod_->value("status", Json()) : reported_, Report(),
                            SystemClock().WallNow());
  if (status == reported_) return;
  reported_ = status;
  services_.writer.Submit("pod/" + uid_, [key = key_, uid = uid_, status = std::move(status)](const auto& client) {
    return PatchStatus(client, key, uid, status);
  });
}

PodFacts PodWorker::Facts() const {
  return {pod_, host_->pod_ip, services_.host_ip, services_.config_maps, services_.secrets};
}

PodReport PodWorker::Report() const {
  PodReport report{.pod_ip = host_->pod_ip,
                   .host_ip = services_.host_ip,
                   .start_time = start_time_,
                   .terminating = terminating_,
                   .failure_reason = failure_reason_,
                   .failure_message = failure_message_};
  bool initialized = true;
  for (const auto& init : init_containers_) {
    report.init_containers.push_back(init->status());
    initialized = initialized && (init->status().sidecar ? init->status().started : init->succeeded());
    if (init->succeeded()) report.init_containers.back().ready = true;
  }
  for (const auto& container : containers_) {
    report.containers.push_back(container->status());
    auto& state = report.containers.back().state;
    if (!initialized && state.kind == ContainerState::Kind::kWaiting) state.reason = "PodInitializing";
  }
  return report;
}

void PodWorker::Record(EventType type, const std::string& reason, const std::string& message) {
  services_.events.Record(*pod_, type, reason, message);
}

}  // namespace slotwright::local
