/** etcd, etcdctl and etcdutl of several versions, built from their Go modules (`etcd-programs/VERSION/go.mod`). */
import { fileURLToPath } from "node:url";
import { type Built, type GoBuild, goProgram } from "./go-build.ts";

export type EtcdVersion = "3.5" | "3.6" | "3.7";
export type EtcdProgram = "etcd" | "etcdctl" | "etcdutl";

export const etcdVersions: readonly EtcdVersion[] = ["3.5", "3.6", "3.7"];

const packages: Readonly<Record<EtcdProgram, string>> = {
  etcd: "go.etcd.io/etcd/server/v3",
  etcdctl: "go.etcd.io/etcd/etcdctl/v3",
  etcdutl: "go.etcd.io/etcd/etcdutl/v3",
};

/** How each program of a version is built. */
export function etcdBuild(version: EtcdVersion, program: EtcdProgram): GoBuild {
  const module = fileURLToPath(new URL(`etcd-programs/${version}`, import.meta.url));
  return { module, packagePath: packages[program], program };
}

/** The program, or the reason why it is not available. With HAPLAN_TEST_EVERYTHING it is built if it is missing. */
export function findEtcdProgram(version: EtcdVersion, program: EtcdProgram): Promise<Built> {
  return goProgram(etcdBuild(version, program), process.env["HAPLAN_TEST_EVERYTHING"] !== undefined);
}
