/** The checks of hosts over an `ssh` of the test's, which runs the commands here, or loses its connection. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { FakeSsh } from "../../../test/support/fake-ssh.ts";
import { sshTargetTo } from "../../../test/support/ssh-target-to.ts";
import { systemClock } from "../../base/clock.ts";
import type { Diagnostic } from "../../base/diagnostic.ts";
import { agentUnitName, type UnitDefinition } from "../../units/unit-definition.ts";
import { MachineCalls } from "../machine-calls.ts";
import type { PreflightRequest } from "../provider.ts";
import { checkSshHosts } from "./check-ssh-hosts.ts";
import type { KnownHost } from "./host-directory.ts";

let ssh: FakeSsh;
let directory: string;
beforeEach(() => {
  ssh = new FakeSsh();
  directory = ssh.directory;
});
afterEach(() => ssh.remove());

const target = sshTargetTo("10.0.0.1");
const host: KnownHost = { key: "10.0.0.1", target, machines: ["m1"], newHostOf: [], unreachableAs: ["m1"] };

async function found(
  unit: Partial<UnitDefinition>,
  space: PreflightRequest["space"] = [],
  more: Partial<PreflightRequest> & { readonly balancers?: readonly KnownHost[] } = {},
): Promise<readonly Diagnostic[]> {
  const { balancers = [host], ...requested } = more;
  const { signal } = new AbortController();
  const limits = { machinesAtOnce: 10, callTimeoutMs: 60_000 };
  const agent: UnitDefinition = {
    name: agentUnitName,
    program: { kind: "haplan", command: "haplan-agent" },
    arguments: [],
    environment: {},
    files: [],
    listens: [],
    ...unit,
  };
  const request: PreflightRequest = {
    machines: [],
    units: [{ machine: "m1", unit: agent }],
    space,
    network: [],
    certificateAgeMs: null,
    ...requested,
  };
  const report = await checkSshHosts({
    cluster: "demo",
    hosts: [host],
    balancers,
    request,
    calls: new MachineCalls({ limits, clock: systemClock, signal, log: () => undefined }),
    clock: systemClock,
    signal,
    reach: async (reached, given) => ({
      target: reached.target,
      files: { knownHostsFile: null },
      signal: given,
      become: "none",
    }),
    installsOf: () => [],
  });
  return report.diagnostics;
}

describe("checks of hosts over ssh", () => {
  it.skipIf(process.getuid?.() !== 0)("find paths that members cannot use (skipped without root)", async () => {
    ssh.runs('exec sh -c "$command"');
    const own = join(directory, "etcd");
    mkdirSync(join(directory, "backups"));
    writeFileSync(own, "", { mode: 0o755 });
    const directories = [join(directory, "backups"), "/etc", "/etc/passwd/backups"];
    const summaries = (await found({ directories, program: { kind: "system", command: own, version: "3.6.14" } }))
      .filter(({ code }) => code === "hosts/path")
      .map(({ summary }) => summary);
    expect(summaries).toEqual([
      expect.stringMatching(/backups on m1 \(10\.0\.0\.1\) is not seen by members: their units hide \/tmp$/),
      "/etc on m1 (10.0.0.1) belongs to root, and members could not write to it",
      "/etc/passwd/backups on m1 (10.0.0.1) cannot be a directory: /etc/passwd is a file",
      `${own} on m1 (10.0.0.1) is not seen by members: their units hide /tmp`,
    ]);
  });

  it.each<[{ readonly replaces?: true }, boolean]>([
    [{ replaces: true }, true],
    [{}, false],
  ])("ask what the data of a machine takes up that is replaced (%j)", async (replaced, isAsked) => {
    ssh.runs(`tee ${directory}/asked | sh -c "$command"`);
    await found({}, [{ machine: "m1", bytes: 1, ...replaced }]);
    const asked = readFileSync(join(directory, "asked"), "utf8");
    expect(asked.includes("/var/lib/haplan/demo/machines/m1")).toBe(isAsked);
  });

  it("find that another keepalived of a load balancer's host has the virtual address", async () => {
    ssh.runs(`sed -u 's#/etc/keepalived/#${directory}/#' | sh -c "$command"`);
    const file = join(directory, "keepalived.conf");
    writeFileSync(file, "virtual_ipaddress {\n  10.0.0.100/32\n}\n");
    const virtualAddress = { address: "10.0.0.100", port: 2379, machines: ["m1"] };
    const diagnostics = await found({}, [], { virtualAddress });
    expect(diagnostics.filter(({ code }) => code === "hosts/virtual-address")).toMatchObject([
      { summary: `The virtual address 10.0.0.100 is in use by keepalived of ${file} on m1 (10.0.0.1)` },
    ]);
  });

  const leaving: KnownHost = { ...host, key: "10.0.0.2", target: { ...target, host: "10.0.0.2" }, machines: ["m2-lb"] };
  const unknownMachine = "a machine with the MAC address 02:00:00:00:00:01";
  it.each<[string, { of: readonly KnownHost[]; on: string; configured?: string }, string | null]>([
    ["of a load balancer that stays", { of: [host], on: "10.0.0.1" }, null],
    ["of a load balancer that leaves", { of: [host, leaving], on: "10.0.0.2" }, null],
    ["with keepalived of this cluster", { of: [leaving], on: "10.0.0.1", configured: "10.0.0.100" }, null],
    ["without a load balancer", { of: [leaving], on: "10.0.0.1" }, "m1 (10.0.0.1)"],
    ["with keepalived for another address", { of: [leaving], on: "10.0.0.1", configured: "10.0.0.9" }, "m1 (10.0.0.1)"],
    ["of another cluster", { of: [host, leaving], on: "none" }, unknownMachine],
  ])("say whether the virtual address may be on a host %s", async (_, { of, on, configured }, refused) => {
    const units = join(directory, "haplan/demo/machines/m1-lb/units/keepalived/files");
    mkdirSync(units, { recursive: true });
    if (configured !== undefined)
      writeFileSync(join(units, "keepalived.conf"), `virtual_ipaddress {\n  ${configured}/32\n}\n`);
    const ip = `case "$HOST $*" in
      "${on} "*"address show") echo "2: host0    inet 10.0.0.100/32 scope global host0" ;;
      *"neighbor show to 10.0.0.100") echo "10.0.0.100 dev host0 lladdr 02:00:00:00:00:01 REACHABLE" ;;
    esac`;
    writeFileSync(join(directory, "ip"), `#!/bin/sh\n${ip}\n`, { mode: 0o755 });
    const own = `${directory}/haplan`;
    ssh.runs(`sed -u 's#/var/lib/haplan#${own}#' | HOST=$host sh -c "$command" | sed -u 's#${own}#/var/lib/haplan#'`);
    const virtualAddress = { address: "10.0.0.100", port: 2379, machines: ["m1-lb", "m2-lb"] };
    const diagnostics = await found({}, [], { virtualAddress, balancers: of });
    const summaries = diagnostics.filter(({ code }) => code === "hosts/virtual-address").map(({ summary }) => summary);
    expect(summaries).toEqual(refused === null ? [] : [`The virtual address 10.0.0.100 is in use by ${refused}`]);
  });

  it.each([
    ["before it has answered", "kill -9 $$"],
    ["after it has answered", "echo root; read -r line; kill -9 $$"],
    ["by the network", "echo root; echo 'Timeout, server 10.0.0.1 not responding.' >&2; exit 255"],
  ])("say what to do when a connection is lost %s", async (_, script) => {
    ssh.runs(script);
    expect(await found({})).toMatchObject([
      {
        severity: "error",
        code: expect.stringMatching(/^ssh\//),
        detail: expect.stringMatching(
          /It is the host of m1, reached as 10\.0\.0\.1\. Nothing was changed: once it answers, run the same command again\.$/,
        ),
      },
    ]);
  });
});
