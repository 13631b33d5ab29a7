{{- /* The arguments of the webhook, one a line. */ -}}
{{- define "keystone.args" -}}
{{- $v := .Values }}
{{- $folder := "/etc/k8s-keystone-auth" }}
{{- if eq $v.kind "DaemonSet" }}
- --listen={{ $v.daemonSet.listenAddress }}:{{ $v.daemonSet.port }}
{{- else }}
- {{ ternary (printf "--listen=[%s]:8443" $v.listenAddress) (printf "--listen=%s:8443" $v.listenAddress) (contains ":" $v.listenAddress) | quote }}
{{- end }}
- --tls-cert-file={{ $folder }}/tls/tls.crt
- --tls-private-key-file={{ $folder }}/tls/tls.key
{{- range (include "keystone.authorities" . | fromJson).list }}
- --{{ .flag }}={{ $folder }}/{{ .name }}/{{ .ca.key }}
{{- end }}
{{- with $v.clientCertificates.allowedNames }}
- {{ printf "--allowed-client-names=%s" (join "," .) | quote }}
{{- end }}
- --metrics={{ $v.metricsAccess }}
- --shutdown-grace={{ $v.shutdownGraceSeconds }}
- --log-level={{ $v.logLevel }}
- --authenticators={{ join "," $v.authentication.authenticators }}
{{- if has "keystone" $v.authentication.authenticators }}
- --keystone-url={{ required "keystone.url is required" $v.keystone.url }}
{{- if $v.keystone.allowHttp }}
- --allow-http
{{- end }}
- --keystone-timeout={{ $v.keystone.timeoutSeconds }}
- --keystone-concurrency={{ $v.keystone.concurrency }}
- --keystone-rate={{ $v.keystone.rate }}
{{- end }}
- --review-timeout={{ $v.authentication.reviewTimeoutSeconds }}
- {{ printf "--username-format=%s" $v.authentication.usernameFormat | quote }}
- {{ printf "--group-format=%s" $v.authentication.groupFormat | quote }}
{{- with $v.authentication.allowedColonNames }}
- {{ printf "--allowed-colon-names=%s" (join "," .) | quote }}
{{- end }}
- --cache-ttl={{ $v.authentication.cacheTtlSeconds }}
- --access-rules={{ $v.authentication.accessRules }}
{{- if $v.authentication.anyTokenShape }}
- --any-token-shape
{{- end }}
{{- if include "keystone.usesOidc" . }}
- --oidc-issuer-url={{ required "oidc.issuerUrl is required" $v.oidc.issuerUrl }}
- {{ printf "--oidc-client-id=%s" (required "oidc.clientId is required" $v.oidc.clientId) | quote }}
- {{ printf "--oidc-username-claim=%s" $v.oidc.usernameClaim | quote }}
{{- with $v.oidc.usernamePrefix }}
- {{ printf "--oidc-username-prefix=%s" . | quote }}
{{- end }}
{{- with $v.oidc.groupsClaim }}
- {{ printf "--oidc-groups-claim=%s" . | quote }}
{{- end }}
{{- with $v.oidc.groupsPrefix }}
- {{ printf "--oidc-groups-prefix=%s" . | quote }}
{{- end }}
{{- if $v.oidc.requiredClaims }}
{{- $claims := list }}
{{- range $name, $value := $v.oidc.requiredClaims }}{{ $claims = append $claims (printf "%s=%s" $name $value) }}{{ end }}
- {{ printf "--oidc-required-claim=%s" (join "," $claims) | quote }}
{{- end }}
- --oidc-signing-algs={{ join "," $v.oidc.signingAlgs }}
{{- end }}
{{- if include "keystone.mountedConfigMap" (dict "root" . "section" "policy") }}
- --keystone-policy-file={{ $folder }}/policy/policies
{{- end }}
{{- with include "keystone.watchedConfigMap" (dict "root" . "section" "policy") }}
- --policy-configmap-name={{ . }}
{{- end }}
{{- if $v.policy.denyUnmatched }}
- --deny-unmatched
{{- end }}
{{- with $v.policy.compatibility }}
- --compatibility={{ join "," . }}
{{- end }}
{{- if include "keystone.mountedConfigMap" (dict "root" . "section" "sync") }}
- --sync-config-file={{ $folder }}/sync/syncConfig
{{- end }}
{{- with include "keystone.watchedConfigMap" (dict "root" . "section" "sync") }}
- --sync-configmap-name={{ . }}
{{- end }}
{{- end }}

{{- define "keystone.volumes" -}}
- name: tls
  secret: { secretName: {{ include "keystone.tlsSecret" . }}, defaultMode: 0440 }
{{- range (include "keystone.authorities" . | fromJson).list }}
- name: {{ .name }}
  {{- if .ca.secret }}
  secret:
    secretName: {{ .ca.secret | toYaml }}
    items: [{ key: {{ .ca.key | toYaml }}, path: {{ .ca.key | toYaml }} }]
  {{- else }}
  configMap:
    name: {{ .ca.configMap | default (printf "%s-%s" (include "keystone.name" $) .name) | toYaml }}
    items: [{ key: {{ .ca.key | toYaml }}, path: {{ .ca.key | toYaml }} }]
  {{- end }}
{{- end }}
{{- range $section, $key := dict "policy" "policies" "sync" "syncConfig" }}
{{- with include "keystone.mountedConfigMap" (dict "root" $ "section" $section) }}
- name: {{ $section }}
  configMap:
    name: {{ . | toYaml }}
    items: [{ key: {{ $key }}, path: {{ $key }} }]
{{- end }}
{{- end }}
{{- end }}

{{- define "keystone.mounts" -}}
- { name: tls, mountPath: /etc/k8s-keystone-auth/tls, readOnly: true }
{{- range (include "keystone.authorities" . | fromJson).list }}
- { name: {{ .name }}, mountPath: /etc/k8s-keystone-auth/{{ .name }}, readOnly: true }
{{- end }}
{{- range list "policy" "sync" }}
{{- if include "keystone.mountedConfigMap" (dict "root" $ "section" .) }}
- { name: {{ . }}, mountPath: /etc/k8s-keystone-auth/{{ . }}, readOnly: true }
{{- end }}
{{- end }}
{{- end }}

{{- define "keystone.probe" -}}
httpGet:
  path: {{ .path }}
  port: https
  scheme: HTTPS
  {{- if eq .root.Values.kind "DaemonSet" }}
  host: {{ ternary "127.0.0.1" .root.Values.daemonSet.listenAddress (eq .root.Values.daemonSet.listenAddress "0.0.0.0") }}
  {{- end }}
periodSeconds: {{ .period }}
timeoutSeconds: 5
{{- end }}

{{- /* The template of the pods. It meets the pod security standard "restricted", but for the network of a DaemonSet. */ -}}
{{- define "keystone.pod" -}}
{{- $v := .Values }}
{{- $isDaemonSet := eq $v.kind "DaemonSet" }}
metadata:
  labels: {{- include "keystone.labels" . | nindent 4 }}
  {{- /* A changed mounted file needs no restart: the webhook reads it again. */}}
  {{- with $v.pod.annotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  serviceAccountName: {{ include "keystone.serviceAccount" . | toYaml }}
  automountServiceAccountToken: {{ include "keystone.needsApi" . | eq "true" }}
  enableServiceLinks: false
  {{- with $v.pod.priorityClassName }}
  priorityClassName: {{ . | toYaml }}
  {{- end }}
  {{- with $v.image.pullSecrets }}
  imagePullSecrets:
    {{- range . }}
    - name: {{ . | toYaml }}
    {{- end }}
  {{- end }}
  terminationGracePeriodSeconds: {{ add $v.shutdownGraceSeconds $v.authentication.reviewTimeoutSeconds 10 }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 65532
    runAsGroup: 65532
    fsGroup: 65532
    seccompProfile: { type: RuntimeDefault }
  {{- if $isDaemonSet }}
  hostNetwork: true
  dnsPolicy: ClusterFirstWithHostNet
  {{- with $v.daemonSet.nodeSelector }}
  nodeSelector: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $v.daemonSet.tolerations }}
  tolerations: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- else }}
  {{- with $v.pod.nodeSelector }}
  nodeSelector: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $v.pod.tolerations }}
  tolerations: {{- toYaml . | nindent 4 }}
  {{- end }}
  affinity:
    podAntiAffinity:
      {{- if eq $v.pod.antiAffinity "required" }}
      requiredDuringSchedulingIgnoredDuringExecution:
        - topologyKey: kubernetes.io/hostname
          labelSelector:
            matchLabels: {{- include "keystone.selector" . | nindent 14 }}
      {{- else }}
      preferredDuringSchedulingIgnoredDuringExecution:
        - weight: 100
          podAffinityTerm:
            topologyKey: kubernetes.io/hostname
            labelSelector:
              matchLabels: {{- include "keystone.selector" . | nindent 16 }}
      {{- end }}
  {{- end }}
  containers:
    - name: webhook
      image: {{ include "keystone.image" . }}
      imagePullPolicy: {{ $v.image.pullPolicy }}
      args: {{- include "keystone.args" . | nindent 8 }}
      {{- if or $v.proxy.httpsProxy $v.proxy.noProxy }}
      env:
        {{- with $v.proxy.httpsProxy }}
        - { name: HTTPS_PROXY, value: {{ . | quote }} }
        {{- end }}
        {{- with $v.proxy.noProxy }}
        - { name: NO_PROXY, value: {{ . | quote }} }
        {{- end }}
      {{- end }}
      ports:
        - name: https
          protocol: TCP
          containerPort: {{ ternary $v.daemonSet.port 8443 $isDaemonSet }}
          {{- if $isDaemonSet }}
          hostPort: {{ $v.daemonSet.port }}
          {{- end }}
      livenessProbe: {{- include "keystone.probe" (dict "root" . "path" "/healthz" "period" 10) | nindent 8 }}
      readinessProbe: {{- include "keystone.probe" (dict "root" . "path" "/readyz" "period" 2) | nindent 8 }}
      resources: {{- toYaml $v.pod.resources | nindent 8 }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities: { drop: [ALL] }
      volumeMounts: {{- include "keystone.mounts" . | nindent 8 }}
  volumes: {{- include "keystone.volumes" . | nindent 4 }}
{{- end }}
