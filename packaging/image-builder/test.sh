#!/bin/sh
# In an instance that was made from the new image: it runs, and is judged as any host.
set -eu
/usr/bin/hostward scan --fail-on "${FAIL_ON:-high}"
