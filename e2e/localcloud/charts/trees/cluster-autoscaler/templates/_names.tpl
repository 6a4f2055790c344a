{{/* The real chart prefixes its name with the cloud provider: aws-cluster-autoscaler. */}}
{{- define "ca.name" -}}
{{ .Values.nameOverride | default (printf "%s-%s" .Values.cloudProvider .Chart.Name) | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* Unlike most charts, a release called like the chart does not shorten the name. */}}
{{- define "ca.fullname" -}}
{{- $name := include "ca.name" . -}}
{{- if .Values.fullnameOverride }}{{ $name = .Values.fullnameOverride }}
{{- else if ne $name .Release.Name }}{{ $name = printf "%s-%s" .Release.Name $name }}{{ end -}}
{{ $name | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "ca.serviceAccount" -}}
{{- if .Values.rbac.serviceAccount.create -}}
{{ .Values.rbac.serviceAccount.name | default (include "ca.fullname" .) }}
{{- else -}}
{{ .Values.rbac.serviceAccount.name | default "default" }}
{{- end -}}
{{- end }}

{{- define "ca.selector" -}}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/name: {{ include "ca.name" . | quote }}
{{- end }}

{{- define "ca.labels" -}}
{{ include "ca.selector" . }}
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | quote }}
{{- with .Values.additionalLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* extraArgs become --key=value, or --key alone for null; what follows "_" in a key only makes it unique. */}}
{{- define "ca.arguments" -}}
- ./cluster-autoscaler
- --cloud-provider={{ .Values.cloudProvider }}
- --namespace={{ .Release.Namespace }}
{{- range .Values.autoscalingGroups }}
- --nodes={{ .minSize }}:{{ .maxSize }}:{{ .name }}
{{- end }}
{{- if .Values.autoDiscovery.clusterName }}
- --node-group-auto-discovery=asg:tag={{ tpl (join "," .Values.autoDiscovery.tags) . }}
{{- end }}
{{- with .Values.cloudConfigPath }}
- --cloud-config={{ . }}
{{- end }}
{{- range $key, $value := .Values.extraArgs }}
- --{{ regexFind "^[^_]+" $key }}{{ if not (kindIs "invalid" $value) }}={{ $value }}{{ end }}
{{- end }}
{{- range .Values.customArgs }}
- {{ . }}
{{- end }}
{{- end }}
