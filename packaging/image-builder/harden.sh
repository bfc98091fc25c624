#!/bin/sh
# Closes what is open in the files of an image that is being made, for the first boot of what is made of it.
#
# With --root / the running sshd is neither reloaded nor restarted, and passwords and keys stay until the area `image` is named: the
# builder, who may be logged in with a password or a temporary key, can still come in. It is refused (exit 3, the build stops) where
# the account that gets the key at first boot could not enter. Then comes seal.sh, which cleans up.
set -eu
status=0
/usr/bin/hostward fix --root / --profile image --apply || status=$?
# 1: done, and something stays that cannot be fixed here: seal.sh judges it.
[ "$status" -le 1 ] || exit "$status"
