# Waits during `terraform apply`. The credentials are in the environment of terraform, so that they are in no
# state file: CFW_ENDPOINT, CFW_PROJECT_ID and CFW_TOKEN, or OS_*.
terraform {
  required_version = ">= 1.4" # terraform_data
}

variable "job_ids" {
  description = "Ids of the jobs to wait for"
  type        = set(string)
}

resource "terraform_data" "firewall_is_ready" {
  triggers_replace = var.job_ids

  provisioner "local-exec" {
    # Any exit code but 0 taints the resource, and the next apply waits again.
    command     = "printf '%s\\n' \"$JOB_IDS\" | cfw-wait --timeout 45m -"
    environment = { JOB_IDS = join("\n", var.job_ids) }
  }
}

output "waited_for" {
  value      = length(var.job_ids)
  depends_on = [terraform_data.firewall_is_ready]
}
