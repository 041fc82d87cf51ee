// Pod addresses, and who holds them.
#include "local/kubelet/ip_pool.h"

#include <gtest/gtest.h>

#include <vector>

#include "local/kubelet/address_range.h"

namespace slotwright::local {
namespace {

TEST(IpPoolTest, AnAddressComesAgainOnlyAfterAllOthersWereUsed) {
  IpPool pool(*LoopbackNetwork::Parse("127.77.0.8/29"));
  EXPECT_EQ(*pool.Take(), "127.77.0.9");
  EXPECT_EQ(*pool.Take(), "127.77.0.10");
  pool.Release("127.77.0.10");
  pool.Release("127.77.0.9");
  for (const char* fresh : {"127.77.0.11", "127.77.0.12", "127.77.0.13", "127.77.0.14"}) EXPECT_EQ(*pool.Take(), fresh);
  EXPECT_EQ(*pool.Take(), "127.77.0.10");  // the one that has been free for longest
  EXPECT_EQ(*pool.Take(), "127.77.0.9");
  const auto none = pool.Take();
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().kind, reconciler::ErrorKind::kUnavailable);
}

TEST(IpPoolTest, ASlash16CrossesItsThirdByte) {
  IpPool pool(*LoopbackNetwork::Parse("127.77.0.0/16"));
  std::string last;
  for (int i = 0; i < 256; ++i) last = *pool.Take();
  EXPECT_EQ(last, "127.77.1.0");
}

TEST(IpPoolTest, OnlyLoopbackNetworksAreTaken) {
  for (const char* bad : {"", "127.77.0.0", "10.0.0.0/16", "127.0.0.0/7", "127.77.0.0/31", "127.77.0.0/x",
                          "127.77.0.0/16 ", "::1/64", "127.77.0/16"}) {
    const auto network = LoopbackNetwork::Parse(bad);
    ASSERT_FALSE(network) << bad;
    EXPECT_EQ(network.error().kind, reconciler::ErrorKind::kInvalid) << bad;
  }
}

TEST(AddressRangeTest, TwoKubeletsNeverHoldTheSameAddresses) {
  std::vector<AddressRange> held;
  for (const char* block : {"127.99.0.0/20", "127.99.16.0/20", "127.99.32.0/20", "127.99.48.0/20"}) {
    auto range = AddressRange::Claim("127.99.0.0/18");
    ASSERT_TRUE(range) << range.error().message;
    EXPECT_EQ(range->cidr(), block);
    held.push_back(std::move(*range));
  }
  const auto none = AddressRange::Claim("127.99.0.0/18");
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().kind, reconciler::ErrorKind::kUnavailable);
  held.clear();
  EXPECT_EQ(AddressRange::Claim("127.99.0.0/18")->cidr(), "127.99.0.0/20");
}

TEST(AddressRangeTest, ASmallRangeIsTakenAsAWhole) {
  const auto range = AddressRange::Claim("127.99.64.0/24");
  ASSERT_TRUE(range);
  EXPECT_EQ(range->cidr(), "127.99.64.0/24");
  EXPECT_FALSE(AddressRange::Claim("127.99.64.0/24"));
  EXPECT_EQ(AddressRange::Claim("10.0.0.0/24").error().kind, reconciler::ErrorKind::kInvalid);
}

}  // namespace
}  // namespace slotwright::local
