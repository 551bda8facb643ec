#!/bin/sh
# After a job: ends what it left behind on the node. Without cgroups Slurm follows processes from
# parent to child, and loses those whose parent was killed before them.
for process in /proc/[0-9]*; do
  pid=${process#/proc/}
  if [ "$pid" != $$ ] && grep -qszx "SLURM_JOB_ID=$SLURM_JOB_ID" "$process/environ"; then
    kill -KILL "$pid"
  fi
done
exit 0
