// Blocks of pod addresses, claimed by abstract sockets.
#include "local/kubelet/address_range.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>

#include "local/kubelet/ip_pool.h"

namespace slotwright::local {

using reconciler::ErrorKind;
using reconciler::Fail;
using reconciler::Result;

namespace {

constexpr int kBlockBits = 20;

// The socket that holds the block; -1 if somebody else has it.
int Hold(const std::string& block) {
  const std::string name = "slotwright-kubelet/" + block;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  // The first byte stays 0: no file.
  std::ranges::copy(name, address.sun_path + 1);
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  const int holder = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (holder >= 0 && ::bind(holder, reinterpret_cast<const sockaddr*>(&address), size) == 0) return holder;
  if (holder >= 0) ::close(holder);
  return -1;
}

}  // namespace

Result<AddressRange> AddressRange::Claim(const std::string& cidr) {
  const auto network = LoopbackNetwork::Parse(cidr);
  if (!network) return std::unexpected(network.error());
  const int bits = std::max(network->bits, kBlockBits);
  const uint32_t size = uint32_t{1} << (32 - bits);
  for (uint32_t block = 0; block < uint32_t{1} << (bits - network->bits); ++block) {
    std::string name = LoopbackNetwork{network->address + block * size, bits}.ToString();
    const int holder = Hold(name);
    if (holder >= 0) return AddressRange(std::move(name), holder);
  }
  return Fail(
      ErrorKind::kUnavailable,
      fmt::format("all pod addresses of {} are held by other kubelets of this machine: stop one or give this one "
                  "another range of 127.0.0.0/8",
                  cidr));
}

AddressRange::~AddressRange() {
  if (socket_ >= 0) ::close(socket_);
}

}  // namespace slotwright::local
