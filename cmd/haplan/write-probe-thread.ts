/** The write probe in a thread of its own: what haplan computes meanwhile keeps no answer waiting. */
import { parentPort, workerData } from "node:worker_threads";
import type { ProbeClientRequest } from "../../src/apply/ports.ts";
import { startWriteProbe } from "../../src/apply/write-probe.ts";
import { systemClock } from "../../src/base/clock.ts";
import { connectControlPlane } from "../../src/control-plane/connect-control-plane.ts";

const port = parentPort;
if (port === null) throw new Error("Invariant broken: the write probe's thread was started as a program");
const probe = startWriteProbe(workerData as readonly ProbeClientRequest[], connectControlPlane, systemClock);
port.once("message", async () => port.postMessage(await probe.stop()));
port.postMessage("writing");
