// See sim_commander.h.
#include "tests/simulation/sim_commander.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>

namespace slotwright::simulation {

namespace {

NodeResult Fail(RedisError::Kind kind, std::string message) {
  return std::unexpected(RedisError{kind, std::move(message)});
}

bool ChangesSomething(const Command& command) {
  static const std::set<std::string> kQuestions = {"ASKING", "COMMAND", "EXISTS", "INFO",
                                                   "MEMORY", "PING",    "ROLE",   "TIME"};
  static const std::map<std::string, std::set<std::string>> kQuestionsOf = {
      {"CLUSTER", {"NODES", "INFO", "MYID", "COUNTKEYSINSLOT", "GETKEYSINSLOT", "GETSLOTMIGRATIONS"}},
      {"CONFIG", {"GET"}},
      {"FUNCTION", {"LIST", "DUMP"}}};
  const auto found = kQuestionsOf.find(command[0]);
  return found == kQuestionsOf.end() ? !kQuestions.contains(command[0]) : !found->second.contains(command.at(1));
}

// Without the password.
std::string Describe(const Node& node, const Command& command, size_t commands) {
  const auto shown = std::min<size_t>(command.size(), command[0] == "MIGRATE" ? 3 : 6);
  return fmt::format("{}: {}{}", node.pod(),
                     fmt::join(command.begin(), command.begin() + static_cast<std::ptrdiff_t>(shown), " "),
                     commands > 1 ? fmt::format(" and {} more", commands - 1) : "");
}

}  // namespace

std::vector<NodeResult> SimCommander::Run(const std::vector<NodeRequest>& requests, milliseconds budget) {
  bus_.simulator.RunFor(bus_.simulator.RandomMs(1, 2));
  const bool waits = std::ranges::any_of(requests, [&](const NodeRequest& request) {
    const Node* node = bus_.At(request.endpoint);
    return node != nullptr && (node->hung || node->hidden);
  });
  Duration delay{0};
  for (const auto& request : requests) {
    const Node* node = bus_.At(request.endpoint);
    if (node != nullptr) delay = std::max(delay, node->answer_delay);
  }
  bus_.simulator.RunFor(std::min<Duration>(delay, budget / 2));
  std::vector<NodeResult> results;
  for (const auto& request : requests) {
    bus_.simulator.RunFor(bus_.simulator.RandomMs(0, static_cast<int>(bus_.answer_spread.count())));
    results.push_back(Ask(request));
  }
  if (waits) bus_.simulator.RunFor(budget);
  return results;
}

// All commands of a request that change something are one effect: they go out together. Where the process dies or the
// connection breaks, the server may have seen only some of them.
NodeResult SimCommander::Ask(const NodeRequest& request) {
  Node* node = bus_.At(request.endpoint);
  if (node == nullptr) return Fail(RedisError::Kind::kConnect, "connection refused");
  if (node->hung || node->hidden) return Fail(RedisError::Kind::kDeadline, "no answer in time");
  if (node->password() != request.password) return Fail(RedisError::Kind::kAuth, "WRONGPASS");
  if (!request.expected.empty() && node->Execute({"CLUSTER", "MYID"}, false).IsError()) {
    return Fail(RedisError::Kind::kConnect, "it does not say who it is");
  }
  if (!request.expected.empty() && node->id() != request.expected) {
    return Fail(RedisError::Kind::kStranger, "another node has that address now");
  }
  const auto change = std::ranges::find_if(request.commands, ChangesSomething);
  const bool changes = change != request.commands.end();
  if (!changes && effects_.IsMissed()) return Fail(RedisError::Kind::kDeadline, "no answer in time");
  const auto fate = changes ? effects_.Next(Describe(*node, *change, request.commands.size())) : Effects::Fate::kNormal;
  if (fate == Effects::Fate::kRefused) return Fail(RedisError::Kind::kIo, "the connection broke");
  size_t carried_out = request.commands.size();
  if (fate == Effects::Fate::kLostReply || (changes && effects_.is_last() && bus_.simulator.Random(0, 1) == 0))
    carried_out = static_cast<size_t>(bus_.simulator.Random(1, static_cast<int>(carried_out)));
  std::vector<Reply> replies;
  const auto carry_out = [&] { replies = node->ExecutePipeline(std::span(request.commands).first(carried_out)); };
  if (!changes) {
    carry_out();
    return replies;
  }
  inspector_(*node, std::span(request.commands).first(carried_out), carry_out);
  effects_.Done();
  if (fate == Effects::Fate::kLostReply) return Fail(RedisError::Kind::kIo, "the connection broke before the answer");
  return replies;
}

}  // namespace slotwright::simulation
