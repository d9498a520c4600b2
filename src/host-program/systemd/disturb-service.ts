/**
 * Faults of a drill on a unit of systemd. A pause or a stop is a transient unit of its own: what ends it is its `ExecStopPost=`, which
 * systemd knows before it begins and runs however the transient unit ends. So it needs neither haplan nor its connection.
 */
import { existsSync } from "node:fs";
import { systemClock } from "../../base/clock.ts";
import { HaplanError } from "../../base/haplan-error.ts";
import type { UnitFault } from "../../providers/provider.ts";
import type { UnitPlace } from "../../providers/supervisor.ts";
import { systemdName } from "../../providers/unit-name.ts";
import { readUnitState, runTool, systemctl } from "./systemctl.ts";
import { parseTimeSpan } from "./time-span.ts";

/** A unit names its programs by their paths. */
const toolPaths = ["/usr/bin/systemctl", "/bin/systemctl"];
const pollMs = 50;
/** The unit's own TimeoutStopSec, and the SIGKILL after it. */
const endMs = 100_000;

/** Does nothing if a fault is under way. @throws HaplanError `provider/not-running`, `provider/pause-too-long`, or `provider/unit-stop-failed` */
export async function disturbService(place: UnitPlace, fault: UnitFault): Promise<void> {
  const name = systemdName(place);
  if (fault.kind === "resume") return await endFault(name);
  if (await hasFault(name)) return;
  const { pid } = await readUnitState(name);
  if (pid === null) throw new HaplanError("provider/not-running", `${name}.service does not run`);
  switch (fault.kind) {
    case "pause":
      await assertWatchdogAllows(name, fault.forMs);
      return await beginFault(name, fault.forMs, {
        begin: ["kill", "--signal=STOP", `${name}.service`],
        end: ["kill", "--signal=CONT", `${name}.service`],
      });
    case "stop":
      await forgetStarts(name);
      return await beginFault(name, fault.forMs, {
        begin: ["stop", `${name}.service`],
        end: ["start", "--no-block", `${name}.service`],
      });
    case "restart":
      await forgetStarts(name);
      // From here on it is systemd's. A member is ready only once its cluster has a leader.
      await systemctl("restart", "--no-block", `${name}.service`);
      return await untilEnded(name, pid);
  }
}

/** A unit that was started too often is started no more, also not by hand. */
async function forgetStarts(name: string): Promise<void> {
  await systemctl("reset-failed", `${name}.service`);
}

type FaultCommands = { readonly begin: readonly string[]; readonly end: readonly string[] };

/** Returns once `begin` is done. */
async function beginFault(name: string, forMs: number, { begin, end }: FaultCommands): Promise<void> {
  const tool = toolPaths.find((path) => existsSync(path));
  if (tool === undefined) throw new HaplanError("provider/program-missing", 'There is no program "systemctl"');
  const properties = [`ExecStartPre=${[tool, ...begin].join(" ")}`, `ExecStopPost=${[tool, ...end].join(" ")}`];
  const flags = [
    "--quiet",
    "--collect",
    `--unit=${faultUnit(name)}.service`,
    ...properties.map((each) => `--property=${each}`),
  ];
  await runTool("systemd-run", [...flags, "sleep", String(forMs / 1000)]);
}

/** Does nothing if there is no fault. */
async function endFault(name: string): Promise<void> {
  if (!(await hasFault(name))) return;
  try {
    await systemctl("stop", `${faultUnit(name)}.service`);
  } catch (error) {
    // It may have ended by itself meanwhile.
    if (await hasFault(name)) throw error;
  }
}

async function hasFault(name: string): Promise<boolean> {
  const { active } = await readUnitState(faultUnit(name));
  return active !== "inactive" && active !== "failed";
}

function faultUnit(name: string): string {
  return `${name}-drill`;
}

async function untilEnded(name: string, former: number): Promise<void> {
  const deadlineMs = performance.now() + endMs;
  while ((await readUnitState(name)).pid === former) {
    if (performance.now() >= deadlineMs)
      throw new HaplanError("provider/unit-stop-failed", `${name}.service does not end within ${endMs / 1000} s`);
    await systemClock.sleep(pollMs);
  }
}

/** Its last notice to the watchdog may be a third of the limit old: half of it leaves a sixth. */
async function assertWatchdogAllows(name: string, forMs: number): Promise<void> {
  const shown = await systemctl("show", "--value", "--property=WatchdogUSec", `${name}.service`);
  const limitMs = parseTimeSpan(shown.trim());
  if (limitMs === null || forMs <= limitMs / 2) return;
  throw new HaplanError(
    "provider/pause-too-long",
    `A pause of ${forMs / 1000} s is too long for ${name}.service: its watchdog (WatchdogSec=${shown.trim()}) would kill it. It may be paused for ${limitMs / 2000} s`,
  );
}
