/**
 * A third-party client: the npm package `etcd3`, on gRPC's own HTTP/2, against three of our members as processes.
 * Nothing here uses our client or our codecs.
 */
import { once } from "node:events";
import {
  type Campaign,
  Etcd3,
  EtcdAuthenticationFailedError,
  EtcdLeaseInvalidError,
  EtcdLockFailedError,
  EtcdPermissionDeniedError,
  type IKeyValue,
} from "etcd3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ClusterProcesses, startCluster } from "./member-processes.ts";

const host = "127.77.24.2";

describe("the npm client etcd3", () => {
  let cluster: ClusterProcesses;
  let client: Etcd3;
  beforeAll(async () => {
    cluster = await startCluster("agent", host, { members: 3 });
    client = new Etcd3({ hosts: [...cluster.urls] });
  });
  afterAll(async () => {
    client?.close();
    await cluster?.stop();
  });

  it("puts, gets and deletes", async () => {
    await client.put("kv/a").value("1");
    await client.put("kv/b").value(Buffer.from([0, 255]));
    await client.put("kv/c").value("3");
    expect(await client.get("kv/a").string()).toBe("1");
    expect(await client.get("kv/a").number()).toBe(1);
    expect(await client.get("kv/b").buffer()).toEqual(Buffer.from([0, 255]));
    expect(await client.get("kv/none").string()).toBeNull();
    expect(await client.getAll().prefix("kv/").keys()).toEqual(["kv/a", "kv/b", "kv/c"]);
    expect(await client.getAll().prefix("kv/").sort("Key", "Descend").limit(2).keys()).toEqual(["kv/c", "kv/b"]);
    expect(await client.getAll().prefix("kv/").count()).toBe(3);
    const before = await client.put("kv/a").value("2").getPrevious();
    expect(before?.value.toString()).toBe("1");
    expect((await client.delete().prefix("kv/")).deleted).toBe("3");
  });

  it("compares and swaps, and runs software transactions", async () => {
    await client.put("stm/n").value("1");
    const swap = (from: string, to: string) =>
      client.if("stm/n", "Value", "==", from).then(client.put("stm/n").value(to)).else(client.get("stm/n")).commit();
    expect((await swap("1", "2")).succeeded).toBe(true);
    expect((await swap("1", "3")).succeeded).toBe(false);
    const add = (): Promise<unknown> =>
      client.stm({ retries: 50 }).transact(async (tx) => {
        await tx.put("stm/n").value(Number(await tx.get("stm/n").number()) + 1);
      });
    await Promise.all(Array.from({ length: 8 }, add));
    expect(await client.get("stm/n").number()).toBe(10);
  });

  it("watches a prefix, past and present", async () => {
    const { header } = await client.put("watch/0").value("x");
    const watcher = await client.watch().prefix("watch/").startRevision(header.revision).create();
    const seen: string[] = [];
    watcher.on("put", (kv: IKeyValue) => seen.push(`put ${kv.key}=${kv.value}`));
    watcher.on("delete", (kv: IKeyValue) => seen.push(`delete ${kv.key}`));
    await client.put("watch/1").value("1");
    await client.delete().key("watch/1");
    while (seen.length < 3) await once(watcher, "data");
    expect(seen).toEqual(["put watch/0=x", "put watch/1=1", "delete watch/1"]);
    await watcher.cancel();
  });

  it("reads the past until it is compacted, and keys by their revisions", async () => {
    const first = await client.put("past/a").value("old");
    const second = await client.put("past/a").value("new");
    await client.put("past/b").value("later");
    expect(await client.get("past/a").revision(first.header.revision).string()).toBe("old");
    const since = client
      .getAll()
      .prefix("past/")
      .minModRevision(Number(second.header.revision) + 1);
    expect(await since.keys()).toEqual(["past/b"]);
    await client.kv.compact({ revision: second.header.revision, physical: true });
    await expect(client.get("past/a").revision(first.header.revision).string()).rejects.toThrow("has been compacted");
    expect(await client.get("past/a").revision(second.header.revision).string()).toBe("new");
  });

  it("watches with previous values, with filters, and within a namespace", async () => {
    const space = client.namespace("space/");
    const { header } = await space.put("a").value("1");
    const watch = () =>
      space
        .watch()
        .prefix("")
        .startRevision(`${Number(header.revision) + 1}`);
    const [deletes, all] = await Promise.all([watch().only("delete").withPreviousKV().create(), watch().create()]);
    const seen: string[] = [];
    deletes.on("put", () => seen.push("a put"));
    deletes.on("delete", (kv, previous) => seen.push(`delete ${kv.key}, was ${previous?.value}`));
    const heard: string[] = [];
    all.on("put", (kv) => heard.push(`${kv.key}`));
    await space.put("a").value("2");
    await client.put("elsewhere").value("x");
    await Promise.all([once(deletes, "delete"), space.delete().key("a")]);
    await Promise.all([once(all, "put"), space.put("b").value("end")]);
    while (heard.length < 2) await once(all, "put");
    expect([seen, heard]).toEqual([["delete a, was 2"], ["a", "b"]]);
    await Promise.all([deletes.cancel(), all.cancel()]);
  });

  it("reports that its lease is lost when another client revokes it", async () => {
    const lease = client.lease(1);
    const id = await lease.grant();
    const [[error]] = await Promise.all([once(lease, "lost"), client.leaseClient.leaseRevoke({ ID: id })]);
    expect(error).toBeInstanceOf(EtcdLeaseInvalidError);
  });

  it("lists members, requests the status and takes a snapshot", async () => {
    const { members } = await client.cluster.memberList({});
    expect(members.map(({ name }) => name).sort()).toEqual([1, 2, 3].map((at) => `haplan-member-${at}`));
    const { leader, version } = await client.maintenance.status();
    expect(members.map(({ ID }) => ID)).toContain(leader);
    expect(version).toMatch(/^3\.\d+\.\d+$/);
    let bytes = 0;
    const snapshot = await client.maintenance.snapshot();
    snapshot.on("data", ({ blob }) => {
      bytes += blob.length;
    });
    // Its type omits the end event.
    await once(snapshot as unknown as NodeJS.EventEmitter, "end");
    expect(bytes).toBeGreaterThan(10_000);
  });

  it("keeps a lease alive, reads what remains, and revokes it with its keys", async () => {
    const lease = client.lease(5);
    await lease.put("lease/a").value("1");
    await lease.keepaliveOnce();
    const id = await lease.grant();
    const info = await client.leaseClient.leaseTimeToLive({ ID: id, keys: true });
    expect([info.grantedTTL, info.keys.map(String)]).toEqual(["5", ["lease/a"]]);
    await lease.revoke();
    expect(await client.get("lease/a").string()).toBeNull();
    await expect(client.put("lease/b").value("1").lease(id)).rejects.toThrow("requested lease not found");
    await expect(lease.put("lease/b").value("1")).rejects.toThrow(EtcdLeaseInvalidError);
  });

  it("locks: one holder at a time", async () => {
    const lock = client.lock("lock/a");
    await lock.ttl(5).acquire();
    await expect(client.lock("lock/a").ttl(5).acquire()).rejects.toThrow(EtcdLockFailedError);
    await lock.release();
    expect(await client.lock("lock/a").do(() => "held")).toBe("held");
  });

  it("elects one leader, and the next one when it resigns", async () => {
    const election = client.election("vote", 5);
    const first = election.campaign("first");
    await elected(first);
    const second = client.election("vote", 5).campaign("second");
    const observer = await election.observe();
    expect(observer.leader()).toBe("first");
    await first.resign();
    await elected(second);
    while (observer.leader() !== "second") await once(observer, "change");
    await second.resign();
    await observer.cancel();
  });

  it("logs in, is limited to its permissions, and logs in again when its token is too old", async () => {
    const role = client.role("reader");
    await role.create();
    await role.grant({ permission: "Read", range: client.range({ prefix: "open/" }) });
    await client.role("root").create();
    const admin = client.user("root");
    await admin.create("rootpw");
    await admin.addRole("root");
    await client.user("alice").create("alicepw");
    await client.user("alice").addRole("reader");
    await client.put("open/a").value("1");
    await client.auth.authEnable();
    const login = (username: string, password: string): Etcd3 =>
      new Etcd3({ hosts: [...cluster.urls], auth: { username, password } });
    const [root, alice, stranger] = [login("root", "rootpw"), login("alice", "alicepw"), login("alice", "wrong")];
    try {
      expect(await alice.get("open/a").string()).toBe("1");
      await expect(alice.put("open/a").value("2")).rejects.toThrow(EtcdPermissionDeniedError);
      await expect(stranger.get("open/a").string()).rejects.toThrow(EtcdAuthenticationFailedError);
      await expect(client.get("open/a").string()).rejects.toThrow("user name is empty");
      // Any change of users invalidates older tokens; the client gets a new one by itself.
      await root.user("alice").addRole("root");
      await alice.put("open/a").value("3");
      expect(await alice.get("open/a").string()).toBe("3");
    } finally {
      await root.auth.authDisable();
      for (const one of [root, alice, stranger]) one.close();
    }
  });

  it("continues when the member that it is connected to is killed", async () => {
    const watcher = await client.watch().prefix("survive/").create();
    await cluster.kill(0);
    const put = async (): Promise<void> => {
      for (;;) {
        const done = await client
          .put("survive/a")
          .value("1")
          .then(
            () => true,
            () => false,
          );
        if (done) return;
      }
    };
    const [event] = await Promise.all([once(watcher, "put"), put()]);
    expect(String((event[0] as IKeyValue).key)).toBe("survive/a");
    await watcher.cancel();
    await cluster.restart(0);
  });
});

function elected(campaign: Campaign): Promise<unknown> {
  return Promise.race([once(campaign, "elected"), once(campaign, "error").then(([error]) => Promise.reject(error))]);
}
