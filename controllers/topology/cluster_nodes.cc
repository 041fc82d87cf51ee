// CLUSTER NODES: node ids, endpoints and the parser, which trusts nothing that it reads.
#include "controllers/topology/cluster_nodes.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <ranges>
#include <unordered_set>

#include "controllers/topology/text.h"

namespace slotwright {
namespace {

using text::ParseInteger;

constexpr std::size_t kIdLength = 40;
constexpr std::string_view kMigrating = "->-";
constexpr std::string_view kImporting = "-<-";

using Problem = std::optional<std::string>;

// IP literals with an optional scope, and host names: nothing that could break a log line.
bool IsHost(std::string_view text) {
  return std::ranges::all_of(text, [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           std::string_view(".:-_%").contains(c);
  });
}

std::optional<int> ParsePort(std::string_view text) {
  const auto port = ParseInteger<int>(text);
  return port && *port >= 0 && *port <= 65535 ? port : std::nullopt;
}

std::optional<Slot> ParseSlot(std::string_view text) {
  const auto slot = ParseInteger<int>(text);
  return slot && *slot >= 0 && *slot < kSlotCount ? std::optional(static_cast<Slot>(*slot)) : std::nullopt;
}

// ip:port[@cport][,hostname[,key=value]*]; the ip may be empty or hold colons itself.
Problem ParseAddress(std::string_view field, NodeLine& line) {
  const auto comma = field.find(',');
  std::string_view address = field.substr(0, comma);
  if (comma != std::string_view::npos) {
    const std::string_view hostname = text::NextField(field.substr(comma + 1), ',');
    if (!hostname.contains('=')) line.hostname = hostname;
  }
  if (const auto at = address.rfind('@'); at != std::string_view::npos) {
    const auto bus_port = ParsePort(address.substr(at + 1));
    if (!bus_port) return "the bus port after '@' is not a number from 0 to 65535";
    line.bus_port = *bus_port;
    address = address.substr(0, at);
  }
  const auto colon = address.rfind(':');
  if (colon == std::string_view::npos) return "the address has no port";
  const auto port = ParsePort(address.substr(colon + 1));
  if (!port) return "the port is not a number from 0 to 65535";
  line.endpoint = {std::string(address.substr(0, colon)), *port};
  if (!IsHost(line.endpoint.host) || !IsHost(line.hostname)) return "the address has characters that no address has";
  return {};
}

Problem ParseFlags(std::string_view field, NodeFlags& flags) {
  for (const std::string_view flag : text::Split(field, ',')) {
    if (flag == "myself") flags.myself = true;
    if (flag == "master" || flag == "primary") flags.master = true;
    if (flag == "slave" || flag == "replica") flags.replica = true;
    if (flag == "fail?") flags.pfail = true;
    if (flag == "fail") flags.fail = true;
    if (flag == "handshake") flags.handshake = true;
    if (flag == "noaddr") flags.noaddr = true;
  }
  if (flags.master && flags.replica) return "the flags say both master and replica";
  return {};
}

// "[93->-id]", "[93-<-id]".
Problem ParseOpenSlot(std::string_view word, std::vector<OpenSlot>& open_slots) {
  const bool migrating = word.contains(kMigrating);
  const auto arrow = word.find(migrating ? kMigrating : kImporting);
  if (arrow == std::string_view::npos || word.back() != ']') return "an open slot is not [slot->-id] or [slot-<-id]";
  const auto slot = ParseSlot(word.substr(1, arrow - 1));
  const auto id_begin = arrow + kMigrating.size();
  const auto peer = NodeId::Parse(word.substr(id_begin, word.size() - 1 - id_begin));
  if (!slot || !peer) return "an open slot has no valid slot or node id";
  open_slots.push_back({*slot, migrating ? OpenSlot::Direction::kMigrating : OpenSlot::Direction::kImporting, *peer});
  return {};
}

Problem ParseSlotWord(std::string_view word, NodeLine& line) {
  if (word.starts_with('[')) return ParseOpenSlot(word, line.open_slots);
  const auto dash = word.find('-');
  const auto first = ParseSlot(word.substr(0, dash));
  const auto last = dash == std::string_view::npos ? first : ParseSlot(word.substr(dash + 1));
  if (!first || !last) return fmt::format("a slot is not a number from 0 to {}", kSlotCount - 1);
  if (*first > *last) return "a slot range is upside down";
  line.slots.Add(SlotRange{*first, *last});
  return {};
}

// The seven fields between the id and the slots.
Problem ParseFields(const std::vector<std::string_view>& words, NodeLine& line) {
  if (auto problem = ParseAddress(words[1], line)) return problem;
  if (auto problem = ParseFlags(words[2], line.flags)) return problem;
  if (words[3] != "-") {
    line.master = NodeId::Parse(words[3]);
    if (!line.master) return "the master is neither '-' nor a node id";
  }
  const auto ping = ParseInteger<std::int64_t>(words[4]);
  const auto pong = ParseInteger<std::int64_t>(words[5]);
  const auto epoch = ParseInteger<std::uint64_t>(words[6]);
  if (!ping || !pong || !epoch) return "ping-sent, pong-recv or config-epoch is not a number";
  if (words[7] != "connected" && words[7] != "disconnected") {
    return "the link state is neither 'connected' nor 'disconnected'";
  }
  line.config_epoch = *epoch;
  line.link_connected = words[7] == "connected";
  return {};
}

std::expected<NodeLine, std::string> ParseLine(std::string_view text) {
  constexpr std::size_t kFixedWords = 8;
  const std::vector<std::string_view> words = text::Split(text, ' ');
  if (words.size() < kFixedWords) {
    return std::unexpected(fmt::format("has {} fields, at least {} expected", words.size(), kFixedWords));
  }
  NodeLine line;
  const auto id = NodeId::Parse(words[0]);
  if (!id) return std::unexpected("does not begin with a node id of 40 lower-case hex digits");
  line.id = *id;
  if (auto problem = ParseFields(words, line)) return std::unexpected(*problem);
  for (const std::string_view word : words | std::views::drop(kFixedWords)) {
    if (auto problem = ParseSlotWord(word, line)) return std::unexpected(*problem);
  }
  return line;
}

// Of nodes.conf: "vars currentEpoch 6 lastVoteEpoch 0", and the journal lines of the newest Valkey.
bool IsNoNode(std::string_view line) {
  return line.empty() || line == "vars" || line.starts_with("vars ") || line.starts_with("log ");
}

std::unexpected<std::string> BadLine(std::size_t number, std::string_view problem, std::string_view line) {
  return std::unexpected(fmt::format("CLUSTER NODES, line {}: {}: \"{}\"", number, problem, text::ForMessage(line)));
}

}  // namespace

std::optional<NodeId> NodeId::Parse(std::string_view text) {
  const bool hex = std::ranges::all_of(text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
  if (text.size() != kIdLength || !hex) return std::nullopt;
  return NodeId(std::string(text));
}

std::string Endpoint::ToString() const {
  return host.contains(':') ? fmt::format("[{}]:{}", host, port) : fmt::format("{}:{}", host, port);
}

const NodeLine& NodeTable::myself() const {
  const auto it = std::ranges::find_if(lines, [](const NodeLine& line) { return line.flags.myself; });
  assert(it != lines.end());
  return *it;
}

const NodeLine* NodeTable::Find(const NodeId& id) const {
  const auto it = std::ranges::find(lines, id, &NodeLine::id);
  return it == lines.end() ? nullptr : &*it;
}

std::expected<NodeTable, std::string> ParseClusterNodes(std::string_view text) {
  NodeTable table;
  std::unordered_set<std::string_view> ids;
  std::size_t myself_line = 0;
  std::size_t number = 0;
  while (!text.empty()) {
    std::string_view raw = text::TakeLine(text);
    ++number;
    if (IsNoNode(raw)) continue;
    auto line = ParseLine(raw);
    if (!line) return BadLine(number, line.error(), raw);
    if (!ids.insert(raw.substr(raw.find_first_not_of(' '), kIdLength)).second) {
      return BadLine(number, "the id stands on an earlier line already", raw);
    }
    if (line->flags.myself) {
      if (myself_line != 0) return BadLine(number, fmt::format("line {} is 'myself' too", myself_line), raw);
      myself_line = number;
    }
    table.lines.push_back(*std::move(line));
  }
  if (myself_line == 0) {
    return std::unexpected(fmt::format("CLUSTER NODES: none of {} nodes is 'myself'", table.lines.size()));
  }
  return table;
}

}  // namespace slotwright
