/** The text of `haplan kubernetes`: commands with comments, so that the whole of it can be pasted. */
import type { CommandGroup } from "../../../src/kubernetes/kubeadm-commands.ts";
import type { Paint } from "../paint.ts";

export function renderKubeadmCommands(groups: readonly CommandGroup[], paint: Paint): string {
  return groups
    .map(({ hosts, purpose, lines }, at) =>
      [paint.bold(`# ${at + 1}. On ${hosts.join(", ")}`), paint.dim(`# ${purpose}`), ...lines].join("\n"),
    )
    .join("\n\n");
}
