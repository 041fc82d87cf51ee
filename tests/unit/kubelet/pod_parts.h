// Pods and their surroundings for tests, short to write.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "local/kubelet/pod_facts.h"

namespace slotwright::local {

/// Facts about a pod default/web with uid 11 on node "local", address 127.77.0.9, and objects added by a test.
class FakeFacts {
 public:
  explicit FakeFacts(reconciler::Json spec = reconciler::Json::object()) {
    spec["nodeName"] = "local";
    pod = std::make_shared<const reconciler::Json>(
        reconciler::Json{{"apiVersion", "v1"},
                         {"kind", "Pod"},
                         {"metadata",
                          {{"name", "web"},
                           {"namespace", "default"},
                           {"uid", "11"},
                           {"labels", {{"app", "shop"}, {"slotwright.dev/shard", "2"}}},
                           {"annotations", {{"note", "a \"quoted\" one"}}}}},
                         {"spec", spec}});
  }

  void Add(const std::string& kind, const std::string& name, const reconciler::Json& data) {
    objects[{kind, name}] = std::make_shared<const reconciler::Json>(
        reconciler::Json{{"kind", kind}, {"metadata", {{"name", name}, {"namespace", "default"}}}, {"data", data}});
  }

  [[nodiscard]] PodFacts Get() const {
    const auto lookup = [this](const char* kind) {
      return [this, kind](const reconciler::ObjectKey& key) -> reconciler::ObjectPtr {
        const auto found = objects.find({kind, key.name});
        return key.ns == "default" && found != objects.end() ? found->second : nullptr;
      };
    };
    return {pod, "127.77.0.9", "127.0.0.1", lookup("ConfigMap"), lookup("Secret")};
  }

  reconciler::ObjectPtr pod;
  std::map<std::pair<std::string, std::string>, reconciler::ObjectPtr> objects;
};

}  // namespace slotwright::local
