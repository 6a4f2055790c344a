{{- define "cm.namespace" -}}{{ .Values.namespace | default .Release.Namespace }}{{- end }}

{{- define "cm.fullname" -}}
{{- $name := .Values.nameOverride | default .Chart.Name -}}
{{- $full := contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) -}}
{{ .Values.fullnameOverride | default $full | trunc 52 | trimSuffix "-" }}
{{- end }}

{{/* The labels of one of the components: (list $ "webhook"). */}}
{{- define "cm.selector" -}}
{{- $component := index . 1 -}}
app.kubernetes.io/name: {{ eq $component "controller" | ternary (index . 0).Chart.Name $component }}
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ $component }}
{{- end }}

{{- define "cm.labels" -}}
{{- $top := index . 0 -}}
app: {{ eq (index . 1) "controller" | ternary $top.Chart.Name (index . 1) }}
{{ include "cm.selector" . }}
app.kubernetes.io/version: {{ $top.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $top.Release.Service }}
helm.sh/chart: {{ $top.Chart.Name }}-{{ $top.Chart.Version }}
{{- with $top.Values.global.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* The image of a component: (list $ .Values.webhook.image). */}}
{{- define "cm.image" -}}
{{- $top := index . 0 -}}{{- $image := index . 1 -}}
{{ $image.repository | default (printf "%s/%s/%s" $top.Values.imageRegistry $top.Values.imageNamespace $image.name) }}:{{ $image.tag | default $top.Chart.AppVersion }}
{{- end }}
