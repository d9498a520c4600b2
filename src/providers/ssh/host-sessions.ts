/** One session with each host, which is opened when it is first needed and again where it was lost. */
import { createHash } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { writeFileDurably } from "../../base/durable-file.ts";
import { HaplanError } from "../../base/haplan-error.ts";
import { type ChangingRun, lockLeaseMs, renewLockMs } from "../../host/changing-run.ts";
import type { HostClient } from "../../host/host-client.ts";
import type { ProviderOptions } from "../provider-options.ts";
import { lockLostOn, takeLock } from "./held-lock.ts";
import type { KnownHost } from "./host-directory.ts";
import { type HostRequest, type HostSession, openHostSession } from "./host-session.ts";
import { pinnedName, type SshFiles } from "./ssh-target.ts";
import type { Become, Host } from "./upload-artifact.ts";

/** A host that was not reached is not tried again sooner: each attempt takes as long as ssh waits. */
const retryAfterMs = 30_000;
/** ssh bounds the connection, but neither the login nor a jump host, a proxy command or a shell that says nothing. */
const openTimeoutMs = 30_000;

type Options = Pick<ProviderOptions, "spec" | "clock" | "signal" | "log">;
type HeldFor = { readonly run: ChangingRun; readonly timeoutMs: number };
type HostTarget = Pick<KnownHost, "key" | "target">;

export class HostSessions {
  readonly #options: Options;
  readonly #sessions: Map<string, Promise<HostSession | null>> = new Map();
  readonly #failures: Map<string, { readonly error: unknown; readonly untilMs: number }> = new Map();
  /** Sessions that hold the lock of their hosts, or are about to. */
  readonly #locked: WeakMap<HostClient, Promise<void>> = new WeakMap();
  /** Hosts whose locks this run holds: when it last did for certain, and what renews them. */
  readonly #renewals: Map<string, { heldAtMs: number; readonly timer: NodeJS.Timeout }> = new Map();
  readonly #closed = new AbortController();
  #lock: HeldFor | null = null;
  #scratch: Promise<string> | null = null;

  constructor(options: Options) {
    this.#options = options;
  }

  /** From now on, each session holds the lock of its host for this run; waits `timeoutMs` for another run. */
  lockFor(run: ChangingRun, timeoutMs: number): void {
    this.#lock = { run, timeoutMs };
  }

  /** The session with a host; null where haplan is not installed. @throws HaplanError `ssh/...`, `lock/held`, `lock/lost` */
  async find(host: HostTarget, signal: AbortSignal | undefined): Promise<HostClient | null> {
    const client = await this.#find(host, signal);
    if (client === null || this.#lock === null) return client;
    const locked = this.#locked.get(client) ?? this.#hold(client, host, this.#lock);
    await untilAborted(locked, signal);
    return client;
  }

  /** Several calls may wait for it. */
  #hold(client: HostClient, host: HostTarget, lock: HeldFor): Promise<void> {
    const held = this.#take(client, host, lock);
    this.#locked.set(client, held);
    held.catch(() => this.#locked.delete(client));
    return held;
  }

  /** Its own clock may have stood still while it was cut off, so that the time of day counts. */
  async #take(client: HostClient, host: HostTarget, lock: HeldFor): Promise<void> {
    const { clock, signal } = this.#options;
    const known = this.#renewals.get(host.key);
    if (known !== undefined && clock.now() - known.heldAtMs > lockLeaseMs) throw lockLostOn(host.target.host);
    const isHeld = await takeLock(client, { ...lock, host: host.target.host, clock }, signal);
    if (!isHeld) return;
    if (known !== undefined) known.heldAtMs = clock.now();
    else {
      const timer = setInterval(() => void this.#renew(host, lock.run).catch(() => undefined), renewLockMs).unref();
      this.#renewals.set(host.key, { heldAtMs: clock.now(), timer });
    }
  }

  /** A session that was lost is opened again for it. */
  async #renew(host: HostTarget, run: ChangingRun): Promise<void> {
    await (await this.find(host, undefined))?.lock(run);
    const known = this.#renewals.get(host.key);
    if (known !== undefined) known.heldAtMs = this.#options.clock.now();
  }

  #endRenewal(key: string): void {
    clearInterval(this.#renewals.get(key)?.timer);
    this.#renewals.delete(key);
  }

  async #find(host: HostTarget, signal: AbortSignal | undefined): Promise<HostClient | null> {
    const known = this.#sessions.get(host.key);
    if (known !== undefined && !(await isLost(known))) return (await known)?.client ?? null;
    const failed = this.#failures.get(host.key);
    if (failed !== undefined && this.#options.clock.monotonicMs() < failed.untilMs) throw failed.error;
    const opened = this.#open(host);
    this.#sessions.set(host.key, opened);
    opened.catch((error: unknown) => {
      this.#sessions.delete(host.key);
      this.#failures.set(host.key, { error, untilMs: this.#options.clock.monotonicMs() + retryAfterMs });
    });
    const session = await untilAborted(opened, signal);
    if (session === null && this.#sessions.get(host.key) === opened) this.#sessions.delete(host.key);
    return session?.client ?? null;
  }

  /** @throws HaplanError `provider/no-machine` where haplan is not installed, `ssh/...` */
  async get(host: HostTarget, signal: AbortSignal | undefined): Promise<HostClient> {
    const session = await this.find(host, signal);
    if (session === null)
      throw new HaplanError("provider/no-machine", `haplan is not installed on ${host.target.host}`);
    return session;
  }

  /** What an ssh of its own to the host needs. */
  async reach({ key, target }: HostTarget, signal: AbortSignal | undefined): Promise<Host> {
    return { target, files: await this.#files({ key, target }), become: this.#become(), signal };
  }

  /** What an ssh of its own needs that runs haplan-host for this cluster. */
  async request(host: HostTarget, signal: AbortSignal | undefined): Promise<HostRequest> {
    return { ...(await this.reach(host, signal)), cluster: this.#options.spec.name };
  }

  /** What a session failed with before, such as programs that were missing, no longer holds. */
  retry({ key }: HostTarget): void {
    this.#failures.delete(key);
  }

  /** Later calls open a session of their own. Those under way, of other machines on the host, are finished. */
  async finish({ key }: HostTarget): Promise<void> {
    this.#endRenewal(key);
    const session = this.#sessions.get(key);
    this.#sessions.delete(key);
    await session?.then((open) => open?.finish(this.#options.signal)).catch(() => undefined);
  }

  /** The host is gone: another one may be reached in the same way. */
  async forget(host: HostTarget): Promise<void> {
    this.#endRenewal(host.key);
    const session = this.#sessions.get(host.key);
    this.#sessions.delete(host.key);
    this.retry(host);
    await session?.then((open) => open?.close()).catch(() => undefined);
  }

  /** A session that is still being opened is given up. */
  async close(): Promise<void> {
    this.#closed.abort(new HaplanError("provider/aborted", "The run has ended"));
    for (const key of [...this.#renewals.keys()]) this.#endRenewal(key);
    const sessions = [...this.#sessions.values()];
    this.#sessions.clear();
    await Promise.all(sessions.map((session) => session.then((open) => open?.close()).catch(() => undefined)));
    if (this.#scratch !== null) await rm(await this.#scratch, { recursive: true, force: true });
  }

  /** Several calls may wait for it: it goes on when one of them is given up. */
  async #open(host: HostTarget): Promise<HostSession | null> {
    const { log, signal, clock } = this.#options;
    const opened = new AbortController();
    const given = new AbortController();
    const giveUp = clock.sleep(openTimeoutMs, opened.signal).then(() => given.abort(openedTooLate(host)));
    giveUp.catch(() => undefined);
    const until = AbortSignal.any([signal, this.#closed.signal, given.signal]);
    const session = await openHostSession(await this.request(host, until)).finally(() => opened.abort());
    log("ssh session", {
      host: host.target.host,
      installed: session !== null,
      version: session?.client.greeting.version ?? "",
    });
    return session;
  }

  #become(): Become {
    return this.#options.spec.provider["become"] as Become;
  }

  /** The pinned key is given to ssh as a file. */
  async #files({ key, target }: HostTarget): Promise<SshFiles> {
    if (target.hostKey === null) return { knownHostsFile: null };
    this.#scratch ??= mkdtemp(join(tmpdir(), "haplan-ssh-"));
    const knownHostsFile = join(await this.#scratch, createHash("sha256").update(key).digest("hex"));
    writeFileDurably(knownHostsFile, `${pinnedName} ${target.hostKey}\n`);
    return { knownHostsFile };
  }
}

function openedTooLate({ target: { host } }: HostTarget): HaplanError {
  const seconds = openTimeoutMs / 1000;
  return new HaplanError("ssh/timed-out", `${host} did not answer within ${seconds} s: no session was opened over ssh`);
}

/** The result of work that others wait for as well. @throws the reason of `signal` */
export function untilAborted<Result>(work: Promise<Result>, signal: AbortSignal | undefined): Promise<Result> {
  if (signal === undefined) return work;
  const settled = new AbortController();
  const aborted = new Promise<never>((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener("abort", () => reject(signal.reason), { once: true, signal: settled.signal });
  });
  return Promise.race([work, aborted]).finally(() => settled.abort());
}

async function isLost(session: Promise<HostSession | null>): Promise<boolean> {
  return (await session.catch(() => null))?.client.isLost ?? true;
}
