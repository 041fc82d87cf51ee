// What a simulated node answers, with the errors of the real one where production code looks at them.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "controllers/resources/configuration.h"
#include "controllers/topology/text.h"
#include "tests/simulation/sim_redis.h"
#include "tests/simulation/sim_replies.h"
#include "tests/support/cluster_nodes_text.h"

namespace slotwright::simulation {

namespace {

bool IsAnsweredWhileLoading(const Command& command, bool valkey) {
  if (command[0] != "CLUSTER") return command[0] == "INFO" || command[0] == "ROLE" || command[0] == "CONFIG";
  return valkey && (command.at(1) == "NODES" || command[1] == "INFO" || command[1] == "MYID");
}

}  // namespace

Reply Node::Execute(const Command& command, bool asking) {
  Reply reply = Answer(command, asking);
  AnnounceNewSlots();
  return reply;
}

std::vector<Reply> Node::ExecutePipeline(std::span<const Command> commands) {
  std::vector<Reply> replies;
  for (const Command& command : commands) replies.push_back(Answer(command, false));
  AnnounceNewSlots();
  return replies;
}

Reply Node::Answer(const Command& command, bool asking) {
  const std::string& name = command.at(0);
  if (loading && !IsAnsweredWhileLoading(command, bus_.valkey)) {
    return Error("LOADING Redis is loading the dataset in memory");
  }
  if (name == "CLUSTER") return Cluster(command);
  if (name == "INFO") return Text(InfoText());
  if (name == "PING") return {.type = Reply::Type::kStatus, .text = "PONG"};
  if (name == "TIME") {
    return {.type = Reply::Type::kArray, .elements = {Text(std::to_string(SecondsNow())), Text("0")}};
  }
  if (name == "ROLE") return {.type = Reply::Type::kArray, .elements = {Text(Me().master ? "master" : "slave")}};
  if (name == "CONFIG") return Config(command);
  if (name == "COMMAND") return CommandInfo(command);
  if (name == "MIGRATE") return Migrate(command);
  if (name == "CLIENT" && command.at(1) == "LIST") return Text("");  // no MIGRATE is ever on its way here
  if (name == "GET" || name == "APPEND") return OnKey(command, asking);
  return Error("ERR unknown command '" + name + "'");
}

// One element for each name: nil for a command that is not known, as all are that nobody asks for.
Reply Node::CommandInfo(const Command& command) const {
  Reply infos{.type = Reply::Type::kArray};
  for (size_t i = 2; i < command.size(); ++i) {
    const bool known = bus_.valkey && command[i] == "cluster|migrateslots";
    infos.elements.push_back(known ? Reply{.type = Reply::Type::kArray, .elements = {Text(command[i])}} : Reply{});
  }
  return infos;
}

Reply Node::Config(const Command& command) {
  if (command.at(1) == "GET") {
    return {.type = Reply::Type::kArray,
            .elements = {Text(command.at(2)), Text(leaving       ? kLeavingDelay
                                                   : quarantined ? kQuarantineDelay
                                                                 : "0")}};
  }
  Directives wanted;
  for (size_t i = 2; i + 1 < command.size(); i += 2) wanted[command[i]] = command[i + 1];
  if (const std::string refusal = RefusalOf(wanted); !refusal.empty()) return Error("ERR " + refusal);
  for (const auto& [name, value] : wanted) directives[name] = value;
  if (const auto delay = wanted.find("repl-diskless-sync-delay"); delay != wanted.end()) {
    quarantined = delay->second == kQuarantineDelay;
    leaving = delay->second == kLeavingDelay;
  }
  return Ok();
}

Reply Node::Cluster(const Command& command) {
  const std::string& what = command.at(1);
  if (what == "NODES") return Text(NodesText());
  if (what == "MYID") return Text(disk_.id.ToString());
  if (what == "INFO") {
    int known = static_cast<int>(disk_.table.size());
    return Text(
        fmt::format("cluster_state:{}\r\ncluster_known_nodes:{}\r\ncluster_current_epoch:{}\r\ncluster_my_epoch:{}\r\n",
                    state_ok_ ? "ok" : "fail", known, disk_.current_epoch, EpochShown(Me())));
  }
  if (what == "SETSLOT") return SetSlot(command);
  if (what == "FORGET") return Forget(command.at(2));
  if (what == "RESET") return Reset(command.at(2));
  if (what == "REPLICATE") return ReplicateCommand(command.at(2));
  if (what == "FAILOVER") return Failover(command.size() > 2 ? command[2] : "");
  if (what == "MEET") {
    const Endpoint endpoint{command.at(2), *text::ParseInteger<int>(command.at(3))};
    if (endpoint.host.find_first_not_of("0123456789.") != std::string::npos) {
      return Error("ERR Invalid node address specified: " + endpoint.ToString());
    }
    Meet(endpoint);
    return Ok();
  }
  if (what == "SET-CONFIG-EPOCH") return SetConfigEpoch(*text::ParseInteger<std::int64_t>(command.at(2)));
  if (what == "BUMPEPOCH") return BumpEpoch();
  if (what == "ADDSLOTSRANGE") return AddSlotsRange(command);
  if (bus_.valkey && what == "MIGRATESLOTS") return MigrateSlots(command);
  if (bus_.valkey && what == "GETSLOTMIGRATIONS") return GetSlotMigrations();
  if (bus_.valkey && what == "CANCELSLOTMIGRATIONS") return CancelSlotMigrations();
  if (what == "COUNTKEYSINSLOT" || what == "GETKEYSINSLOT") return KeysInSlot(command);
  return Error(fmt::format("ERR unknown subcommand '{}'. Try CLUSTER HELP.", what));
}

Reply Node::SetConfigEpoch(std::int64_t epoch) {
  if (epoch < 0) return Error(fmt::format("ERR Invalid config epoch specified: {}", epoch));
  if (disk_.table.size() > 1) {
    return Error("ERR The user can assign a config epoch only when the node does not know any other node.");
  }
  if (Me().epoch != 0) return Error("ERR Node config epoch is already non-zero");
  Me().epoch = static_cast<std::uint64_t>(epoch);
  disk_.current_epoch = std::max(disk_.current_epoch, Me().epoch);
  return Ok();
}

Reply Node::AddSlotsRange(const Command& command) {
  if (command.size() % 2 != 0) return Error("ERR wrong number of arguments for 'cluster|addslotsrange' command");
  SlotSet added;
  for (size_t i = 2; i + 1 < command.size(); i += 2) {
    const auto first = SlotFrom(command[i]);
    const auto last = SlotFrom(command[i + 1]);
    if (!first || !last) return BadSlot();
    if (*first > *last) {
      return Error(fmt::format("ERR start slot number {} is greater than end slot number {}", *first, *last));
    }
    const SlotSet range({SlotRange{*first, *last}});
    SlotSet busy;
    for (const auto& [id, peer] : disk_.table) busy = busy | (peer.slots & range);
    if (!busy.empty()) return Error(fmt::format("ERR Slot {} is already busy", busy.Ranges().front().first));
    const SlotSet twice = added & range;
    if (!twice.empty()) return Error(fmt::format("ERR Slot {} specified multiple times", twice.Ranges().front().first));
    added = added | range;
  }
  Me().slots = Me().slots | added;
  return Ok();
}

Reply Node::KeysInSlot(const Command& command) const {
  const bool counts = command[1] == "COUNTKEYSINSLOT";
  const auto slot = SlotFrom(command.at(2));
  if (!slot) return counts ? Error("ERR Invalid slot") : BadSlot();
  const auto found = disk_.data.find(*slot);
  if (counts) return Number(found == disk_.data.end() ? 0 : static_cast<std::int64_t>(found->second.size()));
  Reply keys{.type = Reply::Type::kArray};
  const auto most = *text::ParseInteger<std::int64_t>(command.at(3));
  if (most < 0) return Error("ERR Invalid slot or number of keys");
  if (found == disk_.data.end()) return keys;
  for (const auto& [key, value] : found->second) {
    if (static_cast<std::int64_t>(keys.elements.size()) < most) keys.elements.push_back(Text(key));
  }
  return keys;
}

Reply Node::SetSlot(const Command& command) {
  if (!Me().master) return Error("ERR Please use SETSLOT only with masters.");
  const auto valid = SlotFrom(command.at(2));
  if (!valid) return BadSlot();
  const Slot slot = *valid;
  const std::string& how = command.at(3);
  if (how == "STABLE") {
    disk_.importing.erase(slot);
    disk_.migrating.erase(slot);
    return Ok();
  }
  if (IsMigrating(slot, true)) return Error("ERR Slot export in progress.");
  if (IsMigrating(slot, false)) return Error("ERR Slot import in progress.");
  const bool mine = Me().slots.Contains(slot);
  if (how == "MIGRATING" && !mine) return Error(fmt::format("ERR I'm not the owner of hash slot {}", slot));
  if (how == "IMPORTING" && mine) return Error(fmt::format("ERR I'm already the owner of hash slot {}", slot));
  if ((how != "MIGRATING" && how != "IMPORTING" && how != "NODE") || command.size() != 5) {
    return Error("ERR Invalid CLUSTER SETSLOT action or number of arguments. Try CLUSTER HELP");
  }
  Peer* peer = Find(command[4]);
  if (peer == nullptr)
    return Error((how == "NODE" ? "ERR Unknown node " : "ERR I don't know about node ") + command[4]);
  if (!peer->master) return Error("ERR Target node is not a master");
  if (how == "NODE") return SetSlotNode(slot, *peer);
  (how == "MIGRATING" ? disk_.migrating : disk_.importing)[slot] = peer->id;
  return Ok();
}

Reply Node::SetSlotNode(Slot slot, Peer& owner) {
  const bool mine = Me().slots.Contains(slot);
  const bool has_keys = disk_.data.contains(slot) && !disk_.data.at(slot).empty();
  if (mine && owner.id != disk_.id && has_keys) {
    return Error(fmt::format(
        "ERR Can't assign hashslot {} to a different node while I still hold keys for this hash slot.", slot));
  }
  if (!has_keys) disk_.migrating.erase(slot);
  for (auto& [other, entry] : disk_.table) entry.slots.Remove(slot);
  owner.slots.Add(slot);
  if (owner.id == disk_.id && disk_.importing.erase(slot) > 0) TakeEpochForNewSlots();
  return Ok();
}

// Without a vote: whoever moves slots on purpose needs none. False if it has the highest one already.
bool Node::TakeNewEpoch() {
  std::uint64_t highest = disk_.current_epoch;
  for (const auto& [other, entry] : disk_.table) highest = std::max(highest, entry.epoch);
  if (Me().epoch != 0 && Me().epoch == highest) return false;
  Me().epoch = disk_.current_epoch = highest + 1;
  took_epoch_alone = took_epoch_alone || side != 0;
  return true;
}

void Node::TakeEpochForNewSlots() {
  (void)TakeNewEpoch();
  has_new_slots_ = true;
}

Reply Node::BumpEpoch() {
  const char* what = TakeNewEpoch() ? "BUMPED" : "STILL";
  return {.type = Reply::Type::kStatus, .text = fmt::format("{} {}", what, Me().epoch)};
}

void Node::AnnounceNewSlots() {
  if (!std::exchange(has_new_slots_, false)) return;
  for (Node* node : bus_.All()) {
    if (node != this && bus_.Reaches(*this, node->endpoint())) node->Receive(*this);
  }
}

Reply Node::Forget(const std::string& name) {
  const Peer* peer = Find(name);
  if (peer == nullptr) return Error("ERR Unknown node " + name);
  const NodeId id = peer->id;
  if (id == disk_.id) return Error("ERR I tried hard but I can't forget myself...");
  if (!Me().master && Me().master_id == id) return Error("ERR Can't forget my master!");
  Ban(id, bus_.simulator.Now() + std::chrono::seconds(60));
  return Ok();
}

void Node::Ban(const NodeId& id, MonotonicTime until) {
  disk_.table.erase(id);
  for (auto& [other, entry] : disk_.table) {
    if (entry.master_id == id) entry.master_id = NodeId();
  }
  banned_[id] = until;
}

Reply Node::Reset(const std::string& how) {
  if (how != "HARD") return Error("ERR this model knows CLUSTER RESET HARD only");
  if (Me().master && KeyCount() > 0) {
    return Error("ERR CLUSTER RESET can't be called with master nodes containing keys");
  }
  disk_ = Disk{};
  disk_.id = bus_.NewId();
  ListMyself();
  Me().pong = bus_.simulator.Now();
  master_address_.reset();
  election_at_.reset();
  link_up_ = ever_synced_ = false;
  jobs_.clear();
  return Ok();
}

Reply Node::ReplicateCommand(const std::string& name) {
  const Peer* peer = Find(name);
  if (peer == nullptr) return Error("ERR Unknown node " + name);
  if (peer->id == disk_.id) return Error("ERR Can't replicate myself");
  if (!peer->master) return Error("ERR I can only replicate a master, not a replica.");
  if (Me().master && (!Me().slots.empty() || KeyCount() > 0)) {
    return Error("ERR To set a master the node must be empty and without assigned slots.");
  }
  FollowMaster(peer->id);
  return Ok();
}

Reply Node::Failover(const std::string& how) {
  if (Me().master) return Error("ERR You should send CLUSTER FAILOVER to a replica");
  if (!how.empty() && how != "FORCE" && how != "TAKEOVER") return Error("ERR syntax error");
  const Peer* master = Find(Me().master_id);
  if (master == nullptr) return Error("ERR I'm a replica but my master is unknown to me");
  if (how == "TAKEOVER") {
    Win(++disk_.current_epoch, false);
    return Ok();
  }
  if (how.empty() && (!link_up_ || !HasLinkTo(master->id)))
    return Error("ERR Master is down or failed, please use CLUSTER FAILOVER FORCE");
  const bool orderly = how.empty();
  bus_.simulator.After(bus_.simulator.RandomMs(10, 60), [&bus = bus_, mine = endpoint_, self = disk_.id, orderly] {
    Node* replica = bus.At(mine);
    if (replica == nullptr || replica->id() != self || replica->Me().master) return;
    const Node* source = bus.ById(replica->Me().master_id);
    if (orderly) {
      if (source == nullptr || !bus.Reaches(*source, mine)) return;
      // It begins with a ping from its master, which has paused its clients: that says how much there is to copy, and
      // which slots it owns (clusterProcessPacket of redis src/cluster.c; seed 819276).
      replica->Receive(*source);
      if (replica->Me().master_id != source->id()) return;
      replica->disk_.data = source->disk_.data;
    }
    (void)replica->Elect(true);
  });
  return Ok();
}

Reply Node::Migrate(const Command& command) {
  const auto has = [](const Disk& disk, const std::string& key) {
    const auto slot = disk.data.find(KeySlot(key));
    return slot != disk.data.end() && slot->second.contains(key);
  };
  std::vector<std::string> keys(std::next(std::ranges::find(command, "KEYS")), command.end());
  std::erase_if(keys, [&](const std::string& key) { return !has(disk_, key); });
  if (keys.empty()) return {.type = Reply::Type::kStatus, .text = "NOKEY"};
  Node* target = bus_.At({command.at(1), *text::ParseInteger<int>(command.at(2))});
  if (target == nullptr || !target->works()) return Error("IOERR error or timeout writing to target instance");
  const bool replaces = std::ranges::find(command, "REPLACE") != command.end();
  std::string refusal;
  for (const std::string& key : keys) {
    const Slot slot = KeySlot(key);
    if (!target->me().slots.Contains(slot) && !target->disk_.importing.contains(slot)) {
      refusal = fmt::format("MOVED {} {}", slot, endpoint_.ToString());
    } else if (!replaces && has(target->disk_, key)) {
      refusal = "BUSYKEY Target key name already exists.";
    } else {
      target->disk_.data[slot][key] = disk_.data[slot][key];
      disk_.data[slot].erase(key);
      if (disk_.data[slot].empty()) disk_.data.erase(slot);
      ++offset_;
      ++target->offset_;
    }
  }
  return refusal.empty() ? Ok() : Error("ERR Target instance replied with error: " + refusal);
}

Reply Node::OnKey(const Command& command, bool asking) {
  const std::string& key = command.at(1);
  const Slot slot = KeySlot(key);
  const Peer* owner = OwnerOf(slot);
  if (owner == nullptr) return Error("CLUSTERDOWN Hash slot not served");
  if (!state_ok_) return Error("CLUSTERDOWN The cluster is down");
  const bool here = disk_.data.contains(slot) && disk_.data.at(slot).contains(key);
  if (owner->id == disk_.id) {
    const auto away = disk_.migrating.find(slot);
    if (away != disk_.migrating.end() && !here) {
      const Peer* target = Find(away->second);
      return target == nullptr ? Error("TRYAGAIN") : Error(fmt::format("ASK {} {}", slot, target->endpoint.ToString()));
    }
  } else if (!asking || !disk_.importing.contains(slot)) {
    return Error(fmt::format("MOVED {} {}", slot, owner->endpoint.ToString()));
  }
  if (command[0] == "GET") return here ? Text(disk_.data.at(slot).at(key)) : Reply{};
  std::string& value = disk_.data[slot][key];
  value += command.at(2);
  ++offset_;
  return Number(static_cast<std::int64_t>(value.size()));
}

// A replica is shown with the epoch of its master.
std::uint64_t Node::EpochShown(const Peer& peer) const {
  const auto master = peer.master ? disk_.table.end() : disk_.table.find(peer.master_id);
  return master == disk_.table.end() ? peer.epoch : master->second.epoch;
}

std::string Node::NodesText() const {
  NodeTable table;
  for (const auto& [id, peer] : disk_.table) {
    NodeLine line;
    line.id = id;
    line.endpoint = peer.noaddr ? Endpoint{"", 0} : peer.endpoint;
    line.bus_port = peer.noaddr ? 0 : peer.endpoint.port + bus_offset;
    line.hostname = peer.hostname;
    line.flags.myself = id == disk_.id;
    line.flags.master = peer.master;
    line.flags.replica = !peer.master;
    line.flags.pfail = peer.pfail && !peer.fail;
    line.flags.fail = peer.fail;
    line.flags.noaddr = peer.noaddr;
    if (!peer.master && !peer.master_id.empty()) line.master = peer.master_id;
    line.config_epoch = EpochShown(peer);
    const Node* process = bus_.At(peer.endpoint);
    const bool alive = id == disk_.id || (process != nullptr && process->id() == id);
    // A link that is being opened in vain looks like one that is open. Without an address none is opened.
    line.link_connected = (alive || (!peer.noaddr && bus_.simulator.Random(0, 1) == 0)) && HasLinkTo(id);
    line.slots = peer.slots;
    if (line.flags.myself) {
      for (const auto& [slot, to] : disk_.migrating)
        line.open_slots.push_back({slot, OpenSlot::Direction::kMigrating, to});
      for (const auto& [slot, from] : disk_.importing)
        line.open_slots.push_back({slot, OpenSlot::Direction::kImporting, from});
    }
    table.lines.push_back(std::move(line));
  }
  for (const Endpoint& endpoint : meeting_) {
    NodeLine line;
    line.id = *NodeId::Parse(fmt::format("{:040x}", 0xffffffff00000000ULL + table.lines.size()));
    line.endpoint = endpoint;
    line.bus_port = endpoint.port + bus_offset;
    line.flags.handshake = true;
    table.lines.push_back(std::move(line));
  }
  return testing::ToClusterNodesText(table);
}

std::string Node::InfoText() const {
  const char* version =
      bus_.valkey ? "redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:9.1.2" : "redis_version:7.0.15";
  const auto up = std::chrono::duration_cast<std::chrono::seconds>(bus_.simulator.Now() - booted_);
  std::string text = fmt::format("# Server\r\n{}\r\nrun_id:{}\r\nuptime_in_seconds:{}\r\n# Replication\r\nrole:{}\r\n",
                                 version, run_id_, up.count(), loading || Me().master ? "master" : "slave");
  if (loading) text += "loading:1\r\n";
  if (!loading && !Me().master) {
    const auto down = std::chrono::duration_cast<std::chrono::seconds>(bus_.simulator.Now() - link_lost_);
    text += fmt::format("master_link_status:{}\r\nmaster_sync_in_progress:{}\r\nslave_repl_offset:{}\r\n",
                        link_up_ ? "up" : "down", sync_done_ && !link_up_ ? 1 : 0, offset_);
    const Endpoint asked = master_address_.value_or(Endpoint());
    text += fmt::format("master_host:{}\r\nmaster_port:{}\r\n", asked.host, asked.port);
    if (!link_up_) text += fmt::format("master_link_down_since_seconds:{}\r\n", ever_synced_ ? down.count() : -1);
  }
  int waiting = 0;
  for (const Node* other : bus_.All()) {
    if (!quarantined || !other->WaitsFor(*this)) continue;
    text +=
        fmt::format("slave{}:ip={},port=6379,state=wait_bgsave,offset=0,lag=0\r\n", waiting++, other->endpoint().host);
  }
  text += fmt::format("master_repl_offset:{}\r\n# Keyspace\r\n", offset_);
  if (KeyCount() > 0) text += fmt::format("db0:keys={},expires=0,avg_ttl=0\r\n", KeyCount());
  return text;
}

}  // namespace slotwright::simulation
