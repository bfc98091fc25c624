# Packer, builder alicloud-ecs: an image that is hardened and judged before it is made.
#
# The order matters. Provisioners come in over ssh: harden.sh edits files for the first boot and leaves the running sshd alone.
# seal.sh comes last: it cleans up, after it nobody logs in anew, and Packer goes on with the connection that it has. An exit code
# other than 0 ends the build, and no image is made.
packer {
  required_plugins {
    alicloud = {
      source  = "github.com/hashicorp/alicloud"
      version = "~> 1"
    }
  }
}

variable "region" { default = "cn-hangzhou" }
variable "source_image" { type = string }
variable "package" { description = "hostward_VERSION_ARCH.deb, as packaging/build makes it" }

source "alicloud-ecs" "hardened" {
  region                    = var.region
  source_image              = var.source_image
  image_name                = "hardened-${formatdate("YYYYMMDD-hhmm", timestamp())}"
  instance_type             = "ecs.c6.large"
  internet_charge_type      = "PayByTraffic"
  io_optimized              = true
  ssh_username              = "root"
  # Else the temporary key of the build may stay in the image.
  ssh_clear_authorized_keys = true
}

build {
  sources = ["source.alicloud-ecs.hardened"]

  # What the image is for comes first …

  provisioner "file" {
    source      = var.package
    destination = "/tmp/hostward.deb"
  }
  provisioner "shell" {
    inline = ["dpkg -i /tmp/hostward.deb", "rm /tmp/hostward.deb"]
  }
  provisioner "shell" {
    scripts = ["../image-builder/harden.sh", "../image-builder/seal.sh"]
  }
}
