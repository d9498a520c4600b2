/**
 * The file trees that test hosts are made of: a Debian with systemd and sshd, and the same one with the packages that a
 * control plane uses, since a test host reaches no package mirror. Made once and kept.
 */
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { chmod, mkdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";

export type ImageName = "bare" | "complete";

const suite = "bookworm";
const barePackages = [
  "systemd",
  "systemd-sysv",
  "dbus",
  "openssh-server",
  "sudo",
  "iproute2",
  "procps",
  "ca-certificates",
  "nftables",
];
const morePackages = ["haproxy", "keepalived", "etcd-server", "etcd-client"];
/** What the system does by itself at times of the day: it writes files between two looks at a host. */
const timers = [
  "apt-daily.timer",
  "apt-daily-upgrade.timer",
  "dpkg-db-backup.timer",
  "e2scrub_all.timer",
  "fstrim.timer",
];
const buildMs = 900_000;

/** The directory of an image below `directory`; makes it where it is not there yet. @throws Error when a package mirror is out of reach */
export async function image(name: ImageName, directory: string): Promise<string> {
  const digest = createHash("sha256")
    .update(JSON.stringify([suite, barePackages, morePackages, timers]))
    .digest("hex");
  const path = join(directory, `${name}-${digest.slice(0, 12)}`);
  if (existsSync(path)) return path;
  const part = `${path}.part`;
  await rm(part, { recursive: true, force: true, maxRetries: 3 });
  await mkdir(directory, { recursive: true });
  if (name === "bare") await debootstrap(part);
  else await addPackages(await image("bare", directory), part);
  // The name stands for a whole image: one that was cut short never has it.
  await rename(part, path);
  return path;
}

async function debootstrap(root: string): Promise<void> {
  const options = ["--variant=minbase", `--include=${barePackages.join(",")}`];
  await execa("debootstrap", [...options, suite, root, mirror()], { timeout: buildMs });
  // Each host gets keys and an id of its own.
  await execa("sh", ["-c", `rm -f ${root}/etc/ssh/ssh_host_*`]);
  await execa("systemctl", ["--root", root, "enable", "ssh.service", "systemd-networkd.service"]);
  await execa("systemctl", ["--root", root, "mask", ...timers]);
}

async function addPackages(bare: string, root: string): Promise<void> {
  await execa("cp", ["-a", bare, root]);
  const policy = join(root, "usr/sbin/policy-rc.d");
  // No service of a package starts while the image is made, nor on a host: tests and haplan start what they need.
  await writeFile(policy, "#!/bin/sh\nexit 101\n");
  await chmod(policy, 0o755);
  await writeFile(join(root, "etc/resolv.conf"), readFileSync("/etc/resolv.conf"));
  const run = (...command: readonly string[]): Promise<unknown> =>
    execa("chroot", [root, ...command], { timeout: buildMs, env: { DEBIAN_FRONTEND: "noninteractive" } });
  await run("apt-get", "update", "-qq");
  await run("apt-get", "install", "-y", "-qq", "--no-install-recommends", ...morePackages);
  await rm(policy);
  const services = ["haproxy.service", "keepalived.service", "etcd.service"];
  await execa("systemctl", ["--root", root, "disable", ...services]);
}

/** The mirror that this machine itself uses. */
function mirror(): string {
  const file = ["/etc/apt/sources.list.d/debian.sources", "/etc/apt/sources.list"].find(existsSync);
  const text = file === undefined ? "" : readFileSync(file, "utf8");
  const url = /^URIs:\s*(\S+)/m.exec(text)?.[1] ?? /^deb\s+(?:\[[^\]]*\]\s*)?(\S+)/m.exec(text)?.[1];
  if (url === undefined) throw new Error("This machine's package mirror is in neither debian.sources nor sources.list");
  return url;
}
