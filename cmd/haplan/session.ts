/**
 * A spec with everything that belongs to it: state, machines, certificates, members. Every command that observes a
 * cluster opens a session, which composes the dependencies.
 */

import { observeCluster } from "../../src/apply/observe-cluster.ts";
import type { ProbeRequest } from "../../src/apply/ports.ts";
import { HaplanError } from "../../src/base/haplan-error.ts";
import type { EtcdUser, MembersRequest } from "../../src/control-plane/control-plane.ts";
import type { Authority } from "../../src/pki/authority-port.ts";
import type { TlsMaterial } from "../../src/pki/tls-material.ts";
import type { ObservedCluster } from "../../src/plan/observed-cluster.ts";
import { isDeposed, resourceAddress, specName } from "../../src/plan/resource.ts";
import { withStandIns } from "../../src/plan/stand-ins.ts";
import type { State, StateResource } from "../../src/plan/state.ts";
import type { LoadBalancer } from "../../src/providers/load-balancer.ts";
import type { Provider } from "../../src/providers/provider.ts";
import type { RecordedMachine } from "../../src/providers/provider-options.ts";
import type { ClusterSpec } from "../../src/spec/cluster-spec.ts";
import { stateDir } from "../../src/state/local-backend.ts";
import { type Lock, noLock } from "../../src/state/lock-holder.ts";
import { openBackend } from "../../src/state/open-backend.ts";
import type { StateBackend } from "../../src/state/state-backend.ts";
import { createStateStore, type StateStore } from "../../src/state/state-store.ts";
import type { CliContext, Dependencies } from "./cli-context.ts";
import { authorityDir } from "./cluster-files.ts";
import { loadSpecAt } from "./commands/validate.ts";
import type { DebugLog } from "./debug-log.ts";
import { readEtcdUser } from "./etcd-user.ts";
import { loggedCalls, namedIn } from "./logged-calls.ts";
import { withRefreshProgress } from "./refresh-progress.ts";
import { RefusalError, stoppedBeforeChange } from "./refusal.ts";
import { standardInput } from "./spec-source.ts";

export type Session = {
  /** As it is in force: with the spare hosts that the state has in the place of masters. */
  readonly spec: ClusterSpec;
  /** As it was given; null without a spec file. */
  readonly specPath: string | null;
  readonly specDigest: string;
  /** `.haplan/<cluster>` below haplan's working directory. */
  readonly directory: string;
  /** The backend of the state. */
  readonly backend: StateBackend;
  readonly provider: Provider;
  readonly loadBalancer: LoadBalancer;
  readonly authority: Authority;
  readonly dependencies: Dependencies;
};

export type SessionOptions = {
  /** For a command that only shows: what only the state has is missing where its backend does not answer. */
  readonly withoutState?: boolean;
};

/** Opens a session on the spec at `specPath`. @throws RefusalError with all mistakes in the spec */
export async function openSession(
  context: CliContext,
  specPath: string,
  options: SessionOptions = {},
): Promise<Session> {
  const { spec, diagnostics, sourceDigest } = await loadSpecAt(context, specPath);
  if (spec === null) throw new RefusalError(diagnostics);
  const file = specPath === standardInput ? null : specPath;
  return sessionFor(context, { spec, specPath: file, specDigest: sourceDigest ?? "" }, options);
}

/** Opens a session on a loaded spec, such as that of a saved plan. */
export async function sessionFor(
  context: CliContext,
  from: Pick<Session, "spec" | "specPath" | "specDigest">,
  { withoutState = false }: SessionOptions = {},
): Promise<Session> {
  const directory = stateDir(context.cwd, from.spec.name);
  const { log } = context;
  const dependencies = dependenciesFor(await context.loadDependencies(), readEtcdUser(context.environment), log);
  const backend = openBackend(from.spec, { directory, cwd: context.cwd, clock: context.clock });
  log.write("info", "cluster", { name: from.spec.name, spec: from.specPath ?? "", state: backend.place });
  const readState = async (spec: ClusterSpec): Promise<State | null> => {
    const { read } = storeOf(context, { spec, backend });
    return withoutState ? (await stateIfReached(read)).state : read();
  };
  const spec = await specInForce(from.spec, readState);
  const opened = await dependencies.openProvider({
    spec,
    recorded: async () => recordedMachines(await readState(spec)),
    directory,
    cwd: context.cwd,
    signal: context.stop.signal,
    clock: context.clock,
    log: (message, facts) => log.write("debug", message, facts),
  });
  context.atEnd(() => opened.close());
  const provider = loggedCalls(log, "provider", opened, namedIn);
  const loadBalancer = dependencies.openLoadBalancer(spec, provider, context.clock);
  return {
    ...from,
    spec,
    directory,
    backend: loggedCalls(log, "state", backend),
    provider,
    loadBalancer: loggedCalls(log, "load balancer", loadBalancer),
    authority: loggedCalls(log, "authority", openSpecAuthority(context, spec, directory, dependencies), namedIn),
    dependencies,
  };
}

/** Without spare hosts the state is not read for it. */
async function specInForce(
  spec: ClusterSpec,
  readState: (spec: ClusterSpec) => Promise<State | null>,
): Promise<ClusterSpec> {
  if ((spec.repair?.replace?.spares ?? []).length === 0) return spec;
  return withStandIns(spec, await readState(spec));
}

/** All calls to members are made as `user`, and logged. */
function dependenciesFor(dependencies: Dependencies, user: EtcdUser | null, log: DebugLog): Dependencies {
  const asUser = <Request extends MembersRequest>(request: Request): Request =>
    user === null ? request : { ...request, user };
  const probedAs = ({ clients, endpoint, ...limit }: ProbeRequest): ProbeRequest => ({
    ...limit,
    clients: clients.map(asUser),
    endpoint: endpoint === null ? null : asUser(endpoint),
  });
  return {
    ...dependencies,
    connect: (request) => {
      log.write("debug", "members", { endpoints: request.endpoints, tls: request.tls !== null });
      return loggedCalls(log, "members", dependencies.connect(asUser(request)));
    },
    probeWrites: async (request, onLongGap) => {
      const probe = await dependencies.probeWrites(probedAs(request), onLongGap);
      return {
        markStep: (id, phase) => probe.markStep(id, phase),
        setPace: (pace) => probe.setPace(pace),
        moveEndpoint: (endpoint) => probe.moveEndpoint(asUser(endpoint)),
        reconnect: (request) => probe.reconnect(probedAs(request)),
        stop: () => probe.stop(),
      };
    },
    openWatcherLease: (request, options) => dependencies.openWatcherLease(asUser(request), options),
    readWorkerReports: (request, timeoutMs) => dependencies.readWorkerReports(asUser(request), timeoutMs),
  };
}

/** The members' own authority, if they were adopted. */
function openSpecAuthority(
  { cwd, clock }: CliContext,
  spec: ClusterSpec,
  directory: string,
  dependencies: Dependencies,
): Authority {
  const { adopted, authority } = spec.controlPlane.tls;
  const own = authorityDir(directory);
  const now = (): number => clock.now();
  if (authority !== undefined)
    return dependencies.openOperatorAuthority({ directory: own, files: authority, cwd, now });
  return adopted === undefined
    ? dependencies.openAuthority({ directory: own, now })
    : dependencies.openAdoptedAuthority({ directory: own, files: adopted, cwd, now });
}

export function sessionState(context: CliContext, session: Session): Promise<State | null> {
  return sessionStore(context, session).read();
}

/** The state, or why its backend does not answer. */
export async function stateIfReached(
  read: () => Promise<State | null>,
): Promise<{ readonly state: State | null; readonly unread: string | null }> {
  try {
    return { state: await read(), unread: null };
  } catch (error) {
    if (!(error instanceof HaplanError) || error.code !== "state/unreachable") throw error;
    return { state: null, unread: error.message.replaceAll("\n", ". ") };
  }
}

/** The state as a store; writes through it are made under `lock`. */
export function sessionStore(context: CliContext, session: Session, lock: Lock = noLock): StateStore {
  return storeOf(context, session, lock);
}

function storeOf(
  { environment }: CliContext,
  { spec, backend }: Pick<Session, "spec" | "backend">,
  lock: Lock = noLock,
): StateStore {
  return createStateStore({ backend, encryption: spec.state.encryption, environment, lock });
}

function recordedMachines(state: State | null): readonly RecordedMachine[] {
  const resources = state?.resources ?? [];
  // While a master moves its former machine counts: its member is in the state as well.
  const isLeftBehind = ({ name, address }: StateResource): boolean =>
    isDeposed(address) && !resources.some((each) => each.address === resourceAddress("haplan_raft_member", name));
  return resources
    .filter(({ type }) => type === "haplan_machine")
    .map((machine) => {
      const { name, generation, attributes } = machine;
      return { name: specName(name), generation, attributes, ...(isLeftBehind(machine) ? { leftBehind: true } : {}) };
    });
}

/** haplan's client certificate for members; null if TLS is off or there is no certificate. */
export async function clientMaterial({ spec, authority }: Session): Promise<TlsMaterial | null> {
  if (!spec.controlPlane.tls.enabled) return null;
  return authority.clientMaterial().catch((error: unknown) => {
    if (error instanceof HaplanError && error.code === "pki/not-authenticated") return null;
    throw error;
  });
}

/** Looks at everything that belongs to the spec, and changes nothing. */
export async function observeSession(
  context: CliContext,
  session: Session,
  state: State | null,
): Promise<ObservedCluster> {
  const { signal } = context.stop;
  const { provider, loadBalancer, authority, dependencies, spec } = session;
  const ports = {
    provider,
    loadBalancer,
    authority,
    connect: dependencies.connect,
    askPresented: dependencies.askPresented,
  };
  try {
    return await withRefreshProgress(context, state, (onProbe) =>
      observeCluster(ports, { spec, state, signal }, (endpoint, ended) => {
        context.log.write("trace", ended ? "member asked" : "asking a member", { endpoint });
        onProbe(endpoint, ended);
      }),
    );
  } catch (error) {
    if (signal.aborted) throw stoppedBeforeChange(context.stop);
    throw error;
  }
}
