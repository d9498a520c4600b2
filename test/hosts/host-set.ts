/**
 * All test hosts of this machine: brought up to a number, and removed again. The file `hosts.json` says which there are;
 * it is written before a host is made, so that one whose making was cut short is found and removed.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { writeFileDurably } from "../../src/base/durable-file.ts";
import { type ImageName, image } from "./base-image.ts";
import { makeBridge, network, removeBridge } from "./host-network.ts";
import { bootHost, findProcess, removeHost, type TestHost } from "./test-host.ts";

export type HostSet = {
  readonly image: ImageName;
  /** The private key that may log in on each host, as `root` and as `admin`. */
  readonly keyFile: string;
  readonly knownHostsFile: string;
  readonly hosts: readonly TestHost[];
};

const base = process.env["HAPLAN_TEST_HOSTS"] ?? "/var/lib/haplan-test-hosts";
export const hostsDirectory: string = join(base, String(network));

const inotifyInstances = 1024;
const setFile = join(hostsDirectory, "hosts.json");
const keyFile = join(hostsDirectory, "id_ed25519");
const knownHostsFile = join(hostsDirectory, "known_hosts");

/** What a machine lacks to have test hosts; null when it has everything. */
export function missingHostSupport(): string | null {
  if (process.getuid?.() !== 0) return "test hosts need root";
  const missing = ["debootstrap", "systemd-nspawn", "ssh", "ip"].filter((name) => !isOnPath(name));
  return missing.length === 0 ? null : `not installed: ${missing.join(", ")}`;
}

function isOnPath(name: string): boolean {
  const directories = ["/usr/sbin", "/sbin", ...(process.env["PATH"] ?? "").split(":")];
  return directories.some((directory) => existsSync(join(directory, name)));
}

/** Those that are there, in whatever state. */
export function readHosts(): HostSet | null {
  return existsSync(setFile) ? (JSON.parse(readFileSync(setFile, "utf8")) as HostSet) : null;
}

/** Hosts that run stay as they are; missing ones are made, all at once. */
export async function bringUp(count: number, imageName: ImageName): Promise<HostSet> {
  await mkdir(hostsDirectory, { recursive: true });
  const found = readHosts();
  if (found !== null && found.image !== imageName) await takeDown();
  const access = { publicKey: await publicKey() };
  const imagePath = await image(imageName, join(base, "images"));
  await makeBridge();
  allowInotify();
  const kept = (readHosts()?.hosts ?? []).filter(({ name, hostKey }) => hostKey !== "" && findProcess(name) !== null);
  const missing = Array.from({ length: count }, (_, at) => at + 1).filter(
    (number) => !kept.some(({ name }) => name === `h${number}`),
  );
  await Promise.all(missing.map((number) => removeHost(unfinished(number))));
  write(imageName, [...kept, ...missing.map(unfinished)]);
  const made = await Promise.all(
    missing.map((number) => bootHost(number, { imagePath, directory: directoryOf(number), access })),
  );
  return write(
    imageName,
    [...kept, ...made].sort((a, b) => a.ipv4.localeCompare(b.ipv4, "en", { numeric: true })),
  );
}

/** All hosts share the limit of this machine's root, and each systemd needs several: the default is enough for some twenty hosts. */
function allowInotify(): void {
  const file = "/proc/sys/fs/inotify/max_user_instances";
  if (Number(readFileSync(file, "utf8")) < inotifyInstances) writeFileSync(file, String(inotifyInstances));
}

/** Nothing is left but the images. */
export async function takeDown(): Promise<void> {
  await Promise.all((readHosts()?.hosts ?? []).map(removeHost));
  await removeBridge();
  if (existsSync(setFile)) write("complete", []);
}

function unfinished(number: number): TestHost {
  return { name: `h${number}`, ipv4: "", ipv6: "", directory: directoryOf(number), hostKey: "" };
}

function directoryOf(number: number): string {
  return join(hostsDirectory, `h${number}`);
}

function write(imageName: ImageName, hosts: readonly TestHost[]): HostSet {
  const set: HostSet = { image: imageName, keyFile, knownHostsFile, hosts };
  const known = hosts.filter(({ hostKey }) => hostKey !== "");
  writeFileDurably(knownHostsFile, known.map(({ ipv4, ipv6, hostKey }) => `${ipv4},${ipv6} ${hostKey}\n`).join(""));
  writeFileDurably(setFile, `${JSON.stringify(set, null, 2)}\n`);
  return set;
}

async function publicKey(): Promise<string> {
  if (!existsSync(keyFile))
    await execa("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "haplan test hosts", "-f", keyFile]);
  return readFileSync(`${keyFile}.pub`, "utf8").trim();
}
