// Commands with captured output.
#include "local/kubelet/command.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

namespace slotwright::local {

using reconciler::ErrorKind;
using reconciler::Fail;
using reconciler::Result;

namespace {

constexpr size_t kMaxOutput = 10 << 10;  // as the kubelet keeps of an exec probe

}  // namespace

Command::Command(EventLoop& loop, ProcessOptions options, reconciler::Duration timeout, Handler done)
    : done_(std::move(done)) {
  Start(loop, std::move(options));
  if (process_ == nullptr) {
    result_.started = false;
    timer_ = loop.After({}, [this] { Finish({}); });
    return;
  }
  timer_ = loop.After(timeout, [this] {
    result_.timed_out = true;
    process_->Kill();
  });
}

Command::~Command() {
  if (output_ >= 0) ::close(output_);
}

// The pipe is read once the command is over: what does not fit into it (64 KiB) would not be kept anyway, but it must
// not make the command wait, so that the writing end never blocks either.
void Command::Start(EventLoop& loop, ProcessOptions options) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) {
    result_.output = std::strerror(errno);
    return;
  }
  output_ = ends[0];
  options.output = ends[1];
  auto process = Process::Start(loop, options, [this](ExitStatus status) { Finish(status); });
  ::close(ends[1]);
  if (process) {
    process_ = std::move(*process);
  } else {
    result_.output = process.error().message;
  }
}

void Command::ReadOutput() {
  if (process_ == nullptr) return;
  std::string text(kMaxOutput, '\0');
  const ssize_t count = ::read(output_, text.data(), text.size());
  text.resize(count > 0 ? static_cast<size_t>(count) : 0);
  while (text.ends_with('\n')) text.pop_back();
  result_.output = std::move(text);
}

void Command::Finish(ExitStatus status) {
  ReadOutput();
  timer_.Cancel();
  result_.exit_code = status.exit_code;
  const Handler done = std::exchange(done_, nullptr);
  done(std::move(result_));
}

Result<std::string> OutputOf(ProcessOptions options, reconciler::Duration timeout) {
  const std::string name = options.command.front();
  EventLoop loop;
  CommandResult result;
  const Command command(loop, std::move(options), timeout, [&](CommandResult finished) {
    result = std::move(finished);
    loop.Stop();
  });
  loop.Run();
  if (!result.started) return Fail(ErrorKind::kNotFound, fmt::format("running {}: {}", name, result.output));
  if (result.timed_out) return Fail(ErrorKind::kTimeout, fmt::format("running {}: no end in time", name));
  if (result.exit_code != 0) {
    return Fail(ErrorKind::kInvalid,
                fmt::format("running {}: it ended with {}: {}", name, result.exit_code, result.output));
  }
  return result.output;
}

}  // namespace slotwright::local
