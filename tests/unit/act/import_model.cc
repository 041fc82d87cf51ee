// See import_model.h.
#include "tests/unit/act/import_model.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace slotwright {

namespace {

constexpr std::chrono::milliseconds kStep{10};
constexpr std::chrono::seconds kRetryEvery{1};

Reply Text(std::string text) { return {.type = Reply::Type::kString, .text = std::move(text)}; }
Reply Ok() { return {.type = Reply::Type::kStatus, .text = "OK"}; }
Reply Error(const std::string& text) { return {.type = Reply::Type::kError, .text = "ERR " + text}; }
Reply Number(std::int64_t number) { return {.type = Reply::Type::kInteger, .integer = number}; }
Reply Array(std::vector<Reply> elements) { return {.type = Reply::Type::kArray, .elements = std::move(elements)}; }

// "0-9 20-20", always both ends.
std::string RangesOf(const SlotSet& slots) {
  std::vector<std::string> ranges;
  for (const SlotRange range : slots.Ranges()) ranges.push_back(fmt::format("{}-{}", range.first, range.last));
  return fmt::format("{}", fmt::join(ranges, " "));
}

// A map, as RESP2 sends it: flat.
Reply StatusOf(const ImportModel::Task& task) {
  return Array({Text("id"),
                Text(task.id),
                Text("slots"),
                Text(RangesOf(task.slots)),
                Text("source"),
                Text(task.source.ToString()),
                Text("dest"),
                Text(task.dest.ToString()),
                Text("operation"),
                Text(task.import ? "import" : "migrate"),
                Text("state"),
                Text(task.state),
                Text("last_error"),
                Text(task.last_error),
                Text("retries"),
                Number(task.retries),
                Text("create_time"),
                Number(1),
                Text("start_time"),
                Number(-1),
                Text("end_time"),
                Number(-1),
                Text("write_pause_ms"),
                Number(0)});
}

}  // namespace

void SteppingClock::WaitUntil(std::unique_lock<std::mutex>& lock, std::condition_variable_any&, std::stop_token,
                              reconciler::MonotonicTime until) {
  lock.unlock();
  RunFor(until - now_);
  lock.lock();
}

void SteppingClock::RunFor(reconciler::Duration duration) {
  const auto until = now_ + duration;
  while (now_ < until) {
    now_ = std::min(now_ + kStep, until);
    if (on_step) on_step();
  }
}

ImportModel::ImportModel(SteppingClock& clock) : clock_(clock) {
  clock_.on_step = [this] { Step(); };
}

ImportModel::Node& ImportModel::Add(const std::string& pod, SlotSet owned) {
  const auto number = nodes_.size() + 1;
  return nodes_.emplace_back(Node{.ref = {.pod = pod,
                                          .id = *NodeId::Parse(fmt::format("{:040x}", number)),
                                          .endpoint = {fmt::format("10.0.0.{}", number), 6379}},
                                  .owned = std::move(owned)});
}

void ImportModel::Restart(Node& node) {
  node.task.reset();
  node.archived.clear();
  for (Node& other : nodes_) {
    if (!other.task || (other.task->source != node.ref.id && other.task->dest != node.ref.id)) continue;
    if (other.task->state != "failed") Fail(other, "Main channel - Connection is closed");
  }
}

ImportModel::Node* ImportModel::OwnerOf(Slot slot) {
  const auto found = std::ranges::find_if(nodes_, [&](const Node& node) { return node.owned.Contains(slot); });
  return found == nodes_.end() ? nullptr : &*found;
}

ImportModel::Node* ImportModel::ById(const NodeId& id) {
  const auto found = std::ranges::find_if(nodes_, [&](const Node& node) { return node.ref.id == id; });
  return found == nodes_.end() ? nullptr : &*found;
}

int ImportModel::CountOf(const std::string& words) const {
  return static_cast<int>(std::ranges::count_if(log, [&](const auto& line) { return line.find(words) != line.npos; }));
}

void ImportModel::Step() {
  for (Node& node : nodes_) {
    if (!node.task) continue;
    node.task->import ? StepImport(node) : StepSource(node);
  }
}

void ImportModel::Archive(Node& node, const std::string& state) {
  node.task->state = state;
  node.archived.push_front(*std::move(node.task));
  node.task.reset();
}

void ImportModel::Fail(Node& node, const std::string& error) {
  Task& task = *node.task;
  task.last_error = fmt::format("{} (state: {}, rdb_channel_state: none)", error, task.state);
  task.state = "failed";
  task.changed = clock_.Now();
}

// Only this end: the other one sees a broken connection, and the target will try again.
void ImportModel::Cancel(Node& node, const std::string& reason) {
  Fail(node, "Cancelled due to " + reason);
  const Task task = *node.task;
  Archive(node, "canceled");
  for (const NodeId& peer : {task.source, task.dest}) {
    Node* other = peer == node.ref.id ? nullptr : ById(peer);
    if (other == nullptr || !other->task || other->task->id != task.id || other->task->state == "failed") continue;
    Fail(*other, "Main channel - Connection is closed");
  }
}

void ImportModel::Begin(Node& node) {
  Task& task = *node.task;
  if (node.paused) return;
  Node* source = OwnerOf(task.slots.Ranges().front().first);
  if (source == &node) return Cancel(node, "slots owned by myself now");
  task.source = source->ref.id;
  task.state = "connecting";
  if (source->silent) return Fail(node, "Main channel - Failed to sync with source node: Connection refused");
  auto& given = source->task;
  if (given && given->id != task.id && given->state != "failed") {
    return Fail(node,
                "Main channel - Failed to sync with source node: Error reply to CLUSTER SYNCSLOTS SYNC from the "
                "source: -ERR Another ASM task is already in progress");
  }
  if (given && given->id != task.id) Cancel(*source, "new migration requested");
  const std::int64_t retries = given ? given->retries + 1 : 0;
  given = Task{.id = task.id,
               .slots = task.slots,
               .source = task.source,
               .dest = task.dest,
               .state = "send-bulk-and-stream",
               .retries = retries,
               .changed = clock_.Now()};
  task.state = "accumulate-buffer";
  task.changed = clock_.Now();
}

void ImportModel::StepImport(Node& node) {
  Task& task = *node.task;
  const auto since = clock_.Now() - task.changed;
  if (task.state == "none") return Begin(node);
  if (task.state == "failed") {
    if (since < kRetryEvery) return;
    task.state = "none";
    ++task.retries;
    return Begin(node);
  }
  if (since < transfer / 2) return;
  Node& source = *ById(task.source);
  if (attempts_that_fail > 0) {
    --attempts_that_fail;
    Fail(source, "RDB channel - Failed to send slots snapshot");
    return Fail(node, "RDB channel - Connection is closed");
  }
  if (since < transfer) return;
  if (source_stops_waiting) {
    Fail(source, "Write pause timeout during slot handoff: destination did not take ownership within 10000 ms.");
  } else {
    source.task->state = "stream-eof";
  }
  source.task->changed = clock_.Now();
  source.owned = source.owned - task.slots;
  node.owned = node.owned | task.slots;
  task.last_error.clear();
  Archive(node, "completed");
}

void ImportModel::StepSource(Node& node) {
  const Task& task = *node.task;
  const bool lost = (node.owned & task.slots).empty();
  if (!lost || clock_.Now() - task.changed < gossip) return;
  if (task.state == "stream-eof") return Archive(node, "completed");
  Cancel(node, "slots configuration updated");
}

Reply ImportModel::Import(Node& node, const Command& command) {
  SlotSet slots;
  for (size_t i = 3; i + 1 < command.size(); i += 2) {
    slots.Add(SlotRange{static_cast<Slot>(std::stoi(command[i])), static_cast<Slot>(std::stoi(command[i + 1]))});
  }
  const Node* source = nullptr;
  for (const SlotRange range : slots.Ranges()) {
    if (node.task && node.task->import && !(node.task->slots & SlotSet({range})).empty()) {
      return Error(fmt::format("overlapping import exists for slot range: {}-{}", range.first, range.last));
    }
    for (int slot = range.first; slot <= range.last; ++slot) {
      const Node* owner = OwnerOf(static_cast<Slot>(slot));
      if (source != nullptr && owner != source) return Error("slots belong to different source nodes");
      source = owner;
    }
  }
  if (source == &node) return Error("this node is already the owner of the slot range");
  if (node.task && node.task->state != "failed") return Error("another ASM task is already in progress");
  if (node.task) Cancel(node, "new import requested");
  node.task = Task{.id = fmt::format("{:040x}", 0xa000 + next_id_++),
                   .slots = slots,
                   .source = source->ref.id,
                   .dest = node.ref.id,
                   .import = true,
                   .changed = clock_.Now()};
  return Text(node.task->id);
}

Reply ImportModel::Status(const Node& node, const Command& command) const {
  std::vector<Reply> tasks;
  const auto add = [&](const Task& task) {
    if (command[3] == "ALL" || command.at(4) == task.id) tasks.push_back(StatusOf(task));
  };
  if (node.task) add(*node.task);
  std::ranges::for_each(node.archived, add);
  return Array(std::move(tasks));
}

std::string ImportModel::TableOf(const Node& me) const {
  std::string table;
  for (const Node& node : nodes_) {
    table += fmt::format("{} {}:{}@16379 {}master - 0 0 1 connected {}", node.ref.id.ToString(), node.ref.endpoint.host,
                         node.ref.endpoint.port, &node == &me ? "myself," : "", RangesOf(node.owned));
    for (const auto& [slot, target] : &node == &me ? me.migrating : std::map<Slot, NodeId>()) {
      table += fmt::format(" [{}->-{}]", slot, target.ToString());
    }
    table += "\n";
  }
  return table;
}

Reply ImportModel::SetSlot(Node& node, const Command& command) {
  const auto slot = static_cast<Slot>(std::stoi(command[2]));
  if (node.task && node.task->slots.Contains(slot)) {
    return Error(
        fmt::format("Slot {} is currently in an active atomic slot migration. CLUSTER SETSLOT cannot be used "
                    "at this time. To perform a legacy slot migration instead, first cancel the ongoing task "
                    "with CLUSTER MIGRATION CANCEL",
                    slot));
  }
  if (command[3] == "MIGRATING") node.migrating[slot] = *NodeId::Parse(command[4]);
  if (command[3] != "NODE") return Ok();
  node.migrating.erase(slot);
  OwnerOf(slot)->owned.Remove(slot);
  ById(*NodeId::Parse(command[4]))->owned.Add(slot);
  return Ok();
}

Reply ImportModel::Execute(Node& node, const Command& command) {
  if (command[0] == "COMMAND") {
    std::vector<Reply> infos;
    for (size_t i = 2; i < command.size(); ++i) {
      infos.push_back(node.knows.contains(command[i]) ? Array({Text(command[i])}) : Reply{});
    }
    return Array(std::move(infos));
  }
  if (command[1] == "SETSLOT") return SetSlot(node, command);
  if (command[1] == "NODES") return Text(TableOf(node));
  if (command[1] == "COUNTKEYSINSLOT") return Number(0);
  if (command[1] == "GETKEYSINSLOT") return Array({});
  if (command[1] != "MIGRATION" || !node.knows.contains("cluster|migration")) {
    return Error(fmt::format("unknown subcommand '{}'. Try CLUSTER HELP.", command[1]));
  }
  if (command[2] == "IMPORT") return Import(node, command);
  if (command[2] == "STATUS") return Status(node, command);
  const bool found = node.task && node.task->id == command.at(4);
  if (found) Cancel(node, "user request");
  return Number(found ? 1 : 0);
}

std::vector<NodeResult> ImportModel::Run(const std::vector<NodeRequest>& requests, std::chrono::milliseconds) {
  std::vector<NodeResult> results;
  for (const auto& request : requests) {
    Node& node = *std::ranges::find(nodes_, request.endpoint, [](const Node& n) { return n.ref.endpoint; });
    std::vector<Reply> replies;
    bool lost = node.silent;
    for (const auto& command : request.commands) {
      if (node.silent) break;
      if (on_command) on_command(command);
      log.push_back(fmt::format("{}: {}", node.ref.pod, fmt::join(command, " ")));
      replies.push_back(Execute(node, command));
      if (lose_reply_to.empty() || std::ranges::find(command, lose_reply_to) == command.end()) continue;
      lose_reply_to.clear();
      lost = true;
    }
    if (lost) {
      results.push_back(std::unexpected(RedisError{RedisError::Kind::kDeadline, "no answer in time"}));
    } else {
      results.emplace_back(std::move(replies));
    }
  }
  return results;
}

}  // namespace slotwright
