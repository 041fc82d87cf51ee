// See cluster_client.h.
#include "tests/support/cluster_client.h"

#include <fmt/format.h>

#include <algorithm>
#include <thread>

#include "controllers/topology/text.h"

namespace slotwright::testing {

using std::chrono::milliseconds;

namespace {

constexpr milliseconds kAnswerWithin{2000};
constexpr milliseconds kPause{5};

// "MOVED 93 127.1.0.1:6379"
std::optional<Endpoint> Redirection(const std::string& error) {
  const auto words = text::Split(error, ' ');
  if (words.size() < 3 || (words[0] != "MOVED" && words[0] != "ASK")) return std::nullopt;
  const auto colon = words[2].rfind(':');
  const auto port = text::ParseInteger<int>(words[2].substr(colon + 1));
  if (colon == std::string_view::npos || !port) return std::nullopt;
  return Endpoint{std::string(words[2].substr(0, colon)), *port};
}

bool MayBeTriedAgain(const std::string& error) {
  for (const char* word : {"TRYAGAIN", "CLUSTERDOWN", "LOADING", "MASTERDOWN", "READONLY"}) {
    if (error.starts_with(word)) return true;
  }
  return false;
}

}  // namespace

ClusterClient::ClusterClient(std::string password, std::vector<Endpoint> seeds, Finder find)
    : password_(std::move(password)),
      find_(std::move(find)),
      commander_(MakeTcpCommander()),
      nodes_(std::move(seeds)) {}

Endpoint ClusterClient::WayTo(Slot slot) {
  const std::lock_guard lock(mutex_);
  const auto known = ways_.find(slot);
  return known != ways_.end() ? known->second : nodes_[next_node_++ % nodes_.size()];
}

void ClusterClient::Refresh(bool learn_ways) {
  std::vector<NodeRequest> requests;
  {
    const std::lock_guard lock(mutex_);
    const auto now = std::chrono::steady_clock::now();
    if (now - refreshed_ < milliseconds(50)) return;
    refreshed_ = now;
    for (const Endpoint& node : nodes_) requests.push_back({node, password_, {{"CLUSTER", "NODES"}}});
  }
  bool answered = false;
  for (const auto& result : commander_->Run(requests, milliseconds(200))) {
    answered = answered || result;
    if (!result || result->front().IsError()) continue;
    const auto table = ParseClusterNodes(result->front().text);
    if (!table) continue;
    const std::lock_guard lock(mutex_);
    for (const auto& line : table->lines) {
      if (line.endpoint.host.empty() || line.flags.fail || line.flags.handshake) continue;
      Remember(line.endpoint);
      if (!learn_ways || !line.flags.master) continue;
      for (const SlotRange& range : line.slots.Ranges()) {
        for (Slot slot = range.first; slot <= range.last; ++slot) ways_[slot] = line.endpoint;
      }
    }
  }
  if (answered || !find_) return;
  const auto found = find_();
  const std::lock_guard lock(mutex_);
  for (const Endpoint& node : found) Remember(node);
}

void ClusterClient::Remember(const Endpoint& node) {
  if (std::ranges::find(nodes_, node) == nodes_.end()) nodes_.push_back(node);
}

void ClusterClient::Learn(Slot slot, const Endpoint& endpoint) {
  const std::lock_guard lock(mutex_);
  ways_[slot] = endpoint;
  Remember(endpoint);
}

void ClusterClient::Unlearn(Slot slot) {
  const std::lock_guard lock(mutex_);
  ways_.erase(slot);
}

std::expected<Reply, ClusterClient::Failure> ClusterClient::Execute(const Command& command, milliseconds patience) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  const Slot slot = KeySlot(command.at(1));
  std::string last;
  std::optional<Endpoint> asked;
  while (std::chrono::steady_clock::now() < deadline) {
    const Endpoint endpoint = asked ? *asked : WayTo(slot);
    std::vector<Command> commands = {command};
    if (asked) commands.insert(commands.begin(), {"ASKING"});
    asked.reset();
    const auto result = commander_->Run({{endpoint, password_, std::move(commands)}}, kAnswerWithin)[0];
    if (!result) {
      last = result.error().message;
      Unlearn(slot);
      const auto kind = result.error().kind;
      if (kind != RedisError::Kind::kConnect && kind != RedisError::Kind::kAuth) {
        return std::unexpected(Failure{.may_have_happened = true, .message = last});
      }
      Refresh();
      std::this_thread::sleep_for(kPause);
      continue;
    }
    const Reply& reply = result->back();
    if (!reply.IsError()) {
      if (result->size() == 1) Learn(slot, endpoint);
      return reply;
    }
    last = endpoint.ToString() + ": " + reply.text;
    if (const auto elsewhere = Redirection(reply.text)) {
      if (reply.text.starts_with("ASK")) {
        asked = *elsewhere;
      } else {
        Learn(slot, *elsewhere);
      }
      continue;
    }
    if (!MayBeTriedAgain(reply.text)) return std::unexpected(Failure{.message = last});
    Unlearn(slot);
    std::this_thread::sleep_for(kPause);
  }
  return std::unexpected(Failure{.message = "no luck in time; last: " + last});
}

std::string ClusterClient::Fill(int count, int bytes) {
  constexpr int kAtOnce = 5000;
  Refresh(true);
  const std::string value(static_cast<size_t>(bytes), 'x');
  for (int first = 0; first < count; first += kAtOnce) {
    std::map<Endpoint, NodeRequest> requests;
    for (int i = first; i < std::min(count, first + kAtOnce); ++i) {
      const std::string key = fmt::format("key:{}", i);
      const Slot slot = KeySlot(key);
      if (!ways_.contains(slot)) {
        // Also teaches the way.
        if (const auto set = Execute({"SET", key, value}, kAnswerWithin); !set) return set.error().message;
        continue;
      }
      auto& request = requests[ways_.at(slot)];
      request.endpoint = ways_.at(slot);
      request.password = password_;
      request.commands.push_back({"SET", key, value});
    }
    std::vector<NodeRequest> all;
    for (auto& [endpoint, request] : requests) all.push_back(std::move(request));
    for (const auto& result : commander_->Run(all, std::chrono::seconds(20))) {
      if (!result) return result.error().message;
      for (const auto& reply : *result) {
        if (!reply.IsOk()) return reply.text;
      }
    }
  }
  return "";
}

}  // namespace slotwright::testing
