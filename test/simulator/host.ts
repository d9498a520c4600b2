/** A machine: a disk and a store that outlive its processes, and at most one process at a time. */
import type { Random } from "../../src/base/random.ts";
import { MemoryBackend } from "../../src/raft-agent/mvcc/backend/backend.fake.ts";
import type { MemberId } from "../../src/raft-agent/raft/entry.ts";
import { MemoryFileSystem } from "../../src/raft-agent/wal/file-system.fake.ts";
import type { MemberProcess } from "./member-process.ts";
import type { DiskProfile } from "./profile.ts";
import type { Life, SimulatedTime } from "./simulated-time.ts";

/**
 * `down` comes back by itself. `lost` never does: its disk is gone or damaged, and the member has to be replaced.
 * `retired` was removed from the cluster.
 */
export type HostState = "up" | "down" | "lost" | "retired";

export type DiskCopy = { readonly disk: MemoryFileSystem; readonly content: MemoryBackend };

export class Host {
  readonly id: MemberId;
  /** Founders of the cluster; null for a host whose member was added later. */
  readonly founders: readonly MemberId[] | null;
  disk: MemoryFileSystem = new MemoryFileSystem();
  content: MemoryBackend = new MemoryBackend();
  process: MemberProcess | null = null;
  /** Of the process, also while it starts. */
  life: Life | null = null;
  state: HostState = "down";
  /** The operator wants another machine in its place. */
  isLeaving = false;
  /** How far its wall clock is off. */
  clockOffsetMs = 0;
  /** A bit of its log was flipped: it may refuse to start. */
  wasFlipped = false;
  /** Its disk was put back to an older copy: it may find that entries are gone which it had acknowledged. */
  wasRolledBack = false;
  readonly #time: SimulatedTime;
  readonly #random: Random;
  readonly #profile: DiskProfile;
  #stalledUntilMs = 0;
  #failNextSync = false;
  /** Processes so far: a disk operation of an earlier one fails. */
  #life = 0;

  constructor(
    id: MemberId,
    founders: readonly MemberId[] | null,
    parts: { readonly time: SimulatedTime; readonly random: Random; readonly profile: DiskProfile },
  ) {
    this.id = id;
    this.founders = founders;
    this.#time = parts.time;
    this.#random = parts.random;
    this.#profile = parts.profile;
    this.#watchDisk();
  }

  /** What is on the disk now, for `rollBack`. */
  copyDisk(): DiskCopy {
    return { disk: this.disk.clone(), content: this.content.afterCrash() };
  }

  /** An older copy takes the place of what is on the disk of a machine that is off. */
  rollBack({ disk, content }: DiskCopy): void {
    this.disk = disk;
    this.content = content;
    this.wasRolledBack = true;
    this.#watchDisk();
  }

  #watchDisk(): void {
    this.disk.faults.before = (operation) => this.#before(operation);
  }

  /** The plug is pulled: what was not synced is lost, sector by sector as the dice say. */
  losePower(): void {
    this.#endProcess();
    this.disk.crash(this.#random);
  }

  /** The process ends, the machine goes on: what was written stays in the page cache. */
  endProcess(): void {
    this.#endProcess();
    this.disk.kill();
  }

  #endProcess(): void {
    this.#life++;
    this.process = null;
    this.state = "down";
    this.#failNextSync = false;
    this.content = this.content.afterCrash();
  }

  stallDisk(forMs: number): void {
    this.#stalledUntilMs = Math.max(this.#stalledUntilMs, this.#time.nowMs + forMs);
  }

  failNextSync(): void {
    this.#failNextSync = true;
  }

  /** Nothing more fits; what is there can still be overwritten. */
  fillDisk(): void {
    this.disk.faults.capacityBytes = 0;
  }

  repairDisk(): void {
    delete this.disk.faults.capacityBytes;
    this.#stalledUntilMs = 0;
    this.#failNextSync = false;
  }

  /** As long as a sync takes now. Never resolves when the process has ended meanwhile. */
  waitForDisk(): Promise<void> {
    const life = this.#life;
    return new Promise((resolve) => {
      this.#time.after(this.#syncDelayMs(), () => {
        if (life === this.#life) resolve();
      });
    });
  }

  async #before(operation: string): Promise<void> {
    if (operation !== "sync" && operation !== "syncDir") return;
    const life = this.#life;
    await new Promise<void>((resolve) => this.#time.after(this.#syncDelayMs(), resolve));
    if (life !== this.#life) throw systemError("EIO: a process that is no more");
    if (!this.#failNextSync || operation !== "sync") return;
    this.#failNextSync = false;
    throw systemError("EIO: the disk failed");
  }

  #syncDelayMs(): number {
    const { syncMs, syncJitterMs } = this.#profile;
    const usual = syncMs + this.#random.next() ** 3 * syncJitterMs;
    return Math.max(usual, this.#stalledUntilMs - this.#time.nowMs);
  }
}

function systemError(text: string): Error {
  return Object.assign(new Error(text), { code: "EIO" });
}
