// A MODEL of Redis 8.4's CLUSTER MIGRATION: no server of that version was at hand. It is written from the command's
// documentation and from what src/cluster_asm.c and cluster_legacy.c of Redis do; nothing here was ever compared with a
// running server. Left out: replicas, failovers, keys, archives of limited length, the RDB channel's own states.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "controllers/plan/plan.h"
#include "controllers/redis/commander.h"
#include "reconciler/base/clock.h"

namespace slotwright {

/// Time passes only while somebody sleeps, and then the world turns in small steps.
class SteppingClock : public reconciler::Clock {
 public:
  [[nodiscard]] reconciler::MonotonicTime Now() const override { return now_; }
  [[nodiscard]] reconciler::WallTime WallNow() const override { return {}; }
  void WaitUntil(std::unique_lock<std::mutex>& lock, std::condition_variable_any& condition, std::stop_token stop,
                 reconciler::MonotonicTime until) override;
  void RunFor(reconciler::Duration duration);
  std::function<void()> on_step;

 private:
  reconciler::MonotonicTime now_{std::chrono::seconds(1000)};
};

/// Masters of one cluster. Deterministic, single-threaded.
class ImportModel : public Commander {
 public:
  struct Task {
    std::string id;
    SlotSet slots;
    NodeId source;
    NodeId dest;
    bool import = false;
    std::string state = "none";
    std::string last_error;
    std::int64_t retries = 0;
    reconciler::MonotonicTime changed;  ///< Its state.
  };
  struct Node {
    NodeRef ref;
    std::set<std::string> knows = {"cluster|migration"};
    SlotSet owned;
    std::map<Slot, NodeId> migrating;
    std::optional<Task> task;   ///< One at a time.
    std::deque<Task> archived;  ///< Latest first.
    bool paused = false;        ///< CLIENT PAUSE: it begins nothing.
    bool silent = false;
  };

  explicit ImportModel(SteppingClock& clock);

  Node& Add(const std::string& pod, SlotSet owned);
  /// As a process that is started anew: tasks live in memory only.
  void Restart(Node& node);
  [[nodiscard]] Reply Execute(Node& node, const Command& command);
  std::vector<NodeResult> Run(const std::vector<NodeRequest>& requests, std::chrono::milliseconds budget) override;

  std::chrono::milliseconds transfer{200};         ///< From the source's consent to the handover.
  std::chrono::milliseconds gossip{30};            ///< Until the source hears of it.
  int attempts_that_fail = 0;                      ///< The next ones, in the middle of the transfer.
  bool source_stops_waiting = false;               ///< Write pause timeout just before the target takes over.
  std::string lose_reply_to;                       ///< Of the next command with that word, after its effect.
  std::function<void(const Command&)> on_command;  ///< Before it is carried out.
  std::vector<std::string> log;                    ///< "pod: CLUSTER MIGRATION IMPORT 0 9"

  [[nodiscard]] int CountOf(const std::string& words) const;

 private:
  void Step();
  void StepImport(Node& node);
  void Begin(Node& node);
  void Fail(Node& node, const std::string& error);
  void Archive(Node& node, const std::string& state);
  void Cancel(Node& node, const std::string& reason);
  void StepSource(Node& node);
  [[nodiscard]] Reply Import(Node& node, const Command& command);
  [[nodiscard]] Reply Status(const Node& node, const Command& command) const;
  [[nodiscard]] std::string TableOf(const Node& me) const;  ///< CLUSTER NODES
  [[nodiscard]] Reply SetSlot(Node& node, const Command& command);
  [[nodiscard]] Node* OwnerOf(Slot slot);
  [[nodiscard]] Node* ById(const NodeId& id);

  SteppingClock& clock_;
  std::deque<Node> nodes_;
  int next_id_ = 1;
};

}  // namespace slotwright
