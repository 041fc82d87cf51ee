// A reader of a stream that does not read: it may cost a bounded amount of memory and nobody's time.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <future>

#include "reconciler/http/server.h"

namespace reconciler {
namespace {

using namespace std::chrono_literals;

constexpr size_t kMegabyte = 1 << 20;

/// A client that has asked for "/" and reads only what it is told to.
class LazyClient {
 public:
  explicit LazyClient(int port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const int small = 4096;  // or the kernel would read for us, how much depends on the machine
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    const timeval patience{.tv_sec = 20, .tv_usec = 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    const std::string request = "GET / HTTP/1.1\r\nHost: test\r\n\r\n";
    EXPECT_EQ(::write(fd_, request.data(), request.size()), static_cast<ssize_t>(request.size()));
  }
  ~LazyClient() { ::close(fd_); }
  LazyClient(const LazyClient&) = delete;
  LazyClient& operator=(const LazyClient&) = delete;

  /// How often `letter` comes until the answer ends, properly or not.
  size_t Count(char letter) {
    size_t count = 0;
    std::array<char, 65536> block{};
    while (true) {
      const ssize_t size = ::read(fd_, block.data(), block.size());
      if (size <= 0) return count;
      count += static_cast<size_t>(std::count(block.begin(), block.begin() + size, letter));
      tail_.append(block.data(), static_cast<size_t>(size));
      if (tail_.size() > 5) tail_.erase(0, tail_.size() - 5);
      if (tail_ == "0\r\n\r\n") return count;
    }
  }
  [[nodiscard]] bool EndedProperly() const { return tail_ == "0\r\n\r\n"; }

 private:
  int fd_;
  std::string tail_;
};

class SlowReader : public ::testing::Test {
 protected:
  SlowReader() {
    server_ = *StartHttpServer({}, [this](const ServerRequest&, const std::shared_ptr<Responder>& responder) {
      opened_.set_value(responder->Stream(200, {}));
    });
  }

  std::promise<std::shared_ptr<ResponseStream>> opened_;
  std::unique_ptr<HttpServer> server_;
};

TEST_F(SlowReader, IsCutOffRatherThanWaitedFor) {
  LazyClient client(server_->port());
  const auto stream = opened_.get_future().get();
  const std::string block(64 * 1024, '#');
  const auto start = std::chrono::steady_clock::now();
  size_t written = 0;
  while (written < 64 * kMegabyte && stream->Write(block)) written += block.size();
  EXPECT_GE(written, 8 * kMegabyte) << "a reader that is late for a moment is no slow reader";
  EXPECT_LE(written, 24 * kMegabyte) << "the backlog and what the kernel holds";
  EXPECT_LT(std::chrono::steady_clock::now() - start, 10s);
  EXPECT_FALSE(stream->Write("late")) << "what comes after a gap must not be told";

  // A watch may be resumed after what it told: what was accepted is told in full, and the end is a proper one.
  EXPECT_EQ(client.Count('#'), written);
  EXPECT_TRUE(client.EndedProperly());
}

TEST_F(SlowReader, DoesNotHoldUpTheEndOfTheServer) {
  const LazyClient client(server_->port());
  const auto stream = opened_.get_future().get();
  while (stream->Write(std::string(64 * 1024, '#'))) {
  }
  const auto start = std::chrono::steady_clock::now();
  server_->Stop();
  EXPECT_LT(std::chrono::steady_clock::now() - start, 10s);
}

}  // namespace
}  // namespace reconciler
