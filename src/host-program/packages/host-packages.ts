/**
 * Packages that haplan has installed on this host, with the machines that need them. A package that was there before is
 * never recorded, and never removed.
 */
import { existsSync, readFileSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { makeDirDurably, writeFileDurably } from "../../base/durable-file.ts";
import { HaplanError } from "../../base/haplan-error.ts";
import { withDirectoryLock } from "./directory-lock.ts";
import { findPackageManager, type PackageManager, refreshIndexes } from "./package-manager.ts";
import { disableServices, withoutServices } from "./service-policy.ts";

/** Beside the clusters. */
export const packagesFile = ".packages.json";

type InstalledProgram = {
  /** The package of the program, and then those that came with it. */
  readonly packages: readonly string[];
  /** `cluster/machine` each. */
  readonly users: readonly string[];
};

type PackageRecord = { readonly [program: string]: InstalledProgram };

export type HostPackagesOptions = {
  /** The directory of all clusters. */
  readonly clusters: string;
  /** The path of a program on this host; null if there is none. */
  readonly find: (program: string) => string | null;
  readonly manager?: () => Promise<PackageManager | null>;
  /** Runs an installation while no service of a package is started. */
  readonly guard?: (install: () => Promise<void>) => Promise<void>;
};

export class HostPackages {
  readonly #options: Required<HostPackagesOptions>;

  constructor({ manager = findPackageManager, guard = withoutServices, ...options }: HostPackagesOptions) {
    this.#options = { ...options, manager, guard };
  }

  /**
   * Installs programs that are missing, for `user`. Does nothing for those that are there.
   * @throws HaplanError `host/packages`
   */
  install(user: string, programs: readonly string[]): Promise<void> {
    if (programs.every((program) => this.#isForeign(program))) return Promise.resolve();
    return this.#inTurn(async () => {
      for (const program of programs) await this.#install(user, program);
    });
  }

  /** `user` needs nothing any more: removes what haplan has installed and no other machine needs. */
  release(user: string): Promise<void> {
    if (!existsSync(join(this.#options.clusters, packagesFile))) return Promise.resolve();
    return this.#inTurn(async () => {
      for (const [program, { users, packages }] of Object.entries(this.#read())) {
        if (!users.includes(user)) continue;
        const left = users.filter((each) => each !== user);
        if (left.length === 0) await this.#remove(packages);
        this.#write(program, left.length === 0 ? null : { packages, users: left });
      }
    });
  }

  /** It was there before haplan: nothing is to be recorded. */
  #isForeign(program: string): boolean {
    return this.#read()[program] === undefined && this.#options.find(program) !== null;
  }

  /** One after the other, of all processes on this host: each cluster has one of its own. */
  #inTurn(work: () => Promise<void>): Promise<void> {
    return withDirectoryLock(this.#options.clusters, work);
  }

  async #install(user: string, program: string): Promise<void> {
    const known = this.#read()[program];
    const users = [...new Set([...(known?.users ?? []), user])].sort();
    if (this.#options.find(program) !== null) {
      if (known !== undefined) this.#write(program, { ...known, users });
      return;
    }
    const manager = await this.#manager(program);
    const before = await manager.installed();
    const name = await this.#installAny(manager, program, (candidate) => {
      // Recorded first: a run that is cut short leaves no package that nothing knows of.
      const packages = [...(known?.packages ?? []), ...(candidate === null ? [] : [candidate])];
      this.#write(program, packages.length === 0 ? null : { packages, users });
    });
    const added = [...(await manager.installed())].filter((each) => !before.has(each)).sort();
    this.#write(program, { packages: [...new Set([name, ...(known?.packages ?? []), ...added])], users });
    await disableServices(await manager.files(name));
    if (this.#options.find(program) === null)
      throw new HaplanError("host/packages", `Package ${name} is installed, but has no program "${program}"`);
  }

  /** The first candidate that the manager knows; with fresh indexes if it knows none. */
  async #installAny(
    manager: PackageManager,
    program: string,
    record: (candidate: string | null) => void,
  ): Promise<string> {
    const names = manager.candidates(program);
    let failure: unknown;
    for (const fresh of [false, true]) {
      if (fresh) await refreshIndexes(manager).catch(() => undefined);
      for (const name of names) {
        record(name);
        try {
          await this.#options.guard(() => manager.install(name));
          return name;
        } catch (error) {
          failure ??= error;
        }
      }
    }
    record(null);
    throw failure;
  }

  async #manager(program: string): Promise<PackageManager> {
    const manager = await this.#options.manager();
    if (manager !== null) return manager;
    const text = `Program "${program}" does not exist, and this host has neither apt-get nor dnf: install it by hand`;
    throw new HaplanError("host/packages", text);
  }

  async #remove(packages: readonly string[]): Promise<void> {
    const manager = await this.#options.manager();
    const installed = await manager?.installed();
    await manager?.remove(packages.filter((name) => installed?.has(name)));
  }

  #read(): PackageRecord {
    const path = join(this.#options.clusters, packagesFile);
    return existsSync(path) ? (JSON.parse(readFileSync(path, "utf8")) as PackageRecord) : {};
  }

  #write(program: string, entry: InstalledProgram | null): void {
    const path = join(this.#options.clusters, packagesFile);
    const { [program]: _, ...others } = this.#read();
    const record: PackageRecord = entry === null ? others : { ...others, [program]: entry };
    if (Object.keys(record).length === 0) {
      rmSync(path, { force: true });
      return;
    }
    makeDirDurably(dirname(path));
    writeFileDurably(path, `${JSON.stringify(record, null, 2)}\n`);
  }
}
