// See cluster_metrics.h.
#include "controllers/cluster_metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>

#include <limits>
#include <map>
#include <mutex>

namespace slotwright {

namespace {

struct Series {
  prometheus::Gauge& ready;
  prometheus::Gauge& slots_covered;
  prometheus::Gauge& nodes_desired;
  prometheus::Gauge& nodes_answering;
  prometheus::Gauge& masters_desired;
  prometheus::Gauge& keys;
  prometheus::Gauge& memory;
  prometheus::Gauge& fullness;
  prometheus::Gauge& lag;
  prometheus::Gauge& slots_left;
  prometheus::Gauge& keys_per_second;
  prometheus::Gauge& seconds_left;
  prometheus::Counter& actions;
  prometheus::Counter& failures;
};

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

double ValueOrUnknown(const std::optional<std::int64_t>& value) {
  return value ? static_cast<double>(*value) : kUnknown;
}

// A cache that evicts is meant to be full.
double Fullness(const ServerInfo& server) {
  if (server.maxmemory <= 0 || server.maxmemory_policy != "noeviction") return 0;
  return static_cast<double>(server.used_memory) / static_cast<double>(server.maxmemory);
}

}  // namespace

struct ClusterMetrics::Impl {
  using Gauges = prometheus::Family<prometheus::Gauge>;
  using Counters = prometheus::Family<prometheus::Counter>;

  explicit Impl(std::shared_ptr<prometheus::Registry> r)
      : registry(std::move(r)),
        ready(Gauge("slotwright_cluster_ready", "1 if the condition Ready is True.")),
        slots_covered(Gauge("slotwright_cluster_slots_covered",
                            "Slots whose master answers and says cluster_state:ok, of 16384.")),
        nodes_desired(Gauge("slotwright_cluster_nodes_desired", "Nodes that the specification asks for.")),
        nodes_answering(Gauge("slotwright_cluster_nodes_answering", "Nodes that answered the last look.")),
        masters_desired(Gauge("slotwright_cluster_masters_desired", "Masters that the specification asks for.")),
        keys(Gauge("slotwright_cluster_keys", "Keys on all masters.")),
        memory(Gauge("slotwright_cluster_used_memory_bytes", "used_memory of all nodes.")),
        fullness(Gauge("slotwright_cluster_memory_fullness",
                       "used_memory by maxmemory of the fullest master that evicts nothing and refuses writes at 1.")),
        lag(Gauge("slotwright_cluster_replication_lag_bytes",
                  "The largest distance between the offsets of a master and one of its replicas.")),
        slots_left(Gauge("slotwright_cluster_migration_slots_left", "Slots that are still to be moved.")),
        keys_per_second(Gauge("slotwright_cluster_migration_keys_per_second",
                              "Keys moved a second, over the last slice of a migration.")),
        seconds_left(Gauge("slotwright_cluster_migration_estimated_seconds_left",
                           "How long the rest of a migration takes if it goes on like its last slice.")),
        actions(Counter("slotwright_actions_total", "Actions carried out on Kubernetes and on Redis.")),
        failures(Counter("slotwright_action_failures_total", "Actions that failed and will be planned anew.")) {}

  Gauges& Gauge(const char* name, const char* help) {
    return prometheus::BuildGauge().Name(name).Help(help).Register(*registry);
  }
  Counters& Counter(const char* name, const char* help) {
    return prometheus::BuildCounter().Name(name).Help(help).Register(*registry);
  }

  // REQUIRES: mutex is held.
  Series& For(const reconciler::ObjectKey& key) {
    const auto found = series.find(key);
    if (found != series.end()) return found->second;
    const std::map<std::string, std::string> l = {{"namespace", key.ns}, {"name", key.name}};
    return series
        .emplace(key, Series{ready.Add(l), slots_covered.Add(l), nodes_desired.Add(l), nodes_answering.Add(l),
                             masters_desired.Add(l), keys.Add(l), memory.Add(l), fullness.Add(l), lag.Add(l),
                             slots_left.Add(l), keys_per_second.Add(l), seconds_left.Add(l), actions.Add(l),
                             failures.Add(l)})
        .first->second;
  }

  std::shared_ptr<prometheus::Registry> registry;
  Gauges& ready;
  Gauges& slots_covered;
  Gauges& nodes_desired;
  Gauges& nodes_answering;
  Gauges& masters_desired;
  Gauges& keys;
  Gauges& memory;
  Gauges& fullness;
  Gauges& lag;
  Gauges& slots_left;
  Gauges& keys_per_second;
  Gauges& seconds_left;
  Counters& actions;
  Counters& failures;
  std::mutex mutex;
  std::map<reconciler::ObjectKey, Series> series;
};

ClusterMetrics::ClusterMetrics(std::shared_ptr<prometheus::Registry> registry)
    : impl_(std::make_unique<Impl>(std::move(registry))) {}
ClusterMetrics::~ClusterMetrics() = default;

void ClusterMetrics::Observe(const Observation& observation, const ClusterView& view, const Plan& plan,
                             const std::vector<Outcome>& outcomes) {
  std::int64_t keys = 0;
  std::int64_t memory = 0;
  std::int64_t lag = 0;
  double fullness = 0;
  SlotSet served;
  for (const NodeView* node : view.answering) {
    memory += node->server.used_memory;
    const NodeView* master = view.MasterOf(node->shard);
    if (node == master) keys += node->server.keys;
    if (node == master) fullness = std::max(fullness, Fullness(node->server));
    if (const auto owned = view.owned.find(node->id()); owned != view.owned.end() && node->info.state_ok) {
      served = served | owned->second;
    }
    if (master != nullptr && node != master && !node->server.master_role) {
      lag = std::max(lag, master->server.master_repl_offset - node->server.replica_offset);
    }
  }
  const std::lock_guard lock(impl_->mutex);
  Series& series = impl_->For({observation.cluster.ns, observation.cluster.name});
  series.ready.Set(plan.settled ? 1 : 0);
  series.nodes_desired.Set(observation.cluster.spec.pods());
  series.masters_desired.Set(observation.cluster.spec.masters);
  // What nobody could be asked is not zero.
  const bool asked = NodesCouldBeAsked(observation, view);
  const auto seen = [asked](auto value) { return asked ? static_cast<double>(value) : kUnknown; };
  // Nor are those of a cluster that is only being made missing.
  const bool formed = !observation.cluster.formed_at.empty();
  series.slots_covered.Set(formed ? seen(served.size()) : kUnknown);
  series.nodes_answering.Set(seen(view.answering.size()));
  series.keys.Set(seen(keys));
  series.memory.Set(seen(memory));
  series.fullness.Set(seen(fullness));
  series.lag.Set(seen(lag));
  const auto migration = plan.migration.value_or(MigrationProgress{.keys_per_second = 0, .seconds_left = 0});
  series.slots_left.Set(seen(migration.slots_left));
  series.keys_per_second.Set(seen(ValueOrUnknown(migration.keys_per_second)));
  series.seconds_left.Set(seen(ValueOrUnknown(migration.seconds_left)));
  for (const auto& outcome : outcomes) (outcome.error.empty() ? series.actions : series.failures).Increment();
}

void ClusterMetrics::Remove(const reconciler::ObjectKey& key) {
  const std::lock_guard lock(impl_->mutex);
  const auto found = impl_->series.find(key);
  if (found == impl_->series.end()) return;
  Series& s = found->second;
  impl_->ready.Remove(&s.ready);
  impl_->slots_covered.Remove(&s.slots_covered);
  impl_->nodes_desired.Remove(&s.nodes_desired);
  impl_->nodes_answering.Remove(&s.nodes_answering);
  impl_->masters_desired.Remove(&s.masters_desired);
  impl_->keys.Remove(&s.keys);
  impl_->memory.Remove(&s.memory);
  impl_->fullness.Remove(&s.fullness);
  impl_->lag.Remove(&s.lag);
  impl_->slots_left.Remove(&s.slots_left);
  impl_->keys_per_second.Remove(&s.keys_per_second);
  impl_->seconds_left.Remove(&s.seconds_left);
  impl_->actions.Remove(&s.actions);
  impl_->failures.Remove(&s.failures);
  impl_->series.erase(found);
}

}  // namespace slotwright
