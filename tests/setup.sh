#!/bin/bash
# tests/setup.sh: makes a Debian 12 machine with root ready for the tests; quick when there is nothing left to do.
#
# Installs the Debian packages and Rust targets that the tests use, and fills the cache of root file systems:
# $HOSTWARD_TEST_CACHE/root-<suite> (default /var/tmp/hostward-tests), one for each distribution whose sshd, PAM and
# systemd are asked for the truth; firewalls-<suite> and cloud-init-<suite>, layers over each with the packages of other
# firewalls and with cloud-init; services-bookworm, with services that listen; and docker-bookworm (HOSTWARD_TIER=long:
# more-services-<suite> of five and docker-<suite> of eight too, some 5 GB on disk). The tests never write into them. A change
# of `version` below makes them anew.
# `tests/setup.sh loggers` makes nothing but the layers with system loggers that tests/tests/record_logins.rs boots.
# Safe to run several times at once. Exit 1: something that must be there is not.
set -euo pipefail
cd "$(dirname "$0")"

cache=${HOSTWARD_TEST_CACHE:-/var/tmp/hostward-tests}
required=(bullseye bookworm trixie sid)
where_answered=(bionic focal jammy noble resolute)          # another archive: used where it answers
include=systemd,systemd-sysv,dbus,libpam-systemd,openssh-server,openssh-client,iproute2,sudo,nftables,curl,procps
version="1 $include"
packages=(mmdebstrap debootstrap distro-info-data systemd-container sshpass openssh-client iproute2 curl nftables
  musl-tools clang build-essential libcrypt-dev libfaketime strace tmux sudo util-linux xz-utils zip unzip rpm lintian rpmlint mandoc ca-certificates debian-archive-keyring)
musl=$(uname -m)-unknown-linux-musl

die() { printf 'setup: %s\n' "$*" >&2; exit 1; }

install_packages() {
  local missing=() package
  for package in "${packages[@]}"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  echo "setup: installing ${missing[*]}"
  apt-get -qq -o DPkg::Lock::Timeout=300 update
  DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o DPkg::Lock::Timeout=300 install --no-install-recommends "${missing[@]}" >"$cache/packages.log" 2>&1 ||
    { tail -n 20 "$cache/packages.log" >&2; die "the packages cannot be installed"; }
}

install_target() {
  command -v cargo >/dev/null || die "cargo is missing: install Rust 1.95 or later with rustup"
  [ -d "$(rustc --print sysroot)/lib/rustlib/$musl" ] || rustup --quiet target add "$musl"
}

current() { [ -d "$cache/root-$1" ] && [ "$(cat "$cache/root-$1.version" 2>/dev/null)" = "$version" ]; }

# bookworm has no package of Ubuntu's archive keys; trixie's is only unpacked, nothing of it runs.
ubuntu_keyring() {
  local keyring=$cache/ubuntu-keyring
  [ -d "$keyring/usr/share/keyrings" ] && return
  rm -rf "$keyring" "$keyring.new"
  mmdebstrap --quiet --variant=extract --include=ubuntu-keyring trixie "$keyring.new" && mv "$keyring.new" "$keyring"
}

# bootstrap SUITE: makes root-SUITE, complete or not at all.
bootstrap() {
  local suite=$1 root=$cache/root-$1 options=(--aptopt='Acquire::Retries "3"' --aptopt='Acquire::http::Timeout "30"')
  exec 8>"$root.lock"
  current "$suite" && return
  flock 8                                          # also waits for tests that have the old one mounted
  current "$suite" && return
  case $suite in
    sid) options+=(--aptopt='Acquire::Check-Valid-Until "false"') ;;
    bionic | focal | jammy | noble | resolute)
      (exec 7>"$cache/ubuntu-keyring.lock"; flock 7; ubuntu_keyring) || return 1
      options+=(--keyring="$cache/ubuntu-keyring/usr/share/keyrings" --components=main,universe) ;;
  esac
  rm -rf "$root.new"
  timeout 900 mmdebstrap --quiet --variant=minbase --include="$include" "${options[@]}" "$suite" "$root.new" || { rm -rf "$root.new"; return 1; }
  rm -f "$root.new/etc/machine-id" "$root.new/etc/resolv.conf"
  : >"$root.new/etc/machine-id"                    # an empty one is filled at the first boot
  rm -rf "$root" && mv "$root.new" "$root" && printf '%s' "$version" >"$root.version"
}

# Layers over root-SUITE: the front ends that the firewall tests meet, none of them enabled; what prepares an instance at its
# first boot; services that listen, none of them enabled.
declare -A layer_packages=([firewalls]="ufw firewalld iptables fail2ban" [cloud-init]="cloud-init"
  [services]="redis-server memcached rsync"
  [more-services]="postgresql mariadb-server etcd-server etcd-client rabbitmq-server slapd ldap-utils zookeeper zookeeperd influxdb influxdb-client prometheus prometheus-node-exporter docker.io activemq kcat nodejs"
  # What bookworm's archive lacks, from another's.
  [more-services-focal]="mongodb-server-core mongodb-clients" [more-services-bullseye]="consul"
  [more-services-jammy]="mysql-server-8.0" [more-services-trixie]="valkey-server"
  [rsyslog]="rsyslog logrotate bzip2 xz-utils" [syslog-ng]="syslog-ng-core" [busybox]="busybox-syslogd" [inetutils]="inetutils-syslogd"
  # dockerd, and what its containers are made of; its client is a package of its own in newer suites.
  [docker]="docker.io busybox-static" [docker-trixie]="docker.io docker-cli busybox-static"
  [docker-sid]="docker.io docker-cli busybox-static"
  # Where the logins are kept in databases.
  [rsyslog-trixie]="rsyslog logrotate bzip2 xz-utils wtmpdb libpam-wtmpdb lastlog2 libpam-lastlog2"
  [rsyslog-sid]="rsyslog logrotate bzip2 xz-utils wtmpdb libpam-wtmpdb lastlog2 libpam-lastlog2")
# Of npm, in /opt: in its layer where this machine has npm.
declare -A layer_npm=([more-services-bookworm]="pouchdb-server@4.2.0")
declare -A layer_disables=([firewalls]="ufw firewalld fail2ban" [cloud-init]="" [services]="" [more-services]="" [docker]=""
  [rsyslog]="" [syslog-ng]="" [busybox]="" [inetutils]="")
packages_of() { printf '%s' "${layer_packages[$1-$2]:-${layer_packages[$1]}}"; }
layer_version() { printf '1 %s%s on %s' "$(packages_of "$1" "$2")" "${layer_npm[$1-$2]:+ ${layer_npm[$1-$2]}}" "$version"; }
layer() (
  kind=$1 suite=$2 layer=$cache/$1-$2 work=$cache/$1-$2.work
  [ -d "$cache/root-$suite" ] || exit 0
  exec 8>"$layer.lock"
  [ "$(cat "$layer.version" 2>/dev/null)" = "$(layer_version "$kind" "$suite")" ] && exit 0
  flock 8
  [ "$(cat "$layer.version" 2>/dev/null)" = "$(layer_version "$kind" "$suite")" ] && exit 0
  rm -rf "$layer" "$layer.version" "$work"
  mkdir -p "$work/upper" "$work/work" "$work/root"
  root=$work/root
  mount -t overlay overlay -o "lowerdir=$cache/root-$suite,upperdir=$work/upper,workdir=$work/work" "$root"
  mount -t proc proc "$root/proc"
  mount --bind /dev "$root/dev"
  cp /etc/resolv.conf "$root/etc/resolv.conf"
  printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"   # starts nothing
  chmod 755 "$root/usr/sbin/policy-rc.d"
  # The machine's own apt, as mmdebstrap uses it: not every root file system has one.
  apt=(timeout 600 apt-get -qq -o Dir="$root" -o Dir::Bin::dpkg=/usr/bin/dpkg -o DPkg::Options::=--root="$root"
    -o APT::Sandbox::User=root -o Acquire::Retries=3 -o Acquire::http::Timeout=30 -o Acquire::Check-Valid-Until=false)
  case $suite in
    bionic | focal | jammy | noble | resolute) apt+=(-o Dir::Etc::TrustedParts="$cache/ubuntu-keyring/usr/share/keyrings") ;;
    *) apt+=(-o Dir::Etc::TrustedParts=/usr/share/keyrings) ;;
  esac
  export DEBIAN_FRONTEND=noninteractive APT_CONFIG=/dev/null
  find "$root/etc/systemd/system" "$root"/etc/rc?.d -type l | sort >"$work/enabled"
  "${apt[@]}" update
  read -ra packages <<<"$(packages_of "$kind" "$suite")"
  "${apt[@]}" -y install --no-install-recommends "${packages[@]}"
  if [ -n "${layer_npm[$kind-$suite]:-}" ] && command -v npm >/dev/null; then
    timeout 300 npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$root/opt" "${layer_npm[$kind-$suite]}"
  fi
  read -ra units <<<"${layer_disables[$kind]}"
  [ ${#units[@]} = 0 ] || chroot "$root" systemctl disable "${units[@]}"
  # Some come by names of their own, or by a script of System V.
  case $kind in *services | docker) find "$root/etc/systemd/system" "$root"/etc/rc?.d -type l | sort | comm -13 "$work/enabled" - | xargs -r rm ;; esac
  rm -rf "$root/etc/resolv.conf" "$root/usr/sbin/policy-rc.d" "$root/var/lib/apt/lists" "$root"/var/cache/apt/*
  umount "$root/proc" "$root/dev" "$root"
  mv "$work/upper" "$layer"
  rm -rf "$work"
  layer_version "$kind" "$suite" >"$layer.version"
)

# layer_logged KIND SUITE: in a mount namespace of its own, so that nothing stays mounted; one line, the log where it failed.
layer_logged() {
  local from=$SECONDS
  [ "$(cat "$cache/$1-$2.version" 2>/dev/null)" != "$(layer_version "$1" "$2")" ] || return 0
  if unshare --mount --propagation private bash -euo pipefail -c "$(declare -p cache version layer_packages layer_npm layer_disables; declare -f layer layer_version packages_of); layer $1 $2" \
    >"$cache/$1-$2.log" 2>&1 </dev/null; then
    echo "setup: $1 of $2 installed in $((SECONDS - from)) s"
  else
    echo "setup: $1 of $2 could not be installed (its tests say so):"
    tail -n 5 "$cache/$1-$2.log" | sed 's/^/    /'
  fi
}

# bootstrap_logged SUITE: one line for each suite, the log only where it failed.
bootstrap_logged() {
  local from=$SECONDS
  current "$1" && return
  if (bootstrap "$1") >"$cache/root-$1.log" 2>&1 </dev/null; then
    echo "setup: root file system of $1 made in $((SECONDS - from)) s"
  else
    echo "setup: the root file system of $1 could not be made:"
    tail -n 5 "$cache/root-$1.log" | sed 's/^/    /'
  fi
}

# services SUITE: the layers of the suites whose services are asked, and of those whose dockerd writes rules.
services() {
  [ "$1" != bookworm ] || layer_logged services "$1"
  if [ "$1" = bookworm ] || { [ "$1" != bionic ] && [ "${HOSTWARD_TIER:-quick}" = long ]; }; then layer_logged docker "$1"; fi
  case $1 in bookworm | focal | bullseye | jammy | trixie)
    [ "${HOSTWARD_TIER:-quick}" != long ] || layer_logged more-services "$1" ;;
  esac
}

[ "$(id -u)" = 0 ] || die "the tests boot hosts and mount file systems: run them as root"
mkdir -p "$cache"
if [ "${1:-}" = loggers ]; then
  for suite in "${required[@]}" "${where_answered[@]}"; do
    for logger in rsyslog syslog-ng busybox inetutils; do layer_logged "$logger" "$suite"; done
  done
  exit
fi
(exec 9>"$cache/setup.lock"; flock 9; install_packages; install_target)

running=0
for suite in "${required[@]}" "${where_answered[@]}"; do
  { bootstrap_logged "$suite"; layer_logged firewalls "$suite"; layer_logged cloud-init "$suite"; services "$suite"; } &
  running=$((running + 1))
  [ "$running" -lt 2 ] || { wait -n; running=$((running - 1)); }
done
wait

status=0
for suite in "${required[@]}"; do
  [ -d "$cache/root-$suite" ] || { echo "setup: MISSING: $suite is required, and its root file system could not be made"; status=1; }
done
for suite in "${where_answered[@]}"; do
  [ -d "$cache/root-$suite" ] || echo "setup: NOT TESTED: $suite (its archive did not answer)"
done
exit $status
