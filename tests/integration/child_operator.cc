// See child_operator.h.
#include "tests/integration/child_operator.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

namespace slotwright::testing {

ChildOperator::ChildOperator(const std::string& kubeconfig, int dies_after_effect, Effects effects) {
  const std::string number = std::to_string(dies_after_effect);
  const char* const order = effects == Effects::kInOrder ? "in-order" : nullptr;
  const char* const arguments[] = {CRASHING_OPERATOR, kubeconfig.c_str(), number.c_str(), order, nullptr};
  EXPECT_EQ(::posix_spawn(&pid_, CRASHING_OPERATOR, nullptr, nullptr, const_cast<char**>(arguments), environ), 0);
}

void ChildOperator::Kill() {
  if (pid_ == 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  pid_ = 0;
}

bool ChildOperator::IsDead() {
  int status = 0;
  if (pid_ != 0 && ::waitpid(pid_, &status, WNOHANG) == pid_) {
    pid_ = 0;
    EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << "it ended by itself, status " << status;
  }
  return pid_ == 0;
}

}  // namespace slotwright::testing
