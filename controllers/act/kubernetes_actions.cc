// See kubernetes_actions.h.
#include "controllers/act/kubernetes_actions.h"

#include <fmt/format.h>
#include <openssl/rand.h>

#include <algorithm>
#include <array>

#include "controllers/api/names.h"
#include "controllers/resources/configuration.h"
#include "controllers/resources/resources.h"

namespace slotwright {

using reconciler::ErrorKind;
using reconciler::Json;
using reconciler::Result;

namespace {

// 32 characters of 64: 192 bits. Nothing that a shell, a URL or redis.conf would need quotes for.
Result<std::string> GeneratePassword() {
  constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::array<unsigned char, 32> random{};
  if (RAND_bytes(random.data(), static_cast<int>(random.size())) != 1) {
    return reconciler::Fail(ErrorKind::kInternal, "the system gives no random bytes for a password");
  }
  std::string password;
  for (const unsigned char byte : random) password += kAlphabet[byte % kAlphabet.size()];
  return password;
}

// An object that is not there, or that has been replaced by a namesake, has been deleted.
Result<void> Gone(Result<void> deleted) {
  const bool gone =
      !deleted && (deleted.error().kind == ErrorKind::kNotFound || deleted.error().kind == ErrorKind::kConflict);
  return gone ? Result<void>() : deleted;
}

constexpr const char* kPodRefused = "PodRefused";

bool IsForQuota(const std::string& error) { return error.find("exceeded quota") != std::string::npos; }

bool IsForGood(const reconciler::Error& error) {
  return (error.kind == ErrorKind::kInvalid || error.kind == ErrorKind::kForbidden) && !IsForQuota(error.message);
}

// A quota counts the pod that is to go as well, and there are webhooks that take no dry runs.
bool CannotBeTried(const reconciler::Error& error) {
  return IsForQuota(error.message) || error.message.find("does not support dry run") != std::string::npos;
}

// By its answers to CLUSTER NODES and INFO: it owns nothing, and has no keys or follows a master that has the same.
bool HasNothingThatNobodyElseHas(const std::vector<Reply>& replies) {
  const auto table = ParseClusterNodes(replies[0].text);
  if (!table || !table->myself().slots.empty() || !table->myself().open_slots.empty()) return false;
  const ServerInfo server = ParseServerInfo(replies[1].text);
  return (server.keys == 0 && !server.loading) || (!server.master_role && server.master_link_up);
}

// One that is nobody's may be meant for us: somebody has restored a snapshot into it.
bool IsAnothersClaim(const Json& claim, const RedisCluster& cluster) {
  const std::string owner = reconciler::ControllerUidOf(claim);
  const std::string manager = reconciler::LabelOf(claim, labels::kManagedBy);
  const std::string instance = reconciler::LabelOf(claim, labels::kInstance);
  const bool is_ours = owner == cluster.uid || (manager == "slotwright" && instance == cluster.name);
  return !is_ours && !(owner.empty() && manager.empty() && instance.empty());
}

bool HasLabelsOf(const Json& object, const Json& desired) {
  const Json labels = desired.at("metadata").value("labels", Json::object());
  for (const auto& [key, value] : labels.items()) {
    if (reconciler::LabelOf(object, key) != value.get<std::string>()) return false;
  }
  return true;
}

void RefuseTakenName(const reconciler::ResourceType& type, const std::string& name, Outcome& outcome) {
  outcome.refusal = "NameTaken";
  outcome.error = fmt::format(
      "{} {} exists already and does not belong to this RedisCluster; delete it if it is a left-over, or choose "
      "another name for the RedisCluster",
      type.kind, name);
}

}  // namespace

KubernetesActions::KubernetesActions(const reconciler::Client& client, Commander& commander, reconciler::Clock& clock,
                                     Refusals& refusals)
    : client_(client), commander_(commander), clock_(clock), refusals_(refusals) {}

// A name that exists already is our own earlier attempt, whose answer was lost or which the cache does not show yet, or
// it belongs to somebody else and is never touched.
void KubernetesActions::Create(const reconciler::ResourceType& type, const Json& object, const RedisCluster& cluster,
                               Outcome& outcome, const reconciler::CreateOptions& options) const {
  const auto created = client_.Create(type, object, options);
  if (created) return;
  outcome.error = created.error().message;
  if (type == reconciler::types::kPods && IsForGood(created.error())) outcome.refusal = kPodRefused;
  if (created.error().kind != ErrorKind::kAlreadyExists) return;
  const auto existing = client_.Get(type, reconciler::KeyOf(object));
  if (!existing) {
    outcome.error = existing.error().message;
    return;
  }
  outcome.error.clear();
  const std::string owner = reconciler::ControllerUidOf(*existing);
  if (type == reconciler::types::kSecrets && owner.empty()) return;
  const bool is_claim = type == reconciler::types::kPersistentVolumeClaims;
  if (is_claim ? IsAnothersClaim(*existing, cluster) : owner != cluster.uid) {
    return RefuseTakenName(type, reconciler::KeyOf(object).name, outcome);
  }
  // Without its labels no cache would ever show it, whoever took them away.
  if (reconciler::IsBeingDeleted(*existing) || HasLabelsOf(*existing, object)) return;
  const auto labelled = client_.Patch(type, reconciler::KeyOf(object), reconciler::PatchType::kMerge,
                                      {{"metadata", {{"labels", object.at("metadata").value("labels", Json())}}}});
  if (!labelled) outcome.error = labelled.error().message;
}

// With a claim of its name that is somebody else's a pod would start on their volume.
bool KubernetesActions::WouldMountAnothersVolume(const std::string& pod, const RedisCluster& cluster,
                                                 Outcome& outcome) const {
  const auto place = ShardAndIndexOf(cluster.name, pod);
  if (!cluster.spec.storage || !place) return false;
  const auto& type = reconciler::types::kPersistentVolumeClaims;
  const std::string name = ClaimNameOf(cluster.name, place->first, place->second);
  const auto claim = client_.Get(type, {cluster.ns, name});
  if (claim && IsAnothersClaim(*claim, cluster)) {
    RefuseTakenName(type, name, outcome);
  } else if (!claim && claim.error().kind != ErrorKind::kNotFound) {
    outcome.error = claim.error().message;
  }
  return !outcome.error.empty();
}

bool KubernetesActions::WouldBeTaken(const Json& pod, Outcome& outcome) const {
  Json trial = pod;
  trial["metadata"]["name"] = reconciler::KeyOf(pod).name + "-trial";
  const auto taken = client_.Create(reconciler::types::kPods, trial, {.strict = true, .dry_run = true});
  if (taken || CannotBeTried(taken.error())) return true;
  outcome.error = "the API server would refuse the pod that is to come instead: " + taken.error().message;
  if (IsForGood(taken.error())) outcome.refusal = kPodRefused;
  return false;
}

// An eviction is granted in one step and carried out in the next. Who dies between the two leaves a budget that holds
// the place for that pod, and refuses everybody, for two minutes (DeletionTimeout of Kubernetes' disruption
// controller). The others are as well as the budget wants them: it does not count that pod any more.
bool KubernetesActions::WasGranted(const EvictPod& action, const RedisCluster& cluster, int shard) const {
  using reconciler::StringAt;
  const auto budget =
      client_.Get(reconciler::types::kPodDisruptionBudgets, {cluster.ns, ShardNameOf(cluster.name, shard)});
  const auto pod = client_.Get(reconciler::types::kPods, {cluster.ns, action.name});
  if (!budget || !pod || reconciler::UidOf(*pod) != action.uid) return false;
  const std::string granted = StringAt(*budget, {"status", "disruptedPods", action.name.c_str()});
  const Json status = budget->value("status", Json::object());  // a new budget has none
  return !granted.empty() && StringAt(*pod, {"metadata", "creationTimestamp"}) <= granted &&
         status.value("currentHealthy", 0) >= status.value("desiredHealthy", 1);
}

// The cache may not show yet that somebody else takes another pod of the shard down at the same moment. A budget
// follows the pods with a delay too, but it is what a drain asks, and no two get its last permission.
void KubernetesActions::Evict(const EvictPod& action, const RedisCluster& cluster, Outcome& outcome) const {
  const auto place = ShardAndIndexOf(cluster.name, action.name);
  const auto pods = client_.ListAll(
      reconciler::types::kPods,
      {.ns = cluster.ns,
       .label_selector = fmt::format("{}={},{}={}", labels::kInstance, cluster.name, labels::kShard, place->first)});
  if (!pods) {
    outcome.error = pods.error().message;
    return;
  }
  for (int index = 0; index < cluster.spec.pods_per_shard(); ++index) {
    const std::string other = PodNameOf(cluster.name, place->first, index);
    const bool stays = std::ranges::any_of(pods->items, [&](const Json& pod) {
      return reconciler::KeyOf(pod).name == other && !reconciler::IsBeingDeleted(pod);
    });
    if (other != action.name && !stays) {
      outcome.error = fmt::format("{} of the same shard is being deleted", other);
      return;
    }
  }
  if (action.successor && !WouldBeTaken(*action.successor, outcome)) return;
  auto evicted = Gone(client_.Evict({cluster.ns, action.name}, action.uid, action.grace_period));
  if (!evicted && evicted.error().kind == ErrorKind::kTooManyRequests && WasGranted(action, cluster, place->first)) {
    evicted = Gone(client_.Delete(reconciler::types::kPods, {cluster.ns, action.name},
                                  {.uid = action.uid, .grace_period = action.grace_period}));
  }
  if (!evicted) outcome.error = evicted.error().message;
}

void KubernetesActions::LetLeave(const std::optional<NodeRef>& node, const reconciler::ObjectKey& pod,
                                 const std::string& uid, const std::string& password) const {
  if (!node) return;
  const auto going = client_.Get(reconciler::types::kPods, pod);
  if (!going || reconciler::UidOf(*going) != uid || !reconciler::IsBeingDeleted(*going)) return;
  const auto run = [&](std::vector<Command> commands) {
    return commander_.Run({{node->endpoint, password, std::move(commands), node->id}}, std::chrono::seconds(2))[0];
  };
  const auto now = run({{"CLUSTER", "NODES"}, {"INFO"}});
  if (!now || !HasNothingThatNobodyElseHas(*now)) return;
  (void)run({{"CONFIG", "SET", "repl-diskless-sync-max-replicas", "0"},
             {"CONFIG", "SET", "repl-diskless-sync-delay", kLeavingDelay},
             {"CLUSTER", "RESET", "HARD"}});
}

// A quota that is used up, a policy: whoever is to take it away need not see it asked for several times a second.
void KubernetesActions::MakePod(const CreatePod& action, const RedisCluster& cluster, Outcome& outcome) const {
  constexpr std::chrono::seconds kNotBefore{5};
  const std::string what =
      fmt::format("{}/{} {}", cluster.ns, action.name, std::hash<std::string>()(action.pod.dump()));
  if (refusals_.Repeat(what, outcome)) return;
  if (WouldMountAnothersVolume(action.name, cluster, outcome)) return;
  // What is wrong is best said before anything depends on the cluster; later on a pod that is missing comes first.
  Create(reconciler::types::kPods, action.pod, cluster, outcome, {.strict = cluster.formed_at.empty()});
  if (outcome.refusal == kPodRefused || IsForQuota(outcome.error)) {
    refusals_.Note(what, outcome, kNotBefore);
  }
}

void KubernetesActions::GrowClaim(const DesiredObject& claim, const RedisCluster& cluster, Outcome& outcome) const {
  constexpr std::chrono::seconds kNotBefore{30};
  const std::string size = cluster.spec.storage ? cluster.spec.storage->size : "";
  const std::string what = fmt::format("{}/{} {}", cluster.ns, reconciler::KeyOf(claim.object).name, size);
  if (refusals_.Repeat(what, outcome)) return;
  auto grown = client_.Patch(claim.type, reconciler::KeyOf(claim.object), reconciler::PatchType::kMerge, claim.object);
  if (grown) {
    outcome.written = *std::move(grown);
    return;
  }
  outcome.error = grown.error().message;
  if (!IsForGood(grown.error())) return;
  outcome.error = fmt::format("spec.storage.size: \"{}\": {}; put the size back, or see that it may be changed", size,
                              outcome.error);
  outcome.refusal = "StorageCannotGrow";
  refusals_.Note(what, outcome, kNotBefore);
}

void KubernetesActions::Act(const Action& action, const RedisCluster& cluster, const std::string& password,
                            Outcome& outcome) {
  const auto error_of = [](const auto& result) { return result ? "" : result.error().message; };
  if (const auto* ensure = std::get_if<EnsureObject>(&action)) {
    const auto& [type, object] = ensure->desired;
    if (!ensure->exists) return Create(type, object, cluster, outcome);
    if (type == reconciler::types::kPersistentVolumeClaims && object.contains("spec")) {
      return GrowClaim(ensure->desired, cluster, outcome);
    }
    auto patched = client_.Patch(type, reconciler::KeyOf(object), reconciler::PatchType::kMerge, object);
    outcome.error = error_of(patched);
    if (patched) outcome.written = *std::move(patched);
  } else if (const auto* create = std::get_if<CreatePod>(&action)) {
    MakePod(*create, cluster, outcome);
  } else if (std::holds_alternative<CreatePassword>(action)) {
    const auto generated = GeneratePassword();
    if (generated) return Create(reconciler::types::kSecrets, PasswordSecret(cluster, *generated), cluster, outcome);
    outcome.error = generated.error().message;
  } else if (const auto* pod = std::get_if<DeletePod>(&action)) {
    outcome.error =
        error_of(Gone(client_.Delete(reconciler::types::kPods, {cluster.ns, pod->name}, {.uid = pod->uid})));
    if (outcome.error.empty()) LetLeave(pod->leaving, {cluster.ns, pod->name}, pod->uid, password);
  } else if (const auto* note = std::get_if<NotePod>(&action)) {
    outcome.error = Note(note->notes, note->name, cluster);
  } else if (const auto* eviction = std::get_if<EvictPod>(&action)) {
    Evict(*eviction, cluster, outcome);
    if (outcome.error.empty()) LetLeave(eviction->leaving, {cluster.ns, eviction->name}, eviction->uid, password);
  } else if (const auto* object = std::get_if<DeleteObject>(&action)) {
    outcome.error = error_of(Gone(client_.Delete(object->type, {cluster.ns, object->name}, {.uid = object->uid})));
  } else if (std::holds_alternative<RecordFormed>(action)) {
    const Json patch = {{"metadata", {{"resourceVersion", cluster.resource_version}}},
                        {"status", {{"formedAt", reconciler::FormatTime(clock_.WallNow())}}}};
    auto written = client_.Patch(kRedisClusters, {cluster.ns, cluster.name}, reconciler::PatchType::kMerge, patch,
                                 {.subresource = "status"});
    // Somebody has changed the resource meanwhile, and the next look finds what is still to be recorded.
    if (written || written.error().kind != ErrorKind::kConflict) outcome.error = error_of(written);
    if (written) outcome.written = *std::move(written);
  }
}

std::string KubernetesActions::Note(const LiveNotes& notes, const std::string& pod, const RedisCluster& cluster) const {
  const Json patch = {{"metadata", {{"annotations", {{annotations::kLiveConfig, ToString(notes)}}}}}};
  const auto noted = client_.Patch(reconciler::types::kPods, {cluster.ns, pod}, reconciler::PatchType::kMerge, patch);
  return noted ? "" : noted.error().message;
}

// The cache may not show yet that the pod is being deleted, perhaps by ourselves a moment ago, before the specification
// changed again: what a node gets then dies with it. So the API server is asked, which has seen all that we did.
std::string KubernetesActions::WhyNotToTrust(const NodeRef& node, const RedisCluster& cluster) const {
  const auto pod = client_.Get(reconciler::types::kPods, {cluster.ns, node.pod});
  if (!pod) return pod.error().message;
  if (reconciler::IsBeingDeleted(*pod)) return fmt::format("Pod {} is being deleted", node.pod);
  if (reconciler::StringAt(*pod, {"status", "podIP"}) != node.endpoint.host) {
    return fmt::format("Pod {} is another one now", node.pod);
  }
  return "";
}

// The same of a pod of which the cache knows nothing: one without our labels may run, and serve.
std::string KubernetesActions::WhyNotGone(const std::string& name, const RedisCluster& cluster) const {
  if (name.empty()) return "";
  const auto pod = client_.Get(reconciler::types::kPods, {cluster.ns, name});
  if (!pod) return pod.error().kind == ErrorKind::kNotFound ? "" : pod.error().message;
  const bool never_started = reconciler::StringAt(*pod, {"status", "podIP"}).empty();
  return never_started && !reconciler::IsBeingDeleted(*pod) ? "" : fmt::format("Pod {} is there", name);
}

}  // namespace slotwright
