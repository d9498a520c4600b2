/** Maps the kind of a step to the file that runs it; nothing else. */
import { assertNever } from "../base/assert.ts";
import type { StepAction } from "../plan/step.ts";
import type { StepOutputs } from "./state-edits.ts";
import type { StepContext } from "./step-context.ts";
import { reloadAgent, startAgent, startMember, stopAgent } from "./steps/agent-steps.ts";
import {
  activateAuthority,
  addAuthority,
  createAuthority,
  dropAuthority,
  issueCertificate,
  removeAuthority,
  removeCertificate,
  renewAuthority,
} from "./steps/authority-steps.ts";
import { awaitCatchUp, awaitQuorum } from "./steps/await-steps.ts";
import { checkMembers } from "./steps/check-members.ts";
import { runKubernetesStep } from "./steps/kubernetes-steps.ts";
import { startLoadBalancer, stopLoadBalancer } from "./steps/load-balancer-steps.ts";
import { createMachine, destroyMachine, renameMaster, updateMachine } from "./steps/machine-steps.ts";
import { addLearner, changeVoters, moveLeader, removeMember, updateMember } from "./steps/membership-steps.ts";
import { restoreMember } from "./steps/restore-member.ts";
import { saveSurvivor } from "./steps/save-survivor.ts";
import { restartSilentAgent } from "./steps/silent-agent.ts";
import { takeSnapshot } from "./steps/take-snapshot.ts";
import { upgradeAgent } from "./steps/upgrade-steps.ts";
import { startWorker, stopWorker } from "./steps/worker-steps.ts";

/** Runs `action` and returns the outputs known only afterwards. */
export async function runStep(context: StepContext, action: StepAction): Promise<StepOutputs> {
  switch (action.kind) {
    case "createAuthority":
      return createAuthority(context);
    case "renewAuthority":
      return renewAuthority(context, action);
    case "addAuthority":
      return addAuthority(context, action);
    case "activateAuthority":
      return activateAuthority(context);
    case "dropAuthority":
      return dropAuthority(context);
    case "issueCertificate":
      return issueCertificate(context, action);
    case "removeCertificate":
      return removeCertificate(context, action);
    case "removeAuthority":
      return removeAuthority(context);
    case "createMachine":
      return createMachine(context, action);
    case "updateMachine":
      return updateMachine(context, action);
    case "renameMaster":
      return renameMaster(context, action);
    case "destroyMachine":
      return destroyMachine(context, action);
    case "startAgent":
    case "updateAgent":
    case "upgradeAgent":
    case "reloadAgent":
    case "restartAgent":
    case "stopAgent":
      return runAgentStep(context, action);
    case "checkMembers":
      return checkMembers(context, action);
    case "saveSurvivor":
    case "restoreMember":
      return runDataStep(context, action);
    case "takeSnapshot":
      return takeSnapshot(context, action);
    case "awaitQuorum":
      return awaitQuorum(context, action);
    case "awaitCatchUp":
      return awaitCatchUp(context, action);
    case "addLearner":
      return addLearner(context, action);
    case "changeVoters":
      return changeVoters(context, action);
    case "removeMember":
      return removeMember(context, action);
    case "updateMember":
      return updateMember(context, action);
    case "moveLeader":
      return moveLeader(context, action);
    case "startLoadBalancer":
    case "updateLoadBalancer":
      return startLoadBalancer(context, action);
    case "stopLoadBalancer":
      return stopLoadBalancer(context, action);
    case "startWorker":
      return startWorker(context, action);
    case "stopWorker":
      return stopWorker(context, action);
    case "writeKubeadmConfig":
    case "removeKubeadmConfig":
    case "bootstrapNode":
      return runKubernetesStep(context, action);
    case "recordState":
      return {};
    default:
      return assertNever(action);
  }
}

type DataAction = Extract<StepAction, { readonly kind: "saveSurvivor" | "restoreMember" }>;

function runDataStep(context: StepContext, action: DataAction): Promise<StepOutputs> {
  return action.kind === "saveSurvivor" ? saveSurvivor(context, action) : restoreMember(context, action);
}

type AgentAction = Extract<
  StepAction,
  { readonly kind: "startAgent" | "updateAgent" | "upgradeAgent" | "reloadAgent" | "restartAgent" | "stopAgent" }
>;

async function runAgentStep(context: StepContext, action: AgentAction): Promise<StepOutputs> {
  switch (action.kind) {
    case "startAgent":
      return startMember(context, action);
    case "updateAgent":
      return startAgent(context, action);
    case "upgradeAgent":
      return upgradeAgent(context, action);
    case "reloadAgent":
      return reloadAgent(context, action);
    case "restartAgent":
      return restartSilentAgent(context, action);
    case "stopAgent":
      return stopAgent(context, action);
    default:
      return assertNever(action);
  }
}
