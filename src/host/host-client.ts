/**
 * haplan's end of a session with a host: calls over a pair of streams, whatever carries them. The streams are usually those of
 * an ssh that runs haplan-host.
 */
import type { Readable, Writable } from "node:stream";
import { errorText, HaplanError } from "../base/haplan-error.ts";
import type { HostArguments, HostCallName, HostCalls, HostRequest, HostResults } from "./host-calls.ts";
import {
  decodeAnswer,
  decodeGreeting,
  decodeResult,
  encodeRequest,
  type HostGreeting,
  lineBytesMax,
} from "./host-protocol.ts";
import { splitLines } from "./split-lines.ts";

export type HostStreams = {
  /** What haplan-host writes to its standard output. */
  readonly fromHost: Readable;
  /** Its standard input. */
  readonly toHost: Writable;
  /** Says why the connection ended, once it has: what ssh wrote, or its exit code. Empty where nothing is known. */
  readonly whyEnded?: () => Promise<string>;
};

type Waiting = { readonly settle: (result: unknown) => void; readonly fail: (error: Error) => void };

export class HostClient implements HostCalls {
  readonly greeting: HostGreeting;
  readonly #streams: HostStreams;
  readonly #waiting: Map<number, Waiting> = new Map();
  readonly #ended: Promise<void>;
  #lost: HaplanError | null = null;
  #lastId = 0;

  private constructor(streams: HostStreams, greeting: HostGreeting, lines: AsyncGenerator<string>) {
    this.#streams = streams;
    this.greeting = greeting;
    this.#ended = this.#readAnswers(lines);
    this.#ended.catch(() => undefined);
  }

  /**
   * Waits for the host's greeting.
   * @throws HaplanError `provider/connection-lost` or `provider/bad-greeting`, and the reason of `signal`
   */
  static async open(streams: HostStreams, signal?: AbortSignal): Promise<HostClient> {
    // An error of this stream shows as the end of the other one.
    streams.toHost.on("error", () => undefined);
    const lines = splitLines(streams.fromHost, lineBytesMax);
    const giveUp = (): void => void streams.fromHost.destroy();
    signal?.addEventListener("abort", giveUp, { once: true });
    try {
      signal?.throwIfAborted();
      const first = await lines.next();
      if (first.done === true) throw await lostBecause(streams);
      return new HostClient(streams, decodeGreeting(first.value), lines);
    } catch (error) {
      streams.toHost.end();
      streams.fromHost.destroy();
      signal?.throwIfAborted();
      throw error instanceof HaplanError ? error : await lostBecause(streams, error);
    } finally {
      signal?.removeEventListener("abort", giveUp);
    }
  }

  /** True once the connection has ended: every later call rejects. */
  get isLost(): boolean {
    return this.#lost !== null;
  }

  facts(signal?: AbortSignal): Promise<HostResults["facts"]> {
    return this.#call("facts", [], signal);
  }

  lock(...[run, signal]: Parameters<HostCalls["lock"]>): Promise<HostResults["lock"]> {
    return this.#call("lock", [run], signal);
  }

  observe(...[lineage, names, signal]: Parameters<HostCalls["observe"]>): Promise<HostResults["observe"]> {
    return this.#call("observe", [lineage, names], signal);
  }

  observeOrphans(signal?: AbortSignal): Promise<HostResults["observeOrphans"]> {
    return this.#call("observeOrphans", [], signal);
  }

  preflight(...[request, signal]: Parameters<HostCalls["preflight"]>): Promise<HostResults["preflight"]> {
    return this.#call("preflight", [request], signal);
  }

  installPackages(...[machine, programs, signal]: Parameters<HostCalls["installPackages"]>): Promise<void> {
    return this.#call("installPackages", [machine, programs], signal);
  }

  createMachine(...[machine, signal]: Parameters<HostCalls["createMachine"]>): Promise<HostResults["createMachine"]> {
    return this.#call("createMachine", [machine], signal);
  }

  renameMachine(...[from, to, signal]: Parameters<HostCalls["renameMachine"]>): Promise<void> {
    return this.#call("renameMachine", [from, to], signal);
  }

  destroyMachine(...[machine, signal]: Parameters<HostCalls["destroyMachine"]>): Promise<void> {
    return this.#call("destroyMachine", [machine], signal);
  }

  startUnit(...[machine, unit, signal]: Parameters<HostCalls["startUnit"]>): Promise<HostResults["startUnit"]> {
    return this.#call("startUnit", [machine, unit], signal);
  }

  revertUnit(...[machine, unit, signal]: Parameters<HostCalls["revertUnit"]>): Promise<HostResults["revertUnit"]> {
    return this.#call("revertUnit", [machine, unit], signal);
  }

  stopUnit(...[machine, unit, graceMs, signal]: Parameters<HostCalls["stopUnit"]>): Promise<void> {
    return this.#call("stopUnit", [machine, unit, graceMs], signal);
  }

  disturbUnit(...[machine, unit, fault]: Parameters<HostCalls["disturbUnit"]>): Promise<void> {
    return this.#call("disturbUnit", [machine, unit, fault], undefined);
  }

  restoreData(...[machine, request, signal]: Parameters<HostCalls["restoreData"]>): Promise<void> {
    return this.#call("restoreData", [machine, request], signal);
  }

  readData(...[machine, request, signal]: Parameters<HostCalls["readData"]>): Promise<string> {
    return this.#call("readData", [machine, request], signal);
  }

  exportData(...[machine, request, signal]: Parameters<HostCalls["exportData"]>): Promise<void> {
    return this.#call("exportData", [machine, request], signal);
  }

  removeUnit(...[machine, unit, signal]: Parameters<HostCalls["removeUnit"]>): Promise<void> {
    return this.#call("removeUnit", [machine, unit], signal);
  }

  unitLog(...[machine, unit, lines, signal]: Parameters<HostCalls["unitLog"]>): Promise<string> {
    return this.#call("unitLog", [machine, unit, lines], signal);
  }

  readUnitFile(...[machine, unit, path, signal]: Parameters<HostCalls["readUnitFile"]>): Promise<string | null> {
    return this.#call("readUnitFile", [machine, unit, path], signal);
  }

  answersLocally(...[machine, unit, url, signal]: Parameters<HostCalls["answersLocally"]>): Promise<boolean> {
    return this.#call("answersLocally", [machine, unit, url], signal);
  }

  askUnit(...[machine, unit, socket, question, signal]: Parameters<HostCalls["askUnit"]>): Promise<string | null> {
    return this.#call("askUnit", [machine, unit, socket, question], signal);
  }

  runTask(...[machine, unit, task, signal]: Parameters<HostCalls["runTask"]>): Promise<string> {
    return this.#call("runTask", [machine, unit, task], signal);
  }

  startTask(...[machine, unit, task, signal]: Parameters<HostCalls["startTask"]>): Promise<void> {
    return this.#call("startTask", [machine, unit, task], signal);
  }

  taskReport(
    ...[machine, unit, task, signal]: Parameters<HostCalls["taskReport"]>
  ): Promise<HostResults["taskReport"]> {
    return this.#call("taskReport", [machine, unit, task], signal);
  }

  /** Lets the calls under way finish, and resolves once the host has ended. */
  async close(): Promise<void> {
    this.#streams.toHost.end();
    await this.#ended;
  }

  /** A call whose signal is aborted rejects at once; the host may still carry it out. */
  #call<Call extends HostCallName>(
    call: Call,
    given: HostArguments[Call],
    signal: AbortSignal | undefined,
  ): Promise<HostResults[Call]> {
    const id = (this.#lastId += 1);
    return new Promise((resolve, reject) => {
      if (this.#lost !== null) return reject(this.#lost);
      if (signal?.aborted) return reject(signal.reason);
      const end = (): void => {
        this.#waiting.delete(id);
        signal?.removeEventListener("abort", onAbort);
      };
      const fail = (error: Error): void => {
        end();
        reject(error);
      };
      const onAbort = (): void => fail(signal?.reason);
      const settle = (result: unknown): void => {
        end();
        resolve(decodeResult(call, result));
      };
      signal?.addEventListener("abort", onAbort, { once: true });
      this.#waiting.set(id, { settle, fail });
      this.#streams.toHost.write(encodeRequest({ id, call, arguments: given } as HostRequest));
    });
  }

  async #readAnswers(lines: AsyncGenerator<string>): Promise<void> {
    let failure: unknown = null;
    try {
      for await (const line of lines) this.#settle(line);
    } catch (error) {
      failure = error;
      this.#streams.fromHost.destroy();
    }
    this.#lost = failure instanceof HaplanError ? failure : await lostBecause(this.#streams, failure);
    for (const { fail } of this.#waiting.values()) fail(this.#lost);
  }

  #settle(line: string): void {
    const answer = decodeAnswer(line);
    const waiting = this.#waiting.get(answer.id);
    if (waiting === undefined) return;
    try {
      if ("error" in answer) throw new HaplanError(answer.error.code, answer.error.message);
      waiting.settle(answer.result);
    } catch (error) {
      waiting.fail(error as Error);
    }
  }
}

async function lostBecause({ whyEnded }: HostStreams, failure: unknown = null): Promise<HaplanError> {
  const known = (await whyEnded?.()) ?? "";
  const why = known !== "" || failure === null ? known : errorText(failure);
  return new HaplanError(
    "provider/connection-lost",
    `The connection to the host was lost${why === "" ? "" : `: ${why}`}`,
    { cause: failure ?? undefined },
  );
}
