#!/usr/bin/env bash
# Runs a sweep under three engines and compares the tables byte for byte: the program itself, a Slurm job array on this
# machine, and GNU parallel.
#
#   tests/cluster/engines.sh [SWEEP.toml]
#
# The variable SWEEP may name the program; without it, it is built.
#
# Needs Debian's slurm-wlm, munge and parallel. Starts munged, slurmctld and slurmd of its own, in a folder for
# temporary files, and stops them at the end; those of the machine are not touched. slurmd wants to be root.
set -euo pipefail
cd "$(dirname "$0")/../.."
file=$(realpath "${1:-examples/configs/sweep.toml}")

sweep=${SWEEP:-$PWD/target/release/examples/sweep}
[ -n "${SWEEP:-}" ] || cargo build --quiet --release --example sweep
last=$(($("$sweep" list "$file" | wc -l) - 1))
work=$(mktemp -d)
started=()
stop() {
    for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done
    rm -rf "$work"
}
trap stop EXIT

# timed NAME COMMAND..: runs a command quietly and says how long it took.
timed() {
    local name=$1 start=$SECONDS
    shift
    "$@" >"$work/$name.log" 2>&1 || { cat "$work/$name.log"; exit 1; }
    printf '%-9s %4d runs in %d s\n' "$name" $((last + 1)) $((SECONDS - start))
}

slurm() {
    local host user cpus
    host=$(hostname -s) user=$(id -un) cpus=$(nproc)
    mkdir -p "$work"/slurm/{state,spool}
    dd if=/dev/urandom of="$work/slurm/munge.key" bs=128 count=1 status=none
    chmod 400 "$work/slurm/munge.key"
    chmod 711 "$work" "$work/slurm"
    /usr/sbin/munged --foreground --key-file="$work/slurm/munge.key" --socket="$work/slurm/munge.socket" \
        --pid-file="$work/slurm/munge.pid" --seed-file="$work/slurm/munge.seed" \
        --log-file="$work/slurm/munge.log" &
    started+=($!)
    cat >"$work/slurm/slurm.conf" <<END
ClusterName=one
SlurmctldHost=$host(127.0.0.1)
SlurmUser=$user
SlurmdUser=$user
SlurmctldPort=16817
SlurmdPort=16818
AuthType=auth/munge
AuthInfo=socket=$work/slurm/munge.socket
CredType=cred/munge
StateSaveLocation=$work/slurm/state
SlurmdSpoolDir=$work/slurm/spool
SlurmctldPidFile=$work/slurm/slurmctld.pid
SlurmdPidFile=$work/slurm/slurmd.pid
SlurmctldLogFile=$work/slurm/slurmctld.log
SlurmdLogFile=$work/slurm/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
JobAcctGatherType=jobacct_gather/none
ReturnToService=2
MaxArraySize=10001
SchedulerParameters=sched_min_interval=50000,batch_sched_delay=0
NodeName=$host NodeAddr=127.0.0.1 CPUs=$cpus State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
END
    export SLURM_CONF=$work/slurm/slurm.conf
    for _ in $(seq 50); do [ -S "$work/slurm/munge.socket" ] && break; sleep 0.1; done
    /usr/sbin/slurmctld -D -f "$SLURM_CONF" &
    started+=($!)
    /usr/sbin/slurmd -D -f "$SLURM_CONF" &
    started+=($!)
    for _ in $(seq 100); do sinfo -h -o %T 2>/dev/null | grep -q idle && break; sleep 0.2; done
    sbatch --wait --array="0-$last" --cpus-per-task=1 --output="$work/slurm/%a.out" \
        --wrap "$sweep $file --out $work/out-slurm --task \$SLURM_ARRAY_TASK_ID"
}

with_parallel() {
    seq 0 "$last" | parallel --will-cite -j "$(nproc)" "$sweep" "$file" --out "$work/out-parallel" --task {}
}

timed itself "$sweep" "$file" --out "$work/out-itself"
timed slurm slurm
timed parallel with_parallel
for engine in itself slurm parallel; do
    "$sweep" collect "$file" --out "$work/out-$engine" --quiet
    (cd "$work/out-$engine" && sha256sum table.txt table.csv report.html | sed "s/^\(.\{16\}\)[^ ]*/\1/; s/$/  $engine/")
done
for engine in slurm parallel; do
    for table in table.txt table.csv report.html; do
        cmp "$work/out-itself/$table" "$work/out-$engine/$table"
    done
done
echo "The tables of the three engines are equal, byte for byte."
