/** A package manager in memory: of each package, the programs that it has and the packages that come with it. */
import { setTimeout as sleep } from "node:timers/promises";
import { HaplanError } from "../../base/haplan-error.ts";
import type { PackageManager } from "./package-manager.ts";

export type FakePackage = { readonly programs: readonly string[]; readonly needs?: readonly string[] };

export class FakePackageManager implements PackageManager {
  readonly name = "fake";
  readonly present: Set<string>;
  /** How long an installation takes. */
  pauseMs = 0;
  readonly #known: ReadonlyMap<string, FakePackage>;
  readonly #names: ReadonlyMap<string, readonly string[]>;

  constructor(
    present: readonly string[],
    known: { readonly [name: string]: FakePackage },
    names: { readonly [program: string]: readonly string[] } = {},
  ) {
    this.present = new Set(present);
    this.#known = new Map(Object.entries(known));
    this.#names = new Map(Object.entries(names));
  }

  candidates(program: string): readonly string[] {
    return this.#names.get(program) ?? [program];
  }

  async installed(): Promise<ReadonlySet<string>> {
    return new Set(this.present);
  }

  async install(packageName: string): Promise<void> {
    const found = this.#known.get(packageName);
    await sleep(this.pauseMs);
    if (found === undefined) throw new HaplanError("host/packages", `there is no package ${packageName}`);
    for (const each of [packageName, ...(found.needs ?? [])]) this.present.add(each);
  }

  async remove(packages: readonly string[]): Promise<void> {
    for (const each of packages) this.present.delete(each);
  }

  async files(): Promise<readonly string[]> {
    return [];
  }

  find(program: string): string | null {
    const holder = [...this.present].find((name) => this.#known.get(name)?.programs.includes(program));
    return holder === undefined ? null : `/usr/bin/${program}`;
  }
}
