// See executor.h.
#include "controllers/act/executor.h"

#include <fmt/format.h>
#include <openssl/rand.h>

#include <array>
#include <atomic>
#include <thread>

#include "controllers/api/names.h"
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

// "" if every reply is fine; `harmless` is a part of error replies that say that the effect is there already.
std::string ErrorOf(const NodeResult& result, std::string_view harmless = "") {
  if (!result) return result.error().message;
  for (const auto& reply : *result) {
    if (!reply.IsError()) continue;
    if (!harmless.empty() && reply.text.find(harmless) != std::string::npos) continue;
    return reply.text;
  }
  return "";
}

NodeCommands CommandsFor(const AssignSlots& action) {
  NodeCommands result{&action.node, {}, ""};
  if (action.epoch) result.commands.push_back({"CLUSTER", "SET-CONFIG-EPOCH", std::to_string(*action.epoch)});
  Command add = {"CLUSTER", "ADDSLOTSRANGE"};
  for (const SlotRange range : action.slots.Ranges()) {
    add.push_back(std::to_string(range.first));
    add.push_back(std::to_string(range.last));
  }
  result.commands.push_back(std::move(add));
  return result;
}

NodeCommands CommandsFor(const Meet& action) {
  NodeCommands result{&action.from, {}, ""};
  for (const auto& peer : action.peers) {
    result.commands.push_back(
        {"CLUSTER", "MEET", peer.endpoint.host, std::to_string(peer.endpoint.port), std::to_string(action.bus_port)});
  }
  return result;
}

NodeCommands CommandsFor(const Replicate& action) {
  return {&action.node, {{"CLUSTER", "REPLICATE", action.master.ToString()}}, ""};
}

NodeCommands CommandsFor(const Forget& action) {
  return {&action.from, {{"CLUSTER", "FORGET", action.id.ToString()}}, "Unknown node"};
}

// No commands: an action on Kubernetes.
NodeCommands CommandsFor(const auto&) { return {}; }

}  // namespace

Executor::Executor(const reconciler::Client& client, Commander& commander, reconciler::Clock& clock, Options options)
    : client_(client), commander_(commander), clock_(clock), options_(std::move(options)) {}

void Executor::Done(const std::string& action) const {
  if (options_.after_effect) options_.after_effect(action);
}

// A name that exists already is our own earlier attempt, whose answer was lost or which the cache does not show yet, or
// it belongs to somebody else and is never touched.
void Executor::Create(const reconciler::ResourceType& type, const Json& object, const RedisCluster& cluster,
                      Outcome& outcome) const {
  const auto created = client_.Create(type, object);
  if (created) return;
  outcome.error = created.error().message;
  if (created.error().kind != ErrorKind::kAlreadyExists) return;
  const auto existing = client_.Get(type, reconciler::KeyOf(object));
  if (!existing) {
    outcome.error = existing.error().message;
    return;
  }
  const bool ours = reconciler::ControllerUidOf(*existing) == cluster.uid;
  const bool kept_for_us = type == reconciler::types::kPersistentVolumeClaims || type == reconciler::types::kSecrets;
  outcome.name_taken = !ours && !kept_for_us;
  outcome.error = outcome.name_taken
                      ? fmt::format(
                            "{} {} exists already and does not belong to this RedisCluster; delete it if it is a "
                            "left-over, or choose another name for the RedisCluster",
                            type.kind, reconciler::KeyOf(object).name)
                      : "";
}

void Executor::ActOnKubernetes(const Action& action, const RedisCluster& cluster, Outcome& outcome) const {
  const auto error_of = [](const auto& result) { return result ? "" : result.error().message; };
  if (const auto* ensure = std::get_if<EnsureObject>(&action)) {
    const auto& [type, object] = ensure->desired;
    if (!ensure->exists) return Create(type, object, cluster, outcome);
    outcome.error = error_of(client_.Patch(type, reconciler::KeyOf(object), reconciler::PatchType::kMerge, object));
  } else if (const auto* create = std::get_if<CreatePod>(&action)) {
    Create(reconciler::types::kPods, create->pod, cluster, outcome);
  } else if (std::holds_alternative<CreatePassword>(action)) {
    const auto password = GeneratePassword();
    if (password) return Create(reconciler::types::kSecrets, PasswordSecret(cluster, *password), cluster, outcome);
    outcome.error = password.error().message;
  } else if (std::holds_alternative<RecordFormed>(action)) {
    const Json patch = {{"status", {{"formedAt", reconciler::FormatTime(clock_.WallNow())}}}};
    outcome.error = error_of(client_.Patch(kRedisClusters, {cluster.ns, cluster.name}, reconciler::PatchType::kMerge,
                                           patch, {.subresource = "status", .field_manager = "", .force = false}));
  }
}

void Executor::ActOnRedis(const std::vector<std::pair<size_t, NodeCommands>>& commands, const std::string& password,
                          std::chrono::milliseconds budget, std::vector<Outcome>& outcomes) {
  if (commands.empty()) return;
  std::vector<NodeRequest> requests;
  for (const auto& [index, work] : commands) requests.push_back({work.node->endpoint, password, work.commands});
  const auto results = commander_.Run(requests, budget);
  for (size_t i = 0; i < results.size(); ++i) {
    const auto& [index, work] = commands[i];
    outcomes[index].error = ErrorOf(results[i], work.harmless);
    Done(outcomes[index].action);
  }
}

std::vector<Outcome> Executor::Carry(const Plan& plan, const RedisCluster& cluster, const std::string& password,
                                     std::chrono::milliseconds budget) {
  std::vector<Outcome> outcomes;
  std::vector<size_t> on_kubernetes;
  std::vector<std::pair<size_t, NodeCommands>> on_redis;
  for (size_t i = 0; i < plan.actions.size(); ++i) {
    outcomes.push_back({.action = ToString(plan.actions[i])});
    auto commands = std::visit([](const auto& action) { return CommandsFor(action); }, plan.actions[i]);
    if (commands.node == nullptr) {
      on_kubernetes.push_back(i);
    } else {
      on_redis.emplace_back(i, std::move(commands));
    }
  }
  std::atomic<size_t> next = 0;
  const auto work = [&] {
    for (size_t k = next++; k < on_kubernetes.size(); k = next++) {
      auto& outcome = outcomes[on_kubernetes[k]];
      ActOnKubernetes(plan.actions[on_kubernetes[k]], cluster, outcome);
      Done(outcome.action);
    }
  };
  {
    std::vector<std::jthread> helpers;
    const auto threads = std::min<size_t>(on_kubernetes.size(), static_cast<size_t>(options_.parallel_requests));
    for (size_t i = 1; i < threads; ++i) helpers.emplace_back(work);
    work();
  }
  ActOnRedis(on_redis, password, budget, outcomes);
  return outcomes;
}

}  // namespace slotwright
