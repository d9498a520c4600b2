/**
 * A test host: a Debian of its own below systemd-nspawn, with its own processes, network, users and file tree, which is
 * an overlay of an image. It is reached over ssh as any host is.
 */
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { openSync, readdirSync, readFileSync } from "node:fs";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { execa } from "execa";
import { addressesOf, bridgeName, networkFile } from "./host-network.ts";

export type TestHost = {
  readonly name: string;
  /** On the network of the test hosts. */
  readonly ipv4: string;
  readonly ipv6: string;
  /** The directory of the host: `root` is its file tree, `console.log` what its console showed. */
  readonly directory: string;
  /** Public key of its sshd, as in known_hosts, without a name. */
  readonly hostKey: string;
};

/** Who may log in, and as whom: root, and `admin`, which may do everything with sudo. */
export type Access = { readonly publicKey: string };

const bootMs = 60_000;

/** Makes the host's file tree and boots it; resolves once its sshd answers. */
export async function bootHost(
  number: number,
  { imagePath, directory, access }: { imagePath: string; directory: string; access: Access },
): Promise<TestHost> {
  const name = `h${number}`;
  const root = join(directory, "root");
  await mkdir(directory, { recursive: true });
  await mountOverlay(imagePath, directory);
  const addresses = addressesOf(number);
  await configure(root, name, networkFile(addresses), access);
  boot(name, root, directory);
  const hostKey = await until(`${name} answers on port 22`, bootMs, () => scanKey(addresses.ipv4));
  return { name, ...addresses, directory, hostKey };
}

/** The process of systemd-nspawn that runs a host; null when none does. Its end is the host's power cut. */
export function findProcess(name: string): number | null {
  const pids = readdirSync("/proc").filter((entry) => /^[0-9]+$/.test(entry));
  const found = pids.find((pid) => commandOf(pid).includes(machineOption(name)));
  return found === undefined ? null : Number(found);
}

function commandOf(pid: string): readonly string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
  } catch {
    // It has ended meanwhile.
    return [];
  }
}

/** Cuts the power, and removes the file tree. */
export async function removeHost(host: Pick<TestHost, "name" | "directory">): Promise<void> {
  const pid = findProcess(host.name);
  if (pid !== null) process.kill(pid, "SIGKILL");
  await until(`${host.name} is off`, 10_000, async () => findProcess(host.name) === null || null);
  // Its init outlives systemd-nspawn for a moment and still has the file tree.
  await until(`${host.name}'s file tree is free`, 10_000, () => unmount(join(host.directory, "root")));
  await execa("ip", ["link", "delete", `vb-${machineName(host.name)}`], { reject: false });
  await rm(host.directory, { recursive: true, force: true, maxRetries: 3 });
}

async function unmount(root: string): Promise<true | null> {
  const mounted = readFileSync("/proc/self/mounts", "utf8").includes(` ${root} `);
  if (!mounted) return true;
  const { exitCode } = await execa("umount", [root], { reject: false });
  return exitCode === 0 ? true : null;
}

async function mountOverlay(imagePath: string, directory: string): Promise<void> {
  const [root, upper, work] = ["root", "upper", "work"].map((each) => join(directory, each)) as [
    string,
    string,
    string,
  ];
  for (const each of [root, upper, work]) await mkdir(each, { recursive: true });
  const options = `lowerdir=${imagePath},upperdir=${upper},workdir=${work}`;
  await execa("mount", ["-t", "overlay", "overlay", "-o", options, root]);
}

async function configure(root: string, name: string, network: string, { publicKey }: Access): Promise<void> {
  await writeFile(join(root, "etc/machine-id"), `${randomBytes(16).toString("hex")}\n`);
  await writeFile(join(root, "etc/hostname"), `${name}\n`);
  await writeFile(join(root, "etc/hosts"), `127.0.0.1 localhost\n::1 localhost\n127.0.1.1 ${name}\n`);
  await writeFile(join(root, "etc/systemd/network/10-host0.network"), network);
  await execa("ssh-keygen", ["-q", "-A", "-f", root]);
  await execa("chroot", [root, "useradd", "--create-home", "--shell", "/bin/bash", "admin"]);
  await writeFile(join(root, "etc/sudoers.d/admin"), "admin ALL=(ALL) NOPASSWD: ALL\n", { mode: 0o440 });
  for (const home of ["root", "home/admin"]) {
    await mkdir(join(root, home, ".ssh"), { recursive: true, mode: 0o700 });
    await writeFile(join(root, home, ".ssh/authorized_keys"), `${publicKey}\n`, { mode: 0o600 });
  }
  await execa("chroot", [root, "chown", "-R", "admin:admin", "/home/admin"]);
}

function boot(name: string, root: string, directory: string): void {
  const log = openSync(join(directory, "console.log"), "a");
  const place = [`--directory=${root}`, machineOption(name), `--network-bridge=${bridgeName}`];
  const child = spawn("systemd-nspawn", [...place, "--boot", "--register=no", "--keep-unit", "--console=pipe"], {
    stdio: ["ignore", log, log],
    detached: true,
  });
  child.on("error", () => undefined);
  child.unref();
}

const machineOption = (name: string): string => `--machine=${machineName(name)}`;

/** Interface names have 15 characters at most, of which nspawn takes three. */
function machineName(name: string): string {
  return `haplan-${name}`;
}

async function scanKey(address: string): Promise<string | null> {
  const { stdout } = await execa("ssh-keyscan", ["-T", "2", "-t", "ed25519", address], { reject: false });
  const [, ...key] = stdout.trim().split(" ");
  return key.length === 2 ? key.join(" ") : null;
}

async function until<Value>(what: string, withinMs: number, look: () => Promise<Value | null>): Promise<Value> {
  const deadlineMs = performance.now() + withinMs;
  for (;;) {
    const found = await look();
    if (found !== null) return found;
    if (performance.now() > deadlineMs) throw new Error(`It took more than ${withinMs / 1000} s until ${what}`);
    await sleep(200);
  }
}
