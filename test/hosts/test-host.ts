/**
 * A test host: a Debian of its own below systemd-nspawn, with its own processes, network, users and file tree, which is
 * an overlay of an image. It is reached over ssh as any host is.
 */
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, openSync, readdirSync, readFileSync } from "node:fs";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { execa } from "execa";
import { addressesOf, bridgeName, network, networkFile } from "./host-network.ts";

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

/** Makes the host's file tree and boots it; resolves once users can log in. */
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
  await until(`${name} lets users log in`, bootMs, () => logIn(addresses.ipv4, directory));
  return { name, ...addresses, directory, hostKey };
}

/** The process of systemd-nspawn that runs a host; null when none does. */
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

/** Like a power cut: its init is killed, and with it everything that the host runs. */
export async function powerOff({ name }: Pick<TestHost, "name">): Promise<void> {
  const container = findProcess(name);
  if (container === null) return;
  // The end of systemd-nspawn would leave them running: it only watches its child, the host's init.
  const init = readFileSync(`/proc/${container}/task/${container}/children`, "utf8").trim();
  process.kill(init === "" ? container : Number(init.split(" ")[0]), "SIGKILL");
  await until(`${name} is off`, 10_000, async () => findProcess(name) === null || null);
}

/** Runs as the init of a host in place of systemd: sshd, with a network that systemd-networkd would have made. */
export function sshdAsInit({ ipv4, ipv6 }: TestHost): readonly string[] {
  const network = `ip address add ${ipv4}/24 dev host0; ip address add ${ipv6}/64 dev host0 nodad; ip link set host0 up`;
  return ["sh", "-c", `${network}; mkdir -p /run/sshd; exec /usr/sbin/sshd -D -e`];
}

/**
 * Boots a host that was powered off, with the file tree that it left; resolves once its sshd answers. `init`: what it runs
 * in place of systemd.
 */
export async function powerOn({ name, directory, ipv4 }: TestHost, init: readonly string[] = []): Promise<void> {
  await execa("ip", ["link", "delete", linkOf(name)], { reject: false });
  await until(`${name}'s control group is empty`, 10_000, () => removeControlGroup(name));
  boot(name, join(directory, "root"), directory, init);
  await until(`${name} lets users log in`, bootMs, () => logIn(ipv4, directory));
}

/** Powers it off, and removes the file tree. */
export async function removeHost(host: Pick<TestHost, "name" | "directory">): Promise<void> {
  await powerOff(host);
  // Its init outlives systemd-nspawn for a moment and still has the file tree.
  await until(`${host.name}'s file tree is free`, 10_000, () => unmount(join(host.directory, "root")));
  await execa("ip", ["link", "delete", linkOf(host.name)], { reject: false });
  await until(`${host.name}'s control group is empty`, 10_000, () => removeControlGroup(host.name));
  await rm(host.directory, { recursive: true, force: true, maxRetries: 3 });
}

/** Takes its network away. What it runs goes on. */
export async function cutOff({ name }: Pick<TestHost, "name">): Promise<void> {
  await execa("ip", ["link", "set", linkOf(name), "down"]);
}

export async function rejoin({ name }: Pick<TestHost, "name">): Promise<void> {
  await execa("ip", ["link", "set", linkOf(name), "up"]);
}

/** systemd-nspawn names this machine's end of a host's network after the host. */
const linkOf = (name: string): string => `vb-${machineName(name)}`;

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

function boot(name: string, root: string, directory: string, init: readonly string[] = []): void {
  const log = openSync(join(directory, "console.log"), "a");
  const place = [`--directory=${root}`, machineOption(name), `--network-bridge=${bridgeName}`];
  const start = init.length === 0 ? ["--boot"] : init;
  const flags = [...place, "--register=no", "--keep-unit", "--console=pipe", ...start];
  // systemd-nspawn puts a host into its own control group: of two hosts in one, each would find the other's processes.
  const script = 'mkdir -p "$0" && echo $$ > "$0/cgroup.procs"; exec systemd-nspawn "$@"';
  const child = spawn("sh", ["-c", script, controlGroup(name), ...flags], {
    stdio: ["ignore", log, log],
    detached: true,
  });
  child.on("error", () => undefined);
  child.unref();
}

const machineOption = (name: string): string => `--machine=${machineName(name)}`;

async function removeControlGroup(name: string): Promise<true | null> {
  const group = controlGroup(name);
  await execa("find", [group, "-depth", "-type", "d", "-delete"], { reject: false });
  return existsSync(group) ? null : true;
}

function controlGroup(name: string): string {
  const isUnified = existsSync("/sys/fs/cgroup/cgroup.controllers");
  return join(isUnified ? "/sys/fs/cgroup" : "/sys/fs/cgroup/systemd", machineName(name));
}

/** Interface names have 15 characters at most, of which nspawn takes three: `vb-hp254-h60`. */
function machineName(name: string): string {
  return `hp${network}-${name}`;
}

/** Until a system has booted, only root may log in. */
async function logIn(address: string, directory: string): Promise<true | null> {
  const unknown = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "ConnectTimeout=2"];
  const flags = ["-F", "none", "-o", "BatchMode=yes", "-i", join(directory, "../id_ed25519"), ...unknown];
  const { exitCode } = await execa("ssh", [...flags, `admin@${address}`, "true"], { reject: false });
  return exitCode === 0 ? true : null;
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
