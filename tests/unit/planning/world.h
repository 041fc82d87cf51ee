// Builds Observations for planner tables: a cluster whose nodes say whatever a test wants them to say.
#pragma once

#include <string>
#include <vector>

#include "controllers/observe/observation.h"
#include "controllers/plan/planner.h"

namespace slotwright::testing {

/// Node ids are made from pod names, so that a failing test is readable: "demo-1-0" has an id of its own and for ever.
[[nodiscard]] NodeId IdOf(const std::string& pod, int life = 0);

/// A world of `masters` shards with `replicas` each. It starts with all Kubernetes objects in place and every node
/// answering, fresh and alone.
struct World {
  explicit World(int masters = 3, int replicas = 1);

  Observation observation;

  [[nodiscard]] NodeView& Node(const std::string& pod);
  [[nodiscard]] PodView& Pod(const std::string& pod);
  [[nodiscard]] NodeLine& Line(const std::string& viewer, const std::string& about);
  void RemovePod(const std::string& pod);
  /// The node's process is gone: it does not answer; the others see it as failed.
  void Kill(const std::string& pod);
  /// The same, and its pod was made anew and finds no room.
  void Unschedule(const std::string& pod);
  /// What answers there does not take our password.
  void RefusePassword(const std::string& pod);
  /// A new node, with a new id and nothing in it, behind a pod.
  void Reincarnate(const std::string& pod);

  /// After Reincarnate: the new node and all others know each other; the ghost stays in the others' tables.
  void JoinAgain(const std::string& pod);

  /// As a user does: the next specification has that directive.
  void EditConfig(const std::string& directive, const std::string& value);

  /// As if the objects had been created or updated after a change of the specification.
  void TakeObjectsAsDesired();
  /// The same for the pods.
  void TakePodsAsDesired();

  /// Slots as at creation, on the masters' own tables only.
  void AssignSlots();
  /// Everybody knows everybody, with roles and slots as each says itself.
  void Introduce();
  /// Index 1.. replicate index 0; in sync.
  void Attach();
  /// All of the above, state ok, formed.
  void Form();
  /// Gives all slots of a master to another one, in every table.
  void MoveAllSlots(const std::string& from, const std::string& to);
  /// An orderly failover: the replica is the master now, and the master its replica, in sync.
  void SwapRoles(const std::string& master, const std::string& replica);
  /// A world that is formed.
  static World Healthy(int masters = 3, int replicas = 1);

  [[nodiscard]] Plan MakePlan() const { return slotwright::MakePlan(observation, Merge(observation)); }
  /// The ConfigMap as it is after the next plan's actions, and the redis.conf in it.
  [[nodiscard]] reconciler::Json ConfigMapToBe() const;
  [[nodiscard]] std::string FileToBe() const;
  /// The planner's actions in words, sorted.
  [[nodiscard]] std::vector<std::string> Actions() const;
};

/// The API object of a small cluster.
[[nodiscard]] reconciler::Json ClusterObject(int masters = 3, int replicas = 1);

}  // namespace slotwright::testing
