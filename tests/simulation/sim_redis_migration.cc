// Atomic slot migration as Valkey 9.1.2 has it: the source connects to the target, sends a snapshot and what changes
// meanwhile, and hands the slots over at once.
#include <fmt/format.h>

#include <algorithm>

#include "tests/simulation/sim_redis.h"
#include "tests/simulation/sim_replies.h"

namespace slotwright::simulation {

namespace {

std::string LostTo(const char* other) {
  return fmt::format("Connection lost to {0}. Check CLUSTER GETSLOTMIGRATIONS on the {0} node for more information.",
                     other);
}

}  // namespace

void Node::Fail(MigrationJob& job, std::string message) const {
  job.state = "failed";
  job.message = std::move(message);
  job.ended = SecondsNow();
}

std::int64_t Node::SecondsNow() const {
  return std::chrono::duration_cast<std::chrono::seconds>(bus_.simulator.WallNow().time_since_epoch()).count();
}

MigrationJob* Node::FindJob(const std::string& name) {
  const auto found = std::ranges::find(jobs_, name, &MigrationJob::name);
  return found == jobs_.end() ? nullptr : &*found;
}

bool Node::IsMigrating(Slot slot, bool exports) const {
  return std::ranges::any_of(jobs_, [&](const MigrationJob& job) {
    return job.Active() && job.exports == exports && job.slots.Contains(slot);
  });
}

// SLOTSRANGE first last [first last …] NODE id [SLOTSRANGE …]: all or nothing.
Reply Node::MigrateSlots(const Command& command) {
  std::vector<std::pair<SlotSet, NodeId>> wanted;
  SlotSet all;
  for (size_t i = 2; i < command.size();) {
    if (command[i++] != "SLOTSRANGE") return Error("ERR syntax error");
    SlotSet slots;
    for (; i + 1 < command.size() && command[i] != "NODE"; i += 2) {
      const auto first = SlotFrom(command[i]);
      const auto last = SlotFrom(command[i + 1]);
      if (!first || !last) return BadSlot();
      const SlotRange range{*first, *last};
      if (const auto problem = WhyNotExported(range, all); !problem.empty()) return Error("ERR " + problem);
      all.Add(range);
      slots.Add(range);
    }
    if (i + 1 >= command.size() || command[i] != "NODE" || slots.empty()) return Error("ERR syntax error");
    const auto target = NodeId::Parse(command[i + 1]);
    if (!target) return Error("ERR Invalid node name: " + command[i + 1]);
    if (Find(*target) == nullptr) return Error("ERR Unknown node name: " + command[i + 1]);
    if (*target == disk_.id) return Error("ERR Target node can not be this node.");
    wanted.emplace_back(slots, *target);
    i += 2;
  }
  if (wanted.empty()) return Error("ERR wrong number of arguments for 'cluster|migrateslots' command");
  for (const auto& [slots, target] : wanted) StartExport(slots, target);
  return Ok();
}

// `before`: what the same command has named already.
std::string Node::WhyNotExported(SlotRange range, const SlotSet& before) const {
  if (range.first > range.last) {
    return fmt::format("Start slot number {} is greater than end slot number {}.", range.first, range.last);
  }
  const SlotSet slots({range});
  for (const Slot slot : slots.Slots()) {
    const Peer* owner = OwnerOf(slot);
    if (owner == nullptr) return fmt::format("Slot {} has no node served.", slot);
    if (owner->id != disk_.id) return "Slots are not served by this node.";
    if (IsMigrating(slot, true)) return fmt::format("I am already migrating slot {}.", slot);
  }
  for (const SlotRange other : before.Ranges()) {
    if ((SlotSet({other}) & slots).empty()) continue;
    return fmt::format("Slot range {}-{} overlaps with previous range {}-{}.", range.first, range.last, other.first,
                       other.last);
  }
  return "";
}

void Node::StartExport(const SlotSet& slots, const NodeId& target) {
  const std::string name = bus_.NewId().ToString();
  jobs_.insert(jobs_.begin(), {.name = name,
                               .exports = true,
                               .slots = slots,
                               .source = disk_.id,
                               .target = target,
                               .began = SecondsNow(),
                               .ended = SecondsNow(),
                               .state = "connecting",
                               .message = ""});
  bus_.simulator.After(bus_.simulator.RandomMs(1, 20), [&bus = bus_, self = disk_.id, name] {
    if (Node* source = bus.ById(self)) source->BeginExport(name);
  });
}

void Node::BeginExport(const std::string& name) {
  MigrationJob* job = FindJob(name);
  if (job == nullptr || !job->Active()) return;
  const Peer* peer = Find(job->target);
  Node* target = peer == nullptr ? nullptr : bus_.At(peer->endpoint);
  const auto refused = [&](const std::string& by_target) {
    Fail(*job, fmt::format("Received error during handshake to target: -ERR {}\r\n", by_target));
  };
  if (target == nullptr || !target->works() || target->side != side) {
    return Fail(*job, "Unable to connect to target node: Connection refused");
  }
  if (target->id() != job->target || target->password() != password_) return refused("Target node is another one");
  if (target->Find(disk_.id) == nullptr) return refused("Target node does not know the source node");
  if (!target->me().master) return refused("Slot migration can only be used on primary nodes.");
  job->state = "snapshotting";
  target->jobs_.insert(target->jobs_.begin(), *job);
  target->jobs_.front().exports = false;
  target->jobs_.front().state = "receiving-snapshot";
  bus_.simulator.After(bus_.simulator.RandomMs(20, 400), [&bus = bus_, self = disk_.id, name] {
    if (Node* source = bus.ById(self)) source->FinishExport(name);
  });
}

// Both ends are whole and agree; what is under way has been waited for.
void Node::FinishExport(const std::string& name) {
  CheckMigrations();
  MigrationJob* job = FindJob(name);
  if (job == nullptr || !job->Active()) return;
  Node* target = bus_.ById(job->target);
  if (hung || !target->works()) {
    bus_.simulator.After(milliseconds(100), [&bus = bus_, self = disk_.id, name] {
      if (Node* source = bus.ById(self)) source->FinishExport(name);
    });
    return;
  }
  target->CheckMigrations();
  MigrationJob* other = target->FindJob(name);
  if (!other->Active()) return CheckMigrations();
  const SlotSet slots = job->slots;
  for (const Slot slot : slots.Slots()) {
    const auto keys = disk_.data.find(slot);
    if (keys == disk_.data.end()) continue;
    target->disk_.data[slot] = keys->second;
    ++target->offset_;
  }
  job->state = other->state = "success";
  job->ended = other->ended = SecondsNow();
  for (auto& [id, peer] : target->disk_.table) peer.slots = peer.slots - slots;
  target->Me().slots = target->Me().slots | slots;
  // A source that hung may have a successor of which neither end has heard, and none asks the others.
  const bool succeeded = std::ranges::any_of(bus_.All(), [&](const Node* node) {
    return node != target && node->me().epoch > Me().epoch && !(node->me().slots & slots).empty();
  });
  target->took_epoch_alone = target->took_epoch_alone || succeeded;
  target->TakeEpochForNewSlots();
  target->AnnounceNewSlots();
}

// What has become impossible: each end sees it for itself.
void Node::CheckMigrations() {
  for (auto& job : jobs_) {
    if (!job.Active() || job.state == "connecting") continue;
    Node* other = bus_.ById(job.exports ? job.target : job.source);
    const MigrationJob* theirs = other == nullptr ? nullptr : other->FindJob(job.name);
    const bool cut = other != nullptr && other->side != side;
    if (theirs == nullptr || cut || !theirs->Active()) {
      Fail(job, LostTo(job.exports ? "target" : "source"));
    } else if (!Me().master) {
      Fail(job, "A failover occurred during slot migration.");
    } else if (job.exports && !(job.slots - Me().slots).empty()) {
      Fail(job, "Slots are no longer owned by myself.");
    } else if (const Peer* source = Find(job.source);
               !job.exports && (source == nullptr || !(job.slots - source->slots).empty())) {
      Fail(job, "Slots are no longer owned by source node");
    }
  }
}

Reply Node::GetSlotMigrations() const {
  Reply all{.type = Reply::Type::kArray};
  for (const auto& job : jobs_) {
    std::string ranges;
    for (const SlotRange range : job.slots.Ranges()) {
      ranges += fmt::format("{}{}-{}", ranges.empty() ? "" : " ", range.first, range.last);
    }
    Reply fields{.type = Reply::Type::kArray};
    for (const auto& [field, value] :
         std::initializer_list<std::pair<const char*, std::string>>{{"name", job.name},
                                                                    {"operation", job.exports ? "EXPORT" : "IMPORT"},
                                                                    {"slot_ranges", ranges},
                                                                    {"target_node", job.target.ToString()},
                                                                    {"source_node", job.source.ToString()},
                                                                    {"state", job.state},
                                                                    {"message", job.message}}) {
      fields.elements.push_back(Text(field));
      fields.elements.push_back(Text(value));
    }
    for (const auto& [field, time] : {std::pair("create_time", job.began), std::pair("last_update_time", job.ended)}) {
      fields.elements.push_back(Text(field));
      fields.elements.push_back({.type = Reply::Type::kInteger, .integer = time});
    }
    all.elements.push_back(std::move(fields));
  }
  return all;
}

Reply Node::CancelSlotMigrations() {
  bool any = false;
  for (auto& job : jobs_) {
    if (!job.exports || !job.Active()) continue;
    job.state = "cancelled";
    job.ended = SecondsNow();
    any = true;
  }
  return any ? Ok() : Error("ERR No migrations ongoing");
}

}  // namespace slotwright::simulation
