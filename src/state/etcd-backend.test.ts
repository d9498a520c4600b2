/** The state in a real etcd, where one is installed; a haplan cluster speaks the same (see test/compatibility). */
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type EtcdFixture, etcdInstalled, startEtcd } from "../../test/support/etcd-process.ts";
import { type Clock, systemClock } from "../base/clock.ts";
import { EtcdClient } from "../etcd-client/etcd-client.ts";
import { connect } from "../etcd-client/grpc-client.ts";
import { createEtcdBackend } from "./etcd-backend.ts";
import { lockLeaseMs } from "./lock-holder.ts";
import { stateWith } from "./state.fixture.ts";
import type { StateBackend } from "./state-backend.ts";
import { stateBytesMax } from "./state-size.ts";
import { createStateStore, type StateStore } from "./state-store.ts";

describe.skipIf(!etcdInstalled)("state in etcd", () => {
  let etcd: EtcdFixture;
  let clusters = 0;
  beforeAll(async () => {
    etcd = await startEtcd("127.77.23.10");
  });
  afterAll(() => etcd.stop());

  let ahead = 0;
  const clock: Clock = { ...systemClock, monotonicMs: () => systemClock.monotonicMs() + ahead };
  /** A backend with keys of its own, or those of `clusterName`. */
  function open(clusterName = `c${++clusters}`): { readonly backend: StateBackend; readonly clusterName: string } {
    ahead = 0;
    const backend = { type: "etcd", endpoints: [etcd.url], prefix: "/haplan/state", tls: null } as const;
    return { backend: createEtcdBackend({ backend, clusterName, cwd: "/", clock }), clusterName };
  }
  const store = (backend: StateBackend, more: object = {}): StateStore =>
    createStateStore({ backend, encryption: null, environment: {}, ...more });

  it("comes back as it was written, under the key that it says", async () => {
    const { backend, clusterName } = open();
    expect(await store(backend).read()).toBeNull();
    await store(backend).write(stateWith(1));
    await store(backend).write(stateWith(2));
    expect(await store(backend).read()).toEqual(stateWith(2));
    expect(backend.place).toBe(`${etcd.url}/haplan/state/${clusterName}/state`);
    await store(backend).remove();
    expect(await store(backend).read()).toBeNull();
  });

  it("of two that write at once one is refused, and one that starts from nothing when there is something", async () => {
    const { backend } = open();
    const first = { text: "{}", expected: null, backup: null, fencing: null };
    await backend.write(first);
    await expect(backend.write(first)).rejects.toMatchObject({ code: "state/conflict" });
    const { version } = (await backend.read())!;
    const outcomes = await Promise.allSettled(
      ["a", "b", "c"].map((text) => backend.write({ ...first, text, expected: version })),
    );
    expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  });

  it("a large state is packed so that etcd takes it", async () => {
    const { backend } = open();
    const resources = Array.from({ length: 8_000 }, (_, index) => ({
      ...stateWith(1).resources[0]!,
      address: `haplan_machine.m${index}` as const,
    }));
    await store(backend).write({ ...stateWith(1), resources });
    expect((await store(backend).read())?.resources).toHaveLength(8_000);
  });

  it("A low: what another client has put there is not unpacked into all memory", async () => {
    const { backend, clusterName } = open();
    await using grpc = connect({ endpoints: [etcd.url] });
    const bomb = gzipSync(Buffer.alloc(stateBytesMax + 1));
    await new EtcdClient(grpc).put(`/haplan/state/${clusterName}/state`, bomb);
    await expect(backend.read()).rejects.toThrow(`${backend.place}: it is larger than 64 MiB`);
  });

  it("the lock is held by one at a time, names its holder, and is free when released", async () => {
    const { backend } = open();
    const lock = await backend.acquireLock({ operation: "apply", timeoutMs: 0 });
    await expect(backend.acquireLock({ operation: "apply", timeoutMs: 0 })).rejects.toThrow(
      new RegExp(`pid ${process.pid}[\\s\\S]*Operation: apply`),
    );
    await store(backend, { lock }).write(stateWith(1));
    await lock.release();
    expect(await backend.lockHolder()).toBeNull();
    const next = await backend.acquireLock({ operation: "destroy", timeoutMs: 0 });
    expect(next.fencing).toBeGreaterThan(lock.fencing ?? 0);
    expect(await backend.lockHolder()).toMatchObject({ operation: "destroy" });
    await next.release();
  });

  it("a waiting run gets the lock when it is released", async () => {
    const { backend } = open();
    const lock = await backend.acquireLock({ operation: "apply", timeoutMs: 0 });
    const waiting = backend.acquireLock({ operation: "apply", timeoutMs: 10_000 });
    await lock.release();
    await (await waiting).release();
  });

  it("a holder that died loses the lock with its lease, and one that slept can write no more", async () => {
    const { backend, clusterName } = open();
    const lock = await backend.acquireLock({ operation: "apply", timeoutMs: 0 });
    await store(backend, { lock }).write(stateWith(1));
    // What etcd does by itself if no holder renews the lease for its 30 s.
    const grpc = connect({ endpoints: [etcd.url] });
    const leases = new EtcdClient(grpc);
    await leases.deleteRange(`/haplan/state/${clusterName}/lock`);
    await grpc.close();
    const next = await backend.acquireLock({ operation: "apply", timeoutMs: 0 });
    // The sleeper still believes that it holds the lock: etcd does not.
    await lock.assertHeld();
    await expect(store(backend, { lock }).write(stateWith(2))).rejects.toMatchObject({ code: "lock/lost" });
    await expect(store(backend, { lock }).remove()).rejects.toMatchObject({ code: "lock/lost" });
    await store(backend, { lock: next }).write(stateWith(2));
    ahead = lockLeaseMs;
    await expect(lock.assertHeld()).rejects.toMatchObject({ code: "lock/lost" });
    await next.release();
  });

  it("R small: a holder that overslept its lease has it renewed, as long as etcd has it", async () => {
    const { backend } = open();
    const lock = await backend.acquireLock({ operation: "apply", timeoutMs: 0 });
    ahead = 10 * lockLeaseMs;
    await lock.assertHeld();
    await store(backend, { lock }).write(stateWith(1));
    await lock.release();
    await expect(lock.assertHeld()).rejects.toMatchObject({ code: "lock/lost" });
  });

  it("the lock that is forced open must be named, and its holder can write no more", async () => {
    const { backend } = open();
    const lock = await backend.acquireLock({ operation: "apply", timeoutMs: 0 });
    await expect(backend.forceUnlock("another")).rejects.toMatchObject({ code: "lock/not-held" });
    const { id } = (await backend.lockHolder())!;
    expect(await backend.forceUnlock(id)).toMatchObject({ id });
    await expect(backend.forceUnlock(id)).rejects.toThrow("not locked");
    await expect(store(backend, { lock }).write(stateWith(1))).rejects.toMatchObject({ code: "lock/lost" });
  });

  it("a state in an etcd that is not there says where it was looked for", async () => {
    const backend = { type: "etcd", endpoints: ["127.77.23.10:1"], prefix: "/x", tls: null } as const;
    const gone = createEtcdBackend({ backend, clusterName: "c", cwd: "/", clock });
    await expect(gone.read()).rejects.toMatchObject({ code: "state/unreachable" });
    await expect(gone.read()).rejects.toThrow("127.77.23.10:1");
    const unreadable = createEtcdBackend({
      backend: { ...backend, tls: { caFile: "no-such.pem", certFile: null, keyFile: null } },
      clusterName: "c",
      cwd: "/",
      clock,
    });
    await expect(unreadable.read()).rejects.toThrow("no-such.pem");
  });
});
