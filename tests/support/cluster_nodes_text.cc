// Prints CLUSTER NODES lines, in the order of fields and flags of clusterGenNodeDescription.
#include "tests/support/cluster_nodes_text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <vector>

namespace slotwright::testing {
namespace {

std::string FlagsText(const NodeFlags& flags) {
  std::vector<std::string_view> words;
  if (flags.myself) words.emplace_back("myself");
  if (flags.master) words.emplace_back("master");
  if (flags.replica) words.emplace_back("slave");
  if (flags.pfail) words.emplace_back("fail?");
  if (flags.fail) words.emplace_back("fail");
  if (flags.handshake) words.emplace_back("handshake");
  if (flags.noaddr) words.emplace_back("noaddr");
  return words.empty() ? "noflags" : fmt::format("{}", fmt::join(words, ","));
}

std::string LineText(const NodeLine& line) {
  std::string text = fmt::format("{} {}:{}@{}{}{} {} {} 0 0 {} {}", line.id.ToString(), line.endpoint.host,
                                 line.endpoint.port, line.bus_port, line.hostname.empty() ? "" : ",", line.hostname,
                                 FlagsText(line.flags), line.master ? line.master->ToString() : "-", line.config_epoch,
                                 line.link_connected ? "connected" : "disconnected");
  if (!line.slots.empty()) text += " " + line.slots.ToString();
  for (const OpenSlot& open : line.open_slots) {
    const bool migrating = open.direction == OpenSlot::Direction::kMigrating;
    text += fmt::format(" [{}{}{}]", open.slot, migrating ? "->-" : "-<-", open.peer.ToString());
  }
  return text + "\n";
}

}  // namespace

std::string ToClusterNodesText(const NodeTable& table) {
  std::string text;
  for (const NodeLine& line : table.lines) text += LineText(line);
  return text;
}

}  // namespace slotwright::testing
