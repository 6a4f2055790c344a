{{- define "kps.name" -}}
{{ .Values.nameOverride | default .Chart.Name | trunc 50 | trimSuffix "-" }}
{{- end }}

{{/* A release whose name holds the chart's is called by its own name alone. */}}
{{- define "kps.fullname" -}}
{{- $name := .Values.nameOverride | default .Chart.Name -}}
{{- $full := contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) -}}
{{ .Values.fullnameOverride | default $full | trunc 26 | trimSuffix "-" }}
{{- end }}

{{- define "kps.labels" -}}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.Version | quote }}
app.kubernetes.io/part-of: {{ include "kps.name" . }}
chart: {{ .Chart.Name }}-{{ .Chart.Version }}
release: {{ .Release.Name | quote }}
heritage: {{ .Release.Service | quote }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* What a monitor or a rule must be to count: of this release, unless the values say otherwise. */}}
{{- define "kps.selector" -}}
{{- $spec := .root.Values.prometheus.prometheusSpec -}}
{{- $given := index $spec .kind -}}
{{- if $given }}{{ toJson $given }}
{{- else if index $spec (printf "%sNilUsesHelmValues" .kind) }}{{ dict "matchLabels" (dict "release" .root.Release.Name) | toJson }}
{{- else }}{}{{ end -}}
{{- end }}
