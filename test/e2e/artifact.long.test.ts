/** The artifact as a host sees it: unpacked, with nothing else of Node.js in reach. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { openSync, readSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { until } from "./cluster-fixture.ts";

const program = fileURLToPath(new URL("../../dist/cmd/haplan/main.js", import.meta.url));
const host = "127.77.71.1";
/** The field `e_machine` of an ELF file. */
const machines = { x64: 62, arm64: 183 };
const ownArch = process.arch as keyof typeof machines;

type Built = { readonly path: string; readonly digest: string; readonly version: string };

describe("an artifact", () => {
  let directory: string;
  /** Where the one for this machine is unpacked. */
  let unpacked: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "haplan-artifact-test-"));
  });
  afterAll(() => rm(directory, { recursive: true, force: true }));

  async function build(arch: keyof typeof machines, out: string): Promise<Built> {
    const flags = ["artifact", "-json", `-arch=${arch}`, `-out=${out}`];
    return JSON.parse((await execa(process.execPath, [program, ...flags], { cwd: directory })).stdout) as Built;
  }

  /** @returns the directory that it unpacks to */
  async function unpack({ path, version }: Built, arch: string): Promise<string> {
    await execa("tar", ["-xzf", path, "-C", directory]);
    return join(directory, `haplan-${version}-linux-${arch}`);
  }

  function machineOf(file: string): number {
    const header = Buffer.alloc(20);
    readSync(openSync(file, "r"), header);
    return header.readUInt16LE(18);
  }

  it("is the same each time", async () => {
    const [first, second] = [await build(ownArch, "own.tar.gz"), await build(ownArch, "again.tar.gz")];
    expect(first.digest).toMatch(/^[0-9a-f]{64}$/);
    expect(second.digest).toBe(first.digest);
    unpacked = await unpack(first, ownArch);
    expect(machineOf(join(unpacked, "bin/node"))).toBe(machines[ownArch]);
  }, 240_000);

  it("is built for hosts of the other architecture, too", async () => {
    const other = ownArch === "x64" ? "arm64" : "x64";
    const there = await unpack(await build(other, "other.tar.gz"), other);
    expect(machineOf(join(there, "bin/node"))).toBe(machines[other]);
    const library = `node_modules/@lmdb/lmdb-linux-${other}/node.napi.glibc.node`;
    expect(machineOf(join(there, library))).toBe(machines[other]);
  }, 240_000);

  it("runs an agent with neither Node.js nor npm on the PATH", async () => {
    const agent = join(unpacked, "bin/haplan-agent");
    const [client, peer] = [`http://${host}:2379`, `http://${host}:2380`];
    const urls = ["--listen-client-urls", client, "--advertise-client-urls", client, "--listen-peer-urls", peer];
    const founding = ["--initial-advertise-peer-urls", peer, "--initial-cluster", `m1=${peer}`];
    const process_ = spawn(agent, ["--name", "m1", "--data-dir", join(directory, "data"), ...urls, ...founding], {
      env: { PATH: "/usr/bin:/bin" },
      stdio: "ignore",
    });
    const ended = once(process_, "exit");
    try {
      const post = (path: string, body: object): Promise<Response> =>
        fetch(`${client}/v3/kv/${path}`, { method: "POST", body: JSON.stringify(body) });
      await until("the agent serves", () =>
        post("put", { key: "Zm9v", value: "YmFy" }).then(
          ({ ok }) => ok,
          () => false,
        ),
      );
      expect(await (await post("range", { key: "Zm9v" })).json()).toMatchObject({ kvs: [{ value: "YmFy" }] });
    } finally {
      process_.kill("SIGTERM");
      await ended;
    }
  }, 60_000);
});
