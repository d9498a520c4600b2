/**
 * A clock that moves while programs run: what a cluster starts from here on has the time of libfaketime, which reads
 * from a file how far ahead that is. Only the time of day moves; timers and timeouts go on as they were.
 */
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const library = ["x86_64", "aarch64"]
  .map((machine) => `/usr/lib/${machine}-linux-gnu/faketime/libfaketime.so.1`)
  .find((path) => existsSync(path));
export const faketimeInstalled: boolean = library !== undefined;

const dayMs = 86_400_000;

export class MovedClock {
  readonly #directory = mkdtempSync(join(tmpdir(), "haplan-clock-"));
  readonly #offset: string = join(this.#directory, "offset");
  readonly #node: string = process.execPath;
  #days = 0;

  /** Until `stop`, haplan starts programs with this Node.js. */
  constructor() {
    this.moveTo(0);
    const wrapper = join(this.#directory, "node");
    const environment = [
      `LD_PRELOAD=${library ?? ""}`,
      `FAKETIME_TIMESTAMP_FILE=${this.#offset}`,
      "FAKETIME_CACHE_DURATION=1",
      "FAKETIME_DONT_FAKE_MONOTONIC=1",
      "DONT_FAKE_MONOTONIC=1",
    ];
    writeFileSync(wrapper, `#!/bin/sh\nexport ${environment.join(" ")}\nexec ${this.#node} "$@"\n`);
    chmodSync(wrapper, 0o755);
    process.execPath = wrapper;
  }

  /** So far ahead of the right time; programs that run notice within a second or two. */
  moveTo(days: number): void {
    this.#days = days;
    writeFileSync(this.#offset, `+${days}d\n`);
  }

  /** The moved time, in milliseconds since the epoch. */
  now(): number {
    return Date.now() + this.#days * dayMs;
  }

  stop(): void {
    process.execPath = this.#node;
    rmSync(this.#directory, { recursive: true, force: true });
  }
}
