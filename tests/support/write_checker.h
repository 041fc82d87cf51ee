// Writers that remember what was acknowledged, and a reader who looks whether it is all there.
#pragma once

#include <atomic>
#include <chrono>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/cluster_client.h"

namespace slotwright::testing {

/// Appends numbers to keys all over the slot space, in `writers` threads, each key by one writer only; from its
/// construction, or Resume, until Stop.
class WriteChecker {
 public:
  WriteChecker(std::string password, std::vector<Endpoint> seeds, int writers = 2, int keys_each = 300,
               ClusterClient::Finder find = {});
  ~WriteChecker();

  void Stop();
  /// After Stop. The numbers go on where they ended.
  void Resume();
  /// Waits until each key has got one more number that was acknowledged; false after `patience`.
  /// REQUIRES: no such call has returned false.
  [[nodiscard]] bool AwaitEachKey(std::chrono::milliseconds patience);

  struct Report {
    std::int64_t acknowledged = 0;
    std::int64_t unknown = 0;  ///< The connection broke before the answer.
    std::int64_t keys = 0;     ///< That are there.
    std::int64_t lost = 0;     ///< Acknowledged and not there.
    /// Acknowledged since the last AwaitEachKey, or Resume, of the writer that had the fewest.
    std::int64_t least_progress = 0;
    std::string first_problem;  ///< What was refused, or could not be read.
    std::string first_loss;
    double p99_ms = 0;
    /// The longest time that a writer waited for its next acknowledgement, or in vain, since the last Resume.
    double worst_gap_ms = 0;
    [[nodiscard]] std::string ToString() const;
  };
  /// After Stop. Reads every key: each acknowledged number must be there, in order.
  [[nodiscard]] Report Verify();

 private:
  struct Written {
    int last = 0;
    std::vector<int> acknowledged;
    int round = 0;  // the last AwaitEachKey that has seen it
  };
  struct Writer {
    std::map<std::string, Written> keys;
    std::vector<double> latencies_ms;
    std::int64_t unknown = 0;
    std::atomic<std::int64_t> progress = 0;
    double worst_gap_ms = 0;
    std::string problem;
  };
  void Write(Writer& writer, const std::stop_token& stop);
  void Compare(const std::string& key, const Written& written, const std::string& value, Report& report) const;

  ClusterClient client_;
  std::vector<Writer> writers_;
  std::atomic<int> round_ = 0;
  std::atomic<std::int64_t> awaited_ = 0;  // keys
  std::vector<std::jthread> threads_;
};

}  // namespace slotwright::testing
