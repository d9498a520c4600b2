/** An `ssh` on the path that runs the system's own, and counts its runs and the requests that haplan sends through each. */
import { execFileSync } from "node:child_process";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export class CountedSsh implements Disposable {
  /** For the environment of haplan. */
  readonly path: string;
  readonly #directory: string;

  constructor() {
    this.#directory = mkdtempSync(join(tmpdir(), "haplan-counted-ssh-"));
    const bin = mkdtempSync(join(this.#directory, "bin-"));
    const real = execFileSync("sh", ["-c", "command -v ssh"], { encoding: "utf8" }).trim();
    const script = `#!/bin/sh\ntee "${this.#directory}/requests-$$" | "${real}" "$@"\n`;
    writeFileSync(join(bin, "ssh"), script);
    chmodSync(join(bin, "ssh"), 0o755);
    this.path = `${bin}:${process.env["PATH"]}`;
  }

  /** How many requests went through each run of ssh: one line is one request. */
  requests(): readonly number[] {
    const files = readdirSync(this.#directory).filter((name) => name.startsWith("requests-"));
    return files.map((name) => readFileSync(join(this.#directory, name), "utf8").split("\n").length - 1);
  }

  [Symbol.dispose](): void {
    rmSync(this.#directory, { recursive: true, force: true });
  }
}
