// mountPaths as folders of this machine.
#include "local/kubelet/mount_paths.h"

#include <gtest/gtest.h>

namespace slotwright::local {
namespace {

TEST(MountPathsTest, WholePathsAreReplacedAndPartsOfOtherPathsAreNot) {
  const MountPaths mounts({{"/data", "/s/v/data"}, {"/data/inner", "/s/v/inner"}, {"/etc/app/", "/s/v/app"}});
  struct Row {
    const char* text;
    const char* replaced;
  };
  for (const auto& row : {
           Row{"/data", "/s/v/data"},
           Row{"/data/", "/s/v/data/"},
           Row{"/data/x.conf", "/s/v/data/x.conf"},
           Row{"--dir=/data", "--dir=/s/v/data"},
           Row{"cd '/data' && ls \"/data\"", "cd '/s/v/data' && ls \"/s/v/data\""},
           Row{"/data:/etc/app", "/s/v/data:/s/v/app"},
           Row{"a b /data,/data;/data", "a b /s/v/data,/s/v/data;/s/v/data"},
           Row{"(/data)", "(/s/v/data)"},
           Row{"$(ls /data)", "$(ls /s/v/data)"},
           Row{"/data/inner/x", "/s/v/inner/x"},  // the longest wins
           Row{"/data/innermost", "/s/v/data/innermost"},
           Row{"/etc/app/redis.conf", "/s/v/app/redis.conf"},
           Row{"/database", "/database"},
           Row{"/data-old", "/data-old"},
           Row{"/data.rdb", "/data.rdb"},
           Row{"/var/data", "/var/data"},
           Row{"./data", "./data"},
           Row{"~/data", "~/data"},
           Row{"host/data", "host/data"},
           Row{"//data", "//data"},
           Row{"${PREFIX}/data", "${PREFIX}/data"},
           Row{"$(pwd)/data", "$(pwd)/data"},
           Row{"*/data", "*/data"},
           Row{"data", "data"},
           Row{"", ""},
       }) {
    EXPECT_EQ(mounts.Replace(row.text), row.replaced) << row.text;
  }
}

TEST(MountPathsTest, AFolderThatHoldsAMountPathIsNotReplacedAgain) {
  const MountPaths mounts({MountedFolder{"/data", "/data/state/data"}});
  EXPECT_EQ(mounts.Replace("/data/x"), "/data/state/data/x");
}

TEST(MountPathsTest, TheRootAsMountPathReplacesNothing) {
  EXPECT_EQ(MountPaths({MountedFolder{"/", "/s"}}).Replace("/bin/sh"), "/bin/sh");
}

}  // namespace
}  // namespace slotwright::local
