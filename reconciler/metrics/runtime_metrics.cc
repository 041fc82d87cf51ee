// Families once, series by name; a name's series are looked up under a lock and then used without it.
#include "reconciler/metrics/runtime_metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <map>
#include <mutex>
#include <sstream>
#include <utility>
#include <vector>

#include "reconciler/metrics/process_collector.h"
#include "reconciler/queue/work_queue.h"

namespace reconciler {

namespace {

using prometheus::Counter;
using prometheus::Family;
using prometheus::Gauge;
using prometheus::Histogram;
using prometheus::Registry;
using Buckets = Histogram::BucketBoundaries;

const Buckets kReconcileBuckets = {.005, .01, .025, .05, .1,   .15, .2,   .25, .3,  .35, .4,  .45, .5,  .6,
                                   .7,   .8,  .9,   1,   1.25, 1.5, 1.75, 2,   2.5, 3,   3.5, 4,   4.5, 5,
                                   6,    7,   8,    9,   10,   15,  20,   25,  30,  40,  50,  60};
const Buckets kRequestBuckets = {.005, .025, .1, .25, .5, 1, 2, 4, 8, 15, 30, 60};
// ExponentialBuckets(10e-9, 10, 12) of client_golang.
const Buckets kQueueBuckets = {1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, .1, 1, 10, 100, 1000};

Family<Counter>& CounterFamily(Registry& registry, const std::string& name, const std::string& help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(registry);
}

Family<Gauge>& GaugeFamily(Registry& registry, const std::string& name, const std::string& help) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(registry);
}

Family<Histogram>& HistogramFamily(Registry& registry, const std::string& name, const std::string& help) {
  return prometheus::BuildHistogram().Name(name).Help(help).Register(registry);
}

double Seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

struct ControllerFamilies {
  explicit ControllerFamilies(Registry& r)
      : total(CounterFamily(r, "controller_runtime_reconcile_total",
                            "Total number of reconciliations per controller and result")),
        errors(CounterFamily(r, "controller_runtime_reconcile_errors_total",
                             "Total number of reconciliation errors per controller")),
        terminal(CounterFamily(r, "controller_runtime_terminal_reconcile_errors_total",
                               "Total number of terminal reconciliation errors per controller")),
        panics(CounterFamily(r, "controller_runtime_reconcile_panics_total",
                             "Total number of uncaught exceptions in reconciliations per controller")),
        time(HistogramFamily(r, "controller_runtime_reconcile_time_seconds",
                             "Length of time per reconciliation per controller")),
        max_concurrent(GaugeFamily(r, "controller_runtime_max_concurrent_reconciles",
                                   "Maximum number of concurrent reconciles per controller")),
        active(GaugeFamily(r, "controller_runtime_active_workers", "Number of currently used workers per controller")) {
  }

  Family<Counter>&total, &errors, &terminal, &panics;
  Family<Histogram>& time;
  Family<Gauge>&max_concurrent, &active;
};

struct ControllerSeries {
  ControllerSeries(ControllerFamilies& f, const std::string& name)
      : success(f.total.Add({{"controller", name}, {"result", "success"}})),
        requeue_after(f.total.Add({{"controller", name}, {"result", "requeue_after"}})),
        error(f.total.Add({{"controller", name}, {"result", "error"}})),
        errors(f.errors.Add({{"controller", name}})),
        terminal(f.terminal.Add({{"controller", name}})),
        panics(f.panics.Add({{"controller", name}})),
        time(f.time.Add({{"controller", name}}, kReconcileBuckets)),
        max_concurrent(f.max_concurrent.Add({{"controller", name}})),
        active(f.active.Add({{"controller", name}})) {
    // Never counted, but dashboards made for controller-runtime sum over it.
    f.total.Add({{"controller", name}, {"result", "requeue"}});
  }

  Counter &success, &requeue_after, &error, &errors, &terminal, &panics;
  Histogram& time;
  Gauge &max_concurrent, &active;
};

struct QueueFamilies {
  explicit QueueFamilies(Registry& r)
      : depth(GaugeFamily(r, "workqueue_depth", "Current depth of workqueue")),
        unfinished(GaugeFamily(r, "workqueue_unfinished_work_seconds",
                               "How many seconds of work has been done that is in progress and hasn't been observed by "
                               "work_duration. Large values indicate stuck threads.")),
        longest(GaugeFamily(r, "workqueue_longest_running_processor_seconds",
                            "How many seconds has the longest running processor for workqueue been running")),
        adds(CounterFamily(r, "workqueue_adds_total", "Total number of adds handled by workqueue")),
        retries(CounterFamily(r, "workqueue_retries_total", "Total number of retries handled by workqueue")),
        waited(HistogramFamily(r, "workqueue_queue_duration_seconds",
                               "How long in seconds an item stays in workqueue before being requested")),
        worked(HistogramFamily(r, "workqueue_work_duration_seconds",
                               "How long in seconds processing an item from workqueue takes")) {}

  Family<Gauge>&depth, &unfinished, &longest;
  Family<Counter>&adds, &retries;
  Family<Histogram>&waited, &worked;
};

struct QueueSeries {
  QueueSeries(QueueFamilies& f, const std::string& name)
      : depth(f.depth.Add({{"name", name}, {"controller", name}, {"priority", ""}})),
        unfinished(f.unfinished.Add({{"name", name}, {"controller", name}})),
        longest(f.longest.Add({{"name", name}, {"controller", name}})),
        adds(f.adds.Add({{"name", name}, {"controller", name}})),
        retries(f.retries.Add({{"name", name}, {"controller", name}})),
        waited(f.waited.Add({{"name", name}, {"controller", name}}, kQueueBuckets)),
        worked(f.worked.Add({{"name", name}, {"controller", name}}, kQueueBuckets)) {}

  Gauge &depth, &unfinished, &longest;
  Counter &adds, &retries;
  Histogram &waited, &worked;
};

}  // namespace

struct RuntimeMetrics::Impl {
  explicit Impl(std::shared_ptr<Registry> r)
      : registry(std::move(r)),
        controller_families(*registry),
        queue_families(*registry),
        requests(CounterFamily(*registry, "rest_client_requests_total",
                               "Number of HTTP requests, partitioned by status code, method, and host.")),
        request_time(HistogramFamily(*registry, "rest_client_request_duration_seconds",
                                     "Request latency in seconds. Broken down by verb, and host.")),
        master_status(GaugeFamily(*registry, "leader_election_master_status",
                                  "Gauge of if the reporting system is master of the relevant lease, 0 indicates "
                                  "backup, 1 indicates master. 'name' is the string used to identify the lease. Please "
                                  "make sure to group by name.")),
        process(MakeProcessCollector()) {}

  // Nodes of a map stay where they are, and the series themselves are thread-safe.
  ControllerSeries& Controller(const std::string& name) {
    const std::lock_guard lock(mutex);
    return controllers.try_emplace(name, controller_families, name).first->second;
  }
  QueueSeries& Queue(const std::string& name) {
    const std::lock_guard lock(mutex);
    return queues.try_emplace(name, queue_families, name).first->second;
  }
  void RefreshUnfinished();

  const std::shared_ptr<Registry> registry;
  ControllerFamilies controller_families;
  QueueFamilies queue_families;
  Family<Counter>& requests;
  Family<Histogram>& request_time;
  Family<Gauge>& master_status;
  const std::unique_ptr<prometheus::Collectable> process;
  std::mutex mutex;
  std::map<std::string, ControllerSeries> controllers;
  std::map<std::string, QueueSeries> queues;
  std::map<std::string, const WorkQueue*> observed;
};

void RuntimeMetrics::Impl::RefreshUnfinished() {
  std::map<std::string, const WorkQueue*> all;
  {
    const std::lock_guard lock(mutex);
    all = observed;
  }
  // Without our lock: a queue counts while it holds its own.
  for (const auto& [name, queue] : all) {
    const WorkQueue::Unfinished work = queue->UnfinishedWork();
    QueueSeries& series = Queue(name);
    series.unfinished.Set(Seconds(work.sum));
    series.longest.Set(Seconds(work.longest));
  }
}

RuntimeMetrics::RuntimeMetrics(std::shared_ptr<Registry> registry)
    : impl_(std::make_unique<Impl>(std::move(registry))) {}

RuntimeMetrics::~RuntimeMetrics() = default;

void RuntimeMetrics::RegisterController(const std::string& name, int max_concurrent_reconciles) {
  impl_->Controller(name).max_concurrent.Set(max_concurrent_reconciles);
}

void RuntimeMetrics::ReconcileStarted(const std::string& controller) {
  impl_->Controller(controller).active.Increment();
}

void RuntimeMetrics::ReconcileDone(const std::string& controller, ReconcileResult result, Duration took) {
  ControllerSeries& series = impl_->Controller(controller);
  series.active.Decrement();
  series.time.Observe(Seconds(took));
  if (result == ReconcileResult::kSuccess) return series.success.Increment();
  if (result == ReconcileResult::kRequeueAfter) return series.requeue_after.Increment();
  series.error.Increment();
  series.errors.Increment();
  if (result == ReconcileResult::kTerminalError) series.terminal.Increment();
  if (result == ReconcileResult::kPanic) series.panics.Increment();
}

void RuntimeMetrics::RegisterQueue(const std::string& name) { impl_->Queue(name); }
void RuntimeMetrics::QueueAdded(const std::string& name) { impl_->Queue(name).adds.Increment(); }
void RuntimeMetrics::QueueRetried(const std::string& name) { impl_->Queue(name).retries.Increment(); }
void RuntimeMetrics::QueueDepth(const std::string& name, size_t depth) {
  impl_->Queue(name).depth.Set(static_cast<double>(depth));
}
void RuntimeMetrics::QueueTook(const std::string& name, Duration waited) {
  impl_->Queue(name).waited.Observe(Seconds(waited));
}
void RuntimeMetrics::QueueWorked(const std::string& name, Duration worked) {
  impl_->Queue(name).worked.Observe(Seconds(worked));
}

void RuntimeMetrics::ObserveUnfinished(const std::string& name, const WorkQueue& queue) {
  const std::lock_guard lock(impl_->mutex);
  impl_->observed[name] = &queue;
}

void RuntimeMetrics::RequestDone(const std::string& code, const std::string& method, const std::string& host,
                                 Duration took) {
  // Family::Add returns the series that is there already.
  impl_->requests.Add({{"code", code}, {"method", method}, {"host", host}}).Increment();
  impl_->request_time.Add({{"verb", method}, {"host", host}}, kRequestBuckets).Observe(Seconds(took));
}

void RuntimeMetrics::RegisterLease(const std::string& name) { impl_->master_status.Add({{"name", name}}); }

void RuntimeMetrics::LeaderStatus(const std::string& name, bool leading) {
  impl_->master_status.Add({{"name", name}}).Set(leading ? 1 : 0);
}

std::string RuntimeMetrics::Text() {
  impl_->RefreshUnfinished();
  std::vector<prometheus::MetricFamily> families = impl_->registry->Collect();
  for (prometheus::MetricFamily& family : impl_->process->Collect()) families.push_back(std::move(family));
  std::ostringstream text;
  prometheus::TextSerializer().Serialize(text, families);
  return text.str();
}

const std::shared_ptr<Registry>& RuntimeMetrics::registry() const { return impl_->registry; }

}  // namespace reconciler
