/**
 * What an operator does with hosts: a spec written for them, their logs as one while one of them is cut off, and commands on
 * them.
 */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeHosts } from "./describe-hosts.ts";
import { bringUp, type HostSet } from "./host-set.ts";
import { cutOff, rejoin, type TestHost } from "./test-host.ts";

const haplanProgram = fileURLToPath(new URL("../../dist/cmd/haplan/main.js", import.meta.url));

/** Whether a line of the logs is of this node. */
const isOf =
  (name: string) =>
  (line: string): boolean =>
    /^\d{4}-\S+Z (\S+) /.exec(line)?.[1] === name;

type Run = { readonly exitCode: number | undefined; readonly stdout: string; readonly stderr: string };

describeHosts("operating hosts", () => {
  let directory: string;
  let set: HostSet;
  let hosts: [TestHost, TestHost, TestHost];

  const start = (words: readonly string[]) =>
    execa(process.execPath, [haplanProgram, ...words], { cwd: directory, reject: false, stdin: "ignore" });
  const haplan = async (...words: readonly string[]): Promise<Run> => {
    const { exitCode, stdout, stderr } = await start(words);
    return { exitCode, stdout, stderr };
  };
  const mustRun = async (...words: readonly string[]): Promise<string> => {
    const { exitCode, stdout, stderr } = await haplan(...words);
    expect({ exitCode, words, stderr: exitCode === 0 ? "" : `${stdout}\n${stderr}` }).toEqual({
      exitCode: 0,
      words,
      stderr: "",
    });
    return stdout;
  };

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "haplan-operate-"));
    set = await bringUp(3, "complete");
    hosts = set.hosts.slice(0, 3) as unknown as typeof hosts;
    await mustRun(
      "init",
      "-name=operated",
      `-hosts=admin@${hosts.map(({ ipv4 }) => ipv4).join(",")}`,
      `-identity-file=${set.keyFile}`,
      `-ssh-option=UserKnownHostsFile=${set.knownHostsFile}`,
    );
    await mustRun("apply", "-auto-approve");
  }, 900_000);
  afterAll(async () => {
    await haplan("destroy", "-auto-approve");
    await rm(directory, { recursive: true, force: true });
  }, 120_000);

  it("has a spec that init wrote, with what the hosts are, and nothing left to change", async () => {
    const spec = await readFile(join(directory, "cluster.yaml"), "utf8");
    for (const { name, ipv4 } of hosts) expect(spec).toContain(`- name: ${name}\n        address: ${ipv4}\n`);
    expect(spec).toMatch(/# Debian GNU\/Linux .*, x86_64, .* GiB of memory, systemd \d+\n/);
    expect(await mustRun("plan")).toContain("No changes.");
  });

  it("takes the same hosts from what Terraform prints, whatever their order", async () => {
    const list = hosts.map(({ name, ipv4 }) => ({ id: name, private_ip: ipv4 })).reverse();
    await writeFile(
      join(directory, "output.json"),
      JSON.stringify({ masters: { sensitive: false, type: [], value: list } }),
    );
    const spec = await readFile(join(directory, "cluster.yaml"), "utf8");
    const masters = /^ {4}masters:.*\n(?: {6,}.*\n)+/m;
    const from = "{ file: output.json, path: masters.value, fields: { name: id, address: private_ip } }";
    await writeFile(join(directory, "from.yaml"), spec.replace(masters, `    masters: { hostsFrom: ${from} }\n`));
    expect(await mustRun("plan", "from.yaml")).toContain("No changes.");
  });

  it("shows the journals of all hosts as one, in the order of time", async () => {
    const out = await mustRun("logs", "-json", "-n", "all", "-unit", "agent");
    const entries = out
      .split("\n")
      .map((line) => JSON.parse(line))
      .filter(({ type }) => type === "log");
    const times = entries.map(({ log }) => log.time as string);
    expect(times).toEqual(times.toSorted());
    expect(new Set(entries.map(({ log }) => log.node))).toEqual(new Set(hosts.map(({ name }) => name)));
    // What systemd says about a unit is in it.
    expect(out).toMatch(/"@message":"Started [^"]*haplan/);
  });

  it("follows all hosts while one is cut off, names it, connects to it again, and ends everything at Ctrl-C", async () => {
    const [first, second, third] = hosts;
    const follow = start(["logs", "-f", "-n", "1"]);
    const seen: string[] = [];
    follow.stdout?.on("data", (chunk: Buffer) => seen.push(...chunk.toString("utf8").split("\n")));
    let warned = "";
    follow.stderr?.on("data", (chunk: Buffer) => {
      warned += chunk.toString("utf8");
    });
    for (const { name } of hosts) await expect.poll(() => seen.some(isOf(name)), { timeout: 20_000 }).toBe(true);
    await cutOff(second);
    try {
      const before = seen.length;
      // The others lose their peer, and say so at once.
      await expect.poll(() => seen.slice(before).some(isOf(first.name)), { timeout: 20_000 }).toBe(true);
      await expect.poll(() => warned, { timeout: 40_000 }).toContain(`${second.name}: its log is not reached`);
      await mustRun("exec", first.name, "--", "sudo", "systemctl", "restart", `haplan-operated-${first.name}-agent`);
      const after = seen.length;
      await expect.poll(() => seen.slice(after).some(isOf(third.name)), { timeout: 20_000 }).toBe(true);
    } finally {
      await rejoin(second);
    }
    const before = seen.length;
    await expect.poll(() => warned, { timeout: 60_000 }).toContain(`${second.name}: its log is reached again`);
    await expect.poll(() => seen.slice(before).some(isOf(second.name)), { timeout: 20_000 }).toBe(true);
    const lines = seen.filter(isOf(second.name));
    expect(new Set(lines).size).toBe(lines.length);
    const stoppedMs = performance.now();
    follow.kill("SIGINT");
    expect((await follow).exitCode).toBe(0);
    expect(performance.now() - stoppedMs).toBeLessThan(3_000);
    for (const host of [first, third]) {
      const left = async (): Promise<string> =>
        (await haplan("exec", host.name, "--", "pgrep", "-fc", "haplan-host.*--logs")).stdout;
      await expect.poll(left, { timeout: 10_000 }).toBe("0");
    }
  }, 240_000);

  it("names a host that is not reached, shows the others, and exits with 1", async () => {
    const [first, second] = hosts;
    await cutOff(second);
    try {
      const { exitCode, stdout, stderr } = await haplan("logs", "-n", "5");
      expect(exitCode).toBe(1);
      expect(stdout).toMatch(new RegExp(`^\\S+Z ${first.name} `, "m"));
      expect(stderr).toContain(`The log of ${second.name} ends here`);
    } finally {
      await rejoin(second);
      await sleep(1_000);
    }
  }, 60_000);

  it("runs commands on a host, with their words and exit codes", async () => {
    const [first] = hosts;
    const words = ["sh", "-c", 'uname -n; echo "$1"; exit 9', "sh", "it's $HOME"];
    expect(await haplan("exec", first.name, "--", ...words)).toMatchObject({
      exitCode: 9,
      stdout: `${first.name}\nit's $HOME`,
    });
    expect((await haplan("exec", first.name, "--", "true")).exitCode).toBe(0);
    // A login shell reads its commands from standard input.
    const login = execa(process.execPath, [haplanProgram, "ssh", first.name], {
      cwd: directory,
      reject: false,
      input: "whoami; exit 5\n",
    });
    expect(await login).toMatchObject({ exitCode: 5, stdout: expect.stringContaining("admin") });
  }, 60_000);
});
