// See world.h.
#include "tests/unit/planning/world.h"

#include <fmt/format.h>

#include <algorithm>

#include "controllers/api/names.h"
#include "controllers/resources/resources.h"

namespace slotwright::testing {

using reconciler::Json;

NodeId IdOf(const std::string& pod, int life) {
  std::string hex;
  for (const char c : pod) hex += fmt::format("{:02x}", static_cast<unsigned char>(c));
  hex += fmt::format("{:02x}", life);
  hex.resize(40, '0');
  return *NodeId::Parse(hex);
}

Json ClusterObject(int masters, int replicas) {
  return {{"apiVersion", "slotwright.dev/v1alpha1"},
          {"kind", "RedisCluster"},
          {"metadata", {{"name", "demo"}, {"namespace", "default"}, {"uid", "uid-1"}, {"generation", 1}}},
          {"spec", {{"masters", masters}, {"replicasPerMaster", replicas}, {"image", "redis:7.0"}}}};
}

namespace {

NodeView FreshNode(const PodView& pod, int life) {
  NodeView node{.pod = pod.name, .shard = pod.shard, .index = pod.index, .endpoint = {pod.ip, 6379}};
  NodeLine me;
  me.id = IdOf(pod.name, life);
  me.endpoint = node.endpoint;
  me.bus_port = 16379;
  me.hostname = HostnameOf("default", "demo", pod.name);
  me.flags = {.myself = true, .master = true};
  me.link_connected = true;
  node.table = NodeTable{{me}};
  node.info.known_nodes = 1;
  node.server = {.version = "7.0.15"};
  node.server.run_id = "of " + pod.name;
  node.quarantined = true;
  return node;
}

}  // namespace

World::World(int masters, int replicas) {
  observation.cluster = *ParseRedisCluster(ClusterObject(masters, replicas));
  observation.now = reconciler::ParseTime("2026-11-23T06:00:00Z");
  observation.password.state = PasswordView::State::kUsable;
  TakeObjectsAsDesired();
  for (int shard = 0; shard < masters; ++shard) {
    for (int index = 0; index <= replicas; ++index) {
      const Json pod = DesiredPod(observation.cluster, shard, index);
      observation.pods.push_back(
          {.name = PodNameOf("demo", shard, index),
           .uid = fmt::format("pod-{}-{}", shard, index),
           .shard = shard,
           .index = index,
           .ip = fmt::format("127.1.{}.{}", shard, index + 1),
           .phase = "Running",
           .ready = true,
           .ours = true,
           .hash = reconciler::AnnotationOf(pod, annotations::kPodHash),
           .live_notes = ParseLiveNotes(reconciler::AnnotationOf(pod, annotations::kLiveConfig))});
      observation.nodes.push_back(FreshNode(observation.pods.back(), 0));
    }
  }
}

void World::EditConfig(const std::string& directive, const std::string& value) {
  observation.cluster.spec_json["config"][directive] = value;
  observation.cluster.spec.config[directive] = value;
}

void World::TakeObjectsAsDesired() {
  for (const auto& desired : DesiredObjects(observation.cluster)) {
    observation.objects[{desired.type.kind, reconciler::KeyOf(desired.object).name}] =
        std::make_shared<const Json>(desired.object);
  }
}

void World::TakePodsAsDesired() {
  for (auto& pod : observation.pods) {
    const Json desired = DesiredPod(observation.cluster, pod.shard, pod.index);
    pod.hash = reconciler::AnnotationOf(desired, annotations::kPodHash);
    pod.live_notes = ParseLiveNotes(reconciler::AnnotationOf(desired, annotations::kLiveConfig));
  }
}

Json World::ConfigMapToBe() const {
  const auto found = observation.objects.find({"ConfigMap", "demo-config"});
  Json map = found == observation.objects.end() ? Json::object() : *found->second;
  const Plan plan = MakePlan();
  for (const auto& action : plan.actions) {
    const auto* ensure = std::get_if<EnsureObject>(&action);
    if (ensure != nullptr && ensure->desired.type == reconciler::types::kConfigMaps)
      map.merge_patch(ensure->desired.object);
  }
  return map;
}

std::string World::FileToBe() const { return reconciler::StringAt(ConfigMapToBe(), {"data", "redis.conf"}); }

NodeView& World::Node(const std::string& pod) { return *std::ranges::find(observation.nodes, pod, &NodeView::pod); }
PodView& World::Pod(const std::string& pod) { return *std::ranges::find(observation.pods, pod, &PodView::name); }

NodeLine& World::Line(const std::string& viewer, const std::string& about) {
  auto& lines = Node(viewer).table->lines;
  const std::string hostname = HostnameOf("default", "demo", about);
  return *std::ranges::find(lines, hostname, &NodeLine::hostname);
}

void World::RemovePod(const std::string& pod) {
  std::erase_if(observation.pods, [&](const PodView& p) { return p.name == pod; });
  Kill(pod);
  std::erase_if(observation.nodes, [&](const NodeView& n) { return n.pod == pod; });
}

void World::Unschedule(const std::string& pod) {
  Kill(pod);
  std::erase_if(observation.nodes, [&](const NodeView& node) { return node.pod == pod; });
  PodView& made = Pod(pod);
  made.uid += "-anew";
  made.phase = "Pending";
  made.ip.clear();
  made.node.clear();
  made.ready = false;
  made.created = observation.now - std::chrono::minutes(1);
  made.trouble = "Unschedulable: 0/3 nodes are available";
}

void World::RefusePassword(const std::string& pod) {
  NodeView& node = Node(pod);
  node.table.reset();
  node.unauthorized = true;
  node.error = "it does not accept the password";
}

void World::Kill(const std::string& pod) {
  NodeView& dead = Node(pod);
  dead.table.reset();
  dead.error = "connection refused";
  for (auto& node : observation.nodes) {
    if (!node.table) continue;
    for (auto& line : node.table->lines) {
      if (line.hostname != HostnameOf("default", "demo", pod)) continue;
      line.flags.fail = true;
      line.link_connected = false;
    }
  }
}

void World::Reincarnate(const std::string& pod) {
  Kill(pod);
  Node(pod) = FreshNode(Pod(pod), 1);
}

void World::JoinAgain(const std::string& pod) {
  NodeView& reborn = Node(pod);
  NodeLine seen = reborn.me();
  seen.flags.myself = false;
  for (auto& node : observation.nodes) {
    if (node.pod == pod || !node.table) continue;
    node.table->lines.push_back(seen);
    NodeLine peer = node.me();
    peer.flags.myself = false;
    reborn.table->lines.push_back(peer);
  }
}

void World::AssignSlots() {
  for (auto& node : observation.nodes) {
    if (node.index != 0) continue;
    auto& me = node.table->lines[0];
    me.slots.Add(InitialSlots(node.shard, observation.cluster.spec.masters));
    me.config_epoch = static_cast<std::uint64_t>(node.shard) + 1;
  }
}

void World::Introduce() {
  std::vector<NodeLine> all;
  for (const auto& node : observation.nodes) {
    if (node.table) all.push_back(node.me());
  }
  for (auto& node : observation.nodes) {
    if (!node.table) continue;
    const NodeId id = node.id();
    node.table->lines = all;
    for (auto& line : node.table->lines) line.flags.myself = line.id == id;
    node.info.known_nodes = static_cast<int>(all.size());
  }
}

void World::Attach() {
  for (auto& node : observation.nodes) {
    if (node.index == 0) continue;
    const NodeId master = Node(PodNameOf("demo", node.shard, 0)).id();
    for (auto& viewer : observation.nodes) {
      for (auto& line : viewer.table->lines) {
        if (line.id != node.id()) continue;
        line.flags.master = false;
        line.flags.replica = true;
        line.master = master;
      }
    }
    node.server.master_role = false;
    node.server.master_link_up = true;
  }
}

void World::Form() {
  AssignSlots();
  observation.cluster.formed_at = "2026-11-23T05:59:00Z";
  observation.cluster.ready_at = "2026-11-23T05:59:01Z";
  Introduce();
  Attach();
  for (auto& node : observation.nodes) {
    node.info.state_ok = true;
    node.quarantined = false;
  }
  TakeObjectsAsDesired();
}

void World::MoveAllSlots(const std::string& from, const std::string& to) {
  const SlotSet slots = Node(from).me().slots;
  for (auto& node : observation.nodes) {
    Line(node.pod, from).slots = {};
    auto& line = Line(node.pod, to);
    line.slots = line.slots | slots;
  }
}

void World::SwapRoles(const std::string& master, const std::string& replica) {
  for (auto& node : observation.nodes) {
    auto& old_master = Line(node.pod, master);
    auto& new_master = Line(node.pod, replica);
    std::swap(old_master.flags.master, new_master.flags.master);
    std::swap(old_master.flags.replica, new_master.flags.replica);
    std::swap(old_master.slots, new_master.slots);
    new_master.master.reset();
    old_master.master = new_master.id;
  }
  Node(replica).server.master_role = true;
  Node(master).server.master_role = false;
  Node(master).server.master_link_up = true;
}

World World::Healthy(int masters, int replicas) {
  World world(masters, replicas);
  world.Form();
  return world;
}

std::vector<std::string> World::Actions() const {
  std::vector<std::string> texts;
  for (const auto& action : MakePlan().actions) texts.push_back(ToString(action));
  std::ranges::sort(texts);
  return texts;
}

}  // namespace slotwright::testing
