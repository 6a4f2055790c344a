{{- define "gpu.labels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/component: gpu-operator
{{- with .Values.operator.labels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "gpu.image" -}}
{{ .Values.operator.repository }}/{{ .Values.operator.image }}:{{ .Values.operator.version | default .Chart.AppVersion }}
{{- end }}

{{- define "gpu.crdFiles" -}}
- --filepath=/opt/gpu-operator/nvidia.com_clusterpolicies.yaml
- --filepath=/opt/gpu-operator/nvidia.com_nvidiadrivers.yaml
- --filepath=/opt/gpu-operator/nvidia.com_gpuclusters.yaml
{{- if .Values.nfd.enabled }}
- --filepath=/opt/gpu-operator/nfd-api-crds.yaml
{{- end }}
{{- end }}

{{/* One hook Job in the operator's image: dict top, name, hook, weight, account, command, args. */}}
{{- define "gpu.hookJob" -}}
{{- $v := .top.Values.operator -}}
apiVersion: batch/v1
kind: Job
metadata:
  name: gpu-operator-{{ .name }}
  namespace: {{ .top.Release.Namespace }}
  annotations:
    helm.sh/hook: {{ .hook }}
    helm.sh/hook-weight: {{ .weight | quote }}
    helm.sh/hook-delete-policy: hook-succeeded,before-hook-creation
  labels: {{ include "gpu.labels" .top | nindent 4 }}
spec:
  template:
    metadata:
      name: gpu-operator-{{ .name }}
      labels: {{ include "gpu.labels" .top | nindent 8 }}
    spec:
      serviceAccountName: {{ .account }}
      restartPolicy: OnFailure
      containers:
        - name: {{ .name }}
          image: {{ include "gpu.image" .top }}
          imagePullPolicy: {{ $v.imagePullPolicy }}
          command: [{{ .command }}]
          args: {{ .args | nindent 12 }}
      {{- with $v.nodeSelector }}
      nodeSelector: {{ toYaml . | nindent 8 }}
      {{- end }}
      {{- with $v.tolerations }}
      tolerations: {{ toYaml . | nindent 8 }}
      {{- end }}
{{- end }}
