/** How hosts are reached: with real sshds, keys and networks that fail. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, expect, it } from "vitest";
import { errorText } from "../../src/base/haplan-error.ts";
import { installDir } from "../../src/base/host-paths.ts";
import { runOnHost } from "../../src/providers/ssh/run-ssh.ts";
import { pinnedName, type SshTarget } from "../../src/providers/ssh/ssh-target.ts";
import { architectureOf, type Host, uploadArtifact } from "../../src/providers/ssh/upload-artifact.ts";
import { describeHosts } from "./describe-hosts.ts";
import { bringUp, type HostSet, takeDown } from "./host-set.ts";
import { cutOff, rejoin, type TestHost } from "./test-host.ts";

describeHosts("hosts over ssh", () => {
  let directory: string;
  let set: HostSet;
  let [first, second]: TestHost[] = [];

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "haplan-ssh-"));
    await takeDown();
    set = await bringUp(2, "bare");
    [first, second] = set.hosts;
  }, 900_000);
  afterAll(async () => {
    await takeDown();
    await rm(directory, { recursive: true, force: true });
  }, 60_000);

  async function host(changes: Partial<SshTarget> = {}, address = first!.ipv4): Promise<Host> {
    const hostKey = set.hosts.find(({ ipv4, ipv6 }) => [ipv4, ipv6].includes(address))?.hostKey ?? null;
    const target = {
      host: address,
      user: "admin",
      port: null,
      identityFile: set.keyFile,
      jump: null,
      proxyCommand: null,
      options: [],
      hostKey,
    };
    return await withKnownHosts({ ...target, ...changes });
  }

  async function withKnownHosts(target: SshTarget): Promise<Host> {
    const knownHostsFile = join(directory, `known-${Math.random()}`);
    await writeFile(knownHostsFile, target.hostKey === null ? "" : `${pinnedName} ${target.hostKey}\n`);
    return { target, files: { knownHostsFile }, become: "auto" };
  }

  const run = async (at: Host, command: string, timeoutMs = 30_000): ReturnType<typeof runOnHost> =>
    await runOnHost({ ...at, command, timeoutMs });

  it("give a command's output and exit code, over IPv4 and IPv6", async () => {
    for (const address of [first!.ipv4, first!.ipv6]) {
      const result = await run(await host({}, address), "hostname; echo wrong >&2; exit 3");
      expect(result).toEqual({ exitCode: 3, stdout: "h1", stderr: "wrong" });
    }
  });

  it("are reached through another host", async () => {
    // The pinned key is the last host's. The way there is the user's configuration, as with plain ssh.
    const config = join(directory, "config");
    const [{ keyFile, knownHostsFile }, jump] = [set, second!.ipv4];
    await writeFile(
      config,
      `Host ${jump}\n  User admin\n  IdentityFile ${keyFile}\n  UserKnownHostsFile ${knownHostsFile}\n`,
    );
    const at = await host();
    const through = { ...at, target: { ...at.target, jump } };
    const words = ["-F", config];
    const path = join(directory, "ssh");
    await writeFile(path, `#!/bin/sh\nexec /usr/bin/ssh ${words.join(" ")} "$@"\n`, { mode: 0o755 });
    const before = process.env["PATH"];
    process.env["PATH"] = `${directory}:${before}`;
    try {
      expect((await run(through, "echo $SSH_CONNECTION")).stdout.split(" ")[0]).toBe(jump);
    } finally {
      process.env["PATH"] = before;
    }
  });

  it("are refused with an unknown key, with another one than the pinned one, and without a way in", async () => {
    const unknown = await host({ hostKey: null });
    await expect(run(unknown, "true")).rejects.toMatchObject({
      code: "ssh/host-key-unknown",
      message: expect.stringMatching(/it shows ssh-ed25519 SHA256:/),
    });
    const changed = await host({ hostKey: second!.hostKey });
    await expect(run(changed, "true")).rejects.toMatchObject({ code: "ssh/host-key-changed" });
    await expect(run(await host({ user: "guest" }), "true")).rejects.toMatchObject({ code: "ssh/permission-denied" });
    const absent = await host({ host: first!.ipv4.replace(/\d+$/, "250"), options: ["ConnectTimeout=2"] });
    await expect(run(absent, "true")).rejects.toMatchObject({ code: expect.stringMatching(/no-route|timed-out/) });
    await expect(run(await host({ port: 23 }), "true")).rejects.toMatchObject({ code: "ssh/refused" });
  }, 60_000);

  it("are given up when the request says so, and when they take too long", async () => {
    const at = await host();
    const abort = AbortSignal.timeout(500);
    await expect(runOnHost({ ...at, command: "sleep 60", timeoutMs: 60_000, signal: abort })).rejects.toMatchObject({
      code: "provider/aborted",
    });
    await expect(run(at, "sleep 60", 500)).rejects.toMatchObject({ code: "ssh/timed-out" });
  });

  it("take an artifact once, and go on with one whose upload was cut short", async () => {
    const at = await host();
    expect(await architectureOf(at)).toBe(process.arch);
    const [old, next] = [await archive("one", 1), await archive("two", 40)];
    expect(await uploadArtifact(at, { file: old, cluster: "demo" })).toMatchObject({ isNew: true });
    expect(await uploadArtifact(at, { file: old, cluster: "demo" })).toMatchObject({ isNew: false });
    expect((await run(at, `cat ${installDir}/current/name`)).stdout).toBe("one");
    await cutShort(at, next);
    expect(await uploadArtifact(at, { file: next, cluster: "demo" })).toMatchObject({ isNew: true });
    expect((await run(at, `cat ${installDir}/current/name; echo; ls ${installDir} | wc -l`)).stdout).toBe("two\n3");
    // Units that still run it, and a way back, need no other upload.
    expect(await uploadArtifact(at, { file: old, cluster: "demo" })).toMatchObject({ isNew: false });
  }, 120_000);

  /** Cuts the network while the archive is on its way. */
  async function cutShort(at: Host, file: string): Promise<void> {
    const slow = { ...at, target: { ...at.target, options: ["ServerAliveInterval=1", "ServerAliveCountMax=2"] } };
    const upload = uploadArtifact({ ...slow }, { file, cluster: "demo" }).catch(errorText);
    await expect
      .poll(async () => Number((await run(at, `stat -c %s ${installDir}/*.part || echo 0`)).stdout), {
        timeout: 20_000,
      })
      .toBeGreaterThan(0);
    await cutOff(first!);
    expect(await upload).toMatch(/did not answer|lost/);
    await rejoin(first!);
  }

  /** An archive with a program that starts, a file that names it, and noise. */
  async function archive(name: string, mebibytes: number): Promise<string> {
    const top = join(directory, name);
    await execa("mkdir", ["-p", join(top, "bin")]);
    await writeFile(join(top, "name"), name);
    await writeFile(join(top, "bin/haplan-host"), "#!/bin/sh\n", { mode: 0o755 });
    await execa("sh", ["-c", `head -c ${mebibytes}M /dev/urandom > ${top}/noise`]);
    const file = join(directory, `${name}.tar.gz`);
    await execa("tar", ["-czf", file, "-C", directory, name]);
    return file;
  }
});
