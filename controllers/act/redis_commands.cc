// See redis_commands.h.
#include "controllers/act/redis_commands.h"

namespace slotwright {

Command AddSlots(const SlotSet& slots) {
  Command add = {"CLUSTER", "ADDSLOTSRANGE"};
  for (const SlotRange range : slots.Ranges()) {
    add.push_back(std::to_string(range.first));
    add.push_back(std::to_string(range.last));
  }
  return add;
}

namespace {

NodeCommands CommandsFor(const AssignSlots& action) {
  NodeCommands result{&action.node, {}, ""};
  if (action.epoch) result.commands.push_back({"CLUSTER", "SET-CONFIG-EPOCH", std::to_string(*action.epoch)});
  result.commands.push_back(AddSlots(action.slots));
  return result;
}

// Somebody else's introduction may come in between: then it is too late for an epoch, which the nodes settle
// themselves.
NodeCommands CommandsFor(const Meet& action) {
  NodeCommands result{&action.from, {}, "only when the node does not know any other node"};
  if (action.epoch) result.commands.push_back({"CLUSTER", "SET-CONFIG-EPOCH", std::to_string(*action.epoch)});
  for (const auto& peer : action.peers) {
    result.commands.push_back(
        {"CLUSTER", "MEET", peer.endpoint.host, std::to_string(peer.endpoint.port), std::to_string(peer.bus_port)});
  }
  return result;
}

NodeCommands CommandsFor(const Replicate& action) {
  return {&action.node, {{"CLUSTER", "REPLICATE", action.master.ToString()}}, ""};
}

NodeCommands CommandsFor(const EndQuarantine& action) {
  NodeCommands result{&action.node, {}, ""};
  for (const auto& [name, value] : action.directives) result.commands.push_back({"CONFIG", "SET", name, value});
  return result;
}

NodeCommands CommandsFor(const Forget& action) {
  return {&action.from, {{"CLUSTER", "FORGET", action.id.ToString()}}, "Unknown node"};
}

NodeCommands CommandsFor(const SettleSlots& action) {
  NodeCommands result{&action.node, {}, ""};
  for (const Slot slot : action.slots.Slots()) {
    Command command = {"CLUSTER", "SETSLOT", std::to_string(slot), action.owner ? "NODE" : "STABLE"};
    if (action.owner) command.push_back(action.owner->ToString());
    result.commands.push_back(std::move(command));
  }
  return result;
}

NodeCommands CommandsFor(const TakeNewEpoch& action) { return {&action.node, {{"CLUSTER", "BUMPEPOCH"}}, ""}; }

// No commands here: an action on Kubernetes, or one of several exchanges.
NodeCommands CommandsFor(const auto&) { return {}; }

}  // namespace

NodeCommands CommandsFor(const Action& action) {
  return std::visit([](const auto& one) { return CommandsFor(one); }, action);
}

bool IsLoading(const Reply& reply) { return reply.IsError() && reply.text.starts_with("LOADING"); }

std::string ErrorOf(const NodeResult& result, std::string_view harmless) {
  if (!result) return result.error().message;
  for (const auto& reply : *result) {
    if (!reply.IsError() || IsLoading(reply)) continue;
    if (!harmless.empty() && reply.text.find(harmless) != std::string::npos) continue;
    return reply.text;
  }
  return "";
}

}  // namespace slotwright
