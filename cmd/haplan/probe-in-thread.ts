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
  | { readonly kind: "markStep"; readonly id: string; readonly phase: "started" | "ended" }
  | { readonly kind: "setPace"; readonly pace: ProbePace }
  | { readonly kind: "moveEndpoint"; readonly endpoint: MembersRequest }
  | { readonly kind: "reconnect"; readonly request: ProbeRequest }
  | { readonly kind: "stop" };

/** Output of the thread. */
export type ProbeReport =
  | { readonly kind: "writing" }
  | { readonly kind: "longGap"; readonly gapMs: number }
  | { readonly kind: "result"; readonly availability: WriteAvailability | null };

/** In the build the file is beside the program, one directory away from the chunks. */
const threadFile = fileURLToPath(new URL("../haplan/write-probe.js", import.meta.url));

/** From the sources, which Node.js 20 cannot run in a thread, the probe runs in this thread. */
export const probeInThread: ProbeWrites = async (request, onLongGap = () => undefined) => {
  if (!existsSync(threadFile)) return startWriteProbe(request, connectControlPlane, systemClock, onLongGap);
  const worker = new Worker(threadFile, { workerData: request });
  await once(worker, "message");
  return new ProbeThread(worker, onLongGap);
};

class ProbeThread implements RunningProbe {
  readonly #worker: Worker;
  /** Why the thread ended, if it has. */
  #failure: unknown = null;
  #result: Promise<WriteAvailability | null>;

  constructor(worker: Worker, onLongGap: (gapMs: number) => void) {
    this.#worker = worker;
    this.#result = new Promise((resolve) => {
      worker.on("message", (report: ProbeReport) => {
        if (report.kind === "longGap") onLongGap(report.gapMs);
        if (report.kind === "result") resolve(report.availability);
      });
      worker.on("error", (error) => {
        this.#failure = error;
        // Nothing watches the gaps any more.
        onLongGap(Number.POSITIVE_INFINITY);
        resolve(null);
      });
    });
  }

  markStep(id: string, phase: "started" | "ended"): void {
    this.#send({ kind: "markStep", id, phase });
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
    this.#send({ kind: "stop" });
    try {
      return await this.#result;
    } finally {
      await this.#worker.terminate();
    }
  }
}
