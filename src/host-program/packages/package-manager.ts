/** The package manager of a host, run as it is by hand. */
import { execa } from "execa";
import { HaplanError } from "../../base/haplan-error.ts";

export type PackageManager = {
  /** `apt-get`, for messages. */
  readonly name: string;
  /** Names of packages that have the program, the one to prefer first. */
  candidates(program: string): readonly string[];
  installed(): Promise<ReadonlySet<string>>;
  /** @throws HaplanError `host/packages` with the last lines of what it wrote */
  install(packageName: string): Promise<void>;
  /** Removes exactly these; leaves those that another package needs. @throws HaplanError `host/packages` */
  remove(packages: readonly string[]): Promise<void>;
  /** Paths of the files of a package. */
  files(packageName: string): Promise<readonly string[]>;
};

const installMs = 240_000;
const askMs = 30_000;
const linesInError = 5;

const debianNames: { readonly [program: string]: readonly string[] } = {
  // Releases before Debian 12 have one package for server and client.
  etcd: ["etcd-server", "etcd"],
};

/** apt-get asks nothing, waits for another one to end, and keeps no downloaded file. */
const aptOptions = [
  "-y",
  "-q",
  "--no-install-recommends",
  "-o",
  "DPkg::Lock::Timeout=120",
  "-o",
  "Dpkg::Options::=--force-confold",
  "-o",
  "APT::Keep-Downloaded-Packages=false",
];

const apt: PackageManager = {
  name: "apt-get",
  candidates: (program) => debianNames[program] ?? [program],
  installed: async () => {
    const selections = (await run("dpkg", ["--get-selections"], askMs)).split("\n").map((line) => line.split(/\s+/));
    return new Set(selections.flatMap(([name = "", state]) => (state === "install" ? [name.split(":")[0]!] : [])));
  },
  install: async (packageName) => {
    await run("apt-get", ["install", ...aptOptions, packageName], installMs);
  },
  remove: (packages) => removeTogether("dpkg", ["--purge"], packages),
  files: async (packageName) => (await run("dpkg-query", ["-L", packageName], askMs)).split("\n"),
};

const dnf: PackageManager = {
  name: "dnf",
  candidates: (program) => [program],
  installed: async () => new Set((await run("rpm", ["-qa", "--qf", "%{NAME}\\n"], askMs)).split("\n")),
  install: async (packageName) => {
    await run("dnf", ["install", "-y", "-q", "--setopt=install_weak_deps=False", packageName], installMs);
  },
  remove: (packages) => removeTogether("rpm", ["-e"], packages),
  files: async (packageName) => (await run("rpm", ["-ql", packageName], askMs)).split("\n"),
};

/** Null for a host with another one, or with none. */
export async function findPackageManager(): Promise<PackageManager | null> {
  const has = async (file: string): Promise<boolean> =>
    !(await execa(file, ["--version"], { reject: false, stdin: "ignore", timeout: askMs })).failed;
  if (await has("apt-get")) return apt;
  return (await has("dnf")) ? dnf : null;
}

/** Indexes that are older than the mirror have names of packages that are there no more. */
export async function refreshIndexes({ name }: PackageManager): Promise<void> {
  if (name === "apt-get") await run("apt-get", ["update", "-q"], installMs);
}

/** Neither dpkg nor rpm removes what another package needs: then the first one alone, which nothing else had asked for. */
async function removeTogether(tool: string, options: readonly string[], packages: readonly string[]): Promise<void> {
  const [first, ...others] = packages;
  if (first === undefined) return;
  try {
    await run(tool, [...options, ...packages], installMs);
  } catch (error) {
    if (others.length === 0) throw error;
    await run(tool, [...options, first], installMs);
    for (const each of others) await run(tool, [...options, each], installMs).catch(() => undefined);
  }
}

async function run(tool: string, given: readonly string[], timeoutMs: number): Promise<string> {
  const env = { DEBIAN_FRONTEND: "noninteractive", LC_ALL: "C.UTF-8" };
  const result = await execa(tool, given, { reject: false, timeout: timeoutMs, stdin: "ignore", env });
  if (!result.failed) return result.stdout;
  const lines = `${result.stdout}\n${result.stderr}`.trim().split("\n").slice(-linesInError).join("\n");
  throw new HaplanError("host/packages", `${tool} ${given.at(-1)} failed: ${lines || result.shortMessage}`);
}
