// See executor.h.
#include "controllers/act/executor.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "controllers/act/atomic_migration.h"
#include "controllers/act/migrate.h"
#include "controllers/act/orderly_failover.h"
#include "controllers/api/names.h"
#include "controllers/resources/configuration.h"

namespace slotwright {

namespace {

constexpr std::chrono::seconds kBudget{2};  // for all commands to Redis together

// What a person can do about it. Servers put the name of the directive that they refuse into quotes.
std::string RefusedDirectives(const SetConfig& action, const RedisCluster& cluster, const std::string& reply) {
  for (const auto& [name, value] : action.change.directives) {
    if (action.change.directives.size() > 1 && reply.find("'" + name + "'") == std::string::npos) continue;
    if (!cluster.spec.config.contains(name)) break;
    return fmt::format("spec.config.{}: \"{}\": the server does not take it ({}); correct it or take it out", name,
                       ShownValue(name, value), reply);
  }
  return reply;
}

}  // namespace

Executor::Executor(const reconciler::Client& client, Commander& commander, reconciler::Clock& clock, Options options)
    : commander_(commander),
      clock_(clock),
      options_(std::move(options)),
      refusals_(clock),
      kubernetes_(client, commander, clock, refusals_) {}

void Executor::Done(const std::string& action) const {
  if (options_.after_effect) options_.after_effect(action);
}

void Executor::ApplyConfig(const SetConfig& action, const RedisCluster& cluster, const std::string& password,
                           Outcome& outcome) const {
  const auto note = [&](const std::optional<LiveNotes>& notes) {
    if (!notes) return;
    const std::string problem = kubernetes_.Note(*notes, action.node.pod, cluster);
    Done(outcome.action);
    if (outcome.error.empty()) outcome.error = problem;
  };
  note(action.change.before);
  if (!outcome.error.empty()) return;
  Command command = {"CONFIG", "SET"};
  for (const auto& [name, value] : action.change.directives) command.insert(command.end(), {name, value});
  const auto results =
      commander_.Run({{action.node.endpoint, password, {std::move(command)}, action.node.id}}, std::chrono::seconds(2));
  Done(outcome.action);
  if (!results[0]) {
    outcome.error = results[0].error().message;
  } else if (const Reply& reply = results[0]->at(0); IsLoading(reply)) {
    return;  // neither taken nor refused: what it has stays noted as not known
  } else if (reply.text.starts_with("NOPERM")) {
    outcome.error = reply.text;  // that says nothing about the value
  } else if (reply.IsError()) {
    outcome.error = RefusedDirectives(action, cluster, reply.text);
    note(action.change.if_refused);
  } else {
    note(action.change.after);
  }
}

void Executor::Move(const MigrateSlots& move, const RedisCluster& cluster, const std::string& password,
                    Outcome& outcome) {
  const std::string what = move.from.id.ToString() + " to " + move.to.id.ToString();
  if (refusals_.Repeat(what, outcome)) return;
  const SlotMover::EffectHook after_effect = [&] { Done(outcome.action); };
  outcome.moved = Migrate({.commander = commander_,
                           .clock = clock_,
                           .password = password,
                           .after_effect = after_effect,
                           .node_timeout = NodeTimeout(cluster)},
                          move, options_.migration_slice);
  outcome.error = outcome.moved.error;
  if (!outcome.moved.too_large) return;
  outcome.refusal = "KeyTooLarge";
  refusals_.Note(what, outcome, std::chrono::seconds(30));
}

// Valkey 9 takes slots of its own accord that nobody has and of which it has keys as it is promoted
// (verifyClusterConfigWithData in its cluster_legacy.c), and ADDSLOTSRANGE adds all or nothing: so what is missing is
// known only afterwards.
std::string Executor::TakeOver(const Takeover& takeover, const std::string& password) {
  const NodeRef& replica = takeover.replica;
  const auto ask = [&](std::vector<Command> commands) {
    return commander_.Run({{replica.endpoint, password, std::move(commands), replica.id}}, kBudget)[0];
  };
  // In one, as nobody goes on from the middle.
  std::vector<Command> commands = {{"CLUSTER", "FAILOVER", "TAKEOVER"}};
  if (!takeover.unknown_slots.empty()) {
    commands.insert(commands.end(), {AddSlots(takeover.unknown_slots), {"CLUSTER", "NODES"}});
  }
  const auto taken = ask(std::move(commands));
  if (!taken || taken->front().IsError() || takeover.unknown_slots.empty()) return ErrorOf(taken);
  const auto table = ParseClusterNodes(taken->back().text);
  if (!table) return table.error();
  const SlotSet missing = takeover.unknown_slots - table->myself().slots;
  return missing.empty() ? "" : ErrorOf(ask({AddSlots(missing)}));
}

// Its master may have been replaced since the look, by another one's election, and that one has taken writes since.
std::string Executor::WhyNotItsReplica(const NodeRef& replica, const NodeId& master, const std::string& password) {
  const auto results = commander_.Run({{replica.endpoint, password, {{"CLUSTER", "NODES"}}, replica.id}}, kBudget);
  if (std::string error = ErrorOf(results[0]); !error.empty()) return error;
  const auto table = ParseClusterNodes(results[0]->front().text);
  if (!table) return table.error();
  return table->myself().master == master ? "" : fmt::format("{} follows another master by now", replica.pod);
}

void Executor::FailOver(const Failover& failover, const RedisCluster& cluster, const std::string& password,
                        Outcome& outcome, const std::stop_token& stop) {
  const auto shard = ShardAndIndexOf(cluster.name, failover.replica.pod);
  const std::string what = fmt::format("failover {} {}", cluster.uid, shard ? shard->first : -1);
  if (refusals_.Repeat(what, outcome)) return;
  const auto start = clock_.Now();
  auto result = slotwright::FailOver(commander_, clock_, password, failover, stop);
  outcome.error = std::move(result.error);
  if (result.undecided) {
    refusals_.Note(what, outcome, TimeOfAnAttempt(NodeTimeout(cluster)) - (clock_.Now() - start));
  }
}

void Executor::ActAlone(const Action& action, const RedisCluster& cluster, const std::string& password,
                        Outcome& outcome, const std::stop_token& stop) {
  if (const auto* move = std::get_if<MigrateSlots>(&action)) {
    if (!move->to_ending_pod) outcome.error = kubernetes_.WhyNotToTrust(move->to, cluster);
    if (outcome.error.empty() && !move->from_ending_pod) outcome.error = kubernetes_.WhyNotToTrust(move->from, cluster);
    if (!outcome.error.empty()) return;
    Move(*move, cluster, password, outcome);
  } else if (const auto* failover = std::get_if<Failover>(&action)) {
    outcome.error = kubernetes_.WhyNotToTrust(failover->replica, cluster);
    if (outcome.error.empty()) outcome.error = kubernetes_.WhyNotGone(failover->missing_pod, cluster);
    if (outcome.error.empty() && failover->forced) {
      outcome.error = WhyNotItsReplica(failover->replica, failover->master, password);
    }
    if (!outcome.error.empty()) return;
    FailOver(*failover, cluster, password, outcome, stop);
  } else if (const auto* takeover = std::get_if<Takeover>(&action)) {
    outcome.error = kubernetes_.WhyNotGone(takeover->missing_pod, cluster);
    if (outcome.error.empty()) outcome.error = WhyNotItsReplica(takeover->replica, takeover->master, password);
    if (!outcome.error.empty()) return;
    outcome.error = TakeOver(*takeover, password);
  } else if (const auto* cancel = std::get_if<EndImports>(&action)) {
    const SlotMover::EffectHook none;
    outcome.error = CancelImports(
        {.commander = commander_, .clock = clock_, .password = password, .after_effect = none}, cancel->node, true);
  } else if (const auto* config = std::get_if<SetConfig>(&action)) {
    ApplyConfig(*config, cluster, password, outcome);
  } else {
    kubernetes_.Act(action, cluster, password, outcome);
  }
  Done(outcome.action);
}

void Executor::ActOnRedis(const std::vector<std::pair<size_t, NodeCommands>>& commands, const std::string& password,
                          std::vector<Outcome>& outcomes) {
  if (commands.empty()) return;
  std::vector<NodeRequest> requests;
  for (const auto& [index, work] : commands)
    requests.push_back({work.node->endpoint, password, work.commands, work.node->id});
  const auto results = commander_.Run(requests, kBudget);
  for (size_t i = 0; i < results.size(); ++i) {
    const auto& [index, work] = commands[i];
    outcomes[index].error = ErrorOf(results[i], work.harmless);
    Done(outcomes[index].action);
  }
}

std::vector<Outcome> Executor::Carry(const Plan& plan, const RedisCluster& cluster, const std::string& password,
                                     const std::stop_token& stop) {
  std::vector<Outcome> outcomes;
  std::vector<size_t> alone;
  std::vector<std::pair<size_t, NodeCommands>> on_redis;
  for (size_t i = 0; i < plan.actions.size(); ++i) {
    outcomes.push_back({.action = ToString(plan.actions[i])});
    auto commands = CommandsFor(plan.actions[i]);
    if (commands.node == nullptr) {
      alone.push_back(i);
    } else {
      on_redis.emplace_back(i, std::move(commands));
    }
  }
  // Redis first: that takes two seconds at most, and what keeps slots served never waits for an API server that is
  // slow.
  ActOnRedis(on_redis, password, outcomes);
  std::ranges::stable_partition(alone, [&](size_t i) {
    return std::holds_alternative<Takeover>(plan.actions[i]) || std::holds_alternative<Failover>(plan.actions[i]);
  });
  std::atomic<size_t> next = 0;
  const auto work = [&] {
    for (size_t k = next++; k < alone.size(); k = next++) {
      Outcome& outcome = outcomes[alone[k]];
      try {
        ActAlone(plan.actions[alone[k]], cluster, password, outcome, stop);
      } catch (const std::exception& e) {  // in a helper it would end the operator, for every other cluster as well
        outcome.error = fmt::format("internal error: {}", e.what());
      }
    }
  };
  std::vector<std::jthread> helpers;
  const auto threads = std::min<size_t>(alone.size(), static_cast<size_t>(options_.parallel_requests));
  for (size_t i = 1; i < threads; ++i) helpers.emplace_back(work);
  work();
  helpers.clear();
  return outcomes;
}

}  // namespace slotwright
