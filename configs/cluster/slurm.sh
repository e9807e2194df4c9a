#!/usr/bin/env bash
#SBATCH --job-name=histomine
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --time=24:00:00
#SBATCH --signal=B:TERM@300
#SBATCH --requeue
# A Ray cluster on the nodes of a Slurm job, and a run on it:
#   sbatch slurm.sh gpu.yaml --out /scratch/mined --corpus quilt=/scratch/quilt
# Five minutes before the time is up the run is told to end; submitted again, it goes on.
set -euo pipefail

PORT=${PORT:-6379}
mapfile -t NODES < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
HEAD=${NODES[0]}
export RAY_AUTH_MODE=token
RAY_AUTH_TOKEN=$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')
export RAY_AUTH_TOKEN
CPUS=${SLURM_CPUS_PER_TASK:-1}
GPUS=${SLURM_GPUS_ON_NODE:-0}

on() { # NODE COMMAND... &: one task there, with all its cores; it is srun that is told to end
    local node=$1
    shift
    exec srun --nodes=1 --ntasks=1 --nodelist="$node" "$@"
}

on "$HEAD" ray start --head --port="$PORT" --num-cpus="$CPUS" --num-gpus="$GPUS" \
    --disable-usage-stats --include-dashboard=false --block ${RAY_HEAD_OPTIONS:-} &
RAY=("$!")
for _ in $(seq 120); do
    (exec 3<> "/dev/tcp/$HEAD/$PORT") 2> /dev/null && break
    sleep 1
done
for node in "${NODES[@]:1}"; do
    on "$node" ray start --address="$HEAD:$PORT" --num-cpus="$CPUS" --num-gpus="$GPUS" \
        --disable-usage-stats --block &
    RAY+=("$!")
done

RAY_ADDRESS="$HEAD:$PORT" miner run "$@" &
RUN=$!
trap 'kill -TERM "$RUN"' TERM INT
code=0
wait "$RUN" || code=$?
if kill -0 "$RUN" 2> /dev/null; then # the wait was interrupted, the run ends in its own time
    code=0
    wait "$RUN" || code=$?
fi
kill "${RAY[@]}" 2> /dev/null || true
wait "${RAY[@]}" 2> /dev/null || true
exit "$code"
