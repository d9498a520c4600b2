"""Talks to one member through a Python client, over grpc's C core, and prints what it saw as JSON.

    client.py HOST PORT [USER PASSWORD]

The result holds nothing that differs between two correct servers: no ids, times or sizes of a database.
"""

import asyncio
import hashlib
import io
import json
import sys

import aetcd

LARGE = 1_000_000


def shape(kv):
    return [kv.key.decode(), hashlib.sha256(kv.value).hexdigest()[:8], kv.version, kv.lease != 0]


async def keys(client):
    for at in range(300):
        await client.put(b"keys/%04d" % at, b"value %d" % at)
    replaced = await client.put(b"keys/0007", b"again", prev_kv=True)
    every = await client.get_prefix(b"keys/")
    newest = list(await client.get_prefix(b"keys/", sort_order="descend", sort_target="mod"))[0]
    deleted = await client.delete_prefix(b"keys/00", prev_kv=True)
    missing = await client.get(b"keys/0001")
    swapped = await client.replace(b"keys/0200", b"value 200", b"swapped")
    return {
        "every": [shape(kv) for kv in every],
        "previous": replaced.prev_kv.value.decode(),
        "newest": shape(newest),
        "deleted": deleted.deleted,
        "missing": missing is None,
        "swapped": [swapped, await client.replace(b"keys/0200", b"value 200", b"twice")],
    }


async def large(client):
    """Answers of many frames, up to 12 MB."""
    for at in range(12):
        await client.put(b"large/%d" % at, bytes([97 + at]) * LARGE)
    one = await client.get(b"large/3")
    every = await client.get_prefix(b"large/")
    digest = hashlib.sha256(b"".join(kv.value for kv in every)).hexdigest()
    await client.delete_prefix(b"large/")
    return {"one": len(one.value), "every": sum(len(kv.value) for kv in every), "digest": digest}


async def transactions(client):
    t = client.transactions
    outcomes = []
    for _ in range(2):
        succeeded, responses = await client.transaction(
            compare=[t.version(b"txn") == 0],
            success=[t.put(b"txn", b"made")],
            failure=[t.get(b"txn"), t.delete(b"txn")],
        )
        outcomes.append([succeeded, len(responses)])
    return outcomes


async def watches(client):
    """Four watchers of one stream: a backlog, live changes, a filter, and one that is cancelled."""
    header = (await client.put(b"watch/a", b"1")).header
    await client.put(b"watch/a", b"2")
    await client.delete(b"watch/a")
    seen = {}
    backlog = await client.watch_prefix(b"watch/", start_revision=header.revision, prev_kv=True)
    deletes = await client.watch_prefix(
        b"watch/", start_revision=header.revision, kind=aetcd.rtypes.EventKind.DELETE
    )
    seen["deletes"] = await first(deletes, 1)
    cancelled = await client.watch(b"watch/b")
    await cancelled.cancel()
    await client.put(b"watch/b", b"live")
    seen["backlog"] = await first(backlog, 4)
    await backlog.cancel()
    await deletes.cancel()
    return seen


async def first(watch, count):
    events = []

    async def read():
        async for event in watch:
            previous = event.prev_kv.value.decode() if event.prev_kv else ""
            events.append([str(event.kind), event.kv.key.decode(), event.kv.value.decode(), previous])
            if len(events) == count:
                return

    await asyncio.wait_for(read(), 15)
    return events


async def leases(client):
    lease = await client.lease(60)
    await client.put(b"leased", b"1", lease=lease)
    refreshed = await lease.refresh()
    held = await lease.keys()
    await lease.revoke()
    return {
        "ttl": refreshed.TTL,
        "granted": lease.ttl,
        "keys": [key.decode() for key in held],
        "gone": await client.get(b"leased") is None,
    }


async def locks(client):
    """A counter that is read and written under one lock by five tasks."""

    async def count():
        for _ in range(3):
            async with client.lock(b"lock", ttl=30):
                found = await client.get(b"counter")
                await client.put(b"counter", b"%d" % (int(found.value) + 1))

    await client.put(b"counter", b"0")
    await asyncio.gather(*(count() for _ in range(5)))
    return (await client.get(b"counter")).value.decode()


async def errors(client):
    told = {}
    for name, call in {
        "no key": lambda: client.put(b"", b"x"),
        "unknown lease": lambda: client.revoke_lease(4711),
        "lease twice": lambda: twice(client),
        "future compaction": lambda: client.compact(1_000_000),
        "too large": lambda: client.put(b"x", b"x" * 1_700_000),
    }.items():
        try:
            await call()
            told[name] = "nothing"
        except Exception as error:
            told[name] = f"{type(error).__name__}: {details(error)}"
    return told


async def twice(client):
    await client.lease(60, lease_id=815)
    try:
        await client.lease(60, lease_id=815)
    finally:
        await client.revoke_lease(815)


def details(error):
    cause = error.__cause__ or error.__context__
    return cause.details() if hasattr(cause, "details") else str(error)


async def maintenance(client):
    status = await client.status()
    members = await listed(client.members())
    compacted = await client.put(b"compacted", b"1")
    await client.compact(compacted.header.revision, physical=True)
    await client.defragment()
    alarms = await listed(client.list_alarms())
    saved = io.BytesIO()
    await client.snapshot(saved)
    content = saved.getvalue()
    return {
        "version": status.version != "",
        "leads": status.leader is not None,
        "members": [[member.name, len(member.peer_urls), len(member.client_urls)] for member in members],
        "alarms": len(alarms),
        "hash": await hashed(client),
        "snapshot": hashlib.sha256(content[:-32]).digest() == content[-32:],
    }


async def hashed(client):
    """This client sends no token with this call, so users are refused."""
    try:
        return await client.hash() != 0
    except aetcd.ClientError as error:
        return details(error)


async def listed(found):
    if hasattr(found, "__await__"):
        found = await found
    if hasattr(found, "__aiter__"):
        return [one async for one in found]
    return list(found)


async def many(client):
    """Five hundred calls at once over one connection."""
    await asyncio.gather(*(client.put(b"many/%d" % at, b"%d" % at) for at in range(500)))
    found = await asyncio.gather(*(client.get(b"many/%d" % at) for at in range(500)))
    return sum(int(kv.value) for kv in found)


async def main(host, port, user=None, password=None):
    options = {"grpc.max_receive_message_length": -1, "grpc.max_send_message_length": -1}
    result = {}
    async with aetcd.Client(host, int(port), user, password, timeout=20, options=options) as client:
        for part in (keys, large, transactions, watches, leases, locks, errors, many, maintenance):
            result[part.__name__] = await part(client)
    print(json.dumps(result))


asyncio.run(main(*sys.argv[1:]))
