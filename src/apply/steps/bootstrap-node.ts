/**
 * Makes a host a node of Kubernetes with kubeadm. kubeadm goes on when haplan is killed; the next apply waits for it, and
 * does not run it twice.
 */
import { createHash, randomBytes, X509Certificate } from "node:crypto";
import { assert } from "../../base/assert.ts";
import { errorText, HaplanError } from "../../base/haplan-error.ts";
import type { JoinSecrets } from "../../kubernetes/kubeadm-config.ts";
import { admitTasks, authorityTask, gateTasks, initTask, joinTask } from "../../kubernetes/kubeadm-tasks.ts";
import type { StepAction } from "../../plan/step.ts";
import type { KubernetesSpec } from "../../spec/cluster-spec.ts";
import type { HostTask, TaskReport } from "../../units/host-task.ts";
import { kubeadmUnitName } from "../../units/unit-definition.ts";
import type { StepOutputs } from "../state-edits.ts";
import type { StepContext } from "../step-context.ts";

type Bootstrap = StepAction & { readonly kind: "bootstrapNode" };

const pollMs = 2_000;
/** kubeadm has time limits of its own; pulling images may take longer than those. */
const kubeadmMs = 20 * 60_000;
const gateMs = 5 * 60_000;

export async function bootstrapNode(context: StepContext, action: Bootstrap): Promise<StepOutputs> {
  const { kubernetes } = context.plan.spec;
  assert(kubernetes !== undefined, "a step about Kubernetes is of a spec with it");
  const { ports, signal } = context;
  const known = initTask();
  const { state } = await ports.provider.taskReport(action.host, kubeadmUnitName, known, signal);
  if (state === "absent" || state === "failed") {
    const task = action.manner === "init" ? known : await admit(context, action, kubernetes);
    await ports.provider.startTask(action.host, kubeadmUnitName, task, signal);
  }
  await awaitKubeadm(context, action, known);
  for (const { task, awaits } of gateTasks(context.plan.spec, kubernetes, action.host)) {
    await awaitTask(context, action.host, task, awaits);
  }
  return {};
}

/** New secrets for each host: a token that expires soon, and a key for the certificates that are uploaded with it. */
async function admit(
  context: StepContext,
  { host, manner, via }: Bootstrap,
  kubernetes: KubernetesSpec,
): Promise<HostTask> {
  const { plan, ports, signal, detail } = context;
  const [first] = via;
  assert(first !== undefined, "a host joins through a control plane");
  const run = (task: HostTask): Promise<string> => ports.provider.runTask(first, kubeadmUnitName, task, signal);
  detail(`${first} creates a token`);
  const hash = publicKeyHash(await run(authorityTask));
  const secrets: JoinSecrets = {
    token: `${randomText(6)}.${randomText(16)}`,
    caCertHashes: [hash],
    certificateKey: randomBytes(32).toString("hex"),
  };
  const tasks = admitTasks(plan.spec, kubernetes, first, secrets);
  await run(tasks.token);
  if (manner === "controlPlane") await run(tasks.certificates);
  return joinTask(plan.spec, kubernetes, host, secrets);
}

/** As kubeadm computes it: over the public key, so that a renewed certificate of the same key has the same one. */
function publicKeyHash(pem: string): string {
  const key = new X509Certificate(pem).publicKey.export({ type: "spki", format: "der" });
  return `sha256:${createHash("sha256").update(key).digest("hex")}`;
}

/** Lower-case hexadecimal digits, which are all allowed in a token. */
function randomText(length: number): string {
  return randomBytes(length).toString("hex").slice(0, length);
}

async function awaitKubeadm(
  { ports, signal, detail }: StepContext,
  { host }: Bootstrap,
  task: HostTask,
): Promise<void> {
  const { clock, provider } = ports;
  const deadline = clock.monotonicMs() + kubeadmMs;
  for (;;) {
    const report = await provider.taskReport(host, kubeadmUnitName, task, signal);
    if (report.state === "done") return;
    if (report.state !== "running") throw kubeadmFailed(host, report);
    if (clock.monotonicMs() >= deadline)
      throw kubeadmFailed(host, { ...report, output: `${report.output}\nIt still runs.` });
    detail(report.output.split("\n").at(-1)?.slice(0, 120) || "kubeadm runs");
    await clock.sleep(pollMs, signal);
  }
}

function kubeadmFailed(host: string, { output }: TaskReport): HaplanError {
  return new HaplanError(
    "kubernetes/kubeadm-failed",
    `kubeadm failed on ${host}:\n${output}\n\nThe whole of it is in the journal of ${host}. If kubeadm has written files before it failed, run kubeadm reset there. Then apply again.`,
  );
}

async function awaitTask(
  { ports, signal, detail }: StepContext,
  host: string,
  task: HostTask,
  awaits: string,
): Promise<void> {
  const { clock, provider } = ports;
  const deadline = clock.monotonicMs() + gateMs;
  detail(`waits for ${awaits}`);
  for (;;) {
    try {
      await provider.runTask(host, kubeadmUnitName, task, signal);
      return;
    } catch (error) {
      if (!(error instanceof HaplanError) || error.code !== "provider/task-failed") throw error;
      if (clock.monotonicMs() >= deadline) {
        throw new HaplanError("kubernetes/not-ready", `Waited ${gateMs / 1000} s for ${awaits}: ${errorText(error)}`);
      }
    }
    await clock.sleep(pollMs, signal);
  }
}
