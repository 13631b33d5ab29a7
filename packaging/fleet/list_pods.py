"""Lists pods with the current context, whose exec stanza runs the plugin."""
from kubernetes import client, config

config.load_kube_config()
for pod in client.CoreV1Api().list_namespaced_pod("default").items:
    print(pod.metadata.name)
