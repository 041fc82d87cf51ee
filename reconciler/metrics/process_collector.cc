// Parses /proc/self/{stat,limits,fd} and /proc/stat; see proc(5) for their fields.
#include "reconciler/metrics/process_collector.h"

#include <prometheus/collectable.h>
#include <prometheus/metric_family.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <utility>
#include <vector>

namespace reconciler {

namespace {

using prometheus::MetricFamily;
using prometheus::MetricType;

std::string ReadFile(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

/// The number after `label` at the start of a line; nothing if there is no such line or it holds no number.
std::optional<double> NumberAfter(const std::string& text, const std::string& label) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with(label)) continue;
    std::istringstream rest(line.substr(label.size()));
    double number = 0;
    if (rest >> number) return number;
  }
  return std::nullopt;
}

/// Fields of /proc/self/stat behind the command, which may itself hold blanks and parentheses; the first is "state".
std::vector<std::string> StatFields(const std::string& stat) {
  std::vector<std::string> fields;
  const size_t command_end = stat.rfind(')');
  if (command_end == std::string::npos) return fields;
  std::istringstream rest(stat.substr(command_end + 1));
  for (std::string field; rest >> field;) fields.push_back(field);
  return fields;
}

std::optional<double> CountOpenFiles(const std::string& folder) {
  std::error_code error;
  std::filesystem::directory_iterator files(folder, error);
  double count = 0;
  while (!error && files != std::filesystem::directory_iterator()) {
    ++count;
    files.increment(error);
  }
  if (error) return std::nullopt;
  return count;
}

class ProcessCollector : public prometheus::Collectable {
 public:
  explicit ProcessCollector(std::string proc) : proc_(std::move(proc)) {}

  [[nodiscard]] std::vector<MetricFamily> Collect() const override {
    std::vector<MetricFamily> families;
    AddFromStat(families);
    Add(families, "process_open_fds", "Number of open file descriptors.", CountOpenFiles(proc_ + "/self/fd"));
    Add(families, "process_max_fds", "Maximum number of open file descriptors.",
        NumberAfter(ReadFile(proc_ + "/self/limits"), "Max open files"));
    return families;
  }

 private:
  void AddFromStat(std::vector<MetricFamily>& families) const {
    // Numbers as in proc(5), where the first field behind the command is the third.
    constexpr size_t kFirst = 3, kUserTime = 14, kSystemTime = 15, kStartTime = 22, kVirtualSize = 23, kResident = 24;
    const std::vector<std::string> fields = StatFields(ReadFile(proc_ + "/self/stat"));
    if (fields.size() <= kResident - kFirst) return;
    const auto field = [&](size_t number) { return std::strtod(fields[number - kFirst].c_str(), nullptr); };
    const auto ticks_per_second = static_cast<double>(sysconf(_SC_CLK_TCK));

    Add(families, "process_cpu_seconds_total", "Total user and system CPU time spent in seconds.",
        (field(kUserTime) + field(kSystemTime)) / ticks_per_second, MetricType::Counter);
    Add(families, "process_resident_memory_bytes", "Resident memory size in bytes.",
        field(kResident) * static_cast<double>(sysconf(_SC_PAGESIZE)));
    Add(families, "process_virtual_memory_bytes", "Virtual memory size in bytes.", field(kVirtualSize));
    if (const auto boot_time = NumberAfter(ReadFile(proc_ + "/stat"), "btime")) {
      Add(families, "process_start_time_seconds", "Start time of the process since unix epoch in seconds.",
          *boot_time + field(kStartTime) / ticks_per_second);
    }
  }

  static void Add(std::vector<MetricFamily>& families, std::string name, std::string help, std::optional<double> value,
                  MetricType type = MetricType::Gauge) {
    if (!value) return;
    prometheus::ClientMetric metric;
    (type == MetricType::Counter ? metric.counter.value : metric.gauge.value) = *value;
    families.push_back({std::move(name), std::move(help), type, {std::move(metric)}});
  }

  const std::string proc_;
};

}  // namespace

std::unique_ptr<prometheus::Collectable> MakeProcessCollector(std::string proc) {
  return std::make_unique<ProcessCollector>(std::move(proc));
}

}  // namespace reconciler
