/** Tries the connections that a cluster needs, with listeners of haplan's own where nothing listens yet. */
import { createConnection, isIP } from "node:net";
import { groupBy } from "../../base/group-by.ts";
import { HaplanError, systemErrorCode } from "../../base/haplan-error.ts";
import { familyOf } from "../../base/ip-address.ts";
import type { HostFacts } from "../../host/host-facts.ts";
import { bindAddress, hostPort } from "../../units/addresses.ts";
import { hasAddress, isOwn, listenerOn } from "../host-checks.ts";
import type { PathOutcome, TriedPath } from "../hosts-to-check.ts";
import type { NetworkPath } from "../provider.ts";
import { connectScript, listenScript, parseConnections, parseListening } from "./network-scripts.ts";
import type { RemoteShell } from "./remote-shell.ts";

export type OpenHost = { readonly host: string; readonly shell: RemoteShell; readonly facts: HostFacts };

export type PathsToTry = {
  readonly cluster: string;
  readonly paths: readonly NetworkPath[];
  /** The host of a machine; null for one that is not the provider's, and undefined for a host that was not reached. */
  readonly hostOf: (machine: string) => OpenHost | null | undefined;
  /** Runs work with a host within the limits of the provider. */
  readonly onHost: <Result>(host: OpenHost, work: (signal: AbortSignal) => Promise<Result>) => Promise<Result>;
};

const scriptMs = 30_000;
const connectMs = 3_000;

/** A path whose end has another finding already, such as a port that is taken, is left out. */
export async function tryPaths(request: PathsToTry): Promise<readonly TriedPath[]> {
  const ready = await listenAtEnds(request);
  const isReached = (from: string | null): boolean => from === null || (request.hostOf(from) ?? null) !== null;
  const tried = request.paths.filter((path) => isReached(path.from) && ready.get(placeOf(path)) !== "left out");
  const possible = tried.filter((path) => ready.get(placeOf(path)) === "ready");
  const outcomes = new Map<NetworkPath, PathOutcome>();
  await Promise.all(
    [...groupBy(possible, ({ from }) => (from === null ? null : request.hostOf(from)))].map(async ([host, paths]) => {
      const found = host === null ? await connectFromHere(paths) : await connectFrom(request, host, paths);
      for (const [at, path] of paths.entries()) outcomes.set(path, found.get(at) ?? "untried");
    }),
  );
  return tried.map((path) => {
    const from = path.from === null ? null : request.hostOf(path.from);
    const lacksFamily = from != null && !hasFamily(from.facts, path.address);
    return { ...path, outcome: outcomes.get(path) ?? "untried", ...(lacksFamily ? { lacksFamily } : {}) };
  });
}

/** From these a host reaches nothing but itself, or the hosts of one link. */
const ownOnly = /^(127\.|::1$|fe80:)/;

/** Whether the host has an address from which it could connect to this one; true for names. */
function hasFamily({ addresses }: HostFacts, address: string): boolean {
  const family = familyOf(address);
  const reaching = addresses.filter((each) => !ownOnly.test(each));
  return family === null || reaching.some((each) => familyOf(each) === family);
}

type End = "ready" | "untried" | "left out";

const placeOf = ({ to, address, port }: NetworkPath): string => `${to} ${hostPort(address, port)}`;

async function listenAtEnds({ cluster, paths, hostOf, onHost }: PathsToTry): Promise<ReadonlyMap<string, End>> {
  const ends = new Map<string, End>();
  const silent: (NetworkPath & { readonly target: OpenHost })[] = [];
  for (const path of new Map(paths.map((each) => [placeOf(each), each])).values()) {
    const target = hostOf(path.to);
    if (target === undefined) ends.set(placeOf(path), "left out");
    else if (target === null) ends.set(placeOf(path), "ready");
    else {
      const listener = listenerOn(target.facts, hostPort(path.address, path.port));
      if (!canListen(target, path.address)) ends.set(placeOf(path), "left out");
      else if (listener === null) silent.push({ ...path, target });
      else ends.set(placeOf(path), isOwn(cluster, listener, target.facts) ? "ready" : "left out");
    }
  }
  await Promise.all(
    [...groupBy(silent, ({ target }) => target)].map(async ([target, places]) => {
      const script = listenScript(places.map(({ address, port }) => ({ address: bindAddress(address), port })));
      const listening = parseListening(await printedBy(onHost, target, script));
      for (const [at, path] of places.entries()) ends.set(placeOf(path), listening.has(at) ? "ready" : "untried");
    }),
  );
  return ends;
}

async function connectFrom(
  { onHost }: PathsToTry,
  host: OpenHost | undefined,
  paths: readonly NetworkPath[],
): Promise<ReadonlyMap<number, PathOutcome>> {
  if (host === undefined) return new Map();
  return parseConnections(await printedBy(onHost, host, connectScript(paths)));
}

/** Nothing where the host does not answer any more: that is no finding about the path. @throws HaplanError `provider/aborted` */
async function printedBy(onHost: PathsToTry["onHost"], host: OpenHost, script: string): Promise<string> {
  try {
    return await onHost(host, (signal) => host.shell.run(script, scriptMs, signal));
  } catch (error) {
    if (!(error instanceof HaplanError) || error.code === "provider/aborted") throw error;
    return "";
  }
}

/** A name may be that of any of its addresses. */
function canListen({ facts }: OpenHost, address: string): boolean {
  return isIP(address) === 0 || hasAddress(facts, address);
}

async function connectFromHere(paths: readonly NetworkPath[]): Promise<ReadonlyMap<number, PathOutcome>> {
  return new Map(await Promise.all(paths.map(async (path, at) => [at, await connectOnce(path)] as const)));
}

function connectOnce({ address, port }: NetworkPath): Promise<PathOutcome> {
  return new Promise((resolve) => {
    const socket = createConnection({ host: address, port, timeout: connectMs });
    const end = (outcome: PathOutcome): void => {
      socket.destroy();
      resolve(outcome);
    };
    socket.once("connect", () => end("connected"));
    socket.once("timeout", () => end("noAnswer"));
    socket.once("error", (error) => end(outcomes[systemErrorCode(error) ?? ""] ?? "rejected"));
  });
}

const outcomes: { readonly [code: string]: PathOutcome } = {
  ECONNREFUSED: "refused",
  ETIMEDOUT: "noAnswer",
  ENOTFOUND: "unknownName",
  EAI_AGAIN: "unknownName",
};
