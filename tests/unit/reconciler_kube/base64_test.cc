// Base64 both ways.
#include "reconciler/base/base64.h"

#include <gtest/gtest.h>

namespace reconciler {
namespace {

TEST(Base64, KeepsEveryByteOfEveryLength) {
  std::string bytes;
  for (int i = 0; i < 600; ++i) {
    EXPECT_EQ(DecodeBase64(EncodeBase64(bytes)), bytes) << i;
    bytes += static_cast<char>(i * 7);
  }
}

TEST(Base64, ReadsAcrossLineBreaksAndRefusesAnythingElse) {
  EXPECT_EQ(DecodeBase64("Q0\r\nVSVA==\n"), "CERT");
  EXPECT_EQ(DecodeBase64(""), "");
  for (const char* text : {"Q0VSVA", "Q0VS VA==", "!!!!", "Q0VSVA==x"}) {
    EXPECT_EQ(DecodeBase64(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace reconciler
