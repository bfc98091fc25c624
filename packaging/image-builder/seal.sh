#!/bin/sh
# The last step: takes away what every instance is to have its own of, or not at all (passwords, keys, host keys, the machine id,
# cloud-init's state, histories, logs), and judges the image. Exit 1 stops the build: somebody could get in who should not; the
# findings are above the verdict.
#
# From here on nobody logs in anew: a builder that came over ssh only uses the connection that it has.
set -eu
status=0
# They stay where nothing would make new ones at first boot; the scan says so then.
/usr/bin/hostward fix --root / --profile image --apply image sshd.host-keys || status=$?
[ "$status" -le 1 ] || exit "$status"
/usr/bin/hostward scan --root / --profile image --fail-on "${FAIL_ON:-high}"
