// What a simulated node answers, with the errors of the real one where production code looks at them.
#include <fmt/format.h>

#include <algorithm>

#include "controllers/topology/text.h"
#include "tests/simulation/sim_redis.h"
#include "tests/support/cluster_nodes_text.h"

namespace slotwright::simulation {

namespace {

Reply Ok() { return {.type = Reply::Type::kStatus, .text = "OK"}; }
Reply Error(std::string text) { return {.type = Reply::Type::kError, .text = std::move(text)}; }
Reply Text(std::string text) { return {.type = Reply::Type::kString, .text = std::move(text)}; }
Reply Number(std::int64_t number) { return {.type = Reply::Type::kInteger, .integer = number}; }

Slot SlotFrom(const std::string& text) { return static_cast<Slot>(*text::ParseInteger<int>(text)); }

}  // namespace

Reply Node::Execute(const Command& command, bool asking) {
  const std::string& name = command.at(0);
  if (name == "CLUSTER") return Cluster(command);
  if (name == "INFO") return Text(InfoText());
  if (name == "PING") return {.type = Reply::Type::kStatus, .text = "PONG"};
  if (name == "ROLE") return {.type = Reply::Type::kArray, .elements = {Text(Me().master ? "master" : "slave")}};
  if (name == "CONFIG") return Ok();
  if (name == "COMMAND") return {.type = Reply::Type::kArray, .elements = {Reply{}}};
  if (name == "MIGRATE") return Migrate(command);
  if (name == "GET" || name == "APPEND") return OnKey(command, asking);
  return Error("ERR unknown command '" + name + "'");
}

Reply Node::Cluster(const Command& command) {
  const std::string& what = command.at(1);
  if (what == "NODES") return Text(NodesText());
  if (what == "MYID") return Text(disk_.id.ToString());
  if (what == "INFO") {
    int known = static_cast<int>(disk_.table.size());
    return Text(
        fmt::format("cluster_state:{}\r\ncluster_known_nodes:{}\r\ncluster_current_epoch:{}\r\ncluster_my_epoch:{}\r\n",
                    state_ok_ ? "ok" : "fail", known, disk_.current_epoch, Me().epoch));
  }
  if (what == "SETSLOT") return SetSlot(command);
  if (what == "FORGET") return Forget(*NodeId::Parse(command.at(2)));
  if (what == "REPLICATE") return ReplicateCommand(*NodeId::Parse(command.at(2)));
  if (what == "FAILOVER") return Failover(command.size() > 2 ? command[2] : "");
  if (what == "MEET") {
    Meet({command.at(2), *text::ParseInteger<int>(command.at(3))});
    return Ok();
  }
  if (what == "SET-CONFIG-EPOCH") {
    if (disk_.table.size() > 1 || Me().epoch != 0) return Error("ERR Node config epoch is already non-zero");
    Me().epoch = *text::ParseInteger<std::uint64_t>(command.at(2));
    disk_.current_epoch = std::max(disk_.current_epoch, Me().epoch);
    return Ok();
  }
  if (what == "ADDSLOTSRANGE") {
    SlotSet added;
    for (size_t i = 2; i + 1 < command.size(); i += 2)
      added.Add(SlotRange{SlotFrom(command[i]), SlotFrom(command[i + 1])});
    for (const auto& [id, peer] : disk_.table) {
      if (!(peer.slots & added).empty()) return Error("ERR Slot is already busy");
    }
    Me().slots = Me().slots | added;
    return Ok();
  }
  if (what == "COUNTKEYSINSLOT") {
    const auto found = disk_.data.find(SlotFrom(command.at(2)));
    return Number(found == disk_.data.end() ? 0 : static_cast<std::int64_t>(found->second.size()));
  }
  if (what == "GETKEYSINSLOT") {
    Reply keys{.type = Reply::Type::kArray};
    const auto found = disk_.data.find(SlotFrom(command.at(2)));
    const auto most = *text::ParseInteger<size_t>(command.at(3));
    if (found == disk_.data.end()) return keys;
    for (const auto& [key, value] : found->second) {
      if (keys.elements.size() < most) keys.elements.push_back(Text(key));
    }
    return keys;
  }
  return Error("ERR unknown subcommand '" + what + "'");
}

Reply Node::SetSlot(const Command& command) {
  if (!Me().master) return Error("ERR Please use SETSLOT only with masters.");
  const Slot slot = SlotFrom(command.at(2));
  const std::string& how = command.at(3);
  if (how == "STABLE") {
    disk_.importing.erase(slot);
    disk_.migrating.erase(slot);
    return Ok();
  }
  const NodeId id = *NodeId::Parse(command.at(4));
  Peer* peer = Find(id);
  if (peer == nullptr) return Error("ERR I don't know about node " + id.ToString());
  if (!peer->master) return Error("ERR Target node is not a master");
  const bool mine = Me().slots.Contains(slot);
  if (how == "MIGRATING") {
    if (!mine) return Error(fmt::format("ERR I'm not the owner of hash slot {}", slot));
    disk_.migrating[slot] = id;
    return Ok();
  }
  if (how == "IMPORTING") {
    if (mine) return Error(fmt::format("ERR I'm already the owner of hash slot {}", slot));
    disk_.importing[slot] = id;
    return Ok();
  }
  if (mine && id != disk_.id && disk_.data.contains(slot) && !disk_.data.at(slot).empty()) {
    return Error(fmt::format(
        "ERR Can't assign hashslot {} to a different node while I still hold keys for this hash slot.", slot));
  }
  if (disk_.migrating.contains(slot) && mine) disk_.migrating.erase(slot);
  for (auto& [other, entry] : disk_.table) entry.slots.Remove(slot);
  peer->slots.Add(slot);
  if (id == disk_.id && disk_.importing.erase(slot) > 0) {
    std::uint64_t highest = disk_.current_epoch;
    for (const auto& [other, entry] : disk_.table) highest = std::max(highest, entry.epoch);
    if (Me().epoch == 0 || Me().epoch != highest) Me().epoch = disk_.current_epoch = highest + 1;
    for (Node* node : bus_.All()) {
      if (node != this && bus_.Reaches(*this, node->endpoint())) node->Receive(*this);
    }
  }
  return Ok();
}

Reply Node::Forget(const NodeId& id) {
  const Peer* peer = Find(id);
  if (peer == nullptr) return Error("ERR Unknown node " + id.ToString());
  if (id == disk_.id) return Error("ERR I tried hard but I can't forget myself...");
  if (!Me().master && Me().master_id == id) return Error("ERR Can't forget my master!");
  disk_.table.erase(id);
  banned_[id] = bus_.simulator.Now() + std::chrono::seconds(60);
  return Ok();
}

Reply Node::ReplicateCommand(const NodeId& id) {
  const Peer* peer = Find(id);
  if (peer == nullptr) return Error("ERR Unknown node " + id.ToString());
  if (id == disk_.id) return Error("ERR Can't replicate myself");
  if (!peer->master) return Error("ERR I can only replicate a master, not a replica.");
  if (Me().master && (!Me().slots.empty() || KeyCount() > 0)) {
    return Error("ERR To set a master the node must be empty and without assigned slots.");
  }
  FollowMaster(id);
  return Ok();
}

Reply Node::Failover(const std::string& how) {
  if (Me().master) return Error("ERR You should send CLUSTER FAILOVER to a replica");
  const Peer* master = Find(Me().master_id);
  if (master == nullptr) return Error("ERR I'm a replica but my master is unknown to me");
  if (how == "TAKEOVER") {
    Win(++disk_.current_epoch);
    return Ok();
  }
  if (how.empty() && !link_up_) return Error("ERR Master is down or failed, please use CLUSTER FAILOVER FORCE");
  const bool orderly = how.empty();
  bus_.simulator.After(bus_.simulator.RandomMs(10, 60), [&bus = bus_, mine = endpoint_, self = disk_.id, orderly] {
    Node* replica = bus.At(mine);
    if (replica == nullptr || replica->id() != self || replica->Me().master) return;
    const Node* source = bus.ById(replica->Me().master_id);
    if (orderly && (source == nullptr || source->hung)) return;
    if (orderly) replica->disk_.data = source->disk_.data;  // the master has paused its clients
    (void)replica->Elect(true);
  });
  return Ok();
}

Reply Node::Migrate(const Command& command) {
  Node* target = bus_.At({command.at(1), *text::ParseInteger<int>(command.at(2))});
  if (target == nullptr || target->hung) return Error("IOERR error or timeout connecting to the client");
  const auto keys = std::ranges::find(command, "KEYS");
  bool moved = false;
  for (auto key = std::next(keys); key != command.end(); ++key) {
    const Slot slot = KeySlot(*key);
    auto own = disk_.data.find(slot);
    if (own == disk_.data.end() || !own->second.contains(*key)) continue;
    if (!target->me().slots.Contains(slot) && !target->disk_.importing.contains(slot)) {
      return Error(fmt::format("ERR Target instance replied with error: MOVED {} -", slot));
    }
    target->disk_.data[slot][*key] = own->second[*key];
    own->second.erase(*key);
    if (own->second.empty()) disk_.data.erase(own);
    moved = true;
  }
  return moved ? Ok() : Reply{.type = Reply::Type::kStatus, .text = "NOKEY"};
}

Reply Node::OnKey(const Command& command, bool asking) {
  const std::string& key = command.at(1);
  const Slot slot = KeySlot(key);
  const Peer* owner = OwnerOf(slot);
  if (!state_ok_ || owner == nullptr) return Error("CLUSTERDOWN The cluster is down");
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
  if (command[0] == "GET") return Text(here ? disk_.data.at(slot).at(key) : "");
  std::string& value = disk_.data[slot][key];
  value += command.at(2);
  return Number(static_cast<std::int64_t>(value.size()));
}

std::string Node::NodesText() const {
  NodeTable table;
  for (const auto& [id, peer] : disk_.table) {
    NodeLine line;
    line.id = id;
    line.endpoint = peer.noaddr ? Endpoint{"", 0} : peer.endpoint;
    line.bus_port = peer.noaddr ? 0 : peer.endpoint.port + 10000;
    line.hostname = peer.hostname;
    line.flags.myself = id == disk_.id;
    line.flags.master = peer.master;
    line.flags.replica = !peer.master;
    line.flags.pfail = peer.pfail && !peer.fail;
    line.flags.fail = peer.fail;
    line.flags.noaddr = peer.noaddr;
    if (!peer.master && !peer.master_id.empty()) line.master = peer.master_id;
    line.config_epoch = peer.epoch;
    const Node* process = bus_.At(peer.endpoint);
    const bool alive = id == disk_.id || (process != nullptr && process->id() == id);
    // A link that is being opened in vain looks like one that is open.
    line.link_connected = alive || bus_.simulator.Random(0, 1) == 0;
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
    line.bus_port = endpoint.port + 10000;
    line.flags.handshake = true;
    const bool known =
        std::ranges::any_of(disk_.table, [&](const auto& peer) { return peer.second.endpoint == endpoint; });
    if (!known) table.lines.push_back(std::move(line));
  }
  return testing::ToClusterNodesText(table);
}

std::string Node::InfoText() const {
  std::string text = fmt::format("# Server\r\nredis_version:7.0.15\r\nrun_id:{}\r\n# Replication\r\nrole:{}\r\n",
                                 run_id_, Me().master ? "master" : "slave");
  if (!Me().master) {
    text += fmt::format("master_link_status:{}\r\nmaster_sync_in_progress:{}\r\nslave_repl_offset:{}\r\n",
                        link_up_ ? "up" : "down", sync_done_ && !link_up_ ? 1 : 0, KeyCount());
  }
  text += fmt::format("master_repl_offset:{}\r\n# Keyspace\r\n", KeyCount());
  if (KeyCount() > 0) text += fmt::format("db0:keys={},expires=0,avg_ttl=0\r\n", KeyCount());
  return text;
}

}  // namespace slotwright::simulation
