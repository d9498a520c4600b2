/** A machine: a disk and a store that outlive its processes, and at most one process at a time. */
import type { Random } from "../../src/base/random.ts";
import { MemoryBackend } from "../../src/raft-agent/mvcc/backend/backend.fake.ts";
import type { MemberId } from "../../src/raft-agent/raft/entry.ts";
import { MemoryFileSystem } from "../../src/raft-agent/wal/file-system.fake.ts";
import type { MemberProcess } from "./member-process.ts";
import type { DiskProfile } from "./profile.ts";
import { newerVersion } from "./releases.ts";
import type { Life, SimulatedTime } from "./simulated-time.ts";

/**
 * `down` comes back by itself. `lost` never does: its disk is lost or damaged, and the member has to be replaced.
 * `retired` was removed from the cluster.
 */
export type HostState = "up" | "down" | "lost" | "retired";

export type DiskCopy = { readonly disk: MemoryFileSystem; readonly content: MemoryBackend };

export class Host {
  readonly id: MemberId;
  /** The initial members of the cluster; null for a host whose member was added later. */
  readonly initialMembers: readonly MemberId[] | null;
  disk: MemoryFileSystem = new MemoryFileSystem();
  content: MemoryBackend = new MemoryBackend();
  process: MemberProcess | null = null;
  /** The current process, also while it starts. */
  life: Life | null = null;
  state: HostState = "down";
  /** The operator wants to replace it with another machine. */
  isLeaving = false;
  /** The offset of its wall clock. */
  clockOffsetMs = 0;
  /** The highest protocol version that the installed program supports. */
  version: number = newerVersion;
  /** When its last process joined the network; null before the first one. */
  runsSinceMs: number | null = null;
  /** A bit of its log was flipped: it may reject its log and not start. */
  wasFlipped = false;
  /** Its disk was restored from an older copy: it may have lost acknowledged entries. */
  wasRolledBack = false;
  readonly #time: SimulatedTime;
  readonly #random: Random;
  readonly #profile: DiskProfile;
  #stalledUntilMs = 0;
  #failNextSync = false;
  /** The number of processes so far: disk operations of earlier ones fail. */
  #life = 0;

  constructor(
    id: MemberId,
    initialMembers: readonly MemberId[] | null,
    parts: { readonly time: SimulatedTime; readonly random: Random; readonly profile: DiskProfile },
  ) {
    this.id = id;
    this.initialMembers = initialMembers;
    this.#time = parts.time;
    this.#random = parts.random;
    this.#profile = parts.profile;
    this.#watchDisk();
  }

  /** Copies the current disk, for `rollBack`. */
  copyDisk(): DiskCopy {
    return { disk: this.disk.clone(), content: this.content.afterCrash() };
  }

  /** Restores an older copy of the disk of a stopped machine. */
  rollBack({ disk, content }: DiskCopy): void {
    this.disk = disk;
    this.content = content;
    this.wasRolledBack = true;
    this.#watchDisk();
  }

  #watchDisk(): void {
    this.disk.faults.before = (operation) => this.#before(operation);
  }

  /** Simulates a power loss: unsynced sectors are lost at random. */
  losePower(): void {
    this.#endProcess();
    this.disk.crash(this.#random);
  }

  /** The process ends, the machine keeps running: written data stays in the page cache. */
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

  /** Nothing more fits; existing data can still be overwritten. */
  fillDisk(): void {
    this.disk.faults.capacityBytes = 0;
  }

  repairDisk(): void {
    delete this.disk.faults.capacityBytes;
    this.#stalledUntilMs = 0;
    this.#failNextSync = false;
  }

  /** Takes as long as a sync. Never resolves when the process has ended meanwhile. */
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
    if (life !== this.#life) throw systemError("EIO: the process is dead");
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
