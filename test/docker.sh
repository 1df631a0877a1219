#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Build docker/Dockerfile and run the image, without a Docker engine: buildah with chroot isolation. Called by
# `./dev test-docker` with the archive of a Debian root to use as base image. Needs root.
set -eu -o pipefail
cd "$(dirname "$0")/.."

work=$PWD/build/docker
buildah() { command buildah --root "$work/storage" --runroot "$work/run" --storage-driver vfs "$@"; }
# Buildah asks for more than a container may be allowed.
limits=(--ulimit "nofile=$(ulimit -Sn):$(ulimit -Hn)" --ulimit "nproc=$(ulimit -Su):$(ulimit -Hu)")
say() { printf 'test-docker: %s\n' "$*"; }
die() { say "FAILED: $*"; exit 1; }
image_config() { buildah inspect --type image --format "{{$1}}" holdfast; }

build_image() { # archive of the base image
    local container
    rm -rf "$work/storage" "$work/run" "$work/data"
    say 'importing the base image'
    container=$(buildah from scratch)
    buildah add --quiet "$container" "$1" / >/dev/null
    buildah commit --quiet "$container" forky-base >/dev/null
    buildah rm "$container" >/dev/null
    say 'building docker/Dockerfile'
    buildah build --quiet --isolation chroot --format docker --layers=false "${limits[@]}" \
        --build-arg BASE=localhost/forky-base -f docker/Dockerfile -t holdfast . \
        >"$work/build.log" 2>&1 || { tail -40 "$work/build.log"; die 'no image'; }
}

# Start a new container of the image as a Docker engine would: its entry point, its user, its volume.
start() {
    container=$(buildah from --pull-never "${limits[@]}" holdfast)
    buildah run --isolation chroot --env "HOLDFAST_USERS=writer:w-secret:agent alice:a-secret:user" \
        --volume "$work/data:/var/lib/mosquitto" "$container" -- start mosquitto -c /etc/mosquitto/mosquitto.conf \
        >>"$work/broker.log" 2>&1 &
    runner=$!
    for _ in $(seq 100); do
        healthy 2>/dev/null && return # buildah says on stderr that a command has failed
        kill -0 "$runner" || break
        sleep 0.1
    done
    cat "$work/broker.log"
    die 'the container does not get healthy'
}

# The health check that the image declares.
healthy() { buildah run --isolation chroot "$container" -- sh -c "$(image_config .Docker.Config.Healthcheck.Test | sed 's/^\[CMD-SHELL //; s/\]$//')"; }

stop() {
    pkill -TERM -x mosquitto # alone in this process namespace
    wait "$runner" || die "the broker ended with $?"
    buildah rm "$container" >/dev/null
}

read_session() { # what Alice gets of it from the beginning, one message
    mosquitto_sub -V 5 -u alice -P a-secret -q 1 -t '$from/earliest/sessions/demo/event' -C 1 -W 10
}

# In network, process and mount namespaces of its own: ports 1883 and 9001 are free, and nothing stays behind.
use_image() {
    local user
    ip link set lo up
    user=$(image_config .Docker.Config.User)
    [ "$user" = mosquitto ] || die "the image runs as '$user'"
    container=$(buildah from --pull-never "${limits[@]}" holdfast)
    install -d -m 700 "$work/data"
    chown "$(buildah run --isolation chroot "$container" -- sh -c 'echo $(id -u):$(id -g)')" "$work/data"
    buildah rm "$container" >/dev/null
    [ "$(stat -c %u "$work/data")" != 0 ] || die 'the container runs as root'

    start
    say 'the container is healthy'
    mosquitto_sub -V 5 -t x -E -W 5 2>/dev/null && die 'an anonymous client may connect'
    mosquitto_pub -V 5 -u writer -P w-secret -q 1 -t sessions/demo/event -m 'kept in the volume'
    [ "$(read_session)" = 'kept in the volume' ] || die 'what was published is not read back'
    stop
    say 'published and read back; now a new container with the same volume'
    start
    [ "$(read_session)" = 'kept in the volume' ] || die 'the new container has lost the session'
    stop
}

if [ "$1" = --use-image ]; then
    use_image
else
    build_image "$1"
    : >"$work/broker.log"
    unshare --mount --net --pid --fork --kill-child --mount-proc "$0" --use-image
    rm -rf "$work"
    say 'passed'
fi
