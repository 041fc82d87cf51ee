// CLUSTER INFO and INFO as values.
#include <gtest/gtest.h>

#include "controllers/topology/cluster_nodes.h"

namespace slotwright {
namespace {

TEST(ClusterInfo, IsReadFromItsLines) {
  const ClusterInfo info = ParseClusterInfo(
      "cluster_state:ok\r\ncluster_slots_assigned:16384\r\ncluster_slots_ok:16380\r\ncluster_slots_pfail:4\r\n"
      "cluster_slots_fail:0\r\ncluster_known_nodes:6\r\ncluster_size:3\r\ncluster_current_epoch:9\r\n"
      "cluster_my_epoch:2\r\ncluster_slot_migration_active_tasks:1\r\ncluster_stats_messages_sent:1483972\r\ntotal_"
      "cluster_links_buffer_limit_exceeded:0\r\n");
  const ClusterInfo expected{
      .state_ok = true, .known_nodes = 6, .current_epoch = 9, .my_epoch = 2, .active_migrations = 1};
  EXPECT_EQ(info, expected);
}

TEST(ClusterInfo, WithAStateThatIsNotOkIsNotOk) {
  EXPECT_FALSE(ParseClusterInfo("cluster_state:fail\r\n").state_ok);
  EXPECT_FALSE(ParseClusterInfo("cluster_state:okay\r\n").state_ok);
}

TEST(ServerInfo, OfARedisReplicaIsRead) {
  const ServerInfo info = ParseServerInfo(
      "# Server\r\nredis_version:7.0.15\r\nredis_mode:cluster\r\nrun_id:5223084376caef9d51071da39777c7a063b26e6d\r\n"
      "uptime_in_seconds:77\r\nexecutable:/usr/bin/redis-server\r\n\r\n# Memory\r\nused_memory:2097152\r\n"
      "used_memory_human:2.00M\r\n\r\n# Persistence\r\nloading:0\r\nasync_loading:0\r\n\r\n# "
      "Replication\r\nrole:slave\r\n"
      "master_host:10.0.0.1\r\nmaster_port:6379\r\nmaster_link_status:up\r\nmaster_last_io_seconds_ago:1\r\n"
      "master_sync_in_progress:0\r\nslave_read_repl_offset:1234\r\nslave_repl_offset:1233\r\nconnected_slaves:0\r\n"
      "master_replid:f3d8cb1b4b4ee2ad1ab5b60ef0a5a8c9e3c1f5aa\r\nmaster_repl_offset:1235\r\n\r\n# Keyspace\r\n"
      "db0:keys=42,expires=1,avg_ttl=99\r\n");
  const ServerInfo expected{.engine = "redis",
                            .version = "7.0.15",
                            .run_id = "5223084376caef9d51071da39777c7a063b26e6d",
                            .uptime_seconds = 77,
                            .master_role = false,
                            .master_host = "10.0.0.1",
                            .master_port = 6379,
                            .master_link_up = true,
                            .master_repl_offset = 1235,
                            .replica_offset = 1233,
                            .keys = 42,
                            .used_memory = 2097152};
  EXPECT_EQ(info, expected);
}

TEST(ServerInfo, OfAMasterThatLoadsAndSyncsIsRead) {
  const ServerInfo info = ParseServerInfo(
      "role:master\r\nloading:1\r\nmaster_link_status:down\r\nmaster_sync_in_progress:1\r\nconnected_slaves:2\r\n");
  const ServerInfo expected{.loading = true, .master_role = true, .master_sync_in_progress = true};
  EXPECT_EQ(info, expected);
}

// As Redis 7.0.15 says it of three replicas while repl-diskless-sync-delay lasts.
TEST(ServerInfo, CountsReplicasThatWaitForItsData) {
  EXPECT_EQ(ParseServerInfo("role:master\r\nconnected_slaves:3\r\n"
                            "slave0:ip=127.0.0.1,port=7001,state=wait_bgsave,offset=0,lag=0\r\n"
                            "slave1:ip=127.0.0.1,port=7002,state=online,offset=14,lag=1\r\n"
                            "slave2:ip=127.0.0.1,port=7003,state=wait_bgsave,offset=0,lag=0\r\n"
                            "slave_repl_offset:3\r\n")
                .replicas_waiting,
            2);
}

TEST(ServerInfo, OfValkeyGivesItsOwnVersionAndNotTheOneItImitates) {
  for (const char* text : {"redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:9.1.0\r\n",
                           "valkey_version:9.1.0\r\nredis_version:7.2.4\r\n"}) {
    const ServerInfo info = ParseServerInfo(text);
    EXPECT_EQ(info.engine, "valkey");
    EXPECT_EQ(info.version, "9.1.0");
  }
}

TEST(ServerInfo, SumsTheKeysOfAllDatabases) {
  EXPECT_EQ(ParseServerInfo("db0:keys=1,expires=0,avg_ttl=0\r\ndb12:keys=20,expires=0\r\n").keys, 21);
  EXPECT_EQ(ParseServerInfo("dbsize:keys=5\r\ndb:keys=5\r\n").keys, 0);
}

TEST(ServerInfo, KeepsItsDefaultsForWhatIsMissingOrSenseless) {
  for (const char* text : {"", "\r\n", ":", "uptime_in_seconds:", "used_memory:12x", "master_port:99999999999999999999",
                           "db0:keys=-4", "no colon\nrole"}) {
    EXPECT_EQ(ParseServerInfo(text), ServerInfo{}) << text;
    EXPECT_EQ(ParseClusterInfo(text), ClusterInfo{}) << text;
  }
  EXPECT_EQ(ParseServerInfo("db0:keys=9223372036854775807\ndb1:keys=9223372036854775807").keys, INT64_MAX);
}

TEST(ServerInfo, SaysWhetherTheDiskTookTheLastWrite) {
  const ServerInfo well = ParseServerInfo("rdb_last_bgsave_status:ok\r\naof_last_write_status:ok\r\n");
  EXPECT_FALSE(well.save_failed || well.append_failed);
  EXPECT_TRUE(ParseServerInfo("rdb_last_bgsave_status:err\r\n").save_failed);
  const ServerInfo full = ParseServerInfo("aof_enabled:1\r\naof_last_write_status:err\r\n");
  EXPECT_TRUE(full.append_failed && full.aof_enabled);
}

}  // namespace
}  // namespace slotwright
