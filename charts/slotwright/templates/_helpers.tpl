{{- define "slotwright.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- /* 63 for the name of a Service, of which "-metrics" takes 8, and which has no dots as a release's may. Like all
names it is quoted where it is used: YAML takes 123, true and null for something else. */}}
{{- define "slotwright.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 54 | trimSuffix "-" }}
{{- else if contains (include "slotwright.name" .) .Release.Name }}
{{- .Release.Name | replace "." "-" | trunc 54 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "slotwright.name" .) | replace "." "-" | trunc 54 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- /* Never changes during a release's life: a Deployment's selector is immutable. */}}
{{- define "slotwright.selectorLabels" -}}
app.kubernetes.io/name: {{ include "slotwright.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/component: operator
{{- end }}

{{- define "slotwright.labels" -}}
{{ include "slotwright.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: slotwright
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- /* Labels and annotations of an object: include "slotwright.metadata" (list $ LABELS ANNOTATIONS). What the chart itself
sets wins. */}}
{{- define "slotwright.metadata" -}}
{{- $root := index . 0 }}
{{- $annotations := merge (dict) (index . 2) $root.Values.extraAnnotations -}}
labels:
  {{- toYaml (merge (include "slotwright.labels" $root | fromYaml) (index . 1) $root.Values.extraLabels) | nindent 2 }}
{{- with $annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "slotwright.serviceAccountName" -}}
{{- default (ternary (include "slotwright.fullname" .) "default" .Values.serviceAccount.create) .Values.serviceAccount.name }}
{{- end }}

{{- define "slotwright.leaseName" -}}
{{- default (include "slotwright.fullname" .) .Values.operator.leaseName }}
{{- end }}

{{- define "slotwright.image" -}}
{{- if .Values.image.digest }}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) }}
{{- end }}
{{- end }}

{{- /* What the operator may do in a namespace that it watches; docs/security.md has the same list, and
tests/chart/server_test.py asks a real API server's audit log which of it is used. */}}
{{- define "slotwright.rules" -}}
# What is to be made and kept. Never changed by the operator, but for its status. get: `slotwright status`, `check` and
# `plan`, run in its pods, from where every node can be reached.
- apiGroups: [slotwright.dev]
  resources: [redisclusters]
  verbs: [get, list, watch]
- apiGroups: [slotwright.dev]
  resources: [redisclusters/status]
  verbs: [patch]
# Its objects name the RedisCluster as an owner whose deletion waits for them. Where OwnerReferencesPermissionEnforcement
# is on, as in some distributions, that takes this; nothing is ever written there.
- apiGroups: [slotwright.dev]
  resources: [redisclusters/finalizers]
  verbs: [update]
# The Redis nodes. get: what a cache may not show yet is asked for before slots are given to a node. patch: the note of
# the directives that were set live. delete: pods of shards that have left, and pods that cannot start.
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch, create, patch, delete]
# Pods that serve are only ever evicted, so that their shard's PodDisruptionBudget has a say.
- apiGroups: [""]
  resources: [pods/eviction]
  verbs: [create]
# redis.conf and scripts; names and addresses. get: whose is it, if the name is taken. Deleted with their owner by
# Kubernetes, not by the operator.
- apiGroups: [""]
  resources: [configmaps, services]
  verbs: [get, list, watch, create, patch]
# One a shard. delete: of shards that have left.
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch, delete]
# One a pod, with storage. patch: growing. delete: of pods that are no longer wanted, when storage.retain is Delete.
- apiGroups: [""]
  resources: [persistentvolumeclaims]
  verbs: [get, list, watch, create, patch, delete]
# The password: read by the name that the RedisCluster gives, created once if it gives none. Never listed or watched, so
# that no other Secret is ever in the operator's memory.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, create]
# What happened. patch: an event that comes again is counted.
- apiGroups: [""]
  resources: [events]
  verbs: [create, patch]
{{- end }}
