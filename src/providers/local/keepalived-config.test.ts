import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { renderTemplate } from "../../base/render-template.ts";
import { virtualAddressesIn } from "./keepalived-config.ts";
import { createLocalProvider } from "./local-provider.ts";

const rendered = (address: string): string =>
  renderTemplate("keepalived/keepalived.conf.hbs", {
    name: "haplan-demo",
    address,
    prefixLength: 32,
    interface: "lo",
    routerId: 7,
    priority: 254,
    source: "10.0.0.9",
    peers: ["10.0.0.10"],
  });

describe("the virtual addresses in a configuration of keepalived", () => {
  it.each<[string, string, readonly string[]]>([
    ["haplan's, of IPv4", rendered("10.0.0.100"), ["10.0.0.100"]],
    ["haplan's, of IPv6", rendered("fd00::100"), ["fd00::100"]],
    ["none", "vrrp_instance x {\n  unicast_peer {\n    10.0.0.1\n  }\n}\n", []],
    ["comments", "virtual_ipaddress {\n  # 10.0.0.1\n  10.0.0.2/24 dev eth0 ! 10.0.0.3\n}\n", ["10.0.0.2"]],
    [
      "several blocks",
      "virtual_ipaddress { 10.0.0.1 }\nvirtual_ipaddress_excluded {\n\t10.0.0.2\n\tfd00::2/64\n}\n",
      ["10.0.0.1", "10.0.0.2", "fd00::2"],
    ],
  ])("are read: %s", (_, config, addresses) => {
    expect(virtualAddressesIn(config)).toEqual(addresses);
  });
});

describe("the unit that holds a virtual address", () => {
  let parent: string;
  beforeEach(() => {
    parent = mkdtempSync(join(tmpdir(), "haplan-keepalived-"));
    mkdirSync(join(parent, "cmd", "probe"), { recursive: true });
    writeFileSync(join(parent, "cmd", "probe", "main.js"), "setInterval(() => {}, 1000);\n");
  });
  afterEach(() => rmSync(parent, { recursive: true, force: true }));

  it.each([
    ["keepalived", "10.0.0.100"],
    ["agent", undefined],
  ])("is observed with it, if it is called %s", async (name, virtualAddress) => {
    const root = join(parent, ".haplan", "demo");
    const provider = createLocalProvider({ root, programsDir: join(parent, "cmd") });
    await provider.createMachine({ name: "lb1", address: "127.77.18.1", zone: null, lineage: "a", generation: 1 });
    const files = [{ path: "keepalived.conf", content: rendered("10.0.0.100"), mode: 0o600 }];
    const program = { kind: "haplan", command: "probe" } as const;
    await provider.startUnit("lb1", { name, program, arguments: [], environment: {}, files, listens: [] });
    const { machines } = await provider.observe("a", []);
    await provider.destroyMachine("lb1");
    expect(machines.flatMap(({ units }) => units.map((unit) => unit.virtualAddress))).toEqual([virtualAddress]);
  });
});
