/** The release of etcd that the spec names, for masters: a file of this machine. */
import { resolve } from "node:path";
import { firstEntry } from "../../artifact/first-entry.ts";
import { fileDigest } from "../../artifact/given-artifact.ts";
import type { Diagnostic } from "../../base/diagnostic.ts";
import { errorText, HaplanError } from "../../base/haplan-error.ts";
import { ownMasters } from "../../spec/machine-hosts.ts";
import type { ProviderOptions } from "../provider-options.ts";

export class EtcdArchive {
  /** Where its etcd is on a master. */
  readonly binary: string;
  readonly version: string;
  readonly #path: string;
  readonly #sha256: string;
  readonly #masters: ReadonlySet<string>;
  #checking: Promise<void> | null = null;

  /** Null if masters have an etcd, or need none. */
  static of({ spec, cwd }: Pick<ProviderOptions, "spec" | "cwd">): EtcdArchive | null {
    const { etcd } = spec.controlPlane;
    if (etcd?.archive === undefined) return null;
    const { binary, version, archive } = etcd;
    const masters = ownMasters(spec).map(({ name }) => name);
    return new EtcdArchive({ binary, version, path: resolve(cwd, archive.file), sha256: archive.sha256, masters });
  }

  private constructor(found: {
    readonly binary: string;
    readonly version: string;
    readonly path: string;
    readonly sha256: string;
    readonly masters: readonly string[];
  }) {
    this.binary = found.binary;
    this.version = found.version;
    this.#path = found.path;
    this.#sha256 = found.sha256.toLowerCase();
    this.#masters = new Set(found.masters);
  }

  isFor(machines: readonly string[]): boolean {
    return machines.some((name) => this.#masters.has(name));
  }

  /** @throws HaplanError `etcd/archive` if it is not what the spec says */
  async file(): Promise<string> {
    this.#checking ??= this.#check();
    await this.#checking;
    return this.#path;
  }

  /** What is wrong with it; nothing if these machines do not need it. */
  async diagnose(machines: readonly string[]): Promise<readonly Diagnostic[]> {
    if (!this.isFor(machines)) return [];
    try {
      await this.file();
      return [];
    } catch (error) {
      if (!(error instanceof HaplanError)) throw error;
      const [summary = "", ...detail] = error.message.split("\n");
      return [{ severity: "error", code: error.code, summary, detail: detail.join("\n") }];
    }
  }

  async #check(): Promise<void> {
    const found = await fileDigest(this.#path).catch((error: unknown) => {
      throw unfit(`Cannot read the archive of etcd\n${this.#path}: ${errorText(error)}`);
    });
    if (found !== this.#sha256)
      throw unfit(
        `The archive of etcd is another file than the spec says\n${this.#path} has the SHA-256 digest ${found}, and etcd.archive.sha256 is ${this.#sha256}. Use the file that was meant, or correct the digest.`,
      );
    const first = await firstEntry(this.#path).catch((error: unknown) => {
      throw unfit(`The archive of etcd cannot be unpacked\n${this.#path}: ${errorText(error)}`);
    });
    const [, version] = /^etcd-v([0-9.]+)-linux-/.exec(first) ?? [];
    if (version !== undefined && version !== this.version)
      throw unfit(
        `The archive of etcd has another version than the spec says\n${this.#path} is of etcd ${version}, and etcd.version is ${this.version}.`,
      );
  }
}

function unfit(text: string): HaplanError {
  return new HaplanError("etcd/archive", text);
}
