import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { UnitDefinition } from "../../units/unit-definition.ts";
import type { Provider } from "../provider.ts";
import { unitDigest } from "../unit-digest.ts";
import { createLocalProvider } from "./local-provider.ts";

let directory: string;
let systemRoot: string;
let provider: Provider;
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "haplan-copies-"));
  systemRoot = join(directory, "system");
  mkdirSync(join(systemRoot, "etc"), { recursive: true });
  provider = createLocalProvider({ root: join(directory, "cluster"), systemRoot });
  const machine = { name: "m1", address: "127.0.0.1", zone: null, lineage: "l", generation: 1 };
  await provider.createMachine(machine);
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const at = (path: string): string => join(systemRoot, path);
const text = (path: string): string => readFileSync(at(path), "utf8");

function unit(files: Record<string, string>): UnitDefinition {
  return {
    name: "kubeadm",
    program: { kind: "none" },
    arguments: [],
    environment: {},
    files: Object.entries(files).map(([path, content]) => ({ path, content, mode: path === "key" ? 0o600 : 0o644 })),
    listens: [],
    copies: Object.keys(files).map((path) => ({ file: path, to: `/etc/kubernetes/pki/${path}` })),
    watches: ["/etc/kubernetes/kubelet.conf"],
  };
}

const observed = async () => (await provider.observe("l", [])).machines[0]!.units[0]!;

describe("files that a unit has elsewhere on its machine", () => {
  it("KUBE: are written with their modes, replaced with the unit, and removed with what was made for them", async () => {
    const first = unit({ config: "1", key: "k" });
    expect(await provider.startUnit("m1", first)).toEqual({ pid: null });
    expect([text("etc/kubernetes/pki/config"), statSync(at("etc/kubernetes/pki/key")).mode & 0o777]).toEqual([
      "1",
      0o600,
    ]);
    expect(await observed()).toEqual({
      name: "kubeadm",
      running: true,
      pid: null,
      definitionDigest: unitDigest(first),
    });
    await provider.startUnit("m1", unit({ config: "2" }));
    expect([text("etc/kubernetes/pki/config"), existsSync(at("etc/kubernetes/pki/key"))]).toEqual(["2", false]);
    await provider.removeUnit("m1", "kubeadm");
    expect([existsSync(at("etc")), existsSync(at("etc/kubernetes"))]).toEqual([true, false]);
  });

  it("KUBE: go with their machine, but for those that were changed since, and directories with files of others", async () => {
    await provider.startUnit("m1", unit({ config: "1", key: "k" }));
    writeFileSync(at("etc/kubernetes/pki/config"), "changed");
    writeFileSync(at("etc/kubernetes/admin.conf"), "of kubeadm");
    await provider.destroyMachine("m1");
    expect([text("etc/kubernetes/pki/config"), text("etc/kubernetes/admin.conf")]).toEqual(["changed", "of kubeadm"]);
    expect(existsSync(at("etc/kubernetes/pki/key"))).toBe(false);
  });

  it("KUBE: never take the place of a file of others, and preflight says so", async () => {
    mkdirSync(at("etc/kubernetes/pki"), { recursive: true });
    writeFileSync(at("etc/kubernetes/pki/config"), "of others");
    const wanted = unit({ config: "1", key: "k" });
    await expect(provider.startUnit("m1", wanted)).rejects.toMatchObject({
      code: "provider/file-taken",
      message: 'Cannot write "/etc/kubernetes/pki/config": haplan did not write the file that is there',
    });
    expect(existsSync(at("etc/kubernetes/pki/key"))).toBe(false);
    const found = await provider.preflight({
      machines: [],
      units: [{ machine: "m1", unit: wanted }],
      space: [],
      network: [],
      certificateAgeMs: null,
    });
    expect(found).toMatchObject([
      { code: "preflight/file-taken", summary: "A file on m1 is in the way: /etc/kubernetes/pki/config" },
    ]);
    await provider.removeUnit("m1", "kubeadm");
    expect(text("etc/kubernetes/pki/config")).toBe("of others");
  });

  it.each<[string, () => void]>([
    ["content", () => writeFileSync(at("etc/kubernetes/pki/config"), "2")],
    ["mode", () => chmodSync(at("etc/kubernetes/pki/config"), 0o666)],
    ["absence", () => rmSync(at("etc/kubernetes/pki/config"))],
  ])("KUBE: are observed as changed by their %s, and written again", async (_, change) => {
    const wanted = unit({ config: "1" });
    await provider.startUnit("m1", wanted);
    change();
    expect((await observed()).definitionDigest).not.toBe(unitDigest(wanted));
    await provider.startUnit("m1", wanted);
    expect((await observed()).definitionDigest).toBe(unitDigest(wanted));
  });

  it("KUBE: come with those of others that the unit watches", async () => {
    await provider.startUnit("m1", unit({ config: "1" }));
    writeFileSync(at("etc/kubernetes/kubelet.conf"), "of kubeadm");
    expect(await observed()).toMatchObject({ present: ["/etc/kubernetes/kubelet.conf"] });
  });
});
