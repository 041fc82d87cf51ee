// See world.h. Kubernetes and its misfortunes; the promises are in promises.cc.
#include "tests/simulation/world.h"

#include <fmt/format.h>

#include <algorithm>

#include "controllers/api/conditions.h"
#include "controllers/api/names.h"
#include "controllers/resources/configuration.h"
#include "operator/crd.h"
#include "reconciler/base/base64.h"
#include "reconciler/base/yaml.h"
#include "tests/simulation/operator_life.h"

namespace slotwright::simulation {

using reconciler::Json;
using reconciler::ObjectKey;
namespace types = reconciler::types;

namespace {

const ObjectKey kCluster{"default", "demo"};

const std::vector<Json>& Crds() {
  static const std::vector<Json> kCrds = *reconciler::ParseYaml(std::string(kCrdYaml));
  return kCrds;
}

}  // namespace

World::World(std::uint64_t seed)
    : simulator(seed),
      bus_(simulator, NodeTimeout()),
      server_({.clock = &simulator, .seed = seed + 1, .tracks_owners = false}),
      users_way_(std::make_shared<SimApi>(
          server_.InProcessTransport(), simulator, nullptr,
          [this](const std::string& plural, const ObjectKey& key) { OnChange(plural, key); }, nullptr, nullptr)),
      user_(std::make_unique<reconciler::Client>(users_way_, reconciler::Client::Options{}, simulator)),
      restart_at_(simulator.Now()) {
  bus_.on_election = [this](const Node& winner, bool by_themselves) { ExcuseAtElection(winner, by_themselves); };
  for (const Json& crd : Crds()) (void)user_->Create(types::kCustomResourceDefinitions, crd);
}

World::~World() = default;

void World::Trace() {
  trace_ = true;
  effects.trace = [this](const std::string& what) {
    const auto since = std::chrono::duration<double>(simulator.Now().time_since_epoch() - std::chrono::hours(1000));
    fmt::print("{:9.3f} {}\n", since.count(), what);
  };
  bus_.trace = effects.trace;
}

void World::Violated(const std::string& what) {
  if (trace_) effects.trace(fmt::format("BROKEN PROMISE: {}\n{}", what, Tables()));
  violations_.push_back(what);
}

void World::Apply(const Json& spec) {
  if (const auto problem = TryApply(spec); !problem.empty()) Violated("the resource was refused: " + problem);
}

std::string World::TryApply(const Json& spec) {
  if (effects.trace) effects.trace("the user applies " + spec.dump());
  const auto problem_of = [](const auto& result) { return result ? "" : result.error().message; };
  if (server_.Stored(kRedisClusters, kCluster)) {
    return problem_of(user_->Patch(kRedisClusters, kCluster, reconciler::PatchType::kMerge, {{"spec", spec}}));
  }
  Json object = {{"apiVersion", kRedisClusters.ApiVersion()},
                 {"kind", kRedisClusters.kind},
                 {"metadata", {{"name", kCluster.name}, {"namespace", kCluster.ns}}},
                 {"spec", {{"image", "redis:7.0"}}}};
  object["spec"].merge_patch(spec);
  return problem_of(user_->Create(kRedisClusters, object));
}

void World::Pause(bool paused) {
  if (effects.trace) effects.trace(paused ? "the user pauses it" : "the user lets it go on");
  const Json annotations = {{annotations::kPaused, paused ? Json("true") : Json()}};
  (void)user_->Patch(kRedisClusters, kCluster, reconciler::PatchType::kMerge,
                     {{"metadata", {{"annotations", annotations}}}});
}

namespace {

const auto& TypesOfACluster() {
  static const std::vector kTypes = {types::kPods,
                                     types::kServices,
                                     types::kConfigMaps,
                                     types::kSecrets,
                                     types::kPodDisruptionBudgets,
                                     types::kPersistentVolumeClaims};
  return kTypes;
}

}  // namespace

void World::DeleteCluster() {
  Misfortune("the user deletes the cluster");
  StopClients();
  is_deleted_ = true;
  std::vector<std::pair<std::string, ObjectKey>> owned;
  for (const auto& type : TypesOfACluster()) {
    const auto page = user_->ListAll(type, {.ns = kCluster.ns});
    for (const Json& object : page->items) owned.emplace_back(type.plural, reconciler::KeyOf(object));
  }
  deleted_spec_ = server_.Stored(kRedisClusters, kCluster)->at("spec");
  (void)user_->Delete(kRedisClusters, kCluster);
  for (const auto& [plural, key] : owned) OnChange(plural, key);  // the garbage collector is a part of the server
}

void World::MakeAnew(bool empty) {
  if (empty) written_.clear();
  is_deleted_ = false;
  Apply(deleted_spec_);
}

std::vector<std::string> World::LeftOvers(bool claims_stay) {
  std::vector<std::string> names;
  for (const auto& type : TypesOfACluster()) {
    if (claims_stay && type.kind == types::kPersistentVolumeClaims.kind) continue;
    const auto page = user_->ListAll(type, {.ns = kCluster.ns});
    for (const Json& object : page->items) names.push_back(type.kind + " " + reconciler::KeyOf(object).name);
  }
  return names;
}

void World::PutSecret(const std::string& name, const std::string& key, const std::string& text) {
  (void)user_->Create(types::kSecrets, {{"apiVersion", "v1"},
                                        {"kind", "Secret"},
                                        {"metadata", {{"name", name}, {"namespace", kCluster.ns}}},
                                        {"stringData", {{key, text}}}});
}

// Caches

void World::OnChange(const std::string& plural, const ObjectKey& key) {
  if (plural == kRedisClusters.plural) {
    if (const auto object = server_.Stored(kRedisClusters, kCluster)) {
      const int now = 1 + object->at("spec").value("replicasPerMaster", 1);
      least_pods_per_shard_ = std::min(least_pods_per_shard_, now);
      if (now != pods_per_shard_) {
        pods_per_shard_ = now;
        simulator.After(lag_high_ + std::chrono::seconds(3), [this, now] {
          if (pods_per_shard_ == now) least_pods_per_shard_ = now;
        });
      }
    }
    said_.reset();
    ready_.reset();
  }
  if (plural == "pods") OnPod(key);
  if (plural == "persistentvolumeclaims" && !server_.Stored(types::kPersistentVolumeClaims, key))
    volumes_.erase(key.name);
  if (life_ == nullptr) return;
  simulator.After(simulator.RandomMs(static_cast<int>(lag_low_.count()), static_cast<int>(lag_high_.count())),
                  [this, plural, key, life = lives_] { Feed(plural, key, life); });
}

// What the API server has by then: events that pass each other on the way would be an older state after a newer one,
// which no watch shows.
void World::Feed(const std::string& plural, const ObjectKey& key, std::uint64_t life) {
  if (life_ == nullptr || life != lives_) return;
  for (auto* informer : life_->caches.All()) {
    if (informer->type().plural != plural) continue;
    if (const auto object = server_.Stored(informer->type(), key)) {
      informer->Upsert(*object);
    } else {
      informer->Remove(key);
    }
  }
}

// Pods

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
  if (process.container.at("image") == kMissingImage) return ReportMissingImage(key.name);
  if ((process.has_volume && ClaimUidOf(key.name).empty()) || PasswordOf(key.name).empty()) {
    simulator.After(milliseconds(100), [this, key, uid] { StartPod(key, uid); });  // Pending
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
  Node& node = bus_.Start(process.endpoint, process.hostname, PasswordOf(pod), std::move(disk));
  node.directives = std::move(directives);
  node.quarantined = fresh;
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
  if (process.restarts == 0) {
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
  const Json running = {{"running", Json::object()}};
  const Json container = {
      {"name", "redis"}, {"restartCount", process.restarts}, {"state", process.trouble.empty() ? running : waiting}};
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

std::vector<std::string> World::Pods() const {
  std::vector<std::string> pods;
  for (const auto& [pod, process] : processes_) {
    if (process.running && !process.terminating) pods.push_back(pod);
  }
  return pods;
}

std::vector<std::string> World::Processes() const {
  std::vector<std::string> processes;
  for (const auto& pod : Pods()) {
    const Process& process = processes_.at(pod);
    processes.push_back(fmt::format("{} {} {}", pod, process.uid, process.restarts));
  }
  return processes;
}

bool World::IsCopied(const std::string& pod) const {
  const Node* node = NodeOf(pod);
  if (node == nullptr) return false;
  return std::ranges::any_of(processes_, [&](const auto& entry) {
    const Node* other = NodeOf(entry.first);
    if (other == nullptr || other == node || !other->works() || entry.second.terminating) return false;
    if (to_be_evicted_.contains(entry.second.uid)) return false;
    const auto follows = [](const Node& replica, const Node& master) {
      return !replica.me().master && replica.me().master_id == master.id() && replica.link_up();
    };
    return node->me().master ? follows(*other, *node) : other->me().master && follows(*node, *other);
  });
}

Node* World::NodeOf(const std::string& pod) const {
  const auto found = processes_.find(pod);
  return found == processes_.end() || !found->second.running ? nullptr : bus_.At(found->second.endpoint);
}

// The operator

void World::StartOperator() {
  ++lives_;
  auto api = std::make_shared<SimApi>(
      server_.InProcessTransport(), simulator, &effects,
      [this](const std::string& plural, const ObjectKey& key) {
        operator_acts_ = true;
        OnChange(plural, key);
        operator_acts_ = false;
      },
      [this](const reconciler::HttpRequest& request) { return InspectRequest(request); },
      [this](const std::string& broken) { Violated(broken); });
  auto commander = std::make_unique<SimCommander>(
      bus_, effects,
      [this](const Node& node, std::span<const Command> commands, const std::function<void()>& carry_out) {
        InspectCommands(node, commands, carry_out);
      });
  life_ = std::make_unique<Life>(simulator, std::move(api), std::move(commander));
  for (auto* informer : life_->caches.All()) {
    auto page = user_->ListAll(informer->type(), {});
    informer->Replace(page ? std::move(page->items) : std::vector<Json>());
  }
}

void World::Step(MonotonicTime end) {
  InspectStoredReady();
  if (life_ == nullptr) {
    wrong_since_.reset();
    simulator.RunUntil(std::min(end, std::max(restart_at_, simulator.Now())));
    if (simulator.Now() >= restart_at_) StartOperator();
    return;
  }
  const auto key = life_->queue.TryGet();
  if (!key) {
    const auto due = life_->queue.NextDue().value_or(end);
    simulator.RunUntil(std::min({end, due, simulator.Now() + milliseconds(10)}));
    return;
  }
  try {
    const auto outcome = life_->controller.Reconcile(*key, {});
    if (!outcome) {
      life_->queue.AddRateLimited(*key);
    } else {
      life_->queue.Forget(*key);
      if (outcome->requeue_after) life_->queue.AddAfter(*key, std::max(*outcome->requeue_after, look_delay));
    }
    life_->queue.Done(*key);
  } catch (const OperatorDied&) {
    life_.reset();
    restart_at_ = simulator.Now() + simulator.RandomMs(10, 2000);
  }
}

void World::Run(Duration duration) {
  const auto end = simulator.Now() + duration;
  while (simulator.Now() < end) Step(end);
}

bool World::Converges(Duration limit) {
  const auto end = simulator.Now() + limit;
  while (simulator.Now() < end && violations_.empty()) {
    Run(milliseconds(200));
    if (!said_) {
      const auto object = server_.Stored(kRedisClusters, kCluster);
      const Json status = object ? object->value("status", Json::object()) : Json::object();
      said_ = object && SaysThatAllIsWell(status) &&
              status.value("observedGeneration", 0) == object->value(Json::json_pointer("/metadata/generation"), -1);
    }
    if (*said_) return true;
  }
  return false;
}

bool World::StaysSilent(Duration duration) {
  const int before = effects.count();
  Run(duration);
  return effects.count() == before;
}

std::string World::ReadyMessage() {
  const auto object = server_.Stored(kRedisClusters, kCluster);
  return FindCondition(object->value(Json::json_pointer("/status/conditions"), Json::array()), "Ready").dump();
}

std::string World::Tables() const {
  std::string text;
  for (Node* node : bus_.All()) {
    text += fmt::format("{} says{}{}\n{}\n", node->hostname(),
                        node->hung      ? " (hung)"
                        : node->loading ? " (loading)"
                                        : "",
                        node->side != 0 ? " (cut off)" : "", node->Execute({"CLUSTER", "NODES"}, false).text);
  }
  return text;
}

std::map<std::string, Json> World::Objects() {
  std::map<std::string, Json> objects;
  for (const auto& type : {types::kPods, types::kServices, types::kConfigMaps, types::kPodDisruptionBudgets,
                           types::kPersistentVolumeClaims}) {
    const auto page = user_->ListAll(type, {.ns = kCluster.ns});
    for (Json object : page->items) {
      object.erase("status");
      Json& metadata = object["metadata"];
      for (const char* own : {"uid", "resourceVersion", "generation", "creationTimestamp", "managedFields"}) {
        metadata.erase(own);
      }
      for (auto& owner : metadata["ownerReferences"]) owner.erase("uid");
      if (metadata["ownerReferences"].empty()) metadata.erase("ownerReferences");
      if (metadata.contains("annotations")) metadata["annotations"].erase(annotations::kLiveConfig);
      objects[type.kind + " " + metadata["name"].get<std::string>()] = std::move(object);
    }
  }
  return objects;
}

std::string World::Topology() {
  std::string text;
  for (const auto& [pod, process] : processes_) {
    const Node* node = NodeOf(pod);
    if (node != nullptr) text += fmt::format("{} knows {} nodes\n", pod, node->disk().table.size());
  }
  // One of several moves may be left undone at the end: the rest is even enough then. That is not for the operator's
  // own reckoning to say.
  const auto cluster = ParseRedisCluster(*server_.Stored(kRedisClusters, kCluster));
  const int share = kSlotCount / cluster->spec.masters;
  const int tolerance = std::max(1, share * cluster->spec.rebalance.threshold_percent / 100);
  const bool even = std::ranges::all_of(Ours(), [&](const Node* node) {
    const int size = node->me().slots.size();
    return !node->me().master || (size > 0 && std::abs(size - share) <= tolerance);
  });
  std::set<std::string> shards;
  for (const Node* node : Ours()) {
    const Peer& master = node->me();
    if (!master.master) continue;
    const auto replicas = std::ranges::count_if(
        Ours(), [&](const Node* other) { return !other->me().master && other->me().master_id == master.id; });
    shards.insert(fmt::format("shard {}: {} slots, {} replicas, {} open slots\n",
                              ShardAndIndexOf(kCluster.name, node->hostname())->first,
                              even ? "its share of the" : std::to_string(master.slots.size()), replicas,
                              node->disk().importing.size() + node->disk().migrating.size()));
  }
  for (const auto& shard : shards) text += shard;
  return text;
}

std::string World::EndState() {
  const Json status = server_.Stored(kRedisClusters, kCluster)->value("status", Json::object());
  const Json ready = FindCondition(status.value("conditions", Json::array()), "Ready");
  std::string text = Topology() + fmt::format("Ready {} {}, {}formed\n", ready.value("status", ""),
                                              ready.value("reason", ""), status.contains("formedAt") ? "" : "not ");
  for (const auto& [name, object] : Objects()) text += name + " " + object.dump() + "\n";
  return text;
}

}  // namespace slotwright::simulation
