/** `haplan kubernetes [SPEC]`: the kubeadm commands for the hosts of a spec, or the configuration of one of them. */
import { kubeadmCommands } from "../../../src/kubernetes/kubeadm-commands.ts";
import { kubeadmConfig } from "../../../src/kubernetes/kubeadm-config.ts";
import { nearestName } from "../../../src/spec/nearest-name.ts";
import type { CliContext, ExitCode } from "../cli-context.ts";
import { openCluster } from "../open-cluster.ts";
import { refuse } from "../refusal.ts";
import { renderKubeadmCommands } from "../views/kubeadm-commands-view.ts";

type KubernetesFlags = { readonly config?: string; readonly stateOnly?: string };

export async function runKubernetes(
  context: CliContext,
  specArgument: string | undefined,
  flags: KubernetesFlags,
): Promise<ExitCode> {
  const { spec } = await openCluster(context, { spec: specArgument, stateOnly: flags.stateOnly });
  if (spec.kubernetes === undefined) {
    const detail = "Write `kubernetes: { version: 1.35.4 }`, or another version. docs/kubernetes.md has an example.";
    throw refuse("cli/no-kubernetes", `The spec of "${spec.name}" has no Kubernetes`, detail);
  }
  if (flags.config !== undefined) {
    const hosts = [...spec.controlPlane.masters, ...spec.workers].map(({ name }) => name);
    if (!hosts.includes(flags.config)) throw unknownHost(flags.config, hosts);
    context.terminal.print(kubeadmConfig(spec, spec.kubernetes, flags.config).trimEnd());
    return 0;
  }
  context.terminal.print(renderKubeadmCommands(kubeadmCommands(spec), context.terminal.paint));
  return 0;
}

function unknownHost(name: string, hosts: readonly string[]): Error {
  const near = nearestName(name, hosts);
  const hint = near === null ? "" : `Did you mean "${near}"? `;
  return refuse("cli/unknown-host", `There is no host "${name}"`, `${hint}The hosts are ${hosts.join(", ")}.`);
}
