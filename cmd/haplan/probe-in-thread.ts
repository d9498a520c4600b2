/** Starts the write probe in a thread, and asks it in the end what it saw. */
import { once } from "node:events";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import type { WriteAvailability } from "../../src/apply/apply-event.ts";
import type { ProbePace, ProbeWrites, RunningProbe } from "../../src/apply/ports.ts";
import { startWriteProbe } from "../../src/apply/write-probe.ts";
import { systemClock } from "../../src/base/clock.ts";
import { connectControlPlane } from "../../src/control-plane/connect-control-plane.ts";
import type { MembersRequest } from "../../src/control-plane/control-plane.ts";

/** What the thread is told. */
export type ProbeMessage =
  | { readonly kind: "setPace"; readonly pace: ProbePace }
  | { readonly kind: "moveEndpoint"; readonly endpoint: MembersRequest }
  | { readonly kind: "stop" };

/** In the build, where it is beside the program, which is one directory away from the chunks. */
const threadFile = fileURLToPath(new URL("../haplan/write-probe.js", import.meta.url));

/** From the sources, which Node.js 20 cannot start a thread with, the probe runs in this thread. */
export const probeInThread: ProbeWrites = async (request) => {
  if (!existsSync(threadFile)) return startWriteProbe(request, connectControlPlane, systemClock);
  const worker = new Worker(threadFile, { workerData: request });
  await once(worker, "message");
  return new ProbeThread(worker);
};

class ProbeThread implements RunningProbe {
  readonly #worker: Worker;
  /** Why it ended, when it has. */
  #failure: unknown = null;

  constructor(worker: Worker) {
    this.#worker = worker;
    worker.on("error", (error) => {
      this.#failure = error;
    });
  }

  setPace(pace: ProbePace): void {
    this.#tell({ kind: "setPace", pace });
  }

  moveEndpoint(endpoint: MembersRequest): void {
    this.#tell({ kind: "moveEndpoint", endpoint });
  }

  #tell(message: ProbeMessage): void {
    this.#worker.postMessage(message);
  }

  /** Null as well when the thread has failed: what was measured is lost with it. */
  async stop(): Promise<WriteAvailability | null> {
    if (this.#failure !== null) return null;
    const answered = once(this.#worker, "message") as Promise<[WriteAvailability | null]>;
    this.#tell({ kind: "stop" });
    try {
      return (await answered)[0];
    } catch {
      return null;
    } finally {
      await this.#worker.terminate();
    }
  }
}
