// Writers that remember what was acknowledged, and a reader who looks whether it is all there.
#pragma once

#include <chrono>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/cluster_client.h"

namespace slotwright::testing {

/// Appends numbers to keys all over the slot space, in `writers` threads, each key by one writer only; from its
/// construction until Stop.
class WriteChecker {
 public:
  WriteChecker(std::string password, std::vector<Endpoint> seeds, int writers = 2, int keys_each = 300);
  ~WriteChecker();

  void Stop();

  struct Report {
    std::int64_t acknowledged = 0;
    std::int64_t unknown = 0;  ///< The connection broke before the answer.
    std::int64_t keys = 0;     ///< That are there.
    std::int64_t lost = 0;     ///< Acknowledged and not there.
    std::string first_problem;
    double p99_ms = 0;
    double worst_gap_ms = 0;  ///< The longest time that a writer waited for its next acknowledgement.
    [[nodiscard]] std::string ToString() const;
  };
  /// After Stop. Reads every key: each acknowledged number must be there, in order.
  [[nodiscard]] Report Verify();

 private:
  struct Written {
    int last = 0;
    std::vector<int> acknowledged;
  };
  struct Writer {
    std::map<std::string, Written> keys;
    std::vector<double> latencies_ms;
    std::int64_t unknown = 0;
    double worst_gap_ms = 0;
    std::string problem;
  };
  void Write(Writer& writer, const std::stop_token& stop);
  void Compare(const std::string& key, const Written& written, const std::string& value, Report& report) const;

  ClusterClient client_;
  std::vector<Writer> writers_;
  std::vector<std::jthread> threads_;
};

}  // namespace slotwright::testing
