// See write_checker.h.
#include "tests/support/write_checker.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "controllers/topology/text.h"

namespace slotwright::testing {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

namespace {

constexpr milliseconds kPatience{30'000};

double Milliseconds(steady_clock::duration duration) {
  return std::chrono::duration<double, std::milli>(duration).count();
}

}  // namespace

WriteChecker::WriteChecker(std::string password, std::vector<Endpoint> seeds, int writers, int keys_each,
                           ClusterClient::Finder find)
    : client_(std::move(password), std::move(seeds), std::move(find)), writers_(static_cast<size_t>(writers)) {
  for (int w = 0; w < writers; ++w) {
    for (int k = 0; k < keys_each; ++k) writers_[static_cast<size_t>(w)].keys[fmt::format("w:{}:{}", w, k)];
  }
  Resume();
}

void WriteChecker::Resume() {
  for (auto& writer : writers_) {
    writer.progress = 0;
    writer.worst_gap_ms = 0;
    threads_.emplace_back([this, &writer](const std::stop_token& stop) { Write(writer, stop); });
  }
}

WriteChecker::~WriteChecker() { Stop(); }

void WriteChecker::Stop() {
  for (auto& thread : threads_) thread.request_stop();
  threads_.clear();
}

bool WriteChecker::AwaitEachKey(milliseconds patience) {
  for (const auto& writer : writers_) awaited_ += static_cast<std::int64_t>(writer.keys.size());
  ++round_;
  const auto deadline = steady_clock::now() + patience;
  while (awaited_ > 0) {
    if (steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(milliseconds(5));
  }
  for (auto& writer : writers_) writer.progress = 0;
  return true;
}

void WriteChecker::Write(Writer& writer, const std::stop_token& stop) {
  auto last_success = steady_clock::now();
  const auto has_waited_until = [&](steady_clock::time_point end) {
    writer.worst_gap_ms = std::max(writer.worst_gap_ms, Milliseconds(end - last_success));
  };
  while (true) {
    for (auto& [key, written] : writer.keys) {
      if (stop.stop_requested() || !writer.problem.empty()) return has_waited_until(steady_clock::now());
      const int number = ++written.last;
      const auto start = steady_clock::now();
      const auto reply = client_.Execute({"APPEND", key, fmt::format("{},", number)}, kPatience);
      const auto end = steady_clock::now();
      if (reply) {
        written.acknowledged.push_back(number);
        const int round = round_;
        if (std::exchange(written.round, round) != round) --awaited_;
        writer.latencies_ms.push_back(Milliseconds(end - start));
        ++writer.progress;
        has_waited_until(end);
        last_success = end;
      } else if (reply.error().may_have_happened) {
        ++writer.unknown;
      } else if (writer.problem.empty()) {
        writer.problem = reply.error().message;
      }
      std::this_thread::sleep_for(std::chrono::microseconds(200));  // the load is bounded: the machine is small
    }
  }
}

void WriteChecker::Compare(const std::string& key, const Written& written, const std::string& value,
                           Report& report) const {
  std::vector<int> numbers;
  for (const auto word : text::Split(value, ',')) numbers.push_back(text::ParseInteger<int>(word).value_or(-1));
  auto position = numbers.begin();
  for (const int number : written.acknowledged) {
    const auto found = std::find(position, numbers.end(), number);
    if (found != numbers.end()) {
      position = found + 1;
      continue;
    }
    ++report.lost;
    if (report.first_loss.empty()) {
      report.first_loss = fmt::format("{} has {} numbers up to {}, but not the acknowledged {} in its place", key,
                                      numbers.size(), numbers.empty() ? 0 : numbers.back(), number);
    }
  }
}

WriteChecker::Report WriteChecker::Verify() {
  Report report;
  report.least_progress = std::numeric_limits<std::int64_t>::max();
  const auto deadline = steady_clock::now() + kPatience;  // for all keys together
  std::vector<double> latencies;
  for (const auto& writer : writers_) {
    report.unknown += writer.unknown;
    report.least_progress = std::min<std::int64_t>(report.least_progress, writer.progress);
    report.worst_gap_ms = std::max(report.worst_gap_ms, writer.worst_gap_ms);
    if (report.first_problem.empty()) report.first_problem = writer.problem;
    latencies.insert(latencies.end(), writer.latencies_ms.begin(), writer.latencies_ms.end());
    for (const auto& [key, written] : writer.keys) {
      report.acknowledged += static_cast<std::int64_t>(written.acknowledged.size());
      const auto value = client_.Execute({"GET", key}, std::chrono::ceil<milliseconds>(deadline - steady_clock::now()));
      if (!value && report.first_problem.empty()) {
        report.first_problem = fmt::format("{} could not be read: {}", key, value.error().message);
      }
      if (value && !value->text.empty()) ++report.keys;
      Compare(key, written, value ? value->text : "", report);
    }
  }
  if (!latencies.empty()) {
    const auto p99 = latencies.begin() + static_cast<std::ptrdiff_t>(latencies.size() * 99 / 100);
    std::nth_element(latencies.begin(), p99, latencies.end());
    report.p99_ms = *p99;
  }
  return report;
}

std::string WriteChecker::Report::ToString() const {
  std::string text = fmt::format("{} writes acknowledged, {} lost, {} unknown, p99 {:.1f} ms, worst gap {:.0f} ms",
                                 acknowledged, lost, unknown, p99_ms, worst_gap_ms);
  for (const auto& what : {first_problem, first_loss}) text += what.empty() ? "" : ": " + what;
  return text;
}

}  // namespace slotwright::testing
