// What the tests of a cluster's life have in common: it is changed while writers write.
#pragma once

#include <optional>

#include "tests/integration/harness.h"
#include "tests/support/engines.h"
#include "tests/support/write_checker.h"

namespace slotwright::testing {

/// What clients may suffer of what a test does.
struct Allowed {
  /// By default that of what is planned: it costs some tens of milliseconds, which a loaded machine makes hundreds; an
  /// election takes longer. Where a test breaks or freezes a master, or where masters have no replicas to hand over to,
  /// it says how long and why.
  std::chrono::milliseconds longest_wait = 2500ms;
  int lost = 0;  ///< Acknowledged writes.
};

/// A cluster "demo" that is ready, with some keys in it, and writers that go on until Settle.
class Life {
 public:
  explicit Life(int masters = 3, int replicas = 1, const reconciler::Json& spec = reconciler::Json::object(),
                const std::string& image = TestImage(), int keys = 20'000);

  Harness harness;

  /// Also again after Verify. Returns once they have written to every key.
  void StartWriters();
  /// Returns once the writers have written to every key again; fails if some cannot.
  void ExpectWritersGoOn();
  /// Waits for Ready, stops the writers and checks: no promise violated, every slot's owner where it should be, every
  /// acknowledged write there, every key there, no client waited for long. Prints the writers' report.
  void ExpectAllIsWell(std::chrono::milliseconds patience = 60s, const Allowed& allowed = {});
  /// Stops the writers and looks what is there of what was acknowledged; prints it.
  const WriteChecker::Report& Verify();
  [[nodiscard]] const WriteChecker::Report& report() const { return report_; }

  [[nodiscard]] std::int64_t Keys() const;
  /// Of the process behind a pod.
  [[nodiscard]] pid_t PidOf(const std::string& pod) const;
  [[nodiscard]] NodeView NodeOf(const std::string& pod) const;
  void DeletePod(const std::string& pod) const;
  [[nodiscard]] bool IsNotReady() const;
  /// SIGKILL for the servers of all of these pods at once; waits until the operator has seen it.
  void KillServers(const std::vector<std::string>& pods) const;

  /// Each may have lost what was on its way to a replica when its master died: one write.
  static constexpr int kWriters = 2;

 private:
  /// Of all pods, as DNS knows them.
  [[nodiscard]] std::vector<Endpoint> Addresses() const;

  std::int64_t filled_ = 0;
  std::optional<WriteChecker> writers_;
  WriteChecker::Report report_;
};

/// A word that as a hash tag puts keys into that slot.
[[nodiscard]] std::string TagOf(Slot slot);

}  // namespace slotwright::testing
