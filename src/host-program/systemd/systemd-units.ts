/** Units of systemd: it restarts them when they fail and starts them when the host boots; the journal has their logs. */
import { existsSync, lstatSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { systemClock } from "../../base/clock.ts";
import { stageFiles, syncDir } from "../../base/durable-file.ts";
import { HaplanError } from "../../base/haplan-error.ts";
import {
  type ProcessRequest,
  type RunningUnit,
  type Supervisor,
  type UnitPlace,
  watchMs,
} from "../../providers/supervisor.ts";
import { systemdName, unitPrefix } from "../../providers/unit-name.ts";
import { disturbService } from "./disturb-service.ts";
import { makeUser, readUser, removeWhatIsLeft } from "./host-user.ts";
import { readJournal } from "./journal.ts";
import { assertNotMasked, removeUnitFile } from "./masked-unit.ts";
import { dropInsOf, readUnitState, runTool, systemctl, type UnitState } from "./systemctl.ts";
import { transientUnits } from "./transient-units.ts";
import { renderUnitFile, runtimeName, unitDirOfFile } from "./unit-file.ts";
import { assertOwn, otherOwner, type UnitTraces } from "./unit-owner.ts";

const unitsDirectory = "/etc/systemd/system";
const pollMs = 30;
/** Until processes are gone that were killed. */
const killMs = 5_000;
const logLinesInError = 10;

export const systemdUnits: Supervisor = {
  tasks: transientUnits,
  find: findUnit,
  prepare: (root) => makeUser(dirname(root)),
  owner: readUser,
  hasOwnUser: true,
  start: startUnit,
  changedFiles,
  overrides: (place) => dropInsOf(systemdName(place)),
  // Of a unit that runs, a mask counts as its changed file.
  redefine: async (place, request) => {
    await assertOwn(place, tracesOf(place), "define");
    assertNotMasked(fileOf(systemdName(place)));
    await redefine(place, request);
  },
  reload: async (place, signal) => {
    await assertOwn(place, tracesOf(place), "reload");
    // Named "kill-whom" from systemd 252 on, which still takes this.
    await systemctl("kill", "--kill-who=main", `--signal=${signal}`, `${systemdName(place)}.service`);
  },
  stop: stopUnit,
  disturb: async (place, fault) => {
    await assertOwn(place, tracesOf(place), "disturb");
    await disturbService(place, fault);
  },
  remove: removeUnit,
  log: readLog,
  logs: (place, selection, signal) => readJournal(systemdName(place), selection, signal),
  runtimeDir: (place) => join("/run", runtimeName(place)),
  units: findUnits,
  leave: (root) => removeWhatIsLeft(dirname(root), root),
};

function tracesOf(place: UnitPlace): UnitTraces {
  const name = systemdName(place);
  return { file: fileOf(name), copy: copyOf(place), pid: async () => (await readUnitState(name)).pid };
}

/** Nothing of this place runs where the unit is another's. */
async function findUnit(place: UnitPlace): Promise<RunningUnit | null> {
  const traces = tracesOf(place);
  return (await otherOwner(place, traces)) === null ? running(await readUnitState(systemdName(place))) : null;
}

function running({ pid }: Pick<UnitState, "pid">): RunningUnit | null {
  return pid === null ? null : { pid };
}

async function startUnit(place: UnitPlace, request: ProcessRequest): Promise<RunningUnit> {
  const name = systemdName(place);
  assertNotMasked(fileOf(name));
  await assertOwn(place, tracesOf(place), "start");
  await redefine(place, request);
  // A unit that failed too often is started no more until this.
  await systemctl("reset-failed", `${name}.service`).catch(() => undefined);
  // A member says that it is ready once its cluster has a leader, for which haplan has other members to start.
  await systemctl("start", "--no-block", `${name}.service`);
  const state = await watch(name, request.isUp);
  const found = running(state);
  if (found !== null && !hasEnded(state)) return found;
  await stopUnit(place, 0);
  throw new HaplanError(
    "provider/unit-exited",
    `Cannot start "${request.file}": it ${state.ending ?? "ended"}\n${await readLog(place, logLinesInError)}`.trimEnd(),
  );
}

async function redefine(place: UnitPlace, request: ProcessRequest): Promise<void> {
  const name = systemdName(place);
  const text = renderUnitFile(place, request);
  const written = [
    { path: fileOf(name), mode: 0o644 },
    { path: copyOf(place), mode: 0o600 },
  ].filter(({ path }) => !hasText(path, text));
  // Both have their space before the first one is replaced. A run that ends between the two leaves a unit that counts as altered.
  stageFiles(written.map((file) => ({ ...file, content: text }))).commit();
  await systemctl("daemon-reload");
  await systemctl("enable", "--quiet", `${name}.service`);
}

function hasText(path: string, text: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isFile() === true && readFileSync(path, "utf8") === text;
}

/** Units that an earlier version has started have no copy of their file: nothing is known of them. */
async function changedFiles(place: UnitPlace): Promise<readonly string[]> {
  if (!existsSync(copyOf(place)) || (await otherOwner(place, tracesOf(place))) !== null) return [];
  const name = systemdName(place);
  const file = fileOf(name);
  const isIntact = existsSync(file) && readFileSync(file, "utf8") === readFileSync(copyOf(place), "utf8");
  return [...(isIntact ? [] : [file]), ...(isEnabled(name) ? [] : [enabledLink(name)])];
}

function isEnabled(name: string): boolean {
  return lstatSync(enabledLink(name), { throwIfNoEntry: false }) !== undefined;
}

/** What `systemctl enable` makes. */
function enabledLink(name: string): string {
  return join(unitsDirectory, "multi-user.target.wants", `${name}.service`);
}

/** The state once the unit is up, has ended, or has lived for a moment. */
async function watch(name: string, isUp: ProcessRequest["isUp"]): Promise<UnitState> {
  const livesMs = isUp === null ? watchMs.withoutListeners : watchMs.withListeners;
  let aliveSince: number | null = null;
  for (;;) {
    const state = await readUnitState(name);
    if (hasEnded(state)) return state;
    if (state.pid !== null) {
      aliveSince ??= performance.now();
      if (isUp?.() || performance.now() - aliveSince >= livesMs) return state;
    }
    await systemClock.sleep(pollMs);
  }
}

function hasEnded({ active, sub, restarts, hasJob }: UnitState): boolean {
  if (active === "inactive" && hasJob) return false;
  return restarts > 0 || active === "failed" || sub === "auto-restart" || (active === "inactive" && sub === "dead");
}

async function stopUnit(place: UnitPlace, graceMs: number): Promise<void> {
  const name = systemdName(place);
  if ((await otherOwner(place, tracesOf(place))) !== null) return;
  // Its file may be gone while its process runs.
  if (!existsSync(fileOf(name)) && (await isGone(name, 0))) return;
  await systemctl("stop", "--no-block", `${name}.service`);
  if (await isGone(name, graceMs)) return;
  await systemctl("kill", "--signal=SIGKILL", `${name}.service`);
  if (await isGone(name, killMs)) return;
  throw new HaplanError("provider/unit-stop-failed", `${name}.service does not end on SIGKILL`);
}

async function isGone(name: string, withinMs: number): Promise<boolean> {
  const deadlineMs = performance.now() + withinMs;
  for (;;) {
    const { active } = await readUnitState(name);
    if (active === "inactive" || active === "failed") return true;
    if (performance.now() >= deadlineMs) return false;
    await systemClock.sleep(pollMs);
  }
}

async function removeUnit(place: UnitPlace): Promise<void> {
  const name = systemdName(place);
  if ((await otherOwner(place, tracesOf(place))) !== null) return;
  // As `systemctl disable` does, which wants the file to be there, and is no mask.
  const removed = [enabledLink(name), fileOf(name)].filter(removeUnitFile);
  if (removed.length === 0) return;
  syncDir(unitsDirectory);
  await systemctl("daemon-reload");
  // What has failed stays listed until this, without a file.
  await systemctl("reset-failed", `${name}.service`).catch(() => undefined);
}

/** Of this unit's processes alone: what systemd says of them is left out. */
async function readLog(place: UnitPlace, lines: number): Promise<string> {
  await runTool("journalctl", ["--sync"]);
  const found = ["--no-pager", "--output=cat", "--quiet", `--lines=${lines}`];
  return (await runTool("journalctl", [...found, `--identifier=${systemdName(place)}`])).trimEnd();
}

async function findUnits(root: string): Promise<readonly (UnitPlace & { readonly pid: number | null })[]> {
  const places = readdirSync(unitsDirectory)
    .filter((file) => file.startsWith(unitPrefix) && file.endsWith(".service"))
    .flatMap((file) => placeOf(root, unitDirOfFile(readFileSync(join(unitsDirectory, file), "utf8"))));
  return await Promise.all(
    places.map(async (place) => ({ ...place, pid: (await readUnitState(systemdName(place))).pid })),
  );
}

function placeOf(root: string, directory: string | null): UnitPlace[] {
  const [, cluster, machine, unit] = /^(.+)\/machines\/([^/]+)\/units\/([^/]+)$/.exec(directory ?? "") ?? [];
  if (directory === null || cluster !== root || machine === undefined || unit === undefined) return [];
  return [{ root, machine, unit, directory, files: join(directory, "files") }];
}

/** The unit file as haplan wrote it. */
function copyOf({ directory }: UnitPlace): string {
  return join(directory, "unit.service");
}

function fileOf(name: string): string {
  return join(unitsDirectory, `${name}.service`);
}
