// Pod addresses.
#include "local/kubelet/ip_pool.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <charconv>

namespace slotwright::local {

using reconciler::ErrorKind;
using reconciler::Fail;
using reconciler::Result;

namespace {

std::string ToText(uint32_t address) {
  const in_addr network_order{htonl(address)};
  char text[INET_ADDRSTRLEN];
  return inet_ntop(AF_INET, &network_order, text, sizeof text);
}

}  // namespace

Result<LoopbackNetwork> LoopbackNetwork::Parse(const std::string& cidr) {
  const auto refuse = [&](const char* why) {
    return Fail(ErrorKind::kInvalid,
                fmt::format("cannot take pod addresses from \"{}\": {} (try 127.77.0.0/16)", cidr, why));
  };
  const size_t slash = cidr.find('/');
  if (slash == std::string::npos) return refuse("it has no \"/\"");
  in_addr base{};
  if (inet_pton(AF_INET, cidr.substr(0, slash).c_str(), &base) != 1) return refuse("it is no IPv4 network");
  int bits = -1;
  const auto [end, error] = std::from_chars(cidr.data() + slash + 1, cidr.data() + cidr.size(), bits);
  if (error != std::errc() || end != cidr.data() + cidr.size()) return refuse("its prefix length is no number");
  if (bits < 8 || bits > 30) return refuse("its prefix length is not within 8 and 30");
  const uint32_t address = ntohl(base.s_addr) & (~uint32_t{0} << (32 - bits));
  if (address >> 24 != 127) return refuse("it is not inside 127.0.0.0/8");
  return LoopbackNetwork{address, bits};
}

std::string LoopbackNetwork::ToString() const { return fmt::format("{}/{}", ToText(address), bits); }

// Neither the network's own address nor its broadcast address.
IpPool::IpPool(LoopbackNetwork network)
    : network_(network),
      next_(network.address + 1),
      last_((network.address | ~(~uint32_t{0} << (32 - network.bits))) - 1) {}

Result<std::string> IpPool::Take() {
  if (next_ <= last_) return ToText(next_++);
  if (released_.empty()) {
    return Fail(ErrorKind::kUnavailable,
                fmt::format("all addresses of {} are in use: delete some pods", network_.ToString()));
  }
  std::string address = std::move(released_.front());
  released_.pop_front();
  return address;
}

void IpPool::Release(const std::string& address) { released_.push_back(address); }

}  // namespace slotwright::local
