// An operator in a process of its own, which can be killed as the kernel would kill it.
#pragma once

#include <sys/types.h>

#include <string>

namespace slotwright::testing {

class ChildOperator {
 public:
  static constexpr int kNever = 0;
  /// One after another, so that "the n-th" is the same one in every run, or as users have it.
  enum class Effects { kInOrder, kInParallel };

  /// Dies by SIGKILL right after its n-th effect.
  explicit ChildOperator(const std::string& kubeconfig, int dies_after_effect = kNever,
                         Effects effects = Effects::kInParallel);
  ~ChildOperator() { Kill(); }
  ChildOperator(const ChildOperator&) = delete;
  ChildOperator& operator=(const ChildOperator&) = delete;

  void Kill();
  /// True once it has killed itself; any other end is a failure of the test.
  [[nodiscard]] bool IsDead();

 private:
  pid_t pid_ = 0;  // 0: reaped
};

}  // namespace slotwright::testing
