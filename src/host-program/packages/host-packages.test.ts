import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { HostPackages, packagesFile } from "./host-packages.ts";
import { FakePackageManager } from "./package-manager.fake.ts";

const known = {
  "etcd-server": { programs: ["etcd"], needs: ["libc"] },
  haproxy: { programs: ["haproxy"], needs: ["liblua", "libc"] },
};

const names = { etcd: ["etcd-server"] };

describe("the packages of a host", () => {
  let clusters: string;
  beforeEach(() => {
    clusters = mkdtempSync(join(tmpdir(), "haplan-packages-"));
  });
  afterEach(() => {
    rmSync(clusters, { recursive: true });
  });

  const open = (manager: FakePackageManager): HostPackages =>
    new HostPackages({
      clusters,
      find: (program) => manager.find(program),
      manager: async () => manager,
      guard: (install) => install(),
    });

  it("are removed with what came with them once no machine needs them", async () => {
    const manager = new FakePackageManager(["libc"], known);
    await open(manager).install("one/load-balancer", ["haproxy"]);
    await open(manager).install("two/load-balancer", ["haproxy"]);
    expect([...manager.present]).toEqual(["libc", "haproxy", "liblua"]);
    await open(manager).release("one/load-balancer");
    expect([...manager.present]).toEqual(["libc", "haproxy", "liblua"]);
    await open(manager).release("two/load-balancer");
    expect([...manager.present]).toEqual(["libc"]);
    expect(existsSync(join(clusters, packagesFile))).toBe(false);
  });

  it("are told apart when two clusters install at the same time", async () => {
    const manager = new FakePackageManager(
      [],
      { ...known, haproxy: { programs: ["haproxy"], needs: ["liblua"] } },
      names,
    );
    manager.pauseMs = 20;
    // Two processes: nothing of memory is shared.
    await Promise.all([open(manager).install("one/lb", ["haproxy"]), open(manager).install("two/m1", ["etcd"])]);
    await Promise.all([open(manager).release("one/lb"), open(manager).install("three/m1", ["etcd"])]);
    await open(manager).release("two/m1");
    expect([...manager.present].toSorted()).toEqual(["etcd-server", "libc"]);
    await open(manager).release("three/m1");
    expect([...manager.present]).toEqual([]);
    expect(existsSync(join(clusters, packagesFile))).toBe(false);
  });

  it("stay if they were there before", async () => {
    const manager = new FakePackageManager(["haproxy"], known);
    await open(manager).install("one/load-balancer", ["haproxy"]);
    expect(existsSync(join(clusters, packagesFile))).toBe(false);
    await open(manager).release("one/load-balancer");
    expect([...manager.present]).toEqual(["haproxy"]);
  });

  it("have another name in another release", async () => {
    const manager = new FakePackageManager([], known, { etcd: ["etcd", "etcd-server"] });
    await open(manager).install("one/m1", ["etcd"]);
    expect([...manager.present]).toEqual(["etcd-server", "libc"]);
    await open(manager).release("one/m1");
    expect([...manager.present]).toEqual([]);
  });

  it("are not recorded if the manager has none with the program", async () => {
    const manager = new FakePackageManager([], {});
    await expect(open(manager).install("one/m1", ["etcd"])).rejects.toMatchObject({
      code: "host/packages",
      message: "there is no package etcd",
    });
    expect(existsSync(join(clusters, packagesFile))).toBe(false);
  });

  it("are installed again if the operator has removed them", async () => {
    const manager = new FakePackageManager([], known);
    await open(manager).install("one/load-balancer", ["haproxy"]);
    manager.present.delete("haproxy");
    await open(manager).install("one/load-balancer", ["haproxy"]);
    await open(manager).release("one/load-balancer");
    expect([...manager.present]).toEqual([]);
  });

  it("say what to do on a host without a package manager that haplan knows", async () => {
    const packages = new HostPackages({ clusters, find: () => null, manager: async () => null });
    await expect(packages.install("one/m1", ["etcd"])).rejects.toMatchObject({
      message: expect.stringContaining("neither apt-get nor dnf: install it by hand"),
    });
  });
});
