/** Ids and titles of steps, derived from their actions: equal actions have equal ids, in every plan. */
import { assertNever } from "../base/assert.ts";
import type { MemberRef, StepAction } from "./step.ts";

const names = (members: readonly MemberRef[]): string => members.map((member) => member.name).join(",");

/** Unique within a plan: a plan never does the same thing twice. */
export function stepId(action: StepAction): string {
  switch (action.kind) {
    case "createAuthority":
    case "renewAuthority":
    case "addAuthority":
    case "activateAuthority":
    case "dropAuthority":
    case "removeAuthority":
    case "recordState":
    case "takeSnapshot":
      return action.kind;
    case "stopLoadBalancer":
      return action.balancer === undefined ? action.kind : `${action.kind}:${action.balancer}`;
    case "checkMembers":
      return `${action.kind}:${action.members.map((member) => member.name).join(",")}`;
    case "issueCertificate":
    case "removeCertificate":
      return `${action.kind}:${action.name}`;
    case "createMachine":
      return `${action.kind}:${action.machine}#${action.generation}`;
    case "updateMachine":
      return `${action.kind}:${action.machine}`;
    case "renameMaster":
      return `${action.kind}:${action.from}>${action.to}`;
    case "destroyMachine":
      return `${action.kind}:${action.machine}${action.generation === undefined ? "" : `#${action.generation}`}`;
    case "stopAgent":
      return `${action.kind}:${action.member}${action.generation === undefined ? "" : `#${action.generation}`}`;
    case "reloadAgent":
      return `${action.kind}:${action.member}${action.authorities === true ? "/authorities" : ""}`;
    case "startAgent":
    case "updateAgent":
    case "upgradeAgent":
    case "restartAgent":
    case "addLearner":
    case "awaitCatchUp":
    case "saveSurvivor":
    case "restoreMember":
      return `${action.kind}:${action.member}`;
    case "updateMember":
    case "removeMember":
      return `${action.kind}:${action.member}/${action.memberId}`;
    case "awaitQuorum":
      return `${action.kind}:${action.members.join(",")}`;
    case "changeVoters":
      return `${action.kind}:${refs(action.from)}>${refs(action.to)}`;
    case "moveLeader":
      return `${action.kind}:${action.from.name}>${action.to.name}`;
    case "startLoadBalancer":
    case "updateLoadBalancer":
      return `${action.kind}:${action.balancer === undefined ? "" : `${action.balancer}/`}${action.backends.join(",")}`;
    case "startWorker":
    case "stopWorker":
      return `${action.kind}:${action.worker}`;
    case "writeKubeadmConfig":
    case "removeKubeadmConfig":
    case "bootstrapNode":
      return `${action.kind}:${action.host}`;
    default:
      return assertNever(action);
  }
}

function refs(members: readonly MemberRef[]): string {
  return members.map((member) => `${member.name}/${member.memberId ?? "new"}`).join(",");
}

/** One line, in the imperative. */
export function stepTitle(action: StepAction): string {
  switch (action.kind) {
    case "createAuthority":
      return "create certificate authority";
    case "renewAuthority":
      return "renew the certificate of the certificate authority";
    case "addAuthority":
      return `create the next certificate authority, ${action.commonName}`;
    case "activateAuthority":
      return "sign with the next certificate authority";
    case "dropAuthority":
      return "drop the previous certificate authority";
    case "removeAuthority":
      return "remove certificate authority and certificates";
    case "recordState":
      return "record in the state what was found";
    case "issueCertificate":
    case "removeCertificate":
      return `${action.kind === "issueCertificate" ? "issue" : "remove"} certificate ${action.name}`;
    case "createMachine":
      return `create machine ${action.machine}${action.generation > 1 ? ` (generation ${action.generation})` : ""}`;
    case "renameMaster":
      return `rename master ${action.from} to ${action.to}`;
    case "destroyMachine":
      return `destroy machine ${action.machine}${ofGeneration(action.generation)}`;
    case "startAgent":
    case "updateAgent":
    case "upgradeAgent":
    case "reloadAgent":
    case "restartAgent":
    case "stopAgent":
      return agentTitle(action);
    case "awaitQuorum":
      return awaitTitle(action);
    case "checkMembers":
      return `check that ${action.members.map((member) => member.name).join(", ")} ${action.members.length === 1 ? "is" : "are"} healthy and stable`;
    case "takeSnapshot":
      return action.required ? "take a snapshot" : "take a snapshot, if the members support it";
    case "saveSurvivor":
      return `save the data of ${action.member}`;
    case "restoreMember":
      return `restore the data of ${action.member}`;
    case "addLearner":
      return `add ${action.member} as learner`;
    case "awaitCatchUp":
      return `wait for ${action.member} to catch up (lag <= ${action.maxLagEntries})${lasting(action, ", and to last")}`;
    case "changeVoters":
      if (action.manner === "direct") return `promote${votersTitle(action.from, action.to).replace(/^\+| \+/g, " ")}`;
      return `change voters: ${votersTitle(action.from, action.to)}`;
    case "removeMember":
      return `remove member ${action.member}`;
    case "updateMember":
      return `update member ${action.member}: peer URL ${action.peerUrl}`;
    case "moveLeader":
      return `move leader from ${action.from.name} to ${action.to.name}`;
    case "startLoadBalancer":
      return `start ${balancerTitle(action)}`;
    case "updateLoadBalancer":
      if (action.backends.length === 0) return `close ${balancerTitle(action)}: no targets`;
      return `update ${balancerTitle(action)}: ${action.backends.join(", ")}`;
    case "stopLoadBalancer":
      return `stop ${balancerTitle(action)}`;
    case "updateMachine":
    case "startWorker":
    case "stopWorker":
    case "writeKubeadmConfig":
    case "removeKubeadmConfig":
    case "bootstrapNode":
      return hostTitle(action);
    default:
      return assertNever(action);
  }
}

type AgentAction = Extract<
  StepAction,
  {
    readonly kind: "startAgent" | "updateAgent" | "upgradeAgent" | "reloadAgent" | "restartAgent" | "stopAgent";
  }
>;

function awaitTitle({ members, steadyMs }: Extract<StepAction, { readonly kind: "awaitQuorum" }>): string {
  const [are, stay] = members.length === 1 ? ["is", "stays"] : ["are", "stay"];
  return `wait until ${members.join(", ")} ${are} healthy${lasting({ steadyMs }, ` and ${stay} so`)}`;
}

function lasting({ steadyMs }: { readonly steadyMs?: number | undefined }, how: string): string {
  return steadyMs === undefined ? "" : `${how} for ${steadyMs / 1000} s`;
}

function agentTitle(action: AgentAction): string {
  switch (action.kind) {
    case "startAgent":
      return `start agent ${action.member}`;
    case "updateAgent":
      return `update agent ${action.member}`;
    case "upgradeAgent":
      return upgradeTitle(action);
    case "reloadAgent":
      return action.authorities === true
        ? `hand agent ${action.member} the trusted authorities`
        : `hand agent ${action.member} its new certificate`;
    case "restartAgent":
      return `restart agent ${action.member}${action.unlessAnswers === true ? ", unless it answers by then" : ""}`;
    case "stopAgent":
      return `stop agent ${action.member}${ofGeneration(action.generation)}`;
    default:
      return assertNever(action);
  }
}

/** Plans show the whole names with the attribute; of two builds of one version, the title has what tells them apart. */
function upgradeTitle({ member, from, to }: Extract<StepAction, { readonly kind: "upgradeAgent" }>): string {
  const [was, is] = [artifactName(from ?? ""), artifactName(to)];
  if (was.version === is.version && was.build !== "" && is.build !== "")
    return `upgrade agent ${member}: ${is.version} from ${was.build} to ${is.build}`;
  if (isLower(is.version, was.version)) return `downgrade agent ${member} from ${was.version} to ${is.version}`;
  return `upgrade agent ${member} to ${is.version}`;
}

/** `0.1.0 (build 0123456789ab)` as its two parts. */
function artifactName(name: string): { readonly version: string; readonly build: string } {
  const [, version = "", build = ""] = /^(\S*)(?: \((.*)\))?/.exec(name) ?? [];
  return { version, build };
}

/** False unless both are three numbers. */
function isLower(version: string, than: string): boolean {
  const [one, other] = [version, than].map((text) => /^(\d+)\.(\d+)\.(\d+)$/.exec(text)?.slice(1).map(Number));
  if (one === undefined || other === undefined) return false;
  const at = one.findIndex((part, index) => part !== other[index]);
  return at !== -1 && one[at]! < other[at]!;
}

type HostAction = Extract<
  StepAction,
  {
    readonly kind:
      | "updateMachine"
      | "startWorker"
      | "stopWorker"
      | "writeKubeadmConfig"
      | "removeKubeadmConfig"
      | "bootstrapNode";
  }
>;

function hostTitle(action: HostAction): string {
  switch (action.kind) {
    case "updateMachine":
      return `update machine ${action.machine}`;
    case "startWorker":
      return `start worker ${action.worker}`;
    case "stopWorker":
      return `stop worker ${action.worker}`;
    case "writeKubeadmConfig":
      return `write kubeadm configuration on ${action.host}`;
    case "removeKubeadmConfig":
      return `remove kubeadm configuration from ${action.host}`;
    case "bootstrapNode":
      if (action.manner === "init") return `run kubeadm init on ${action.host}`;
      return `run kubeadm join on ${action.host} (${action.manner === "worker" ? "worker" : "control plane"})`;
    default:
      return assertNever(action);
  }
}

function balancerTitle({ balancer }: { readonly balancer?: string }): string {
  return balancer === undefined ? "load balancer" : `load balancer ${balancer}`;
}

function ofGeneration(generation: number | undefined): string {
  return generation === undefined ? "" : ` (generation ${generation})`;
}

/** `+m4 +m5`, `-m4 -m5`, `-m2 +m2 (new)`; the whole list if nothing else would be left. */
function votersTitle(from: readonly MemberRef[], to: readonly MemberRef[]): string {
  const key = (member: MemberRef): string => member.memberId ?? `new ${member.name}`;
  const fromKeys = new Set(from.map(key));
  const toKeys = new Set(to.map(key));
  const fromNames = new Set(from.map((member) => member.name));
  const leaving = from.filter((member) => !toKeys.has(key(member))).map((member) => `-${member.name}`);
  const joining = to
    .filter((member) => !fromKeys.has(key(member)))
    .map((member) => `+${member.name}${fromNames.has(member.name) ? " (new)" : ""}`);
  return [...leaving, ...joining].join(" ") || names(to);
}
