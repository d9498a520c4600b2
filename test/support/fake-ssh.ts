/** An `ssh` of the test's, in a directory that is the first one of this process's PATH until it is removed. */
import { mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export class FakeSsh {
  /** Has the program, and whatever the test puts there. */
  readonly directory: string = realpathSync(mkdtempSync(join(tmpdir(), "haplan-fake-ssh-")));
  readonly #path = process.env["PATH"];

  constructor() {
    process.env["PATH"] = `${this.directory}:${this.#path}`;
  }

  /** From now on `ssh` is this script, with `$command`, which is the last argument, and `$host`, which is the one before. */
  runs(script: string): void {
    const text = `#!/bin/sh\nwhile [ $# -gt 1 ]; do host=$1; shift; done\ncommand=$1\n${script}\n`;
    writeFileSync(join(this.directory, "ssh"), text, { mode: 0o755 });
  }

  remove(): void {
    process.env["PATH"] = this.#path;
    rmSync(this.directory, { recursive: true });
  }
}
