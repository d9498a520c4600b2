/** A session with one host: an ssh that runs haplan-host there, for as long as haplan has something to ask it. */
import { type ChildProcess, spawn } from "node:child_process";
import { text } from "node:stream/consumers";
import { HaplanError, systemErrorCode } from "../../base/haplan-error.ts";
import { dataDir, installDir } from "../../base/host-paths.ts";
import { HostClient } from "../../host/host-client.ts";
import { noSsh } from "./run-ssh.ts";
import { sshFailedCode, sshFailure } from "./ssh-failure.ts";
import { withoutDebug } from "./ssh-output.ts";
import { type SshFiles, type SshTarget, sshArguments } from "./ssh-target.ts";
import { type Become, rootCommand } from "./upload-artifact.ts";

export type HostRequest = {
  readonly target: SshTarget;
  readonly files: SshFiles;
  readonly become: Become;
  /** The cluster's name: of lowercase letters, digits and hyphens. */
  readonly cluster: string;
  readonly signal?: AbortSignal | undefined;
};

export type HostSession = {
  readonly client: HostClient;
  /** Ends the session. A host that does not end it in time is cut off: what it is doing goes on there. */
  close(): Promise<void>;
  /** Ends the session once calls of other machines on the host are done, or cuts it off when the run is to stop. */
  finish(stop: AbortSignal): Promise<void>;
};

const closeMs = 2_000;
const programsLostError = "ssh/programs-lost";

/** Whether haplan's programs are gone from a host where the cluster has machines. */
export function isProgramsLost(error: unknown): boolean {
  return error instanceof HaplanError && error.code === programsLostError;
}

/** The host's shell ends with it where there is no haplan-host. */
export const notInstalledCode = 91;
/** And with this where machines of the cluster are there all the same. */
const programsLostCode = 92;
/** And with this where the user is not root, and is not to become it. */
const notRootCode = 94;

/** What its runtime says where some of its files are gone, and how a shell ends that cannot run the runtime. */
const missesModules = /MODULE_NOT_FOUND/;
const notRunnableCodes: ReadonlySet<number | null> = new Set([126, 127]);

function isDamaged({ exitCode, stderr }: Ending): boolean {
  return missesModules.test(stderr) || (notRunnableCodes.has(exitCode) && stderr.includes(`${installDir}/`));
}

type Ending = { readonly exitCode: number | null; readonly stderr: string };

/**
 * Null when haplan was never installed on the host.
 * @throws HaplanError `ssh/...` when the host was not reached, `ssh/become` when haplan cannot become root there
 */
export async function openHostSession(request: HostRequest): Promise<HostSession | null> {
  const { target, files, signal } = request;
  const child = spawn("ssh", sshArguments(target, files, hostCommand(request, [])), { stdio: "pipe" });
  const started = new Promise<void>((resolve, reject) => {
    child.once("spawn", resolve);
    child.once("error", (error) => reject(systemErrorCode(error) === "ENOENT" ? noSsh() : error));
  });
  const stderr = text(child.stderr);
  const ending = new Promise<Ending>((resolve) => {
    child.once("close", async (exitCode) => resolve({ exitCode, stderr: await stderr }));
  });
  await started;
  const whyEnded = async (): Promise<string> => (await ending.then((end) => explainEnd(request, end))).message;
  try {
    const client = await HostClient.open({ fromHost: child.stdout, toHost: child.stdin, whyEnded }, signal);
    return { client, close: () => endWithin(client, child), finish: (stop) => endOnceIdle(client, child, stop) };
  } catch (error) {
    if (!(error instanceof HaplanError) || error.code !== "provider/connection-lost") {
      child.kill();
      throw error;
    }
    const end = await ending;
    if (end.exitCode === notInstalledCode) return null;
    if (end.exitCode === programsLostCode || isDamaged(end)) throw programsLost(target);
    throw explainEnd(request, end);
  }
}

async function endWithin(client: HostClient, child: ChildProcess): Promise<void> {
  const cutOff = setTimeout(() => child.kill("SIGKILL"), closeMs);
  await client.close().finally(() => clearTimeout(cutOff));
}

async function endOnceIdle(client: HostClient, child: ChildProcess, stop: AbortSignal): Promise<void> {
  const cutOff = (): void => void child.kill("SIGKILL");
  if (stop.aborted) cutOff();
  stop.addEventListener("abort", cutOff, { once: true });
  await client.close().finally(() => stop.removeEventListener("abort", cutOff));
}

/** Runs haplan-host with `flags`. For the host's shell, as the user that ssh logs in as. */
export function hostCommand({ become, cluster }: HostRequest, flags: readonly string[]): string {
  const current = `${installDir}/current`;
  const program = `${current}/bin/haplan-host`;
  const words = [program, `--cluster ${cluster}`, `--artifacts-dir ${installDir}`, ...flags].join(" ");
  const run = `exec ${words}`;
  const asRoot = `exec sudo -n ${words}`;
  const start = {
    none: `[ "$(id -u)" = 0 ] || exit ${notRootCode}; ${run}`,
    sudo: asRoot,
    auto: `if [ "$(id -u)" = 0 ]; then ${run}; else ${asRoot}; fi`,
  }[become];
  const complete = [`-x ${program}`, `-x ${current}/bin/node`, `-f ${current}/cmd/haplan-host/main.js`];
  return `${complete.map((test) => `[ ${test} ]`).join(" && ")} || { ${lostTest(become, cluster)} && exit ${programsLostCode}; exit ${notInstalledCode}; }; ${start}`;
}

/** Whether the cluster has machines on the host; only root can look there. */
function lostTest(become: Become, cluster: string): string {
  return `{ ${rootCommand({ become }, `ls ${dataDir}/${cluster}/machines 2>/dev/null | grep -q .`)}; }`;
}

function programsLost({ host }: SshTarget): HaplanError {
  return new HaplanError(
    programsLostError,
    `haplan's programs are no longer complete in ${installDir} on ${host}, and machines of this cluster are there: apply installs the programs again`,
  );
}

export function explainEnd({ target }: HostRequest, { exitCode, stderr }: Ending): HaplanError {
  if (exitCode === sshFailedCode) return sshFailure(target, stderr);
  const said = withoutDebug(stderr).trim();
  if (exitCode === notRootCode) return becomeFailure(target, "The user is not root, and become is none.");
  if (/^sudo: /m.test(said)) return becomeFailure(target, said);
  const how = exitCode === null ? "was ended by a signal" : `ended with exit code ${exitCode}`;
  return new HaplanError(
    "provider/connection-lost",
    `haplan-host on ${target.host} ${how}${said === "" ? "" : `\n${said}`}`,
  );
}

/** What `sudo -n` says where it would have to ask, or where the user may not. */
function becomeFailure({ host }: SshTarget, said: string): HaplanError {
  const advice = "haplan needs sudo without a password there, or to log in as root (become: none)";
  return new HaplanError("ssh/become", `Cannot become root on ${host}: ${advice}\n${said}`);
}
