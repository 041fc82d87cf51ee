// See play.h.
#include "tests/conformance/redis_model/play.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "controllers/act/atomic_migration.h"
#include "controllers/observe/observer.h"
#include "controllers/topology/text.h"

namespace slotwright::redis_model {

namespace {

// By then every node has exchanged pings with every other one (clusterCron: after half the node timeout at the latest).
constexpr milliseconds kQuiet{900};

void Replace(std::string& text, const std::string& from, const std::string& to) {
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
}

std::string FlagsOf(const NodeLine& line) {
  std::string text = line.flags.master ? "master" : line.flags.replica ? "replica" : "no role";
  if (line.flags.myself) text += " myself";
  if (line.flags.pfail) text += " fail?";
  if (line.flags.fail) text += " fail";
  if (line.flags.noaddr) text += " noaddr";
  return text;
}

}  // namespace

void Play::Start(std::string_view nodes) {
  for (const char node : nodes) {
    cluster_.Start(node);
    running_ += node;
    const auto id = NodeId::Parse(cluster_.Execute(node, {"CLUSTER", "MYID"}, false).text);
    std::string name(1, node);
    while (ids_.contains(name) && ids_.at(name) != id) name += '\'';
    ids_[name] = id.value_or(NodeId());
  }
}

void Play::Kill(std::string_view nodes) {
  for (const char node : nodes) {
    cluster_.Kill(node);
    std::erase(running_, node);
  }
}

void Play::StartAnewWithoutFiles(char node) {
  if (running_.contains(node)) Kill(std::string(1, node));
  cluster_.Erase(node);
  Start(std::string(1, node));
}

void Play::StartElsewhere(std::string_view nodes) {
  Kill(nodes);
  for (const char node : nodes) cluster_.Move(node);
  Start(nodes);
}

Command Play::Words(const std::string& words) {
  Command command;
  for (const std::string_view part : text::Split(words, ' ')) {
    const auto colon = part.find(':');
    const std::string_view kind = colon == std::string_view::npos ? "" : part.substr(0, colon);
    const std::string name(colon == std::string_view::npos ? "" : part.substr(colon + 1));
    std::string word(part);
    if (part == "EMPTY") word = "";  // the key of MIGRATE … KEYS
    if (kind == "id") word = ids_.at(name).ToString();
    if (kind == "host") word = cluster_.EndpointOf(name[0]).host;
    if (kind == "port") word = std::to_string(cluster_.EndpointOf(name[0]).port);
    if (kind == "bus") word = std::to_string(cluster_.EndpointOf(name[0]).port + 10000);
    command.push_back(std::move(word));
  }
  return command;
}

std::string Play::WithoutIds(std::string text) {
  for (const auto& [name, id] : ids_) {
    Replace(text, id.ToString(), "id:" + name);
    Replace(text, cluster_.EndpointOf(name[0]).ToString(), std::string("address:") + name[0]);
  }
  return text;
}

std::string Play::Describe(const Command& command, const Reply& reply) {
  switch (reply.type) {
    case Reply::Type::kNil:
      return "(nil)";
    case Reply::Type::kInteger:
      return std::to_string(reply.integer);
    case Reply::Type::kError:
      return "error: " + WithoutIds(reply.text);
    case Reply::Type::kStatus:
      return reply.text;
    case Reply::Type::kString:
      return '"' + WithoutIds(reply.text) + '"';
    case Reply::Type::kArray:
      break;
  }
  // What follows the role are offsets and addresses.
  if (!command.empty() && command[0] == "ROLE") return Describe({}, reply.elements.at(0));
  std::vector<std::string> elements;
  for (const Reply& element : reply.elements) elements.push_back(Describe({}, element));
  std::ranges::sort(elements);  // GETKEYSINSLOT has no order
  return fmt::format("[{}]", fmt::join(elements, ", "));
}

Reply Play::Do(char node, const std::string& words) {
  Command command = Words(words);
  const bool asking = command[0] == "ASKING";
  if (asking) command.erase(command.begin());
  Reply reply = cluster_.Execute(node, command, asking);
  Note(fmt::format("{}: {} -> {}", node, words, Describe(command, reply)));
  return reply;
}

void Play::Prepare(char node, const std::string& words) {
  const Command command = Words(words);
  const Reply reply = cluster_.Execute(node, command, false);
  if (reply.IsError()) Note(fmt::format("{}: {} -> {}", node, words, Describe(command, reply)));
}

void Play::Await(const std::string& what, const std::function<bool()>& condition, milliseconds limit) {
  const bool reached = cluster_.WaitUntil(condition, limit);
  Note(fmt::format("{}: {}", what, reached ? "yes" : "NO"));
  if (!reached) in_vain_.push_back(what);
}

void Play::AwaitInVain(const std::string& what, const std::function<bool()>& condition, milliseconds limit) {
  const bool reached = cluster_.WaitUntil(condition, limit);
  Note(fmt::format("{}: {}", what, reached ? "YES" : "no"));
  if (reached) in_vain_.push_back("that not " + what);
}

void Play::Tables() {
  std::string last;
  auto since = cluster_.Now();
  const bool settled = cluster_.WaitUntil(
      [&] {
        if (std::string now = Snapshot(); now != last) {
          last = std::move(now);
          since = cluster_.Now();
        }
        return cluster_.Now() - since >= kQuiet;
      },
      kPatience);
  if (!settled) in_vain_.emplace_back("that nothing changes any more");
  Note(last);
}

std::string Play::Snapshot() {
  std::string nodes = running_;
  std::ranges::sort(nodes);
  std::string text;
  for (const char node : nodes) {
    const ClusterInfo info = ClusterInfoOf(node);
    const NodeTable table = TableOf(node);
    text +=
        fmt::format("{} says: state {}, {} nodes, epoch {}, my epoch {}; {}\n{}", node, info.state_ok ? "ok" : "fail",
                    info.known_nodes, info.current_epoch, info.my_epoch, DescribeServer(node, table), Describe(table));
  }
  return text;
}

std::string Play::DescribeServer(char node, const NodeTable& table) {
  const ServerInfo server = ServerInfoOf(node);
  if (server.master_role) {
    return fmt::format("INFO master, {} keys{}", server.keys,
                       server.replicas_waiting > 0 ? fmt::format(", {} waiting", server.replicas_waiting) : "");
  }
  const NodeId master = table.myself().master.value_or(NodeId());
  const std::string name = NameOf(master);
  const bool alive = Runs(name);
  return fmt::format("INFO replica, link {}{}, {} keys{}", server.master_link_up ? "up" : "down",
                     server.master_sync_in_progress ? ", syncing" : "", server.keys,
                     alive && ServerInfoOf(name[0]).master_repl_offset == server.replica_offset ? ", all of it" : "");
}

// Lines in the order of the names. A link to a dead node is being opened in vain or not, by chance.
std::string Play::Describe(const NodeTable& table) {
  std::map<std::string, std::string> lines;
  for (const auto& line : table.lines) {
    if (line.flags.handshake) continue;  // Its id is a random one, and it is over soon.
    const std::string name = NameOf(line.id);
    std::string text = fmt::format("  {} {}", name, FlagsOf(line));
    if (line.master) text += " of " + NameOf(*line.master);
    text += fmt::format(", epoch {}", line.config_epoch);
    if (line.endpoint.host.empty()) {
      text += fmt::format(", no address{}", line.endpoint.port == 0 ? "" : " but a port");
    } else if (line.endpoint != cluster_.EndpointOf(name[0])) {
      text += ", elsewhere";
    }
    if (line.hostname != HostnameFor(name[0])) text += ", hostname '" + line.hostname + "'";
    if (Runs(name) && line.endpoint == cluster_.EndpointOf(name[0]) && !line.link_connected) text += ", disconnected";
    if (!line.slots.empty()) text += ", slots " + line.slots.ToString();
    for (const auto& open : line.open_slots) {
      const bool importing = open.direction == OpenSlot::Direction::kImporting;
      text += fmt::format(", {} {} {}", open.slot, importing ? "from" : "to", NameOf(open.peer));
    }
    lines[name] = text + "\n";
  }
  std::string all;
  for (const auto& [name, line] : lines) all += line;
  return all;
}

std::string Play::NameOf(const NodeId& id) const {
  const auto found = std::ranges::find_if(ids_, [&](const auto& entry) { return entry.second == id; });
  return found == ids_.end() ? "?" : found->first;
}

// The newest one with that letter.
bool Play::Runs(const std::string& name) const {
  return running_.contains(name[0]) && !ids_.contains(name + "'") && ids_.contains(name);
}

void Play::Migrations(char node) {
  const Reply jobs = cluster_.Execute(node, {"CLUSTER", "GETSLOTMIGRATIONS"}, false);
  Note(fmt::format("{} has {} migrations", node, jobs.elements.size()));
  for (const Reply& job : jobs.elements) {
    std::string line;
    for (const char* field : {"operation", "slot_ranges", "source_node", "target_node", "state", "message"}) {
      line += fmt::format(" {}", FieldOf(job, field).text);
    }
    Note(" " + WithoutIds(line));
  }
}

bool Play::Migrates(char node) {
  return CountActiveMigrations(cluster_.Execute(node, {"CLUSTER", "GETSLOTMIGRATIONS"}, false)) > 0;
}

NodeTable Play::TableOf(char node) {
  auto table = ParseClusterNodes(cluster_.Execute(node, {"CLUSTER", "NODES"}, false).text);
  if (table) return *std::move(table);
  Note(fmt::format("{}: {}", node, table.error()));
  return {.lines = {NodeLine{.id = ids_[std::string(1, node)], .flags = {.myself = true}}}};
}

ClusterInfo Play::ClusterInfoOf(char node) {
  return ParseClusterInfo(cluster_.Execute(node, {"CLUSTER", "INFO"}, false).text);
}

ServerInfo Play::ServerInfoOf(char node) { return ParseServerInfo(cluster_.Execute(node, {"INFO"}, false).text); }

NodeLine Play::Line(char viewer, const std::string& name) {
  const NodeTable table = TableOf(viewer);
  const NodeLine* line = table.Find(ids_.at(name));
  return line == nullptr ? NodeLine() : *line;
}

std::string Play::Transcript() const { return fmt::format("{}\n", fmt::join(lines_, "\n")); }

void Play::MeetAllPairs() {
  for (const char from : running_) {
    for (const char to : running_) {
      if (from != to) Prepare(from, fmt::format("CLUSTER MEET host:{0} port:{0} bus:{0}", to));
    }
  }
}

bool Play::AllKnowEachOther() {
  return std::ranges::all_of(running_, [&](char viewer) {
    const NodeTable table = TableOf(viewer);
    // The hostname a node says only itself.
    const auto is_there = [](const NodeLine& line) {
      return !line.flags.handshake && line.link_connected && !line.hostname.empty();
    };
    return table.lines.size() == running_.size() && std::ranges::all_of(table.lines, is_there);
  });
}

bool Play::AllSayOk() {
  return std::ranges::all_of(running_, [&](char node) { return ClusterInfoOf(node).state_ok; });
}

bool Play::AllKnow(const std::string& name) {
  return std::ranges::all_of(running_, [&](char viewer) { return !Line(viewer, name).id.empty(); });
}

bool Play::AllSayFailed(const std::string& name) {
  return std::ranges::all_of(running_, [&](char viewer) { return Line(viewer, name).flags.fail; });
}

bool Play::Follows(char replica, const std::string& master) {
  return ServerInfoOf(replica).master_link_up && TableOf(replica).myself().master == ids_.at(master);
}

void Play::MakeCluster(int masters, int replicas) {
  std::string nodes;
  for (int i = 0; i < masters + replicas; ++i) nodes += static_cast<char>('A' + i);
  Start(nodes);
  for (int i = 0; i < masters + replicas; ++i) {
    Prepare(nodes[static_cast<size_t>(i)], fmt::format("CLUSTER SET-CONFIG-EPOCH {}", i + 1));
  }
  for (int i = 0; i < masters; ++i) {
    const SlotRange slots = InitialSlots(i, masters);
    Prepare(nodes[static_cast<size_t>(i)], fmt::format("CLUSTER ADDSLOTSRANGE {} {}", slots.first, slots.last));
  }
  MeetAllPairs();
  Await("all know each other", [&] { return AllKnowEachOther(); });
  for (int i = 0; i < replicas; ++i) {
    Prepare(nodes[static_cast<size_t>(masters + i)],
            fmt::format("CLUSTER REPLICATE id:{}", static_cast<char>('A' + i % masters)));
  }
  Await("replicas are in sync", [&] {
    return std::ranges::all_of(nodes.substr(static_cast<size_t>(masters)),
                               [&](char node) { return ServerInfoOf(node).master_link_up; });
  });
  Await("the cluster is ok", [&] { return AllSayOk(); });
}

}  // namespace slotwright::redis_model
