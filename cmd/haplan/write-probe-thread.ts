/** Runs the write probe in a thread of its own, so that haplan's computations do not delay its measurements. */
import { parentPort, workerData } from "node:worker_threads";
import type { ProbeRequest } from "../../src/apply/ports.ts";
import { startWriteProbe } from "../../src/apply/write-probe.ts";
import { systemClock } from "../../src/base/clock.ts";
import { connectControlPlane } from "../../src/control-plane/connect-control-plane.ts";
import type { ProbeMessage, ProbeReport } from "./probe-in-thread.ts";

const port = parentPort;
if (port === null) throw new Error("Invariant broken: the write probe's thread was started as a program");
const tell = (report: ProbeReport): void => port.postMessage(report);
const probe = startWriteProbe(workerData as ProbeRequest, connectControlPlane, systemClock, (gapMs) =>
  tell({ kind: "longGap", gapMs }),
);
port.on("message", async (message: ProbeMessage) => {
  if (message.kind === "markStep") probe.markStep(message.id, message.phase);
  else if (message.kind === "setPace") probe.setPace(message.pace);
  else if (message.kind === "moveEndpoint") probe.moveEndpoint(message.endpoint);
  else if (message.kind === "reconnect") probe.reconnect(message.request);
  else tell({ kind: "result", availability: await probe.stop() });
});
tell({ kind: "writing" });
