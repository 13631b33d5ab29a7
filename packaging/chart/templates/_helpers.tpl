{{- define "keystone.name" -}}
{{- $name := .Values.fullnameOverride | default .Release.Name }}
{{- if gt (len $name) 52 }}{{ fail "the name of the release is longer than 52 characters; set fullnameOverride to a shorter one" }}{{ end }}
{{- /* What a Service can be named. Otherwise Helm would fail after it has created half of the objects. */}}
{{- if not (regexMatch `^[a-z]([-a-z0-9]*[a-z0-9])?$` $name) }}{{ fail (printf "the name %s is not for a Service; set fullnameOverride to one that starts with a letter and has only letters, digits and dashes" $name) }}{{ end }}
{{- $name }}
{{- end }}

{{- define "keystone.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name | toYaml }}
{{- end }}

{{- define "keystone.labels" -}}
{{ include "keystone.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /* Other labels than those of the webhook, whose Service must not find the issuer. */ -}}
{{- define "keystone.issuerSelector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}-issuer
app.kubernetes.io/instance: {{ .Release.Name | toYaml }}
{{- end }}

{{- define "keystone.issuerLabels" -}}
{{ include "keystone.issuerSelector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "keystone.image" -}}
{{- $repository := required "image.repository is required: the image without its tag" .Values.image.repository }}
{{- if .Values.image.digest }}{{ $repository }}@{{ .Values.image.digest }}
{{- else }}{{ $repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}
{{- end }}

{{- define "keystone.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}{{ .Values.serviceAccount.name | default (include "keystone.name" .) }}
{{- else }}{{ required "serviceAccount.name is required if serviceAccount.create is false" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- /* Whether the webhook talks to the API server; otherwise its pods have no token. */ -}}
{{- define "keystone.needsApi" -}}
{{- if or (eq .Values.policy.source "watch") (eq .Values.sync.source "watch") (include "keystone.synchronizes" .) }}true{{ end }}
{{- end }}

{{- define "keystone.synchronizes" -}}
{{- if and (ne .Values.sync.source "none") (or .Values.sync.projects .Values.sync.roleAssignments) }}true{{ end }}
{{- end }}

{{- define "keystone.usesOidc" -}}
{{- if has "oidc" .Values.authentication.authenticators }}true{{ end }}
{{- end }}

{{- define "keystone.tlsSecret" -}}
{{- if eq .Values.tls.source "secret" }}{{ required "tls.secretName is required with tls.source: secret" .Values.tls.secretName }}
{{- else }}{{ include "keystone.name" . }}-tls
{{- end }}
{{- end }}

{{- /* The name of the ConfigMap of a policy or a sync configuration that is mounted as a file. */ -}}
{{- define "keystone.mountedConfigMap" -}}
{{- $section := index .root.Values .section }}
{{- if eq $section.source "values" }}{{ include "keystone.name" .root }}-{{ .section }}
{{- else if eq $section.source "configMap" }}{{ required (printf "%s.configMapName is required with %s.source: configMap" .section .section) $section.configMapName }}
{{- end }}
{{- end }}

{{- define "keystone.watchedConfigMap" -}}
{{- $section := index .root.Values .section }}
{{- if eq $section.source "watch" }}{{ required (printf "%s.configMapName is required with %s.source: watch" .section .section) $section.configMapName }}
{{- end }}
{{- end }}

{{- /* The authorities of the webhook: name of the volume and of the flag, and where they come from. */ -}}
{{- define "keystone.authorities" -}}
{{- $all := list (dict "name" "keystone-ca" "flag" "keystone-ca-file" "ca" .Values.keystone.ca "path" "keystone.ca") }}
{{- $all = append $all (dict "name" "client-ca" "flag" "client-ca-file" "ca" .Values.clientCertificates.ca "path" "clientCertificates.ca") }}
{{- if include "keystone.usesOidc" . }}
{{- $all = append $all (dict "name" "oidc-ca" "flag" "oidc-ca-file" "ca" .Values.oidc.ca "path" "oidc.ca") }}
{{- end }}
{{- $used := list }}
{{- range $all }}
{{- $sources := compact (list .ca.pem .ca.configMap .ca.secret) }}
{{- if gt (len $sources) 1 }}{{ fail (printf "%s: set only one of pem, configMap and secret" .path) }}{{ end }}
{{- if $sources }}{{ $used = append $used . }}{{ end }}
{{- end }}
{{- dict "list" $used | toJson }}
{{- end }}

{{- define "keystone.metricsServerName" -}}
{{- .Values.monitoring.serverName | default (printf "%s.%s.svc" (include "keystone.name" .) .Release.Namespace) }}
{{- end }}

{{- /* How Prometheus scrapes a server; without a CA, it trusts those of its system. */ -}}
{{- define "keystone.scrape" -}}
port: https
scheme: https
path: /metrics
interval: {{ .root.Values.monitoring.interval }}
tlsConfig:
  serverName: {{ .serverName | toYaml }}
  {{- with .caSecret }}
  ca:
    secret:
      name: {{ . | toYaml }}
      key: {{ $.caKey | toYaml }}
  {{- end }}
{{- end }}

{{- define "keystone.monitorEndpoint" -}}
{{- $m := .Values.monitoring }}
{{- $caSecret := $m.caSecret | default (include "keystone.tlsSecret" .) }}
{{- include "keystone.scrape" (dict "root" . "serverName" (include "keystone.metricsServerName" .) "caSecret" $caSecret "caKey" $m.caKey) }}
  {{- if eq .Values.metricsAccess "clients" }}
  {{- $secret := required "monitoring.clientSecret is required with metricsAccess: clients" .Values.monitoring.clientSecret }}
  cert:
    secret: { name: {{ $secret | toYaml }}, key: tls.crt }
  keySecret: { name: {{ $secret | toYaml }}, key: tls.key }
  {{- end }}
{{- end }}

{{- define "keystone.issuerMonitorEndpoint" -}}
{{- $m := .Values.issuer.monitoring }}
{{- $host := (urlParse .Values.issuer.url).hostname }}
{{- $caSecret := ternary "" ($m.caSecret | default .Values.issuer.tlsSecretName) $m.publicAuthority }}
{{- include "keystone.scrape" (dict "root" . "serverName" ($m.serverName | default $host) "caSecret" $caSecret "caKey" $m.caKey) }}
{{- end }}
