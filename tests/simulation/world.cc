// See world.h. Pods are in kubelet.cc, misfortunes, promises and writes in files of their own.
#include "tests/simulation/world.h"

#include <fmt/format.h>

#include <algorithm>

#include "controllers/api/conditions.h"
#include "controllers/api/names.h"
#include "operator/crd.h"
#include "reconciler/base/yaml.h"
#include "tests/simulation/operator_life.h"

namespace slotwright::simulation {

using reconciler::Json;
using reconciler::ObjectKey;
namespace types = reconciler::types;

namespace {

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
  bus_.on_overruled = [this](const Node& loser, const NodeId& claimant) { ExcuseWhatIsOverruled(loser, claimant); };
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
  const Json::json_pointer lost_shard("/healing/lostShard");
  was_ever_to_serve_empty_ = was_ever_to_serve_empty_ || spec.value(lost_shard, "") == "AssignEmpty";
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
  paused_at_ = paused ? std::optional(simulator.Now()) : std::nullopt;
  const Json annotations = {{annotations::kPaused, paused ? Json("true") : Json()}};
  (void)user_->Patch(kRedisClusters, kCluster, reconciler::PatchType::kMerge,
                     {{"metadata", {{"annotations", annotations}}}});
}

bool World::IsPausedForLong() const {
  constexpr std::chrono::seconds kLong{10};  // a slice, with all that it may have to wait for
  if (!paused_at_ || life_ == nullptr || life_->api->outage) return false;
  return simulator.Now() - std::max(*paused_at_, outage_ended_) > kLong + lag_high_;
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
  paused_at_.reset();
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
  const int effects_before = effects.count();
  const bool is_at_rest = IsPausedForLong();
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
  if (is_at_rest) InspectRest(effects_before);
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
