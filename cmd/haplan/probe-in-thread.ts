/** Starts the write probe in a thread, and collects its result at the end. */
import { once } from "node:events";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import type { WriteAvailability } from "../../src/apply/apply-event.ts";
import type { ProbePace, ProbeRequest, ProbeWrites, RunningProbe } from "../../src/apply/ports.ts";
import { startWriteProbe } from "../../src/apply/write-probe.ts";
import { systemClock } from "../../src/base/clock.ts";
import { connectControlPlane } from "../../src/control-plane/connect-control-plane.ts";
import type { MembersRequest } from "../../src/control-plane/control-plane.ts";

/** Input of the thread. */
export type ProbeMessage =
  | { readonly kind: "setPace"; readonly pace: ProbePace }
  | { readonly kind: "moveEndpoint"; readonly endpoint: MembersRequest }
  | { readonly kind: "reconnect"; readonly request: ProbeRequest }
  | { readonly kind: "stop" };

/** In the build the file is beside the program, one directory away from the chunks. */
const threadFile = fileURLToPath(new URL("../haplan/write-probe.js", import.meta.url));

/** From the sources, which Node.js 20 cannot run in a thread, the probe runs in this thread. */
export const probeInThread: ProbeWrites = async (request) => {
  if (!existsSync(threadFile)) return startWriteProbe(request, connectControlPlane, systemClock);
  const worker = new Worker(threadFile, { workerData: request });
  await once(worker, "message");
  return new ProbeThread(worker);
};

class ProbeThread implements RunningProbe {
  readonly #worker: Worker;
  /** Why the thread ended, if it has. */
  #failure: unknown = null;

  constructor(worker: Worker) {
    this.#worker = worker;
    worker.on("error", (error) => {
      this.#failure = error;
    });
  }

  setPace(pace: ProbePace): void {
    this.#send({ kind: "setPace", pace });
  }

  moveEndpoint(endpoint: MembersRequest): void {
    this.#send({ kind: "moveEndpoint", endpoint });
  }

  reconnect(request: ProbeRequest): void {
    this.#send({ kind: "reconnect", request });
  }

  #send(message: ProbeMessage): void {
    this.#worker.postMessage(message);
  }

  /** Also null if the thread has failed: its measurements are lost. */
  async stop(): Promise<WriteAvailability | null> {
    if (this.#failure !== null) return null;
    const answered = once(this.#worker, "message") as Promise<[WriteAvailability | null]>;
    this.#send({ kind: "stop" });
    try {
      return (await answered)[0];
    } catch {
      return null;
    } finally {
      await this.#worker.terminate();
    }
  }
}
