/** The host key that was read from an instance's console is the only one that ssh accepts of it, also once the spec has forgotten the machine. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { systemClock } from "../../../src/base/clock.ts";
import { awsModel } from "../../../src/providers/aws/aws-model.ts";
import { MachineCalls } from "../../../src/providers/machine-calls.ts";
import type { RecordedMachine } from "../../../src/providers/provider-options.ts";
import { specReader } from "../../../src/providers/spec-reader.ts";
import { createHosts, type Hosts } from "../../../src/providers/ssh/ssh-provider.ts";
import { root } from "../../structure/imports.ts";

const spec = specReader.parse("cloud.yaml", readFileSync(join(root, "examples/aws-3-masters.yaml"), "utf8")).spec!;
const recorded: readonly RecordedMachine[] = [
  { name: "m1", generation: 1, attributes: { ssh_host: "10.0.1.10", host_key: "ssh-ed25519 FORMER" } },
  { name: "m1", generation: 2, attributes: { ssh_host: "10.0.1.10", host_key: "ssh-ed25519 FIRST" } },
  { name: "m5", generation: 1, attributes: { ssh_host: "10.0.1.15", host_key: "ssh-ed25519 FIFTH" } },
];

describe("the host key of an instance", () => {
  let hosts: Hosts;
  afterEach(() => hosts.close());

  /** The keys that ssh is given, and whether it would accept others. */
  async function keysOf(machine: string): Promise<string> {
    const { arguments: words } = await hosts.shell(machine, { command: null, tty: false });
    const file = words.find((word) => word.startsWith("UserKnownHostsFile="))?.replace(/^[^=]*=/, "");
    return file === undefined ? "known_hosts" : readFileSync(file.replaceAll('"', ""), "utf8").trim();
  }

  async function open(): Promise<void> {
    const options = {
      spec,
      recorded: async () => recorded,
      directory: "",
      cwd: "",
      signal: new AbortController().signal,
      clock: systemClock,
      log: () => undefined,
    };
    const limits = { machinesAtOnce: 1, callTimeoutMs: null };
    hosts = await createHosts({ ...options, calls: new MachineCalls({ ...options, limits }) }, awsModel);
  }

  it.each([
    ["m1", "haplan-pinned-host ssh-ed25519 FIRST"],
    ["m5", "haplan-pinned-host ssh-ed25519 FIFTH"],
    ["m2", "known_hosts"],
  ])("is pinned for %s as the state has it", async (machine, expected) => {
    await open();
    expect(await keysOf(machine)).toBe(expected);
  });
});
