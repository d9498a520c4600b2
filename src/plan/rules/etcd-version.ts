/**
 * etcd is upgraded one minor version at a time (etcd.io, "Upgrading etcd"): members of one cluster agree on the protocol and
 * the storage of the lowest minor version among them, and each release migrates only from the one before it.
 */
import type { Planning } from "../planning.ts";

type Minor = { readonly name: string; readonly minor: number };

export function checkEtcdVersion({ spec, observed, builder }: Planning): void {
  const { etcd } = spec.controlPlane;
  const wanted = minorOf(etcd?.version);
  if (etcd === undefined || wanted === null) return;
  const found = (observed.membership?.members ?? []).flatMap(({ name, version }): Minor[] => {
    const minor = minorOf(version);
    return minor === null ? [] : [{ name, minor }];
  });
  if (found.length === 0) return;
  const lowest = Math.min(...found.map(({ minor }) => minor));
  if (wanted === lowest || wanted === lowest + 1) return;
  const members = found.filter(({ minor }) => minor === lowest).map(({ name }) => name);
  const running = `${members.sort().join(", ")} ${members.length === 1 ? "runs" : "run"} 3.${lowest}`;
  if (wanted > lowest) {
    builder.refuse(
      "plan/etcd-minor-skipped",
      `etcd cannot be upgraded from 3.${lowest} to ${etcd.version} in one step`,
      `${running}. Upgrade one minor version at a time: write the path and version of a 3.${lowest + 1} first and apply, then the next one.`,
    );
    return;
  }
  builder.refuse(
    "plan/etcd-downgrade",
    `etcd cannot be downgraded from 3.${lowest} to ${etcd.version}`,
    `${running}, and an older etcd does not start on its data. Keep a 3.${lowest}, or restore a snapshot that was taken before the upgrade into a new cluster.`,
  );
}

function minorOf(version: string | undefined): number | null {
  const [, minor] = /^3\.(\d+)\./.exec(version ?? "") ?? [];
  return minor === undefined ? null : Number(minor);
}
