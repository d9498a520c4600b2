/**
 * Paths outside of haplan's directories that units use: those that they write to, and programs of the operator. Found out
 * before anything changes, since a unit fails on its own host alone, in the middle of a rolling update. Pure.
 */
import { unitUserName } from "../base/host-paths.ts";
import type { HostFacts, HostPath } from "../host/host-facts.ts";
import { type OperatorFile, operatorFilesOf } from "../units/agent-unit.ts";
import type { UnitDefinition } from "../units/unit-definition.ts";
import { type Finding, type HostsToCheck, type HostToCheck, labelOf } from "./hosts-to-check.ts";

/** The paths to ask hosts about. */
export function usedPaths(unit: UnitDefinition): readonly string[] {
  return [...(unit.directories ?? []), ...programPaths(unit), ...operatorFilesOf(unit).map(({ path }) => path)];
}

function programPaths({ program }: UnitDefinition): readonly string[] {
  return program.kind === "system" && program.command.startsWith("/") ? [program.command] : [];
}

export function pathFindings({ hosts }: HostsToCheck): readonly Finding[] {
  return hosts.flatMap((host) => {
    // Without root, what another user may do there cannot be told; that is an error of its own.
    if (host.facts === null || host.notRoot !== null) return [];
    const { facts } = host;
    return host.machines.flatMap(({ units, installs = [] }) =>
      units.flatMap((unit) => [
        ...(unit.directories ?? []).flatMap((path) => findingOf(host, facts, path, directoryFault)),
        ...programPaths(unit)
          .filter((path) => !installs.includes(path))
          .flatMap((path) => findingOf(host, facts, path, programFault)),
      ]),
    );
  });
}

/** Members serve without the key and the credentials, but take no backups by themselves. */
export function operatorFileFindings({ hosts }: HostsToCheck): readonly Finding[] {
  return hosts.flatMap((host) => {
    const { facts, machines } = host;
    if (facts === null) return [];
    const files = distinctFiles(machines.flatMap(({ units }) => units.flatMap(operatorFilesOf)));
    return files.flatMap((file) => findingOf(host, facts, file.path, (...found) => operatorFileFault(file, ...found)));
  });
}

/** Each path once. */
export function distinctFiles(files: readonly OperatorFile[]): readonly OperatorFile[] {
  return [...new Map(files.map((file) => [file.path, file])).values()];
}

type Fault = { readonly what: string; readonly advice: string };

function findingOf(
  host: HostToCheck,
  facts: HostFacts,
  path: string,
  faultOf: (found: HostPath, facts: HostFacts) => Fault | null,
): readonly Finding[] {
  const found = facts.paths.find((each) => each.path === path);
  const fault = found === undefined ? null : faultOf(found, facts);
  return fault === null ? [] : [{ summary: `${path} on ${labelOf(host)} ${fault.what}`, detail: fault.advice }];
}

const anotherDirectory = `Name one that does not exist yet, below a directory that every user may enter, and haplan makes it for its user "${unitUserName}".`;

function directoryFault(found: HostPath, { unitUserId }: HostFacts): Fault | null {
  const { path, kind, resolved, ownerId, ownerName, isWritable, rights } = found;
  if (kind === "file") return { what: `cannot be a directory: ${resolved} is a file`, advice: anotherDirectory };
  const hidden = hiddenFault(found);
  if (hidden !== null) return hidden;
  if (!isWritable) return { what: "is on a file system that is read-only", advice: anotherDirectory };
  const cannotEnter = rights !== null && !rights.includes("x");
  if (kind === "missing") {
    if (!cannotEnter) return null;
    return { what: `could not be entered by members: ${resolved} may not be`, advice: anotherDirectory };
  }
  // Its own user haplan may have had in an earlier cluster, which is gone.
  const isOwn = unitUserId === null ? ownerName === null : ownerId === unitUserId;
  if (!isOwn) {
    const given =
      unitUserId === null
        ? "move what is there away, so that haplan makes it"
        : `give it to the user that members run as: chown ${unitUserName}:${unitUserName} ${path}`;
    const advice = `Name one that does not exist yet, or ${given}.`;
    return { what: `belongs to ${ownerName ?? `user ${ownerId}`}, and members could not write to it`, advice };
  }
  if (rights === null || unitUserId === null || (!cannotEnter && rights.includes("w"))) return null;
  return {
    what: "cannot be written to by members",
    advice: `Its mode, or that of a directory above it, forbids it to the user "${unitUserName}".`,
  };
}

/** Of one that is missing or cannot be used. */
export function operatorFileAdvice({ kind, path }: OperatorFile): string {
  if (kind === "credentials")
    return `It is backup.schedule.credentialsFile. Without it, each backup that a member takes by itself fails. Write credentials for the bucket, as in ~/.aws/credentials, to ${path} on every master`;
  return `It is backup.schedule.keyFile. Without it, each backup that a member takes by itself fails. Make one key (openssl rand -hex 32), and write it to ${path} on every master`;
}

function operatorFileFault(file: OperatorFile, found: HostPath, { unitUserId }: HostFacts): Fault | null {
  const { path, kind, rights } = found;
  const advice = operatorFileAdvice(file);
  if (kind === "missing") return { what: "does not exist", advice };
  if (kind === "directory")
    return { what: file.kind === "key" ? "is a directory, and no key" : "is a directory, and no file", advice };
  const hidden = hiddenFault(found);
  if (hidden !== null) return { ...hidden, advice };
  // Its user may be given the file once haplan has made it.
  if (rights === null || unitUserId === null || rights.includes("r")) return null;
  return {
    what: "cannot be read by members",
    advice: `${advice}, and let the user "${unitUserName}" read it: chown ${unitUserName}: ${path}`,
  };
}

const anotherProgram =
  "Put the program below a directory that every user may enter, such as /opt or /usr/local, and write its path.";

function programFault(found: HostPath): Fault | null {
  const { kind, resolved, rights } = found;
  // One that is missing is told with the other programs that are.
  if (kind === "missing") return null;
  const hidden = hiddenFault(found);
  if (hidden !== null) return { ...hidden, advice: anotherProgram };
  if (kind === "directory") return { what: "is a directory, and no program", advice: anotherProgram };
  if (rights === null || rights.includes("x")) return null;
  const linked = resolved === found.path ? "" : ` (it is ${resolved})`;
  return {
    what: `cannot be run by members${linked}`,
    advice: `They run as the user "${unitUserName}", which may not execute it, or may not enter a directory above it. ${anotherProgram}`,
  };
}

/** Units have a /tmp of their own, and no home directories (systemd's PrivateTmp and ProtectHome). */
const hiddenDirs: readonly string[] = ["/home", "/root", "/run/user", "/tmp", "/var/tmp"];

/** Why units do not see the path; null if they do. */
export function hidingDir(path: string): string | null {
  return hiddenDirs.find((directory) => path === directory || path.startsWith(`${directory}/`)) ?? null;
}

function hiddenFault({ path, kind, resolved }: HostPath): Fault | null {
  const directory = hidingDir(path) ?? hidingDir(resolved);
  if (directory === null) return null;
  const linked = resolved === path || kind === "missing" ? "" : ` (it is ${resolved})`;
  return { what: `is not seen by members${linked}: their units hide ${directory}`, advice: anotherDirectory };
}
