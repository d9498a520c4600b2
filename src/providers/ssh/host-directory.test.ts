import { describe, expect, it } from "vitest";
import { HostDirectory, type HostedMachine } from "./host-directory.ts";
import type { SshRoute } from "./ssh-model.ts";

const machine = (name: string, generation: number | null, host: string, more: object = {}): HostedMachine => ({
  name,
  generation,
  attributes: { ssh_host: host, ...more },
});

const direct: SshRoute = { options: [], proxyCommandOf: () => null };

describe("the directory of hosts", () => {
  it("has each host once, with all of its machines", () => {
    const directory = new HostDirectory(
      [machine("m1", null, "a"), machine("m2", null, "b"), machine("load-balancer", null, "b")],
      [machine("m1", 1, "a")],
      direct,
    );
    expect(directory.hosts().map(({ target, machines }) => [target.host, machines])).toEqual([
      ["a", ["m1"]],
      ["b", ["m2", "load-balancer"]],
    ]);
  });

  it("finds a machine that only the state has, and the former host of one that moves", () => {
    const directory = new HostDirectory(
      [machine("m1", null, "new")],
      [machine("m1", 1, "old"), machine("m2", 4, "c")],
      direct,
    );
    expect(directory.hostOf("m1").target.host).toBe("old");
    expect(directory.wantedHostOf("m1").target.host).toBe("new");
    expect(directory.hostOf({ name: "m1", generation: 1 }).target.host).toBe("old");
    expect(directory.hostOf({ name: "m1", generation: 2 }).target.host).toBe("new");
    expect(directory.hostOf("m2").target.host).toBe("c");
    expect(directory.hosts().map(({ target }) => target.host)).toEqual(["old", "c", "new"]);
    expect(directory.hosts().map(({ newHostOf }) => newHostOf)).toEqual([[], [], ["m1"]]);
    directory.add(machine("m1", 2, "new"));
    expect(directory.hostOf("m1").target.host).toBe("new");
  });

  it("addresses a machine on the host where it was found, whatever spec and state say", () => {
    const directory = new HostDirectory([machine("m2", null, "a"), machine("lb", null, "b")], [], direct);
    const [, other] = directory.hosts();
    directory.noteFound({ name: "m2", generation: 3 }, other!);
    const found = directory.hostOf({ name: "m2", generation: 3 });
    expect([found.target.host, found.key, found.machines]).toEqual(["b", other!.key, ["m2"]]);
    expect(directory.hostOf({ name: "m2", generation: 4 }).target.host).toBe("a");
    expect(directory.hostOf("m2").target.host).toBe("a");
  });

  it.each<[string, readonly HostedMachine[], string]>([
    ["two of its name were recorded", [machine("m1", 2, "b"), machine("m1", 1, "a")], "b"],
    ["its former one was left behind", [{ ...machine("m1", 2, "b"), leftBehind: true }], "new"],
    ["it is reached in another way", [machine("m1", 1, "new", { ssh_user: "other" })], "new"],
  ])("finds where a machine is now that the spec has on a host, if %s", (_, recorded, host) => {
    const directory = new HostDirectory([machine("m1", null, "new")], recorded, direct);
    expect(directory.hostOf("m1").target).toMatchObject({ host, user: null });
  });

  it("finds every host that has, had or will have machines of some names", () => {
    const recorded = [machine("m1", 1, "a"), machine("m2", 1, "b"), machine("m3", 1, "c")];
    const directory = new HostDirectory([machine("m1", null, "new")], recorded, direct);
    expect(directory.hostsNamed(["m1", "m3"]).map(({ target }) => target.host)).toEqual(["a", "c", "new"]);
  });

  it("reaches a recorded machine as the spec reaches its host now", () => {
    const directory = new HostDirectory([machine("m1", null, "a", { ssh_port: 2222 })], [machine("m1", 1, "a")], {
      ...direct,
      options: ["X=y"],
    });
    expect(directory.hostOf({ name: "m1", generation: 1 }).target).toMatchObject({ port: 2222, options: ["X=y"] });
  });

  it("reaches a host through a command, which is asked for when the host is", () => {
    const instances = new Map<string, string>();
    const route = { ...direct, proxyCommandOf: (host: string) => `connect ${instances.get(host)}` };
    const directory = new HostDirectory([machine("m1", null, "10.0.1.10")], [], route);
    instances.set("10.0.1.10", "i-1");
    const before = directory.hostOf("m1");
    instances.set("10.0.1.10", "i-2");
    expect([before, directory.hostOf("m1")].map(({ target }) => target.proxyCommand)).toEqual([
      "connect i-1",
      "connect i-2",
    ]);
    expect(directory.hostOf("m1").key).not.toBe(before.key);
  });

  it("leaves out hosts that do not exist, and reaches one by the key that it turned out to have", () => {
    const directory = new HostDirectory([machine("m1", null, "a"), machine("m2", null, "b")], [], direct);
    directory.setAbsent(new Set(["m2"]));
    expect(directory.hosts().map(({ target }) => target.host)).toEqual(["a"]);
    directory.learn("m2", { ssh_host: "b", ssh_host_key: "ssh-ed25519 AAAA" });
    directory.add(machine("m2", 1, "b", { ssh_host_key: "ssh-ed25519 AAAA" }));
    for (const wanted of ["m2", { name: "m2", generation: 1 }])
      expect(directory.hostOf(wanted).target.hostKey).toBe("ssh-ed25519 AAAA");
    directory.setAbsent(new Set());
    expect(directory.hosts()).toHaveLength(2);
  });

  it("follows a machine that is renamed", () => {
    const directory = new HostDirectory([], [machine("m1", 1, "a")], direct);
    directory.rename("m1", "m9");
    expect(directory.hostOf("m9").target.host).toBe("a");
    expect(() => directory.hostOf("m1")).toThrow(/No host is known/);
  });

  it("connects to a host once for each way in which its machines say that it is reached", () => {
    const pinned = { ssh_host_key: "ssh-ed25519 AAAA" };
    const directory = new HostDirectory([machine("m1", null, "a", pinned), machine("m2", null, "a")], [], direct);
    expect(directory.hosts().map(({ target }) => target.hostKey)).toEqual(["ssh-ed25519 AAAA", null]);
    expect(directory.hostOf("m1").target.hostKey).toBe("ssh-ed25519 AAAA");
  });
});
