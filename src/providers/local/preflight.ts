/** Checks directories, names, programs and addresses before anything is changed. */
import { accessSync, constants, existsSync, mkdtempSync, rmdirSync, statSync } from "node:fs";
import { createServer } from "node:net";
import { basename, dirname, isAbsolute, join } from "node:path";
import type { Diagnostic } from "../../base/diagnostic.ts";
import { errorText, systemErrorCode } from "../../base/haplan-error.ts";
import { operatorFilesOf } from "../../units/agent-unit.ts";
import type { UnitDefinition } from "../../units/unit-definition.ts";
import { distinctFiles, operatorFileAdvice } from "../path-checks.ts";
import type { MachineIdentity, PreflightRequest } from "../provider.ts";
import { checkFreeSpace } from "./free-space.ts";
import { listeningSockets, parseHostPort, socketAt } from "./listening-sockets.ts";
import { dirOf, machinePaths, placeOfUnit, readLabel, unitPaths } from "./machine-dir.ts";
import { describeProcess, ownerOfSocket, unitDirOf } from "./process-table.ts";
import { findExecutable, type UnitProgram, versionOf } from "./programs.ts";
import { UnitCopies } from "./unit-copies.ts";

export async function preflightLocal(place: PreflightPlace, request: PreflightRequest): Promise<Diagnostic[]> {
  const { root, programsDir } = place;
  const units = request.units.map(({ unit }) => unit);
  const dirProblem = checkDir(join(root, "machines"));
  const found = await Promise.all(listenAddresses(units).map((listen) => checkListen(root, listen)));
  const problems = found.filter((each) => each !== null);
  const copies = request.units.flatMap(({ machine, unit }) => checkCopies(place, machine, unit));
  return [
    ...(dirProblem === null ? [] : [dirProblem]),
    ...(dirProblem === null ? checkFreeSpace(root, request.space) : []),
    ...request.machines.flatMap((machine) => checkOwner(root, machine)),
    ...(await checkPrograms(programsDir, units)),
    ...checkOperatorFiles(units),
    ...copies,
    ...checkListenedTwice(units),
    ...problems.flatMap((each) => ("severity" in each ? [each] : [])),
    ...obstacleProblems(problems.flatMap((each) => ("severity" in each ? [] : [each]))),
  ];
}

export type PreflightPlace = {
  readonly root: string;
  readonly programsDir: string;
  readonly systemRoot: string | null;
};

/** Files of others in the places of the unit's copies, which are never overwritten. */
function checkCopies({ root, systemRoot }: PreflightPlace, machine: string, unit: UnitDefinition): Diagnostic[] {
  const directory = dirOf(root, machine);
  const copies = new UnitCopies(unitPaths(root, directory, unit.name), systemRoot);
  return copies.foreign(unit).map((path) => {
    const detail = `haplan writes ${path}, and did not write the one that is there. Move it away, and apply again`;
    return problem("file-taken", `A file on ${machine} is in the way: ${path}`, detail);
  });
}

function problem(code: string, summary: string, detail: string): Diagnostic {
  return { severity: "error", code: `preflight/${code}`, summary, detail };
}

/** Permission bits do not apply to root, so a directory is created where haplan's would be, and removed again. */
function checkDir(directory: string): Diagnostic | null {
  let nearest = directory;
  while (!existsSync(nearest) && dirname(nearest) !== nearest) nearest = dirname(nearest);
  try {
    if (!statSync(nearest).isDirectory()) {
      return problem(
        "not-a-directory",
        `"${nearest}" is not a directory`,
        `Machines are directories below "${directory}": move the file away`,
      );
    }
    accessSync(nearest, constants.W_OK | constants.X_OK);
    rmdirSync(mkdtempSync(join(nearest, ".haplan-preflight-")));
    return null;
  } catch (error) {
    return problem(
      "unwritable-directory",
      `Cannot write to "${nearest}"`,
      `${errorText(error)}. Machines are directories below "${directory}": make it writable, or run haplan in another directory`,
    );
  }
}

function checkOwner(root: string, machine: MachineIdentity): Diagnostic[] {
  const label = readLabel(root, machine.name);
  if (label === null || label.lineage === machine.lineage) return [];
  return [
    problem(
      "machine-taken",
      `Machine "${machine.name}" belongs to another cluster`,
      `"${machinePaths(root, machine.name).directory}" has lineage ${label.lineage}, this cluster's is ${machine.lineage}. Destroy the other cluster first, or rename this one`,
    ),
  ];
}

/** A member takes no backups without it, and serves all the same. */
function checkOperatorFiles(units: readonly UnitDefinition[]): Diagnostic[] {
  return distinctFiles(units.flatMap(operatorFilesOf)).flatMap((file) => {
    const what = fileFault(file.path);
    if (what === null) return [];
    const summary = `${file.path} ${what}`;
    return [{ severity: "warning", code: "preflight/backup-key", summary, detail: operatorFileAdvice(file) }];
  });
}

function fileFault(path: string): string | null {
  try {
    if (!statSync(path).isFile()) return "is no file";
    accessSync(path, constants.R_OK);
    return null;
  } catch (error) {
    return systemErrorCode(error) === "ENOENT" ? "does not exist" : `cannot be read: ${errorText(error)}`;
  }
}

async function checkPrograms(programsDir: string, units: readonly UnitDefinition[]): Promise<Diagnostic[]> {
  const programs = new Map(
    units
      .flatMap(({ program, needs = [] }): readonly UnitProgram[] => [
        ...(program.kind === "none" ? [] : [program]),
        ...needs.map((command) => ({ kind: "system", command }) as const),
      ])
      .map((program) => [`${program.kind}:${program.command}`, program]),
  );
  const found = await Promise.all([...programs.values()].map((program) => checkProgram(programsDir, program)));
  return found.filter((each) => each !== null);
}

async function checkProgram(programsDir: string, program: UnitProgram): Promise<Diagnostic | null> {
  const executable = findExecutable(program, programsDir);
  if (executable === null) return missingProgram(programsDir, program);
  if (program.kind === "haplan" || program.version === undefined) return null;
  const version = await versionOf(executable.file);
  if (version === program.version) return null;
  const summary = `"${executable.file}" is not version ${program.version}, but ${version ?? "prints no version"}`;
  return problem(
    "program-version",
    summary,
    "Install that version there, or write the version and path of another one.",
  );
}

function missingProgram(programsDir: string, { kind, command }: UnitProgram): Diagnostic {
  const path = process.env["PATH"] ?? "";
  const detail =
    kind === "haplan"
      ? `It is part of haplan and should be in "${programsDir}": run "npm run build"`
      : isAbsolute(command)
        ? "Install it there, or write the path of another one."
        : `It is not on the path (${path}): install it, or add its directory to the path`;
  return problem("program-missing", `Program "${command}" does not exist`, detail);
}

function listenAddresses(units: readonly UnitDefinition[]): string[] {
  return [...new Set(units.flatMap((unit) => unit.listens))];
}

function checkListenedTwice(units: readonly UnitDefinition[]): Diagnostic[] {
  const seen = new Set<string>();
  return units
    .flatMap((unit) => unit.listens)
    .filter((listen) => seen.has(listen) || !seen.add(listen))
    .map((listen) =>
      problem("listened-twice", `Two units would listen on ${listen}`, "Give one of them another address or port"),
    );
}

/** One address that cannot be listened on. */
type Obstacle = {
  readonly code: string;
  readonly listen: string;
  /** The process that uses it; null if there is none. */
  readonly holder: string | null;
  /** The obstacle: addresses with the same one are reported once. */
  readonly cause: string;
  /** The name of `cause` if it affects several addresses. */
  readonly common: string;
  readonly advice: string;
};

/** One problem for each cause. */
function obstacleProblems(obstacles: readonly Obstacle[]): Diagnostic[] {
  const causes = new Map<string, Obstacle[]>();
  for (const obstacle of obstacles) {
    const key = `${obstacle.code} ${obstacle.cause}`;
    causes.set(key, [...(causes.get(key) ?? []), obstacle]);
  }
  return [...causes.values()].map((found) => obstacleProblem(found[0] as Obstacle, found));
}

function obstacleProblem({ code, listen, holder, common, advice }: Obstacle, all: readonly Obstacle[]): Diagnostic {
  if (all.length === 1) {
    const summary = holder === null ? `Cannot listen on ${listen}` : `${listen} is in use by ${holder}`;
    return problem(code, summary, advice);
  }
  const summary =
    holder === null ? `Cannot listen on ${all.length} addresses` : `${all.length} addresses are in use by ${common}`;
  const lines = all.map(
    (each) => `  ${each.listen}${each.holder === null || each.holder === common ? "" : ` by ${each.holder}`}`,
  );
  return problem(code, summary, [...lines, "", advice].join("\n"));
}

async function checkListen(root: string, listen: string): Promise<Diagnostic | Obstacle | null> {
  const target = parseHostPort(listen);
  if (target === null) return problem("bad-address", `"${listen}" is not a listen address`, "Write host:port");
  const failure = await tryToListen(target.host, target.port);
  if (failure === null) return null;
  if (systemErrorCode(failure) !== "EADDRINUSE") {
    const advice = listenAdvice(failure, target);
    return { code: "cannot-listen", listen, holder: null, cause: advice, common: "", advice };
  }
  const socket = socketAt(listeningSockets() ?? [], target.host, target.port);
  const owner = socket === undefined ? null : ownerOfSocket(socket.inode);
  // Units of this cluster that already run are kept, restarted or stopped by the plan.
  if (owner !== null && unitDirOf(owner)?.startsWith(join(root, "machines"))) return null;
  const place = owner === null ? null : placeOfUnit(unitDirOf(owner) ?? "");
  if (owner !== null && place !== null) return takenByCluster(listen, owner, place);
  const holder = owner === null ? "an unknown process" : describeProcess(owner);
  const advice = "Stop that process, or choose another address or port in the spec.";
  return { code: "address-taken", listen, holder, cause: holder, common: holder, advice };
}

/** Another cluster of haplan's, or this one as applied in another directory. */
function takenByCluster(listen: string, pid: number, place: NonNullable<ReturnType<typeof placeOfUnit>>): Obstacle {
  const name = basename(place.root);
  const directory = dirname(dirname(place.root));
  const program = place.unit === place.machine ? `the ${place.unit}` : `the ${place.unit} of "${place.machine}"`;
  return {
    code: "address-taken",
    listen,
    holder: `${program} in the cluster "${name}", pid ${pid}`,
    cause: place.root,
    common: `the cluster "${name}"`,
    advice: `haplan applied that cluster in ${directory}. Run haplan there to work on it (haplan destroy -state-only=${name} ends it), or choose another address or port in this spec.`,
  };
}

function listenAdvice(failure: unknown, target: { readonly host: string; readonly port: number }): string {
  switch (systemErrorCode(failure)) {
    case "EADDRNOTAVAIL":
      return `This machine has no address ${target.host}: choose one that it has, or 127.x.y.z.`;
    case "EACCES":
      return `Port ${target.port} needs privileges that this user does not have: choose a port from 1024 up.`;
    case "ENOTFOUND":
      return `The name "${target.host}" does not resolve: write an IP address.`;
    default:
      return errorText(failure);
  }
}

function tryToListen(host: string, port: number): Promise<unknown> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", resolve);
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(null)));
  });
}
