#!/usr/bin/env python3
"""Judges the local cloud, and what aicluster asks of it, by programs that nobody here wrote.

    make e2e-referees

A local cloud is started and a cluster of every kind of resource is made with the
real binary. boto3 and the aws CLI read all of it in every way that the APIs offer,
and again after the teardown. Every request that aicluster and the machinery of the
local cloud sent is held against botocore's service models. Further recordings can
be given as arguments (AICLUSTER_E2E_RECORD in the tests of e2e makes them).

Exits with 1 if anybody disagrees.
"""

import os
import pathlib
import shutil
import sys
import tempfile
import time

import botocore

import account
import asked
import cli
import cluster
import compute
import created
import guests
import messages
import waiters
import witness
from cloud import Cloud

HERE = pathlib.Path(__file__).parent
REGION = "us-west-2"
READERS = (compute.EC2, cluster.EKS, cluster.Scaling, cluster.Balancing, cluster.Classic, cluster.Files, cluster.Logs, messages.Queues, messages.Rules, account.IAM, account.S3, account.Others)
# What has a reader of its own, by the inventory's name of the service.
READ = {"ec2", "eks", "autoscaling", "elbv2", "elb", "efs", "logs", "sqs", "events", "iam", "s3", "ssm"}


def main():
    started = time.monotonic()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="referees-"))
    try:
        figures, disagreements = run(folder)
    finally:
        if os.environ.get("KEEP"):
            print(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    figures.append(("seconds", round(time.monotonic() - started)))
    for line in disagreements:
        print("DISAGREES", line)
    figures.append(("disagreements", len(disagreements)))
    for name, value in figures:
        print(f"{name:<44} {value}")
    return 1 if disagreements else 0


def run(folder):
    record = folder / "record.jsonl"
    work = folder / "work"
    blueprint(work)
    judge = asked.Asked()
    with Cloud(folder / "cloud", os.environ.get("SPEED", "100"), record) as local:
        w = witness.Witness(local.environment, REGION)
        remove, guest_ids = guests.make(w, REGION)
        place = record.stat().st_size
        for command in (["diff"], ["up", "--yes"], ["status"], ["verify"], ["models", "list"], ["up", "--yes"]):
            # diff exits with 1, for something differs.
            local.aicluster(*command, "blueprint.yaml", cwd=work, allowed=(0, 1) if command == ["diff"] else (0,))
        judge.read(record, place)
        local.settle()

        inventory, operations = local.admin("inventory"), local.admin("operations")
        for service in inventory.keys() - READ:
            w.disagree("referees", f"nothing reads {service}")
        readers = [reader(w, inventory) for reader in READERS]
        resources = sum(reader.read() for reader in readers)
        w.reads("created", lambda: created.check(w, work / "blueprint.yaml"))
        held = {r.NAME: r.held for r in readers if hasattr(r, "NAME")} | {"guests": guest_ids}
        waited = w.reads("waiters", lambda: waiters.present(w, held))
        commands = cli.read(w, local.environment)

        remove()
        place = record.stat().st_size
        local.aicluster("teardown", "--yes", "--delete-models", "blueprint.yaml", cwd=work)
        judge.read(record, place)
        local.settle()
        for reader in readers:
            w.reads(f"{type(reader).__name__} after teardown", lambda: reader.gone(reader.held))
        waited += w.reads("waiters after teardown", lambda: waiters.absent(w, held))
        reading = [o for o, only_reads in operations.items() if only_reads]
        for o in sorted(set(reading) - w.called.keys()):
            w.disagree("referees", f"{o} has a handler and was not called")
    for path in sys.argv[1:]:
        judge.read(path)
    listed = sum(len(lines) for lines in inventory.values())
    return [
        ("botocore", botocore.__version__),
        ("resources in the inventory", listed),
        ("resources read", resources),
        ("reading operations called / with a handler", f"{len(set(reading) & w.called.keys())} / {len(reading)}"),
        ("calls of boto3", sum(w.called.values())),
        ("  of them to be refused", sum(w.refused.values())),
        ("commands of the aws CLI", commands),
        ("waiters", waited),
        ("requests of aicluster validated", sum(judge.requests.values())),
        ("  different ones", len(judge.seen)),
        ("  operations", len(judge.requests)),
    ], w.disagreements + judge.disagreements


def blueprint(work):
    """A folder with the blueprint and the model that it names, of more than one part."""
    model = work / "models/tiny"
    model.mkdir(parents=True)
    (model / "read me & more.md").write_text("# tiny\n")
    (model / "config.json").write_text('{"model_type": "llama"}\n')
    (model / "model.safetensors").write_bytes(os.urandom(20 << 20))
    shutil.copy(HERE / "blueprint.yaml", work)


if __name__ == "__main__":
    sys.exit(main())
