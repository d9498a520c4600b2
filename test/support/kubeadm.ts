/** A real kubeadm: `KUBEADM`, else the one in /opt/kubeadm, else that of the PATH. */
import { existsSync } from "node:fs";
import { execaSync } from "execa";

const candidates = [process.env["KUBEADM"], "/opt/kubeadm/kubeadm", "kubeadm"].filter((path) => path !== undefined);

/** Null where there is none. */
export function findKubeadm(): string | null {
  const found = candidates.find(
    (path) =>
      (!path.startsWith("/") || existsSync(path)) &&
      execaSync(path, ["version", "-o", "short"], { reject: false }).exitCode === 0,
  );
  return found ?? null;
}
