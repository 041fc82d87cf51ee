// The table of built-in resources. Columns as kubectl shows them for a real server; their cells are in table.cc.
#include "local/apiserver/resource.h"
#include "local/apiserver/strategies.h"

namespace slotwright::local::apiserver {

namespace {

const PrinterColumn kName{.name = "Name", .format = "name", .description = "Name must be unique within a namespace."};
const PrinterColumn kAge{.name = "Age", .description = "Time since the object was created."};

PrinterColumn Wide(const std::string& name) { return {.name = name, .priority = 1}; }
PrinterColumn Integer(const std::string& name) { return {.name = name, .type = "integer"}; }

Resource Core(const std::string& plural, const std::string& singular, const std::string& kind, bool namespaced,
              std::vector<std::string> short_names) {
  Resource resource;
  resource.type = {"", "v1", plural, kind, namespaced};
  resource.singular = singular;
  resource.list_kind = kind + "List";
  resource.short_names = std::move(short_names);
  return resource;
}

Resource Pods() {
  Resource pods = Core("pods", "pod", "Pod", true, {"po"});
  pods.categories = {"all"};
  pods.selectable_fields = {"spec.nodeName",    "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName",
                            "spec.hostNetwork", "status.phase",       "status.podIP",       "status.nominatedNodeName"};
  pods.columns = {kName,      {.name = "Ready"}, {.name = "Status"},     {.name = "Restarts"},   kAge,
                  Wide("IP"), Wide("Node"),      Wide("Nominated Node"), Wide("Readiness Gates")};
  pods.has_status = true;
  pods.has_generation = true;
  pods.returns_deleted = true;
  pods.strategy = PodStrategy();
  return pods;
}

Resource Services() {
  Resource services = Core("services", "service", "Service", true, {"svc"});
  services.categories = {"all"};
  services.selectable_fields = {"spec.clusterIP", "spec.type"};
  services.columns = {kName, {.name = "Type"}, {.name = "Cluster-IP"}, {.name = "External-IP"}, {.name = "Port(s)"},
                      kAge,  Wide("Selector")};
  services.name_rule = NameRule::kLabel;
  services.has_status = true;
  services.returns_deleted = true;
  services.strategy = ServiceStrategy();
  return services;
}

Resource Nodes() {
  Resource nodes = Core("nodes", "node", "Node", false, {"no"});
  nodes.selectable_fields = {"spec.unschedulable"};
  nodes.columns = {kName,
                   {.name = "Status"},
                   {.name = "Roles"},
                   kAge,
                   {.name = "Version"},
                   Wide("Internal-IP"),
                   Wide("External-IP"),
                   Wide("OS-Image"),
                   Wide("Kernel-Version"),
                   Wide("Container-Runtime")};
  nodes.has_status = true;
  return nodes;
}

Resource Namespaces() {
  Resource namespaces = Core("namespaces", "namespace", "Namespace", false, {"ns"});
  namespaces.selectable_fields = {"status.phase"};
  namespaces.columns = {kName, {.name = "Status"}, kAge};
  namespaces.name_rule = NameRule::kLabel;
  namespaces.has_status = true;
  namespaces.strategy = NamespaceStrategy();
  return namespaces;
}

Resource Secrets() {
  Resource secrets = Core("secrets", "secret", "Secret", true, {});
  secrets.selectable_fields = {"type"};
  secrets.columns = {kName, {.name = "Type"}, Integer("Data"), kAge};
  secrets.strategy = SecretStrategy();
  return secrets;
}

Resource ConfigMaps() {
  Resource config_maps = Core("configmaps", "configmap", "ConfigMap", true, {"cm"});
  config_maps.columns = {kName, Integer("Data"), kAge};
  config_maps.strategy = ConfigMapStrategy();
  return config_maps;
}

Resource Events() {
  Resource events = Core("events", "event", "Event", true, {"ev"});
  events.selectable_fields = {"involvedObject.kind",
                              "involvedObject.namespace",
                              "involvedObject.name",
                              "involvedObject.uid",
                              "involvedObject.apiVersion",
                              "involvedObject.resourceVersion",
                              "involvedObject.fieldPath",
                              "reason",
                              "reportingComponent",
                              "source",
                              "type"};
  events.columns = {{.name = "Last Seen"}, {.name = "Type"},
                    {.name = "Reason"},    {.name = "Object"},
                    Wide("Subobject"),     Wide("Source"),
                    {.name = "Message"},   Wide("First Seen"),
                    Wide("Count"),         {.name = "Name", .format = "name", .priority = 1}};
  events.strategy = EventStrategy();
  return events;
}

Resource Claims() {
  Resource claims = Core("persistentvolumeclaims", "persistentvolumeclaim", "PersistentVolumeClaim", true, {"pvc"});
  claims.columns = {kName,
                    {.name = "Status"},
                    {.name = "Volume"},
                    {.name = "Capacity"},
                    {.name = "Access Modes"},
                    {.name = "StorageClass"},
                    {.name = "VolumeAttributesClass"},
                    kAge,
                    Wide("VolumeMode")};
  claims.has_status = true;
  claims.returns_deleted = true;
  claims.strategy = ClaimStrategy();
  return claims;
}

Resource ServiceAccounts() {
  Resource accounts = Core("serviceaccounts", "serviceaccount", "ServiceAccount", true, {"sa"});
  accounts.columns = {kName, Integer("Secrets"), kAge};
  accounts.returns_deleted = true;
  return accounts;
}

Resource DisruptionBudgets() {
  Resource budgets = Core("poddisruptionbudgets", "poddisruptionbudget", "PodDisruptionBudget", true, {"pdb"});
  budgets.type.group = "policy";
  budgets.columns = {
      kName, {.name = "Min Available"}, {.name = "Max Unavailable"}, Integer("Allowed Disruptions"), kAge};
  budgets.has_status = true;
  budgets.has_generation = true;
  budgets.unconditional_update = false;
  budgets.strategy = DisruptionBudgetStrategy();
  return budgets;
}

Resource Leases() {
  Resource leases = Core("leases", "lease", "Lease", true, {});
  leases.type.group = "coordination.k8s.io";
  leases.columns = {kName, {.name = "Holder"}, kAge};
  leases.unconditional_update = false;
  leases.strategy = LeaseStrategy();
  return leases;
}

Resource Definitions() {
  Resource definitions =
      Core("customresourcedefinitions", "customresourcedefinition", "CustomResourceDefinition", false, {"crd", "crds"});
  definitions.type.group = "apiextensions.k8s.io";
  definitions.categories = {"api-extensions"};
  definitions.columns = {kName, {.name = "Created At", .type = "date"}};
  definitions.has_status = true;
  definitions.has_generation = true;
  definitions.unconditional_update = false;
  definitions.strategy = {PrepareCrd, ValidateCrd};
  return definitions;
}

}  // namespace

std::vector<ResourcePtr> BuiltinResources() {
  std::vector<ResourcePtr> resources;
  for (auto make : {Namespaces, Nodes, Pods, Services, ConfigMaps, Secrets, Events, Claims, ServiceAccounts,
                    DisruptionBudgets, Leases, Definitions}) {
    resources.push_back(std::make_shared<const Resource>(make()));
  }
  return resources;
}

}  // namespace slotwright::local::apiserver
