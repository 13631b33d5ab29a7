# The providers of Kubernetes and Helm run the plugin as kubectl does. The variables OS_… of the shell that runs terraform
# say who logs in. No token gets into the state.
locals {
  exec = {
    api_version = "client.authentication.k8s.io/v1"
    command     = "client-keystone-auth"
    args        = ["get-token"]
  }
}

variable "server" {
  type        = string
  description = "URL of the API server"
}

variable "certificate_authority" {
  type        = string
  description = "PEM file of the CA of the API server"
}

provider "kubernetes" {
  host                   = var.server
  cluster_ca_certificate = file(var.certificate_authority)

  exec {
    api_version = local.exec.api_version
    command     = local.exec.command
    args        = local.exec.args
  }
}

provider "helm" {
  kubernetes = {
    host                   = var.server
    cluster_ca_certificate = file(var.certificate_authority)
    exec                   = local.exec
  }
}
