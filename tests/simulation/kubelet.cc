// What becomes of a simulated world's pods: their kubelets, probes and hooks. See world.h.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "controllers/api/names.h"
#include "controllers/resources/configuration.h"
#include "reconciler/base/base64.h"
#include "tests/simulation/operator_life.h"
#include "tests/simulation/world.h"

namespace slotwright::simulation {

using reconciler::Json;
using reconciler::ObjectKey;
namespace types = reconciler::types;

void World::OnPod(const ObjectKey& key) {
  const auto pod = server_.Stored(types::kPods, key);
  Process& process = processes_[key.name];
  if (!pod && (process.has_ended || process.endpoint.host.empty())) process = {};  // nobody is there to be ended
  if (!pod) return;
  const std::string uid = reconciler::UidOf(*pod);
  if (process.uid != uid) {
    if (process.running) StopProcess(key.name);
    const auto& args = pod->at(Json::json_pointer("/spec/containers/0/args"));
    const auto option = std::ranges::find(args, "--cluster-announce-hostname");
    process = {.uid = uid,
               .hostname = std::next(option)->get<std::string>(),
               .options = DirectivesAmong(args),
               .container = pod->at(Json::json_pointer("/spec/containers/0")),
               .created = simulator.Now()};
    for (const auto& volume : pod->at("spec").value("volumes", Json::array())) {
      process.has_volume = process.has_volume || volume.contains("persistentVolumeClaim");
    }
    simulator.After(simulator.RandomMs(20, 300), [this, key, uid] { StartPod(key, uid); });
  }
  if (reconciler::IsBeingDeleted(*pod) && !process.terminating) {
    process.terminating = true;
    process.told_to_end = simulator.Now();
    process.ended_by_operator = operator_acts_;
    if (process.machine_lost) return;  // nobody is there to stop it
    ExcuseACoincidence(key.name);
    EndPod(key, uid, {});
  }
}

// As stop.sh does: slots that are being moved come first, for some seconds.
void World::EndPod(const ObjectKey& key, const std::string& uid, Duration waited) {
  if (processes_[key.name].uid != uid || processes_[key.name].machine_lost) return;
  constexpr std::chrono::seconds kMost{5};
  static constexpr milliseconds kBetween{500};
  const Node* node = NodeOf(key.name);
  const bool is_open =
      node != nullptr && node->me().master && !(node->disk().migrating.empty() && node->disk().importing.empty());
  if (is_open && waited < kMost) {
    simulator.After(kBetween, [this, key, uid, waited] { EndPod(key, uid, waited + kBetween); });
    return;
  }
  processes_[key.name].ended_as_replica = node != nullptr && !node->me().master;
  const milliseconds hook = HandOverBeforeTheEnd(key.name);
  simulator.After(hook + simulator.RandomMs(10, 300), [this, key, uid] { FinishPod(key, uid); });
}

// A master with a replica in sync hands its slots over. One hook in four comes to nothing.
milliseconds World::HandOverBeforeTheEnd(const std::string& pod) {
  const Node* master = NodeOf(pod);
  if (master == nullptr || !master->works() || master->me().slots.empty()) return milliseconds(0);
  if (simulator.Random(0, 3) == 0) return milliseconds(0);
  for (Node* heir : Ours()) {
    if (heir->me().master || heir->me().master_id != master->id() || !heir->link_up() || !heir->works()) continue;
    if (heir->Execute({"CLUSTER", "FAILOVER"}, false).IsError()) continue;
    return simulator.RandomMs(1000, 2600);  // until it is seen, and a second for clients to hear of it
  }
  return milliseconds(0);
}

std::string World::ClaimUidOf(const std::string& pod) {
  const auto claim = server_.Stored(types::kPersistentVolumeClaims, {kCluster.ns, "data-" + pod});
  return claim ? reconciler::UidOf(*claim) : "";
}

std::string World::FreeAddress() const {
  for (int i = 1;; ++i) {
    const std::string address = fmt::format("10.0.0.{}", i);
    const bool taken =
        std::ranges::any_of(processes_, [&](const auto& p) { return p.second.endpoint.host == address; }) ||
        bus_.At({address, 6379}) != nullptr;
    if (!taken) return address;
  }
}

std::string World::Password() {
  const auto secret = server_.Stored(types::kSecrets, {kCluster.ns, kCluster.name + "-auth"});
  return secret ? reconciler::DecodeBase64(reconciler::StringAt(*secret, {"data", "password"})).value_or("") : "";
}

// Of the Secret that it mounts.
std::string World::PasswordOf(const std::string& pod) {
  const auto object = server_.Stored(types::kPods, {kCluster.ns, pod});
  if (!object) return "";
  for (const auto& volume : object->at("spec").at("volumes")) {
    if (!volume.contains("secret")) continue;
    const auto& secret = volume["secret"];
    const auto found = server_.Stored(types::kSecrets, {kCluster.ns, secret["secretName"].get<std::string>()});
    if (!found) return "";
    const auto key = secret["items"][0]["key"].get<std::string>();
    const auto text = reconciler::StringAt(*found, {"data", key.c_str()});
    return reconciler::DecodeBase64(text).value_or("");
  }
  return "";
}

void World::StartPod(const ObjectKey& key, const std::string& uid) {
  Process& process = processes_[key.name];
  if (process.uid != uid || process.terminating) return;
  const auto object = server_.Stored(types::kPods, key);
  if (!object) return;
  if (reconciler::StringAt(*object, {"spec", "nodeName"}).empty()) return;  // Pending for good, as the scheduler says
  if (const auto wait = no_room_until_ - simulator.Now(); wait > Duration::zero()) {
    ReportUnschedulable(key.name);
    simulator.After(wait + simulator.RandomMs(1, 500), [this, key, uid] { StartPod(key, uid); });
    return;
  }
  if (process.container.at("image") == kMissingImage) return ReportMissingImage(key.name);
  if ((process.has_volume && ClaimUidOf(key.name).empty()) || PasswordOf(key.name).empty()) {
    if (process.has_volume && ClaimUidOf(key.name).empty()) ReportUnschedulable(key.name);
    simulator.After(milliseconds(100), [this, key, uid] { StartPod(key, uid); });
    return;
  }
  process.endpoint = {FreeAddress(), 6379};
  process.file = RedisConfNow();
  StartProcess(key.name);
}

Directives World::RedisConfNow() {
  const auto map = server_.Stored(types::kConfigMaps, {kCluster.ns, ConfigMapOf(kCluster.name)});
  return map ? DirectivesIn(*map) : Directives();
}

// As start.sh does: without data that survived it begins as a new node.
void World::StartProcess(const std::string& pod) {
  Process& process = processes_[pod];
  Directives directives = process.options;
  directives.insert(process.file.begin(), process.file.end());
  if (const std::string refusal = RefusalOf(directives); !refusal.empty()) {
    process.trouble = refusal;
    ReportContainer(pod);
    RestartContainer(pod, simulator.RandomMs(5000, 30'000));
    return;
  }
  std::optional<Disk> disk;
  process.claim_uid = ClaimUidOf(pod);
  if (process.has_volume) disk = volumes_["data-" + pod];
  if (disk && disk->table.size() == 1 && disk->table.at(disk->id).slots.empty()) disk.reset();  // it has left
  const bool fresh = !disk;
  const bool is_anothers_address = disk && std::ranges::any_of(disk->table, [&](const auto& entry) {
                                     return entry.first != disk->id && entry.second.endpoint == process.endpoint;
                                   });
  Node& node = bus_.Start(process.endpoint, process.hostname, PasswordOf(pod), std::move(disk));
  node.directives = std::move(directives);
  node.quarantined = fresh || is_anothers_address;
  if (!fresh && longest_load_ > Duration(0) && simulator.Random(0, 1) == 0) {
    node.loading = true;
    const auto load = simulator.RandomMs(0, static_cast<int>(longest_load_.count()));
    simulator.After(load, [this, endpoint = process.endpoint, id = node.id(), booted = node.booted()] {
      Node* loaded = bus_.At(endpoint);
      if (loaded != nullptr && loaded->id() == id && loaded->booted() == booted && loaded->loading)
        loaded->EndLoading();
    });
  }
  node.bus_offset = BusPortOf(kCluster.ns, kCluster.name, process.endpoint.port) - process.endpoint.port;
  process.running = true;
  process.started = simulator.Now();
  process.trouble.clear();
  process.ready = false;
  // The first one may not have come to run at all.
  if (!std::exchange(process.is_probed, true)) {
    ReportContainer(pod);
    Probe(pod, process.uid);
    return;
  }
  simulator.After(simulator.RandomMs(10, kReportDelay.count()), [this, pod, uid = process.uid] {
    const Process& again = processes_[pod];
    if (again.uid == uid && !again.machine_lost && !again.has_ended && again.running) ReportContainer(pod);
  });
}

void World::RestartContainer(const std::string& pod, Duration after) {
  simulator.After(after, [this, pod, uid = processes_[pod].uid] {
    Process& process = processes_[pod];
    if (process.uid != uid || process.terminating || process.running || process.has_ended) return;
    ++process.restarts;
    // The kubelet writes a file anew within a minute or two.
    if (simulator.Random(0, 1) == 0) process.file = RedisConfNow();
    StartProcess(pod);
  });
}

// As the kubelet does.
void World::ReportContainer(const std::string& pod) {
  const Process& process = processes_[pod];
  const Json waiting = {{"waiting", {{"reason", "CrashLoopBackOff"}, {"message", process.trouble}}}};
  const auto wall = [&](MonotonicTime time) {
    return reconciler::FormatTime(simulator.WallNow() -
                                  std::chrono::duration_cast<reconciler::WallTime::duration>(simulator.Now() - time));
  };
  const Json running = {{"running", {{"startedAt", wall(process.started)}}}};
  Json container = {
      {"name", "redis"}, {"restartCount", process.restarts}, {"state", process.trouble.empty() ? running : waiting}};
  if (process.restarts > 0) container["lastState"]["terminated"]["finishedAt"] = wall(process.stopped);
  const Json status = {
      {"phase", "Running"},
      {"podIP", process.endpoint.host},
      {"containerStatuses", Json::array({container})},
      {"conditions", Json::array({{{"type", "Ready"}, {"status", process.ready ? "True" : "False"}}})}};
  ReportStatus(pod, status);
}

void World::ReportMissingImage(const std::string& pod) {
  const Json waiting = {{"reason", "ErrImagePull"}, {"message", "manifest unknown"}};
  const Json container = {{"name", "redis"}, {"restartCount", 0}, {"state", {{"waiting", waiting}}}};
  ReportStatus(pod, {{"phase", "Pending"},
                     {"containerStatuses", Json::array({container})},
                     {"conditions", Json::array({{{"type", "Ready"}, {"status", "False"}}})}});
}

void World::ReportUnschedulable(const std::string& pod) {
  if (std::exchange(processes_[pod].is_unschedulable, true)) return;
  const Json condition = {{"type", "PodScheduled"}, {"status", "False"}, {"reason", "Unschedulable"}};
  ReportStatus(pod, {{"phase", "Pending"}, {"conditions", Json::array({condition})}});
}

void World::ReportStatus(const std::string& pod, const Json& status) {
  (void)user_->Patch(types::kPods, {kCluster.ns, pod}, reconciler::PatchType::kMerge, {{"status", status}},
                     {.subresource = "status", .field_manager = "", .force = false});
}

void World::SetReady(const std::string& pod, bool ready) {
  Process& process = processes_[pod];
  if (process.ready == ready) return;
  process.ready = ready;
  ReportContainer(pod);
}

// What ready.sh asks for.
bool World::IsFit(const Node& node) {
  return node.works() && !node.quarantined && (node.me().master || node.link_up());
}

bool World::HoldsSlots(const Node& node) { return !node.me().master || !node.me().slots.empty(); }

// The startup and readiness probes: started.sh and ready.sh, which ask the same. Who was Ready stays so until several
// in a row have failed.
void World::Probe(const std::string& pod, const std::string& uid) {
  Process& process = processes_[pod];
  if (process.uid != uid || process.terminating || process.machine_lost || process.has_ended) return;
  const Node* node = NodeOf(pod);
  const bool succeeds = node != nullptr && IsFit(*node);
  if (succeeds && HoldsSlots(*node)) process.fit = simulator.Now();
  const Json& probe = process.container.at(process.ready ? "readinessProbe" : "startupProbe");
  process.refusals = succeeds ? 0 : process.refusals + 1;
  const bool ready = succeeds || (process.ready && process.refusals < probe["failureThreshold"]);
  SetReady(pod, ready);
  simulator.After(std::chrono::seconds(probe["periodSeconds"]), [this, pod, uid] { Probe(pod, uid); });
}

void World::StopProcess(const std::string& pod) {
  Process& process = processes_[pod];
  const Node* node = bus_.At(process.endpoint);
  const bool keeps_its_claim = process.has_volume && ClaimUidOf(pod) == process.claim_uid;
  if (node != nullptr && keeps_its_claim) volumes_["data-" + pod] = node->disk();
  if (node != nullptr && !process.ended_by_operator) died_[node->id()] = simulator.Now();
  bus_.Stop(process.endpoint);
  process.running = false;
  process.stopped = simulator.Now();
}

void World::FinishPod(const ObjectKey& key, const std::string& uid) {
  Process& process = processes_[key.name];
  if (process.uid != uid) return;
  const Endpoint freed = process.endpoint;
  AccuseOfLosses();
  // Another pod that ends handed over to it: nobody can tell a pod that another one ends as well.
  const Node* node = NodeOf(key.name);
  const bool made_master = process.ended_as_replica && node != nullptr && node->me().master;
  StopProcess(key.name);
  if (!process.ended_by_operator || made_master) ExcuseWhatNobodyHas();
  process = {};
  (void)user_->Delete(types::kPods, key, {.uid = uid, .resource_version = "", .grace_period = std::chrono::seconds(0)});
  MoveAStrangerTo(freed);
}

}  // namespace slotwright::simulation
