// A script's hands and its record: commands go in with letters for nodes, and what comes out is written down without
// the ids, addresses and times that differ from run to run.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tests/conformance/redis_model/cluster_under_test.h"

namespace slotwright::redis_model {

inline constexpr milliseconds kPatience{20'000};

class Play {
 public:
  explicit Play(ClusterUnderTest& cluster) : cluster_(cluster) {}

  /// "ABC": starts these.
  void Start(std::string_view nodes);
  void Kill(std::string_view nodes);
  /// Kills it, takes its files away, and starts it again: its new id is called "A'", later "A''".
  void StartAnewWithoutFiles(char node);

  /// Kills them all, and starts them with their files at new addresses.
  void StartElsewhere(std::string_view nodes);

  /// Words between single spaces, as "CLUSTER MEET host:B port:B bus:B" or "CLUSTER FORGET id:A'", ASKING in front if
  /// wanted. The reply is written down.
  Reply Do(char node, const std::string& words);
  /// The same for commands that only prepare: written down only if refused.
  void Prepare(char node, const std::string& words);
  /// Writes down whether it came true, which it should.
  void Await(const std::string& what, const std::function<bool()>& condition, milliseconds limit = kPatience);
  /// Writes down that it did not come true in that time, as it should not.
  void AwaitInVain(const std::string& what, const std::function<bool()>& condition, milliseconds limit);
  /// Waits until nothing changes any more and writes down what every running node says of all.
  void Tables();
  /// What the node says of the slot migrations that it carries out by itself, the newest first.
  void Migrations(char node);
  [[nodiscard]] bool Migrates(char node);
  void Note(const std::string& line) { lines_.push_back(line); }

  [[nodiscard]] NodeTable TableOf(char node);
  [[nodiscard]] ClusterInfo ClusterInfoOf(char node);
  [[nodiscard]] ServerInfo ServerInfoOf(char node);
  /// What `viewer` says about the node with that name ("A", "A'"); a line without id if it does not list it.
  [[nodiscard]] NodeLine Line(char viewer, const std::string& name);
  [[nodiscard]] const std::string& running() const { return running_; }

  [[nodiscard]] bool IsMaster(char node) { return ServerInfoOf(node).master_role; }

  /// Everything so far, one line each.
  [[nodiscard]] std::string Transcript() const;
  /// What was awaited in vain.
  [[nodiscard]] const std::vector<std::string>& in_vain() const { return in_vain_; }

  /// A running cluster of 'A'… masters and, dealt one by one, replicas: MakeCluster(3, 4) gives A, B, C with a third of
  /// the slots each, D of A, E of B, F of C and G of A, with epochs 1 to 7.
  void MakeCluster(int masters, int replicas);
  void MeetAllPairs();
  [[nodiscard]] bool AllKnowEachOther();
  [[nodiscard]] bool AllSayOk();
  [[nodiscard]] bool AllKnow(const std::string& name);
  [[nodiscard]] bool AllSayFailed(const std::string& name);
  /// Whether `replica` follows a master that answers it.
  [[nodiscard]] bool Follows(char replica, const std::string& master);

 private:
  [[nodiscard]] Command Words(const std::string& words);
  [[nodiscard]] std::string WithoutIds(std::string text);
  [[nodiscard]] std::string Describe(const Command& command, const Reply& reply);
  [[nodiscard]] std::string Snapshot();
  [[nodiscard]] std::string Describe(const NodeTable& table);
  [[nodiscard]] std::string DescribeServer(char node, const NodeTable& table);
  [[nodiscard]] std::string NameOf(const NodeId& id) const;
  [[nodiscard]] bool Runs(const std::string& name) const;

  ClusterUnderTest& cluster_;
  std::string running_;
  std::map<std::string, NodeId> ids_;  // by name
  std::vector<std::string> lines_;
  std::vector<std::string> in_vain_;
};

}  // namespace slotwright::redis_model
