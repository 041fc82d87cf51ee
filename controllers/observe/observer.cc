// See observer.h.
#include "controllers/observe/observer.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "controllers/api/names.h"
#include "controllers/resources/configuration.h"
#include "controllers/resources/resources.h"
#include "controllers/topology/text.h"
#include "reconciler/base/base64.h"
#include "reconciler/base/log.h"

namespace slotwright {

using reconciler::ErrorKind;
using reconciler::Informer;
using reconciler::Json;
using reconciler::Result;
namespace types = reconciler::types;

namespace {

// A good password is read again now and then, a bad one soon: somebody is about to put it right.
constexpr auto kPasswordLife = std::chrono::seconds(30);
constexpr auto kProblemLife = std::chrono::seconds(1);

// "ErrImagePull: …" of the first container that cannot start, or why the pod cannot be scheduled.
std::string TroubleOf(const Json& pod) {
  if (const auto* statuses = reconciler::ValueAt(pod, {"status", "containerStatuses"})) {
    for (const auto& status : *statuses) {
      const std::string reason = reconciler::StringAt(status, {"state", "waiting", "reason"});
      if (reason.empty() || reason == "ContainerCreating" || reason == "PodInitializing") continue;
      return fmt::format("{}: {}", reason, reconciler::StringAt(status, {"state", "waiting", "message"}));
    }
  }
  if (const auto* conditions = reconciler::ValueAt(pod, {"status", "conditions"})) {
    for (const auto& condition : *conditions) {
      if (condition.value("type", "") == "PodScheduled" && condition.value("status", "") == "False") {
        return fmt::format("{}: {}", condition.value("reason", ""), condition.value("message", ""));
      }
    }
  }
  const std::string phase = reconciler::StringAt(pod, {"status", "phase"});
  if (phase == "Failed" || phase == "Succeeded") {
    return fmt::format("{}: {}", phase, reconciler::StringAt(pod, {"status", "reason"}));
  }
  return "";
}

// As the kubelet says, in seconds. `created`: the pod was.
reconciler::WallTime LastChangeOf(const Json& pod, reconciler::WallTime created) {
  auto last = created;
  const auto* statuses = reconciler::ValueAt(pod, {"status", "containerStatuses"});
  if (statuses == nullptr) return last;
  for (const auto& status : *statuses) {
    for (const auto& said : {reconciler::StringAt(status, {"state", "running", "startedAt"}),
                             reconciler::StringAt(status, {"state", "terminated", "finishedAt"}),
                             reconciler::StringAt(status, {"lastState", "terminated", "finishedAt"})}) {
      if (!said.empty()) last = std::max(last, reconciler::ParseTime(said));
    }
  }
  return last;
}

PodView ReadPod(const Json& pod, const RedisCluster& cluster) {
  PodView view;
  view.name = reconciler::KeyOf(pod).name;
  view.uid = reconciler::UidOf(pod);
  view.shard = NumberLabel(pod, labels::kShard);
  view.index = NumberLabel(pod, labels::kIndex);
  view.ip = reconciler::StringAt(pod, {"status", "podIP"});
  view.node = reconciler::StringAt(pod, {"spec", "nodeName"});
  for (const auto& key : cluster.spec.placement.topology_keys) {
    const std::string domain = key == "kubernetes.io/hostname" ? view.node : reconciler::LabelOf(pod, key);
    if (!domain.empty()) view.domains[key] = domain;
  }
  view.phase = reconciler::StringAt(pod, {"status", "phase"});
  view.created = reconciler::ParseTime(reconciler::StringAt(pod, {"metadata", "creationTimestamp"}));
  view.container_changed = LastChangeOf(pod, view.created);
  view.terminating = reconciler::IsBeingDeleted(pod);
  view.ours = reconciler::ControllerUidOf(pod) == cluster.uid;
  view.hash = reconciler::AnnotationOf(pod, annotations::kPodHash);
  view.live_notes = ParseLiveNotes(reconciler::AnnotationOf(pod, annotations::kLiveConfig));
  view.trouble = TroubleOf(pod);
  view.restarts = pod.value(Json::json_pointer("/status/containerStatuses/0/restartCount"), 0);
  if (const auto* conditions = reconciler::ValueAt(pod, {"status", "conditions"})) {
    view.ready = std::ranges::any_of(*conditions, [](const Json& condition) {
      return condition.value("type", "") == "Ready" && condition.value("status", "") == "True";
    });
  }
  return view;
}

std::vector<std::string> InstanceIndex(const Json& object) {
  const std::string instance = reconciler::LabelOf(object, labels::kInstance);
  if (instance.empty()) return {};
  return {reconciler::KeyOf(object).ns + "/" + instance};
}

}  // namespace

Caches::Caches()
    : clusters(kRedisClusters),
      pods(types::kPods),
      services(types::kServices),
      config_maps(types::kConfigMaps),
      budgets(types::kPodDisruptionBudgets),
      claims(types::kPersistentVolumeClaims) {
  for (auto* informer : All()) {
    if (informer != &clusters) informer->AddIndex("instance", InstanceIndex);
  }
}

std::vector<Informer*> Caches::All() { return {&clusters, &pods, &services, &config_maps, &budgets, &claims}; }

Observer::Observer(const reconciler::Client& client, const Caches& caches, Commander& commander,
                   reconciler::Clock& clock)
    : client_(client), caches_(caches), commander_(commander), clock_(clock) {}

Observer::CachedPassword Observer::ReadPassword(const RedisCluster& cluster) {
  const reconciler::ObjectKey key{cluster.ns, cluster.name};
  const std::string secret_name = cluster.password_secret();
  // Whoever is to be healed must not wait until Secrets can be read again. Servers refuse one that is wrong by now.
  std::optional<CachedPassword> known;
  // Nor must all clusters wait for an API server that is slow, one worker each: one of those whose password is known is
  // read anew at a time.
  std::unique_lock refresh(refresh_mutex_, std::defer_lock);
  {
    const std::lock_guard lock(mutex_);
    const auto cached = passwords_.find(key);
    if (cached != passwords_.end() && cached->second.cluster_uid == cluster.uid &&
        cached->second.secret == secret_name && cached->second.key == cluster.spec.auth.key) {
      const bool trusted = cached->second.view.state == PasswordView::State::kUsable && !cached->second.doubtful;
      const auto age = clock_.Now() - cached->second.read_at;
      if (age < (trusted ? reconciler::Duration(kPasswordLife) : reconciler::Duration(kProblemLife))) {
        return cached->second;
      }
      if (cached->second.view.state == PasswordView::State::kUsable) {
        if (!refresh.try_lock()) return cached->second;
        known = cached->second;
      }
    }
  }
  CachedPassword fresh{.view = {},
                       .password = "",
                       .read_at = clock_.Now(),
                       .doubtful = false,
                       .cluster_uid = cluster.uid,
                       .secret = secret_name,
                       .key = cluster.spec.auth.key};
  const auto secret = client_.Get(types::kSecrets, {cluster.ns, secret_name});
  if (!secret) {
    if (secret.error().kind == ErrorKind::kNotFound) {
      ForgetPassword(key);  // the next round may create it
      return fresh;
    }
    if (known) {
      reconciler::Log(reconciler::LogLevel::kWarn,
                      "the Secret cannot be read; going on with the password that is known",
                      {{"cluster", cluster.ns + "/" + cluster.name}, {"error", secret.error().message}});
      known->read_at = clock_.Now();
      const std::lock_guard lock(mutex_);
      return passwords_[key] = *known;
    }
    fresh.view = {.state = PasswordView::State::kUnreadable, .problem = secret.error().message};
    return fresh;
  }
  // The generated one of a namesake that was deleted goes with it in a moment.
  const std::string owner = reconciler::ControllerUidOf(*secret);
  if (cluster.generates_password() && !owner.empty() && owner != cluster.uid) {
    ForgetPassword(key);
    return fresh;
  }
  const std::string encoded = reconciler::StringAt(*secret, {"data", cluster.spec.auth.key.c_str()});
  if (reconciler::ValueAt(*secret, {"data", cluster.spec.auth.key.c_str()}) == nullptr) {
    fresh.view.state = PasswordView::State::kMissingKey;
  } else {
    fresh.password = reconciler::DecodeBase64(encoded).value_or("");
    const auto problem = PasswordProblem(fresh.password);
    fresh.view.state = problem ? PasswordView::State::kRefused : PasswordView::State::kUsable;
    fresh.view.problem = problem.value_or("");
  }
  const std::lock_guard lock(mutex_);
  passwords_[key] = fresh;
  return fresh;
}

// It may have been changed, or put right; or who refuses it is none of ours, and goes on doing so.
void Observer::DoubtPassword(const reconciler::ObjectKey& cluster) {
  const std::lock_guard lock(mutex_);
  if (const auto cached = passwords_.find(cluster); cached != passwords_.end()) cached->second.doubtful = true;
}

void Observer::ForgetPassword(const reconciler::ObjectKey& cluster) {
  const std::lock_guard lock(mutex_);
  passwords_.erase(cluster);
}

void Observer::CollectObjects(Observation& observation) const {
  const auto& cluster = observation.cluster;
  const std::map<std::string, const Informer*> informers = {{types::kServices.kind, &caches_.services},
                                                            {types::kConfigMaps.kind, &caches_.config_maps},
                                                            {types::kPodDisruptionBudgets.kind, &caches_.budgets},
                                                            {types::kPersistentVolumeClaims.kind, &caches_.claims}};
  for (const auto& [kind, informer] : informers) {
    for (const auto& object : informer->ByIndex("instance", cluster.ns + "/" + cluster.name)) {
      observation.objects[{kind, reconciler::KeyOf(*object).name}] = object;
    }
  }
  // Whoever sits on one of our names, labelled or not.
  for (const auto& [type, name] : NamesOfDesiredObjects(cluster)) {
    if (const auto object = informers.at(type.kind)->Get({cluster.ns, name})) {
      observation.objects[{type.kind, name}] = object;
    }
  }
}

void Observer::CollectPods(Observation& observation) const {
  const auto& cluster = observation.cluster;
  for (const auto& pod : caches_.pods.ByIndex("instance", cluster.ns + "/" + cluster.name)) {
    PodView view = ReadPod(*pod, cluster);
    // Somebody else's pod with our labels is none of ours, unless it sits on one of our names.
    if (view.shard < 0 || view.index < 0 || view.name != PodNameOf(cluster.name, view.shard, view.index)) continue;
    observation.pods.push_back(std::move(view));
  }
  std::ranges::sort(observation.pods, {}, [](const PodView& pod) { return std::pair(pod.shard, pod.index); });
}

Result<void> Observer::AskNodes(Look& look, std::chrono::milliseconds budget) {
  auto& observation = look.observation;
  const auto& cluster = observation.cluster;
  for (const auto& pod : observation.pods) {
    if (pod.ip.empty() || !pod.ours || pod.phase != "Running" || (pod.terminating && !cluster.moves_slots())) continue;
    auto& nodes = pod.terminating ? observation.ending : observation.nodes;
    nodes.push_back({.pod = pod.name, .shard = pod.shard, .index = pod.index, .endpoint = {pod.ip, cluster.spec.port}});
  }
  std::vector<NodeView*> asked;
  for (auto* nodes : {&observation.nodes, &observation.ending}) {
    for (auto& node : *nodes) asked.push_back(&node);
  }
  std::vector<NodeRequest> requests;
  for (const NodeView* node : asked) {
    requests.push_back(
        {node->endpoint,
         look.password,
         {{"CLUSTER", "NODES"}, {"CLUSTER", "INFO"}, {"INFO"}, {"CONFIG", "GET", "repl-diskless-sync-delay"}}});
  }
  const auto results = commander_.Run(requests, budget);
  for (size_t i = 0; i < results.size(); ++i) {
    NodeView& node = *asked[i];
    // Not silent: nobody looked.
    if (!results[i] && results[i].error().kind == RedisError::Kind::kFenced) {
      return reconciler::Fail(ErrorKind::kCancelled, results[i].error().message);
    }
    if (results[i]) {
      ReadReplies(*results[i], HostnameOf(cluster.ns, cluster.name, node.pod), node);
    } else {
      node.error = results[i].error().message;
      node.unauthorized = results[i].error().kind == RedisError::Kind::kAuth;
    }
  }
  if (std::ranges::any_of(observation.nodes, &NodeView::unauthorized)) DoubtPassword({cluster.ns, cluster.name});
  return {};
}

// Where the keys of an unfinished migration are decides how it ends.
void Observer::CountKeysInOpenSlots(Look& look, std::chrono::milliseconds budget) {
  std::set<Slot> open;
  std::vector<NodeView*> asked;
  for (auto* nodes : {&look.observation.nodes, &look.observation.ending}) {
    for (auto& node : *nodes) {
      if (!node.Answers() || !node.me().flags.master) continue;
      asked.push_back(&node);
      for (const auto& slot : node.me().open_slots) open.insert(slot.slot);
    }
  }
  if (open.empty()) return;
  std::vector<NodeRequest> requests;
  for (const NodeView* node : asked) {
    NodeRequest request{node->endpoint, look.password, {}, node->id()};
    for (const Slot slot : open) request.commands.push_back({"CLUSTER", "COUNTKEYSINSLOT", std::to_string(slot)});
    requests.push_back(std::move(request));
  }
  const auto results = commander_.Run(requests, budget);
  for (size_t i = 0; i < results.size(); ++i) {
    if (!results[i]) continue;
    size_t k = 0;
    for (const Slot slot : open) {
      const Reply& reply = (*results[i])[k++];
      if (reply.type == Reply::Type::kInteger) asked[i]->keys_in_open_slots[slot] = reply.integer;
    }
  }
}

// Only Valkey 9 and newer know the command; Redis says it in CLUSTER INFO.
void Observer::CountMigrations(Look& look, std::chrono::milliseconds budget) {
  std::vector<NodeRequest> requests;
  std::vector<NodeView*> asked;
  for (auto& node : look.observation.nodes) {
    if (!node.Answers()) continue;
    node.active_migrations = node.info.active_migrations;
    const bool knows = node.server.engine == "valkey" && std::atoi(node.server.version.c_str()) >= 9;
    if (!knows || !node.me().flags.master) continue;
    requests.push_back({node.endpoint, look.password, {{"CLUSTER", "GETSLOTMIGRATIONS"}}, node.id()});
    asked.push_back(&node);
  }
  if (requests.empty()) return;
  const auto results = commander_.Run(requests, budget);
  for (size_t i = 0; i < results.size(); ++i) {
    // Who does not answer now may be in the middle of one.
    const bool said = results[i] && !results[i]->front().IsError();
    asked[i]->active_migrations = said ? CountActiveMigrations(results[i]->front()) : 1;
  }
}

Result<Look> Observer::Observe(const RedisCluster& cluster, std::chrono::milliseconds budget) {
  auto password = ReadPassword(cluster);
  Look look{.observation = {.cluster = cluster, .now = clock_.WallNow(), .password = password.view},
            .password = std::move(password.password)};
  CollectObjects(look.observation);
  CollectPods(look.observation);
  if (look.observation.password.state == PasswordView::State::kUsable) {
    if (const auto asked = AskNodes(look, budget); !asked) return std::unexpected(asked.error());
    CountKeysInOpenSlots(look, budget);
    CountMigrations(look, budget);
  }
  return look;
}

int CountActiveMigrations(const Reply& reply) {
  return static_cast<int>(std::ranges::count_if(reply.elements, [](const Reply& job) {
    for (size_t i = 0; i + 1 < job.elements.size(); i += 2) {
      if (job.elements[i].text != "state") continue;
      const std::string& state = job.elements[i + 1].text;
      return state != "success" && state != "failed" && state != "cancelled";
    }
    return false;
  }));
}

void ReadReplies(const std::vector<Reply>& replies, const std::string& hostname, NodeView& node) {
  for (const Reply& reply : replies) {
    if (!reply.IsError()) continue;
    node.loading = reply.text.starts_with("LOADING");
    node.error = text::ForMessage(reply.text);
    return;
  }
  if (replies.size() != 4) {
    node.error = fmt::format("{} replies instead of 4", replies.size());
    return;
  }
  ServerInfo server = ParseServerInfo(replies[2].text);
  // Redis says LOADING to the other questions; Valkey answers them, by what it has loaded so far.
  if (server.loading) {
    node.loading = true;
    node.error = "it is loading its data";
    return;
  }
  auto table = ParseClusterNodes(replies[0].text);
  if (!table) {
    node.error = "its CLUSTER NODES makes no sense: " + table.error();
    return;
  }
  node.foreign = table->myself().hostname != hostname;
  node.table = std::move(*table);
  node.info = ParseClusterInfo(replies[1].text);
  node.server = std::move(server);
  const std::string delay = replies[3].elements.size() == 2 ? replies[3].elements[1].text : "";
  node.quarantined = delay == kQuarantineDelay;
  node.leaving = delay == kLeavingDelay;
}

}  // namespace slotwright
