/** `haplan check`: what it prints, and its exit code. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Diagnostic } from "../../src/base/diagnostic.ts";
import type { HostFacts } from "../../src/host/host-facts.ts";
import type { PreflightRequest } from "../../src/providers/provider.ts";
import { type CliFixture, createCliFixture } from "../../test/support/command-line.ts";

const facts: HostFacts = {
  system: "Linux",
  kernel: "6.1.0",
  hostname: "h1",
  os: "Debian GNU/Linux 12 (bookworm)",
  architecture: "x86_64",
  glibc: "2.36",
  systemdVersion: 252,
  isSystemdRunning: true,
  cgroupVersion: 2,
  memoryBytes: 8 * 2 ** 30,
  machineId: "a1",
  bootId: "b1",
  isRoot: true,
  programs: [],
  dataDisk: { mountPoint: "/", freeBytes: 50.5 * 2 ** 30 },
  programsDisk: null,
  isInstalled: false,
  replacedBytes: 0,
  unitUserId: null,
  paths: [],
  addresses: ["10.0.0.1"],
  networks: [],
  macs: [],
  units: [],
  listening: [],
  virtualAddresses: [],
  writeMs: [1, 1, 2.25],
};

const warning: Diagnostic = { severity: "warning", code: "hosts/slow-disk", summary: "m1 writes slowly" };
const error: Diagnostic = {
  severity: "error",
  code: "hosts/systemd",
  summary: "m2 does not run systemd",
  detail: "Why.",
};

let cli: CliFixture;
let requests: PreflightRequest[];
beforeEach(() => {
  cli = createCliFixture();
  requests = [];
});
afterEach(() => cli.remove());

function find(...diagnostics: readonly Diagnostic[]): void {
  cli.openProvider = (_, inMemory) => ({
    ...inMemory,
    preflight: async () => diagnostics,
    check: async (request) => {
      requests.push(request);
      const hosts = [{ host: "10.0.0.1", machines: ["m1", "w1"], facts, clockOffsetMs: -120 }];
      return { hosts, diagnostics };
    },
  });
}

describe("check", () => {
  it("asks about everything that the spec puts on machines, prints a table of hosts, and changes nothing", async () => {
    find(warning);
    const { code, out, err } = await cli.haplan("check three.yaml");
    expect(code).toBe(0);
    expect(
      out,
    ).toBe(`HOST      MACHINES  OS                              ARCH    SYSTEMD  MEMORY   FREE    WRITE P99  CLOCK
10.0.0.1  m1, w1    Debian GNU/Linux 12 (bookworm)  x86_64  252      8.0 GiB  51 GiB  2.3 ms     -0.12 s

Success! 1 host passed all checks, with 1 warning. Nothing was changed.`);
    expect(err).toContain("Warning: m1 writes slowly");
    expect(requests[0]?.machines.map(({ name }) => name)).toEqual(["m1", "m2", "m3", "load-balancer", "w1", "w2"]);
    expect(requests[0]?.units).toHaveLength(6);
    expect(requests[0]?.network.length).toBeGreaterThan(20);
    expect(cli.world.acts).toBe(0);
  });

  it("reports warnings and errors, and exits with 1 if there is an error", async () => {
    find(error, warning);
    const { code, out, err } = await cli.haplan("check three.yaml");
    expect(code).toBe(1);
    expect(out).not.toContain("Success!");
    expect(err).toMatch(/Warning: m1 writes slowly[\s\S]*Error: m2 does not run systemd/);
  });

  it("looks at spare hosts as at masters, beside the rest, and finds no errors there", async () => {
    const masters = ["m1", "m2", "m3"].map((name, at) => `{ name: ${name}, address: 10.0.0.${at + 1} }`).join(", ");
    const spares = "[{ name: s1, address: 10.0.0.21, ssh: { user: admin } }]";
    const text = `apiVersion: haplan.dev/v1
kind: Cluster
metadata: { name: demo }
spec:
  provider: { type: ssh }
  controlPlane: { masters: [${masters}] }
  loadBalancer: { address: 10.0.0.100 }
  repair: { replace: { spares: ${spares} } }
`;
    writeFileSync(join(cli.cwd, "spares.yaml"), text);
    find();
    const opened: string[][] = [];
    const onSpare: Diagnostic = { ...error, summary: "s1 does not run systemd" };
    const openFound = cli.openProvider;
    cli.openProvider = async (options, inMemory) => {
      opened.push(options.spec.controlPlane.masters.map(({ name }) => name));
      const provider = await openFound(options, inMemory);
      const check: typeof provider.check = async (request, signal) => {
        const report = await provider.check(request, signal);
        const isOfSpares = request.machines.some(({ name }) => name === "s1");
        return { ...report, diagnostics: isOfSpares ? [onSpare, warning] : [warning] };
      };
      return { ...provider, check };
    };
    const { code, err } = await cli.haplan("check spares.yaml");
    expect({ code, err }).toEqual({ code: 0, err: expect.stringContaining("Warning: s1 does not run systemd") });
    expect(err).toContain("no apply needs them");
    expect(err.match(/m1 writes slowly/g)).toHaveLength(1);
    expect(opened).toEqual([
      ["m1", "m2", "m3"],
      ["m1", "m2", "m3", "s1"],
    ]);
    const [first, second] = requests;
    expect(first!.machines.map(({ name }) => name)).not.toContain("s1");
    expect(second!.machines.map(({ name, address }) => [name, address])).toEqual([["s1", "10.0.0.21"]]);
    expect(second!.units.map(({ machine, unit }) => [machine, unit.name])).toEqual([["s1", "agent"]]);
    expect(second!.network.every(({ from, to }) => (from === "s1") !== (to === "s1"))).toBe(true);
    expect(second!.network.length).toBeGreaterThan(5);
  });

  it("streams facts, diagnostics and a summary", async () => {
    find(error, warning);
    const { code, out } = await cli.haplan("check three.yaml -json");
    expect(code).toBe(1);
    const lines = out.split("\n").map((line) => JSON.parse(line) as { readonly type: string });
    expect(lines.map(({ type }) => type)).toEqual([
      "version",
      "host_facts",
      "check_summary",
      "diagnostic",
      "diagnostic",
    ]);
    expect(lines[1]).toMatchObject({
      host: { host: "10.0.0.1", clock_offset_ms: -120, facts: { systemd_version: 252, write_percentile_ms: 2.25 } },
    });
    expect(lines[2]).toMatchObject({ check: { hosts: 1, errors: 1, warnings: 1 } });
  });

  it("asks for space only for members that are new, and for no new certificates, once there is a cluster", async () => {
    find();
    await cli.haplan("apply three.yaml -auto-approve");
    await cli.haplan("check three.yaml");
    expect(requests[0]).toMatchObject({ space: [], certificateAgeMs: null });
  });
});

describe("a plan that makes machines", () => {
  it("is shown with what the checks find, and is neither saved nor a success if there is an error", async () => {
    find(error, warning);
    const { code, out, err } = await cli.haplan("plan three.yaml -out=saved.plan");
    expect(code).toBe(1);
    expect(out).toMatch(/\nPlan: \d+ to add/);
    expect(err).toMatch(/Warning: m1 writes slowly[\s\S]*Error: m2 does not run systemd/);
    expect((await cli.haplan("apply saved.plan")).code).toBe(1);
  });

  it("is not applied, nor approved, if the checks find an error", async () => {
    find(error);
    const { code, err, terminal } = await cli.haplan("apply three.yaml", ["yes"]);
    expect(code).toBe(1);
    expect(err).toContain("Error: m2 does not run systemd");
    expect(terminal.questions).toEqual([]);
    expect(cli.world.acts).toBe(0);
  });

  it("is checked once, and its warnings are shown before it is approved", async () => {
    find(warning);
    const { code, err } = await cli.haplan("apply three.yaml -auto-approve");
    expect(code).toBe(0);
    expect(err.match(/m1 writes slowly/g)).toHaveLength(1);
  });

  it("is not checked if it makes no machine, or trusts the state", async () => {
    expect((await cli.haplan("apply three.yaml -auto-approve")).code).toBe(0);
    find(error);
    expect((await cli.haplan("plan three.yaml")).code).toBe(0);
    expect((await cli.haplan("plan three.yaml -destroy")).code).toBe(0);
    cli.remove();
    cli = createCliFixture();
    find(error);
    expect((await cli.haplan("plan three.yaml -refresh=false")).code).toBe(0);
  });
});
