// See report.h.
#include "operator/report.h"

#include <fmt/format.h>

#include <algorithm>

#include "controllers/plan/cluster_view.h"
#include "controllers/topology/text.h"
#include "operator/table.h"

namespace slotwright {

using reconciler::Json;
using reconciler::StringAt;

namespace {

std::string ShortId(const std::string& id) { return id.substr(0, 8); }

std::string StateOf(const NodeView& node) {
  if (!node.Answers()) return node.foreign ? "address reused" : node.loading ? "loading" : "silent: " + node.error;
  if (!node.info.state_ok) return "cluster_state:fail";
  if (!node.server.master_role && !node.server.master_link_up) return "link down";
  if (!node.server.master_role && node.server.master_sync_in_progress) return "syncing";
  return "ok";
}

}  // namespace

std::string StatusReport(const Json& cluster) {
  const Json status = cluster.value("status", Json::object());
  std::string text = fmt::format(
      "RedisCluster {}: {}, {} each, {}\n", reconciler::KeyOf(cluster).ToString(),
      text::Counted(cluster.value(Json::json_pointer("/spec/masters"), size_t{0}), "master", "masters"),
      text::Counted(cluster.value(Json::json_pointer("/spec/replicasPerMaster"), size_t{0}), "replica", "replicas"),
      status.value("version", StringAt(cluster, {"spec", "image"})));
  if (status.value("observedGeneration", 0) != cluster.value(Json::json_pointer("/metadata/generation"), 0)) {
    text += "The operator has not seen the newest specification yet.\n";
  }
  std::vector<std::vector<std::string>> rows = {{"CONDITION", "STATUS", "REASON", "SINCE", "MESSAGE"}};
  for (const auto& condition : status.value("conditions", Json::array())) {
    rows.push_back({StringAt(condition, {"type"}), StringAt(condition, {"status"}), StringAt(condition, {"reason"}),
                    StringAt(condition, {"lastTransitionTime"}), StringAt(condition, {"message"})});
  }
  text += "\n" + FormatTable(rows);
  if (status.contains("operation")) {
    text += fmt::format("\nUnder way: {} since {}: {}\n", StringAt(status, {"operation", "type"}),
                        StringAt(status, {"operation", "startedAt"}), StringAt(status, {"operation", "reason"}));
  }
  rows = {{"SHARD", "ROLE", "POD", "NODE", "ADDRESS", "ID", "SLOTS", "STATE"}};
  for (const auto& shard : status.value("shards", Json::array())) {
    const auto row = [&](const Json& member, const std::string& role, const std::string& slots,
                         const std::string& state) {
      rows.push_back({StringAt(shard, {"name"}), role, StringAt(member, {"pod"}), StringAt(member, {"node"}),
                      StringAt(member, {"address"}), ShortId(StringAt(member, {"id"})), slots, state});
    };
    if (shard.contains("master")) {
      row(shard["master"], "master", StringAt(shard, {"slots"}), "");
    } else {
      rows.push_back({StringAt(shard, {"name"}), "master", "-", "-", "-", "-", "-", "none"});
    }
    for (const auto& replica : shard.value("replicas", Json::array())) {
      row(replica, "replica", "", replica.value("inSync", false) ? "in sync" : "not in sync");
    }
  }
  if (rows.size() > 1) text += "\n" + FormatTable(rows);
  return text;
}

std::string NodeTableReport(const Observation& observation) {
  const ClusterView view = Merge(observation);
  std::vector<std::vector<std::string>> rows = {
      {"POD", "ROLE", "ADDRESS", "ID", "SLOTS", "KEYS", "REPLICATES", "STATE"}};
  for (const auto& node : observation.nodes) {
    if (!node.Answers()) {
      rows.push_back({node.pod, "?", node.endpoint.ToString(), "-", "-", "-", "-", StateOf(node)});
      continue;
    }
    const auto master = node.me().master ? view.by_id.find(*node.me().master) : view.by_id.end();
    const std::string replicates = master != view.by_id.end() ? master->second->pod
                                   : node.me().master         ? node.me().master->Short()
                                                              : "-";
    rows.push_back({node.pod, node.me().flags.master ? "master" : "replica", node.endpoint.ToString(),
                    node.id().Short(), node.me().slots.empty() ? "-" : node.me().slots.ToString(),
                    std::to_string(node.server.keys), replicates, StateOf(node)});
  }
  return FormatTable(rows);
}

std::string SlotMapReport(const Observation& observation) {
  constexpr int kWidth = 64;
  const ClusterView view = Merge(observation);
  std::string text;
  for (const NodeView* node : view.answering) {
    const auto owned = view.owned.find(node->id());
    if (owned == view.owned.end()) continue;
    std::string bar;
    for (int i = 0; i < kWidth; ++i) {
      const auto slot = static_cast<Slot>(i * (kSlotCount / kWidth));
      bar += owned->second.Contains(slot) ? '#' : '.';
    }
    text += fmt::format("{:<12} {}  {:>5} slots  {}\n", node->pod, bar, owned->second.size(), owned->second.ToString());
  }
  return text;
}

std::string PlanReport(const Plan& plan) {
  std::string text = fmt::format("{}: {}\n", plan.reason, plan.message);
  for (const auto& action : plan.actions) text += fmt::format("  - {}\n", ToString(action));
  if (plan.settled) {
    text += "Nothing to do.\n";
  } else if (plan.refusal) {
    text += "Refused: this needs a person.\n";
  } else if (plan.reason == "Paused") {
    text += "Paused: nothing is done until the annotation is taken away.\n";
  } else if (plan.actions.empty()) {
    text += "Waiting: nothing can be done before that.\n";
  } else {
    text += "Then the cluster is looked at again; what follows depends on what is seen.\n";
  }
  return text;
}

CheckReport Check(const Observation& observation, const Plan& plan) {
  CheckReport report;
  const ClusterView view = Merge(observation);
  const auto finding = [&](bool good, const std::string& yes, const std::string& no) {
    report.text += fmt::format("{} {}\n", good ? "[OK]  " : "[FAIL]", good ? yes : no);
    report.healthy = report.healthy && good;
  };
  const int wanted = observation.cluster.spec.pods();
  const auto answering = static_cast<int>(view.answering.size());
  finding(answering == wanted, fmt::format("all {} nodes answer", wanted),
          fmt::format("{} of {} nodes answer", answering, wanted));
  if (answering == 0) {
    report.text +=
        fmt::format("[SKIP] slots, agreement and state: nobody can be asked; {}: {}\n", plan.reason, plan.message);
    return report;
  }
  finding(view.covered.size() == kSlotCount, "all 16384 slots covered",
          fmt::format("{} slots are not covered: {}", kSlotCount - view.covered.size(),
                      (SlotSet::All() - view.covered).ToString()));
  finding(view.disagreement.empty(), "all nodes agree about members, roles and slots", view.disagreement);
  finding(
      view.absent.empty(), "no dead or strange node in any table",
      text::Counted(view.absent.size(), "node is listed that does not answer", "nodes are listed that do not answer"));
  const bool states_ok = std::ranges::all_of(view.answering, [](const NodeView* node) { return node->info.state_ok; });
  finding(states_ok, "every node says cluster_state:ok", "some nodes say cluster_state:fail");
  finding(plan.settled, "nothing is left to do: " + plan.message, plan.reason + ": " + plan.message);
  return report;
}

}  // namespace slotwright
