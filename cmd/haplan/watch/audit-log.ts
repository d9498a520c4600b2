/** The audit log of `haplan watch`: every act as a line of JSON, on disk before anything else happens. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Clock } from "../../../src/base/clock.ts";
import { appendDurably } from "../../../src/base/durable-file.ts";
import { systemErrorCode } from "../../../src/base/haplan-error.ts";
import type { Json } from "../../../src/base/json.ts";
import { type PastRepair, pastRepairs } from "./past-repairs.ts";

export type AuditEvent =
  | "started"
  | "active"
  | "standby"
  | "finding"
  | "resolved"
  | "repair"
  | "repaired"
  | "failed"
  | "trouble"
  | "stopped";

export type AuditRecord = {
  readonly event: AuditEvent;
  readonly message: string;
  readonly address?: string;
  readonly [detail: string]: Json | undefined;
};

export type WrittenRecord = AuditRecord & { readonly time: string; readonly pid: number };

export function auditFile(directory: string): string {
  return join(directory, "watch.jsonl");
}

export class AuditLog {
  readonly #path: string;
  readonly #clock: Clock;
  #isTorn: boolean;

  constructor(path: string, clock: Clock) {
    this.#path = path;
    this.#clock = clock;
    const text = readLog(path);
    this.#isTorn = text !== "" && !text.endsWith("\n");
  }

  /** Returns once it is on disk. @throws the system's error */
  append(record: AuditRecord): WrittenRecord {
    const written = { time: new Date(this.#clock.now()).toISOString(), pid: process.pid, ...record };
    // What a crash has left of the last line ends there.
    appendDurably(this.#path, `${this.#isTorn ? "\n" : ""}${JSON.stringify(written)}\n`);
    this.#isTorn = false;
    return written;
  }

  /** Also those of watchers before this one. */
  repairsSince(sinceMs: number): readonly PastRepair[] {
    return pastRepairs(readLog(this.#path).split("\n")).filter(({ atMs }) => atMs >= sinceMs);
  }
}

function readLog(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return "";
    throw error;
  }
}
